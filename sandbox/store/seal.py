"""The form in which the audit log's Merkle tree holds an entry (pure).

Invariants:
- ``leaf`` = H(0x00 || canonical JSON of the entry) (RFC 6962, 2.1), H being the log's hash function;
- who asked, the text and the payload may be personal data: the hashed entry holds only the commitment
  H(salt || canonical JSON of the three), so a lawful deletion leaves the log verifiable;
- the hashed form is always rebuilt from the columns that people read: there is no second copy to differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from sandbox.store.canonical import canonical
from sandbox.store.database import moment
from sandbox.store.log.hashing import Hash

FORMAT: Final = 1
"""Version of the hashed form, part of it."""

UNREADABLE: Final = (ValueError, TypeError, OverflowError)
"""What ``rebuilt`` raises for columns that no entry could have."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as the tree holds it.

    ``data`` is its canonical JSON; ``opening`` the canonical JSON that ``commitment`` binds with ``salt``;
    both are ``None`` once the personal part was lawfully deleted.
    """

    seq: int
    data: bytes
    leaf: bytes
    commitment: str
    salt: bytes | None
    opening: bytes | None
    hash: Hash

    @property
    def intact(self) -> bool:
        """Whether what is stored is what was sealed."""
        if self.leaf != self.hash.leaf(self.data):
            return False
        if self.salt is None or self.opening is None:
            return True
        return self.commitment == commit(self.salt, self.opening, self.hash)


def commit(salt: bytes, personal: bytes, hash: Hash) -> str:
    """The salted commitment to an entry's personal part, in hexadecimal."""
    return hash.digest(salt + personal).hex()


def data(row: Mapping[str, Any]) -> bytes:
    """What is hashed.  ``nano`` is a string because it may pass what JSON numbers hold."""
    names = ("commitment", "decision", "kind", "organisation", "request", "seq")
    value = {name: row[name] for name in names}
    lists = {name: json.loads(row[name]) for name in ("codes", "datasets")}
    time = moment(row["time"]).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rest = {"format": FORMAT, "grant": row["grant_id"], "nano": str(row["nano"]), "time": time}
    return canonical({**value, **lists, **rest}).encode()


def opening(told: Mapping[str, Any]) -> bytes:
    """What a commitment binds: person, text and payload (JSON text, as a string)."""
    return canonical({name: told[name] for name in ("person", "text", "payload")}).encode()


def rebuilt(row: Row[Any], hash: Hash) -> Sealed:
    """The sealed form of a stored row.  Raises one of ``UNREADABLE`` for columns that no entry could have."""
    facts = dict(row._mapping)
    if not isinstance(row.salt, bytes | None):
        raise TypeError("a salt is bytes")
    personal = None if row.salt is None else opening(facts)
    return Sealed(row.seq, data(facts), row.leaf, row.commitment, row.salt, personal, hash)
