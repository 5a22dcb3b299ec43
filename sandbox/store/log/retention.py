"""Lawful deletion: personal parts of old entries, and kept answers, each run on record.

The tree stays valid: what is hashed holds only a salted commitment to what is deleted here, and without its
salt that says nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from sqlalchemy import delete, func, select

from sandbox.model import Person
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database, micros
from sandbox.store.schema import audit, audit_personal

SLICE: Final = 20_000
"""Entries of one transaction: others wait no longer than that takes."""

_KEPT: Final = tuple(
    kind.value
    for kind in (
        Event.KEY, Event.PURGE, Event.APPROVAL, Event.CASE, Event.DELIVERY, Event.FREEZE, Event.LIFT,
        Event.RECOVER,
    )
)  # fmt: skip
"""Entries that stay whole: what proves keys, limits, freezes, what was deleted, and what the register, the
statements and the reports are made of, is about no one's questions."""


def purge_personal(
    database: Database, log: AuditLog, before: dt.datetime, now: dt.datetime, by: Person | None = None
) -> int:
    """Delete who asked, the text and the payload of entries older than ``before``; of how many.

    Every transaction carries its own entry.  Raises ``ValueError`` if ``before`` lies after ``now``.
    """
    if before > now:
        raise ValueError("entries are purged up to now at most")
    old = select(audit.c.seq).where(audit.c.time < micros(before), audit.c.kind.not_in(_KEPT))
    some = select(audit_personal.c.seq).where(audit_personal.c.seq.in_(old)).order_by(audit_personal.c.seq)
    gone = 0
    while True:
        with database.write() as connection:
            count, last = connection.execute(
                select(func.count(), func.max(some.limit(SLICE).subquery().c.seq))
            ).one()
            if not count:
                return gone
            connection.execute(
                delete(audit_personal).where(audit_personal.c.seq <= last, audit_personal.c.seq.in_(old))
            )
            _note(log, now, by, what="personal", before=before.isoformat(), rows=count)
        gone += count


def purge_answers(
    database: Database,
    answers: Answers,
    log: AuditLog,
    before: dt.datetime,
    now: dt.datetime,
    by: Person | None = None,
) -> int:
    """Delete kept answers older than ``before``; how many.  Raises ``ValueError`` as above."""
    with database.write():
        count = answers.purge(before, now)
        if count:
            _note(log, now, by, what="answers", before=before.isoformat(), rows=count)
    return count


def _note(log: AuditLog, now: dt.datetime, by: Person | None, **facts: object) -> None:
    log.append(
        Event.PURGE,
        time=now,
        person="" if by is None else by.name,
        organisation="" if by is None else by.organisation,
        decision="done",
        payload=facts,
    )
