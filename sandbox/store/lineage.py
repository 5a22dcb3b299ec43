"""From an answer back: the entry that said, before data were touched, which snapshots it would read."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import func, select

from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.schema import audit


@dataclass(frozen=True, slots=True)
class Read:
    """What a query read: its grant, the version of the catalogue under it, and pairs of dataset and snapshot.

    Nothing is said of an entry whose personal part was deleted.
    """

    request: str
    grant: str
    catalogue: str
    snapshots: tuple[tuple[str, str], ...]


def read_by(database: Database, seq: int) -> Read | None:
    """What the query of this entry, its intent or its outcome, read; ``None`` if it is no query's."""
    queries = (Event.INTENT.value, Event.OUTCOME.value)
    request = select(audit.c.request).where(audit.c.seq == seq, audit.c.kind.in_(queries)).scalar_subquery()
    intent = select(func.max(audit.c.seq)).where(
        audit.c.request == request, audit.c.kind == Event.INTENT.value, audit.c.seq <= seq
    )
    with database.read() as connection:
        found = connection.execute(intent).scalar_one()
    entry = None if found is None else AuditLog(database).entry(found)
    if entry is None:
        return None
    told = json.loads(entry.payload or "{}")
    pairs = [part.partition("@") for part in told.get("snapshot", "").split()]
    snapshots = tuple((dataset, snapshot) for dataset, _, snapshot in pairs)
    return Read(entry.request, entry.grant, told.get("catalogue", ""), snapshots)


def announced(database: Database, dataset: str, snapshot: str) -> int | None:
    """The number of the entry that a snapshot has in the log, or ``None``."""
    log = AuditLog(database)
    ingested = select(audit.c.seq).where(audit.c.kind == Event.INGEST.value).order_by(audit.c.seq.desc())
    with database.read() as connection:
        found = connection.execute(ingested).scalars().all()
    entries = (entry for entry in map(log.entry, found) if entry is not None)
    said = ((entry.seq, json.loads(entry.payload or "{}")) for entry in entries)
    wanted = (dataset, snapshot)
    return next((seq for seq, told in said if (told.get("dataset"), told.get("snapshot")) == wanted), None)
