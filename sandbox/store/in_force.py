"""Which policy documents were last seen in force, so that every change is an entry of the log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.schema import documents_in_force


def note(database: Database, log: AuditLog, found: Mapping[str, str], now: dt.datetime) -> int | None:
    """Enter what changed since any gateway looked; ``found`` maps ``kind id`` of a document to its hash.

    The entry's number, or ``None`` if nothing changed.  In the entry an absent document has an empty hash.
    """
    with database.read() as connection:
        if _known(connection) == dict(found):
            return None
    with database.write() as connection:
        known = _known(connection)  # another gateway may have entered it meanwhile
        changed = sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))
        if not changed:
            return None
        told = [{"document": n, "old": known.get(n, ""), "new": found.get(n, "")} for n in changed]
        datasets = [name.split(" ", 1)[1] for name in changed if name.startswith("dataset ")]
        connection.execute(delete(documents_in_force).where(documents_in_force.c.document.in_(changed)))
        fresh = [{"document": name, "hash": found[name]} for name in changed if name in found]
        if fresh:
            connection.execute(insert(documents_in_force), fresh)
        return log.append(
            Event.POLICY, time=now, datasets=datasets, decision="changed", payload={"changes": told}
        )


def _known(connection: Connection) -> dict[str, str]:
    return {row.document: row.hash for row in connection.execute(select(documents_in_force))}
