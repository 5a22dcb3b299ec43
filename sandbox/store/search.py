"""The audit log as people read it: filters, pages in both directions, and what is missing.

A page takes bounded time, however long the log: it is read in slices of ``seq``, each as wide as the time
left allows, until it is full, the log ends, or ``PATIENCE_S`` is over.  A page cut short says where to read
on: it may hold fewer entries than asked for, even none, with more to come.

Of several filters the one whose matches lie farthest apart drives the search by its index; the others test.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, and_, exists, func, select

from sandbox.model import LogEntry
from sandbox.store import text_index
from sandbox.store.audit import Event, entry_of, rows
from sandbox.store.criteria import Criteria, Span, criteria
from sandbox.store.database import Database, micros
from sandbox.store.schema import audit

MOST_ENTRIES: Final = 1000
"""The longest page of the log."""

PATIENCE_S: Final = 0.04
"""How long a page looks for entries before it is cut short."""

_FIRST_SLICE: Final = 1024
_FASTER: Final = 4.0
"""By how much a slice may be wider than the one before it."""
_CAUTION: Final = 0.5
"""How much of the time left a slice may take, if it is no denser than the one before."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries to read; ``None`` asks nothing.

    ``since`` is included, ``until`` is not; ``least`` and ``most`` bound the cost in ledger units, both
    included; ``text`` is found anywhere in the query text, letter case aside (of ASCII).  ``after`` reads on
    to older entries and ``before`` back to newer ones, each from the cursor of a page, never both;
    ``limit`` from 1 to ``MOST_ENTRIES``.
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
    least: int | None = None
    most: int | None = None
    text: str | None = None
    after: int | None = None
    before: int | None = None
    limit: int = 100


class Page(NamedTuple):
    """Entries, newest first, and the cursors of the pages beside it: ``None`` where the log ends.

    ``next`` is for ``after`` (older entries), ``previous`` for ``before`` (newer ones).
    """

    entries: tuple[LogEntry, ...]
    next: int | None
    previous: int | None = None


class LogSearch:
    """Finds entries of the audit log.  Writes nothing but its index.  ``clock`` counts seconds."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock

    def entries(self, filters: LogFilter) -> Page:
        """Entries that meet every filter.

        Raises ``ValueError`` for a page length out of range, or cursors in both directions.
        """
        if not 1 <= filters.limit <= MOST_ENTRIES:
            raise ValueError(f"a page has 1 to {MOST_ENTRIES} entries")
        if filters.after is not None and filters.before is not None:
            raise ValueError("a page is read on from `after` or back from `before`")
        with self._database.read() as connection:
            found, reached = self._walk(connection, filters)
        page, more = found[: filters.limit], len(found) > filters.limit
        if filters.before is not None:
            page.reverse()
            newer = page[0].seq if more else reached
            return Page(tuple(page), page[-1].seq if page else filters.before + 1, newer)
        newer = None if filters.after is None else page[0].seq if page else filters.after - 1
        return Page(tuple(page), page[-1].seq if more else reached, newer)

    def follow(self, most: int) -> int:
        """Take up to ``most`` further entries into the text index; how many there were."""
        with self._database.write() as connection:
            return text_index.follow(connection, _size(connection), most)

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
            found = connection.execute(rows(audit).where(*mine).order_by(audit.c.seq))
            return tuple(entry_of(row) for row in found)

    def _walk(self, connection: Connection, filters: LogFilter) -> tuple[list[LogEntry], int | None]:
        """Up to one entry more than a page, from the cursor on; where to read on if time was short."""
        backwards = filters.before is None
        parts = _parts(connection, filters)
        wanted = criteria(connection, filters, parts[0] if backwards else parts[-1]) if parts else None
        found: list[LogEntry] = []
        begun, width, spent = self._clock(), _FIRST_SLICE, 0.0
        slices = _Slices(parts, backwards=backwards)
        while wanted is not None and (span := slices.take(width)) is not None:
            room = filters.limit + 1 - len(found)
            found += [entry_of(row) for row in _slice(connection, wanted, span, room, backwards=backwards)]
            now = self._clock() - begun
            if len(found) > filters.limit:
                break
            if now >= PATIENCE_S and slices.left:
                return found, span[0] if backwards else span[1] - 1
            took, spent = max(now - spent, 1e-6), now
            width = max(_FIRST_SLICE, int(width * min(_FASTER, _CAUTION * (PATIENCE_S - now) / took)))
        return found, None


class _Slices:
    """Cuts stretches of the log into slices, from the newest or the oldest end."""

    def __init__(self, parts: Iterable[Span], *, backwards: bool) -> None:
        self._parts = list(parts) if backwards else list(parts)[::-1]
        self._backwards = backwards

    @property
    def left(self) -> bool:
        """Whether anything was not taken yet."""
        return bool(self._parts)

    def take(self, width: int) -> Span | None:
        """The next slice, at most ``width`` long."""
        if not self._parts:
            return None
        low, high = self._parts.pop()
        cut = max(low, high - width) if self._backwards else min(high, low + width)
        taken, rest = ((cut, high), (low, cut)) if self._backwards else ((low, cut), (cut, high))
        if rest[0] < rest[1]:
            self._parts.append(rest)
        return taken


def _parts(connection: Connection, filters: LogFilter) -> list[Span]:
    """The stretches of the log that cursor and period leave, in order: cut where the text index ends.

    Times never fall as ``seq`` grows (``audit``), so that a period is one stretch.
    """
    low = 0 if filters.before is None else filters.before + 1
    high = _size(connection) if filters.after is None else min(filters.after, _size(connection))
    if filters.since is not None:
        low = max(low, _first(connection, filters.since, high))
    if filters.until is not None:
        high = min(high, _first(connection, filters.until, high))
    reach = text_index.reach(connection) if filters.text is not None else 0
    cut = min(max(low, reach), high)
    return [(first, last) for first, last in ((low, cut), (cut, high)) if first < last]


def _first(connection: Connection, moment: dt.datetime, size: int) -> int:
    """The first entry of this time or later; ``size`` if there is none."""
    later = select(audit.c.seq).where(audit.c.time >= micros(moment))
    found = connection.execute(later.order_by(audit.c.time, audit.c.seq).limit(1)).scalar()
    return size if found is None else int(found)


def _slice(
    connection: Connection, wanted: Criteria, span: Span, room: int, *, backwards: bool
) -> list[Row[Any]]:
    """The first entries of one slice that meet the criteria."""
    order = wanted.place.desc() if backwards else wanted.place
    statement = rows(wanted.source).where(
        wanted.place >= span[0], wanted.place < span[1], *wanted.rules(span)
    )
    return list(connection.execute(statement.order_by(order).limit(room)))


def _size(connection: Connection) -> int:
    last = connection.execute(select(func.max(audit.c.seq))).scalar()
    return 0 if last is None else int(last) + 1
