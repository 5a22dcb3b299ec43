"""Released tables, kept so that an answer, once given, is given again: the same, and free.

Invariants: what is kept was already protected (public from then on); it is never changed; putting the same
key and price twice keeps the first, so answers never contradict each other; ``purge`` alone removes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, delete, select

from sandbox.store.database import Database, insert_new, micros, moment
from sandbox.store.ledger import whole
from sandbox.store.schema import answers


@dataclass(frozen=True, slots=True)
class Stored:
    """One kept release.

    ``nano`` is what was paid, ``table`` the Arrow IPC bytes of the protected table, ``family`` the rows it is
    of ("": nothing is derived from it), ``metadata`` JSON text (what it counts, or what it was derived from),
    ``time`` when it was put (UTC).
    """

    grant: str
    snapshot: str
    release_hash: str
    nano: int
    table: bytes
    metadata: str
    time: dt.datetime
    family: str = ""


@dataclass(frozen=True, slots=True)
class Relative:
    """A kept release of some family: its name, what was paid for it, and what it says of itself."""

    release_hash: str
    nano: int
    metadata: str


MOST: Final = 100
"""So many relatives are looked at."""


class Answers:
    """The released tables of all grants and snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, offered: Stored) -> Stored:
        """Keep a release and return what is kept: ``offered``, or the one put before at this price."""
        whole("nano", offered.nano)
        with self._database.write() as connection:
            insert_new(
                connection,
                answers,
                grant_id=offered.grant,
                snapshot=offered.snapshot,
                release_hash=offered.release_hash,
                nano=offered.nano,
                released=offered.table,
                family=offered.family,
                metadata=offered.metadata,
                time=micros(offered.time),
            )
            key = {"grant": offered.grant, "of": offered.snapshot, "release": offered.release_hash}
            return _stored(connection.execute(_KEPT, {**key, "paid": offered.nano}).one())

    def best(self, grant: str, snapshot: str, release_hash: str, at_least: int) -> Stored | None:
        """The kept answer that was paid most for, if that is ``at_least`` nano or more; else ``None``."""
        rule = (*_key(grant, snapshot, release_hash), answers.c.nano >= whole("at_least", at_least))
        with self._database.read() as connection:
            statement = select(answers).where(*rule).order_by(answers.c.nano.desc()).limit(1)
            row = connection.execute(statement).first()
        return None if row is None else _stored(row)

    def relatives(self, grant: str, snapshot: str, family: str, at_least: int) -> tuple[Relative, ...]:
        """Kept releases of one family for which ``at_least`` nano or more was paid, the dearest first."""
        rule = (answers.c.grant_id == grant, answers.c.snapshot == snapshot, answers.c.family == family)
        statement = (
            select(answers.c.release_hash, answers.c.nano, answers.c.metadata)
            .where(*rule, answers.c.nano >= whole("at_least", at_least))
            .order_by(answers.c.nano.desc(), answers.c.time, answers.c.release_hash)
            .limit(MOST)
        )
        with self._database.read() as connection:
            return tuple(Relative(*row) for row in connection.execute(statement))

    def snapshots(self) -> frozenset[str]:
        """Every ``dataset@snapshot`` that a kept answer was made from."""
        with self._database.read() as connection:
            named = connection.execute(select(answers.c.snapshot).distinct()).scalars()
            return frozenset(one for names in named for one in names.split())

    def purge(self, before: dt.datetime, now: dt.datetime) -> int:
        """Delete what was put before ``before`` (retention); how many.  The caller logs it.

        Raises ``ValueError`` if ``before`` lies after ``now``: that would delete answers still to be made.
        """
        if before > now:
            raise ValueError("answers are purged up to now at most")
        with self._database.write() as connection:
            return connection.execute(delete(answers).where(answers.c.time < micros(before))).rowcount


def _key(grant: str, snapshot: str, release_hash: str) -> tuple[ColumnElement[bool], ...]:
    return (
        answers.c.grant_id == grant,
        answers.c.snapshot == snapshot,
        answers.c.release_hash == release_hash,
    )


_KEPT: Final = select(answers).where(
    answers.c.grant_id == bindparam("grant"),
    answers.c.snapshot == bindparam("of"),
    answers.c.release_hash == bindparam("release"),
    answers.c.nano == bindparam("paid"),
)
"""Built once: building it costs as much as running it."""


def _stored(row: Row[Any]) -> Stored:
    return Stored(
        row.grant_id,
        row.snapshot,
        row.release_hash,
        row.nano,
        row.released,
        row.metadata,
        moment(row.time),
        row.family,
    )
