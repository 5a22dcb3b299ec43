"""What a log is called and hashed with: fixed when it is begun, kept in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from sandbox.store.database import Database, insert_new
from sandbox.store.log.hashing import HASHES, SHA256, Hash
from sandbox.store.schema import log_head, log_identity


@dataclass(frozen=True, slots=True)
class Identity:
    """``origin`` names the log in every checkpoint."""

    origin: str
    hash: Hash


def begun(connection: Connection) -> Identity | None:
    """The identity of the store's log, or ``None`` before it has one (then it is hashed with SHA-256)."""
    row = connection.execute(_ONE).first()
    return None if row is None else Identity(row.origin, HASHES[row.hash])


def begin(database: Database, wanted: Identity) -> Identity:
    """Fix the identity; the one that the log has, if another was first.

    Raises ``ValueError`` for another hash function than the entries that are there were sealed with.
    """
    with database.write() as connection:
        size = connection.execute(select(log_head.c.size)).scalar_one()
        if size and wanted.hash is not SHA256 and begun(connection) is None:
            raise ValueError("the log holds entries that were hashed with SHA-256")
        insert_new(connection, log_identity, id=0, origin=wanted.origin, hash=wanted.hash.name)
        found = begun(connection)
        assert found is not None
        return found


_ONE: Final = select(log_identity.c.origin, log_identity.c.hash)
