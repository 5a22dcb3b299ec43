"""The audit log: append-only, gapless, every entry sealed.

Invariants:
- ``seq`` runs 0, 1, 2 … without a gap; it is given inside the transaction that writes the entry;
- every entry carries its leaf hash and a salted commitment to its personal part (``seal``);
- times never fall as ``seq`` grows: an entry made by a clock that jumped back bears the time of the entry
  before it, and an alert says by how much the clock was behind;
- nothing is updated or deleted; triggers of the schema are the second fence.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, FromClause, Row, Select, bindparam, case, insert, select, update

from sandbox.model import LogEntry
from sandbox.store import seal
from sandbox.store.canonical import canonical, printable
from sandbox.store.database import Database, micros, moment
from sandbox.store.ledger import whole
from sandbox.store.log import identity
from sandbox.store.log.hashing import SHA256, Hash
from sandbox.store.schema import audit, audit_codes, audit_datasets, audit_personal, log_head

JUMP: Final = 2_000_000
"""Microseconds by which a clock may lag behind the log before that is an alarm: gateways differ a little."""


class Event(StrEnum):
    """What an entry records.  A closed list: new kinds are appended."""

    INTENT = "intent"
    OUTCOME = "outcome"
    REFUSAL = "refusal"
    EXPLAIN = "explain"
    LOGIN = "login"
    ACCOUNT = "account"
    POLICY = "policy"
    INGEST = "ingest"
    FREEZE = "freeze"
    LIFT = "lift"
    APPROVAL = "approval"
    EXPORT = "export"
    READ = "read"
    PURGE = "purge"
    START = "start"
    ALERT = "alert"
    CANCEL = "cancel"
    KEY = "key"
    CASE = "case"
    DELIVERY = "delivery"
    RECOVER = "recover"
    NOTEBOOK = "notebook"


class AuditLog:
    """What was asked, by whom, under which grant, what left, and what it cost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hash: Hash | None = None
        self._lagging = False

    def append(
        self,
        kind: Event,
        *,
        time: dt.datetime,
        request: str = "",
        person: str = "",
        organisation: str = "",
        grant: str = "",
        datasets: Iterable[str] = (),
        decision: str = "",
        codes: Iterable[str] = (),
        nano: int = 0,
        text: str = "",
        payload: Mapping[str, object] | None = None,
    ) -> int:
        """Write one entry, durably, and return its ``seq``.

        ``payload`` may hold what canonical JSON can (no floats).  Raises ``ValueError`` for an unknown
        kind, a float, a negative ``nano``, a time without a zone.
        """
        told_at = micros(time)
        row = {
            "time": told_at,
            "kind": Event(kind).value,
            "request": printable(request),
            "organisation": printable(organisation),
            "grant_id": printable(grant),
            "datasets": _words(datasets),
            "decision": printable(decision),
            "codes": _words(codes),
            "nano": whole("nano", nano),
        }
        told = {"person": printable(person), "text": printable(text), "payload": canonical(payload or {})}
        with self._database.write() as connection:
            seq, late = self._write(connection, row, told)
            if late > JUMP and not self._lagging:
                alarm = {"alarm": "clock", "behind_us": late}
                about = {**dict.fromkeys(row, ""), "kind": Event.ALERT.value, "nano": 0, "decision": "alarm"}
                about |= {"time": told_at, "datasets": "[]", "codes": "[]"}
                self._write(connection, about, {"person": "", "text": "", "payload": canonical(alarm)})
            self._lagging = late > JUMP
            return seq

    def entry(self, seq: int) -> LogEntry | None:
        """The entry of this number, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(_ROW, {"wanted": seq}).first()
            return None if row is None else entry_of(row)

    def sealed(self, seq: int) -> seal.Sealed | None:
        """The entry of this number in the form that is hashed, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(_ROW, {"wanted": seq}).first()
            return None if row is None else seal.rebuilt(row, self.hash(connection))

    def hash(self, connection: Connection) -> Hash:
        """The function that this log is hashed with; SHA-256 until it has an identity."""
        if self._hash is None:
            begun = identity.begun(connection)
            if begun is None:
                return SHA256
            self._hash = begun.hash
        return self._hash

    def size(self) -> int:
        """How many entries the log has."""
        with self._database.read() as connection:
            return int(connection.execute(select(log_head.c.size)).scalar_one())

    def _write(
        self, connection: Connection, row: Mapping[str, Any], told: Mapping[str, str]
    ) -> tuple[int, int]:
        """Write one entry; its ``seq``, and by how many microseconds its clock was behind the log."""
        grown = connection.execute(_GROWN, {"now": row["time"]}).one()
        seq, hash = int(grown.size) - 1, self.hash(connection)
        salt = secrets.token_bytes(32)
        commitment = seal.commit(salt, seal.opening(told), hash)
        facts = {**row, "seq": seq, "time": int(grown.time), "commitment": commitment}
        connection.execute(_ENTRY, {**facts, "leaf": hash.leaf(seal.data(facts))})
        connection.execute(_TOLD, {"seq": seq, "salt": salt, **told})
        for statement, name, words in _LINKS:
            links = [{name: word, "seq": seq} for word in json.loads(row[words])]
            if links:
                connection.execute(statement, links)
        return seq, int(grown.time) - row["time"]


_NOW: Final = bindparam("now", type_=log_head.c.time.type)
_GROWN: Final = (
    update(log_head)
    .values(size=log_head.c.size + 1, time=case((log_head.c.time > _NOW, log_head.c.time), else_=_NOW))
    .returning(log_head.c.size, log_head.c.time)
)
_ENTRY, _TOLD = insert(audit), insert(audit_personal)
_LINKS: Final = (
    (insert(audit_datasets), "dataset", "datasets"),
    (insert(audit_codes), "code", "codes"),
)
"""Statements are built once: building one costs as much as running it."""


def _words(words: Iterable[str]) -> str:
    """Canonical JSON list, each word once, in order: what is shown is what can be searched."""
    return canonical(list(dict.fromkeys(printable(word) for word in words)))


def rows(source: FromClause) -> Select[Any]:
    """Whole entries of ``source``, which holds ``audit``; what was lawfully deleted reads as NULL."""
    told = (audit_personal.c.salt, audit_personal.c.person, audit_personal.c.text, audit_personal.c.payload)
    return select(audit, *told).select_from(
        source.outerjoin(audit_personal, audit_personal.c.seq == audit.c.seq)
    )


_ROW: Final = rows(audit).where(audit.c.seq == bindparam("wanted"))


def entry_of(row: Row[Any]) -> LogEntry:
    """The entry in a row of ``rows``."""
    return LogEntry(
        seq=row.seq,
        time=moment(row.time),
        kind=row.kind,
        request=row.request,
        person=row.person or "",
        organisation=row.organisation,
        grant=row.grant_id,
        datasets=tuple(json.loads(row.datasets)),
        decision=row.decision,
        codes=tuple(json.loads(row.codes)),
        nano=row.nano,
        text=row.text or "",
        payload=row.payload or "",
    )
