"""The audit log: append-only, gapless, every entry sealed.

Invariants:
- ``seq`` runs 0, 1, 2 … without a gap; it is given inside the transaction that writes the entry;
- every entry carries its leaf hash and a salted commitment to its personal part (``seal``);
- nothing is updated or deleted; triggers of the schema are the second fence.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    exists,
    insert,
    select,
    update,
)

from sandbox.model import LogEntry
from sandbox.store import seal
from sandbox.store.canonical import canonical, printable
from sandbox.store.database import Database, micros, moment
from sandbox.store.ledger import whole
from sandbox.store.schema import audit, audit_codes, audit_datasets, audit_personal, log_head

MOST_ENTRIES: Final = 1000
"""The longest page of the log."""


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


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries to read; ``None`` asks nothing.

    ``since`` is included, ``until`` is not; ``text`` is found anywhere in the query text, letter case
    aside; ``after`` is the cursor of the page before; ``limit`` from 1 to ``MOST_ENTRIES``.
    """

    person: str | None = None
    organisation: str | None = None
    grant: str | None = None
    dataset: str | None = None
    decision: str | None = None
    code: str | None = None
    kind: Event | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    text: str | None = None
    after: int | None = None
    limit: int = 100


class Page(NamedTuple):
    """Entries, newest first, and the cursor of the next page (``None`` at the end)."""

    entries: tuple[LogEntry, ...]
    next: int | None


class AuditLog:
    """What was asked, by whom, under which grant, what left, and what it cost."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        row = {
            "time": micros(time),
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
            return _write(connection, row, told)

    def entries(self, filters: LogFilter) -> Page:
        """Entries that meet every filter.  Raises ``ValueError`` for a page length out of range."""
        if not 1 <= filters.limit <= MOST_ENTRIES:
            raise ValueError(f"a page has 1 to {MOST_ENTRIES} entries")
        statement = _rows(_source(filters)).where(*_rules(filters)).order_by(_place(filters).desc())
        with self._database.read() as connection:
            rows = connection.execute(statement.limit(filters.limit + 1)).all()
        page = tuple(_entry(row) for row in rows[: filters.limit])
        return Page(page, page[-1].seq if len(rows) > filters.limit else None)

    def entry(self, seq: int) -> LogEntry | None:
        """The entry of this number, or ``None``."""
        row = self._row(seq)
        return None if row is None else _entry(row)

    def sealed(self, seq: int) -> seal.Sealed | None:
        """The entry of this number in the form that is hashed, or ``None``."""
        row = self._row(seq)
        return None if row is None else seal.rebuilt(row)

    def size(self) -> int:
        """How many entries the log has."""
        with self._database.read() as connection:
            return int(connection.execute(select(log_head.c.size)).scalar_one())

    def missing_outcomes(self, start: int = 0) -> tuple[LogEntry, ...]:
        """Intents from ``seq`` ``start`` on, oldest first, whose end was never written.

        An intent ends with an outcome or refusal of the same request before that request's next intent.
        """
        end, other = audit.alias("end"), audit.alias("other")
        later = and_(other.c.request == audit.c.request, other.c.seq > audit.c.seq, other.c.seq < end.c.seq)
        retried = exists().where(later, other.c.kind == Event.INTENT.value).correlate(audit, end)
        after = and_(end.c.request == audit.c.request, end.c.seq > audit.c.seq)
        endings = (Event.OUTCOME.value, Event.REFUSAL.value)
        ended = exists().where(after, end.c.kind.in_(endings), ~retried)
        mine = (audit.c.kind == Event.INTENT.value, audit.c.seq >= start, ~ended)
        with self._database.read() as connection:
            rows = connection.execute(_rows(audit).where(*mine).order_by(audit.c.seq))
            return tuple(_entry(row) for row in rows)

    def _row(self, seq: int) -> Row[Any] | None:
        with self._database.read() as connection:
            return connection.execute(_rows(audit).where(audit.c.seq == seq)).first()


_GROWN: Final = update(log_head).values(size=log_head.c.size + 1).returning(log_head.c.size)
_ENTRY, _TOLD = insert(audit), insert(audit_personal)
_LINKS: Final = (
    (insert(audit_datasets), "dataset", "datasets"),
    (insert(audit_codes), "code", "codes"),
)
"""Statements are built once: building one costs as much as running it."""


def _write(connection: Connection, row: Mapping[str, Any], told: Mapping[str, str]) -> int:
    seq = int(connection.execute(_GROWN).scalar_one()) - 1
    salt = secrets.token_bytes(32)
    commitment = seal.commit(salt, seal.opening(told))
    facts = {**row, "seq": seq, "commitment": commitment}
    connection.execute(_ENTRY, {**facts, "leaf": seal.leaf_hash(seal.data(facts))})
    connection.execute(_TOLD, {"seq": seq, "salt": salt, **told})
    for statement, name, words in _LINKS:
        links = [{name: word, "seq": seq} for word in json.loads(row[words])]
        if links:
            connection.execute(statement, links)
    return seq


def _words(words: Iterable[str]) -> str:
    """Canonical JSON list, each word once, in order: what is shown is what can be searched."""
    return canonical(list(dict.fromkeys(printable(word) for word in words)))


def _source(filters: LogFilter) -> FromClause:
    """The log, joined to the side tables that the filters search."""
    source: FromClause = audit
    if filters.dataset is not None:
        source = source.join(audit_datasets, audit_datasets.c.seq == audit.c.seq)
    if filters.code is not None:
        source = source.join(audit_codes, audit_codes.c.seq == audit.c.seq)
    return source


def _place(filters: LogFilter) -> ColumnElement[int]:
    """``seq`` in the table whose index drives the search: ordered by another's, SQLite would sort it all."""
    if filters.dataset is not None:
        return audit_datasets.c.seq
    if filters.code is not None:
        return audit_codes.c.seq
    return audit.c.seq if filters.person is None else audit_personal.c.seq


def _rows(source: FromClause) -> Select[Any]:
    told = (audit_personal.c.salt, audit_personal.c.person, audit_personal.c.text, audit_personal.c.payload)
    return select(audit, *told).select_from(
        source.outerjoin(audit_personal, audit_personal.c.seq == audit.c.seq)
    )


def _rules(filters: LogFilter) -> list[ColumnElement[bool]]:
    equal = (
        (audit_personal.c.person, filters.person),
        (audit.c.organisation, filters.organisation),
        (audit.c.grant_id, filters.grant),
        (audit_datasets.c.dataset, filters.dataset),
        (audit.c.decision, filters.decision),
        (audit_codes.c.code, filters.code),
        (audit.c.kind, None if filters.kind is None else filters.kind.value),
    )
    rules: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
    if filters.since is not None:
        rules.append(audit.c.time >= micros(filters.since))
    if filters.until is not None:
        rules.append(audit.c.time < micros(filters.until))
    if filters.text is not None:
        rules.append(audit_personal.c.text.icontains(filters.text, autoescape=True))
    if filters.after is not None:
        rules.append(_place(filters) < filters.after)
    return rules


def _entry(row: Row[Any]) -> LogEntry:
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
