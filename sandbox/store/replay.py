"""The log read from its beginning, for what is made from the log alone: registers, statements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from sandbox.model import LogEntry
from sandbox.store.audit import Event, entry_of, rows
from sandbox.store.database import Database, micros
from sandbox.store.schema import audit

SLICE: Final = 1_000
"""Entries of one read."""


def replay(
    database: Database,
    kinds: tuple[Event, ...],
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    organisation: str | None = None,
) -> Iterator[LogEntry]:
    """Entries of these kinds, oldest first, of one organisation or all; ``until`` is not included."""
    wanted = rows(audit).where(audit.c.kind.in_([kind.value for kind in kinds]))
    if since is not None:
        wanted = wanted.where(audit.c.time >= micros(since))
    if until is not None:
        wanted = wanted.where(audit.c.time < micros(until))
    if organisation is not None:
        wanted = wanted.where(audit.c.organisation == organisation)
    last = -1
    while True:
        page = wanted.where(audit.c.seq > last).order_by(audit.c.seq).limit(SLICE)
        with database.read() as connection:
            found = [entry_of(row) for row in connection.execute(page)]
        yield from found
        if len(found) < SLICE:
            return
        last = found[-1].seq
