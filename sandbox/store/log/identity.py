"""What a log is called and hashed with: fixed when it is begun, kept in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from sandbox.errors import Code, refuse
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


def rename(database: Database, before: str, after: str) -> None:
    """Go on under another name; a log has one more only where its store was brought back (``recovery``).

    Refuses ``REQUEST`` if the log is no longer called ``before``.
    """
    renamed = update(log_identity).where(log_identity.c.origin == before).values(origin=after)
    with database.write() as connection:
        if connection.execute(renamed).rowcount == 0:
            raise refuse(Code.REQUEST, "somebody else recovers this log", "wait for them", "请等待其完成")


_ONE: Final = select(log_identity.c.origin, log_identity.c.hash)
