"""How far each follower of the log has come: its indexes and the monitor.

Invariant: a follower's position moves in the transaction that writes what it made of the entries.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from sandbox.store.database import insert_new
from sandbox.store.schema import cursors


def position(connection: Connection, name: str) -> int:
    """Entries below this number are done."""
    found = connection.execute(select(cursors.c.position).where(cursors.c.name == name)).scalar()
    return 0 if found is None else int(found)


def advance(connection: Connection, name: str, reached: int) -> None:
    """Everything below ``reached`` is done."""
    if not insert_new(connection, cursors, name=name, position=reached):
        connection.execute(update(cursors).where(cursors.c.name == name).values(position=reached))
