"""The whole log checked against itself, its tiles and a checkpoint: what ``sandbox audit verify`` does.

Reads every entry once, in bounded memory: the entry is hashed anew from the columns that people read, its
commitment is opened, the tree is built again from these hashes, and every tile and signed head is compared.
``docs/verifier/verify.py`` does the same from an export, and shares no code with this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, select

from sandbox.errors import Code, Reason, Refusal
from sandbox.store import seal
from sandbox.store.agreement import disagreements
from sandbox.store.audit import rows
from sandbox.store.database import Database
from sandbox.store.log import tiles
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.hashing import Hash
from sandbox.store.log.tiles import Tile
from sandbox.store.log.tree import Tree
from sandbox.store.schema import audit, audit_codes, audit_datasets
from sandbox.store.seal import UNREADABLE

MOST_TOLD: Final = 20
"""Faults named one by one."""

_BATCH: Final = 2_000

_INDEXES: Final[dict[str, tuple[Table, str]]] = {
    "datasets": (audit_datasets, "dataset"),
    "codes": (audit_codes, "code"),
}
"""Lists of an entry, and the tables in which searches find them."""


@dataclass(slots=True)
class Verified:
    """What a check found.  ``purged``: entries whose personal part was deleted.

    ``tiles``: how many were wrong; they are derived from the entries.  ``faults`` cannot be repaired, nor can
    ``money``: where the ledger is not what the log says.
    """

    entries: int = 0
    purged: int = 0
    tiles: int = 0
    faults: list[str] = field(default_factory=list)
    money: list[str] = field(default_factory=list)
    links: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_INDEXES, 0))

    def raise_faults(self) -> None:
        """Refuse with ``Code.LOG_DAMAGED`` or ``Code.LEDGER_DAMAGED``, naming each fault, if there is any."""
        told = [Reason(Code.LOG_DAMAGED, fault) for fault in self.faults]
        told += [Reason(Code.LEDGER_DAMAGED, fault) for fault in self.money]
        if told:
            raise Refusal(*told[:MOST_TOLD])


def verify(database: Database, folder: Path, hash: Hash, heads: tuple[Checkpoint, ...]) -> Verified:
    """Check everything; ``heads`` are signed heads that the log must begin with."""
    found = Verified()
    tree = _Comparing(hash, folder, found)
    due = _compare(tree, sorted(heads, key=lambda head: head.size), found)
    with database.read() as connection:
        for leaf in _leaves(connection, hash, found):
            tree.extend((leaf,))
            due = _compare(tree, due, found)
        if not found.faults:
            _check_indexes(connection, hash, found)
            found.money += islice(disagreements(connection), MOST_TOLD)
    tree.write_edge()
    found.faults += [f"{tree.size} entries, where {head.size} were signed" for head in due]
    return found


class _Comparing(Tree):
    """A tree that compares the tiles that it would write with those that are there, and writes none."""

    def __init__(self, hash: Hash, folder: Path, found: Verified) -> None:
        super().__init__(hash, folder)
        self._found = found

    def put(self, level: int, number: int, tile: Tile) -> None:
        there = tiles.read(self.folder, level, number, tile.width, self.hash)
        wrong = tile.width == tiles.WIDTH if there is None else there.data != tile.data
        self._found.tiles += wrong


def _compare(tree: Tree, due: list[Checkpoint], found: Verified) -> list[Checkpoint]:
    """The heads that are still to come; those of this size are compared."""
    while due and due[0].size == tree.size:
        if due[0].root != tree.root():
            found.faults.append(f"the first {tree.size} entries are not those that were signed")
        due = due[1:]
    return due


def _leaves(connection: Connection, hash: Hash, found: Verified) -> Iterator[bytes]:
    """The hash of every entry as its columns read now, its faults noted."""
    statement = rows(audit).order_by(audit.c.seq).execution_options(yield_per=_BATCH)
    for row in connection.execute(statement):
        if row.seq != found.entries:
            found.faults.append(f"entry {found.entries} is missing")
            return
        found.entries += 1
        leaf = _leaf(row, hash, found)
        if leaf is None:
            found.faults.append(f"entry {row.seq}")
        yield hash.empty if leaf is None else leaf


def _leaf(row: Row[Any], hash: Hash, found: Verified) -> bytes | None:
    try:
        sealed = seal.rebuilt(row, hash)
    except UNREADABLE:
        return None
    if not sealed.intact:
        return None
    found.purged += sealed.salt is None
    for name in _INDEXES:
        for word in json.loads(getattr(row, name)):
            found.links[name] ^= _link(row.seq, word, hash)
    return sealed.leaf


def _check_indexes(connection: Connection, hash: Hash, found: Verified) -> None:
    """The side tables that searches use say what the entries say: no entry is hidden from a search."""
    for name, (table, column) in _INDEXES.items():
        for seq, word in connection.execute(select(table.c.seq, table.c[column])):
            found.links[name] ^= _link(seq, word, hash)
        if found.links[name]:
            found.faults.append(f"the index of {name}")


def _link(seq: int, word: str, hash: Hash) -> int:
    """A number for one pair; each pair is in a table once, so the numbers of two equal sets cancel out."""
    return int.from_bytes(hash.digest(f"{seq} {word}".encode()), "big")
