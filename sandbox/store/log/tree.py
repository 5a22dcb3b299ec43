"""The Merkle tree of one log: its right edge in memory, everything older in tiles.

Invariants: adding a leaf costs two hashes on average, whatever the size; a proof near the end reads no
file; tiles that were read are believed only as far as a proof built on them leads to the root, which is
computed from the edge alone (``transparency`` checks each before it leaves).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sandbox.store.log import merkle, tiles
from sandbox.store.log.hashing import Hash
from sandbox.store.log.tiles import HEIGHT, WIDTH, Tile

_REMEMBERED: Final = 64
"""Older tiles kept in memory, some 50 kB each."""


class MissingTileError(LookupError):
    """A tile's file is absent or truncated."""


class Tree:
    """A growing tree.  Not thread-safe: its owner locks."""

    def __init__(self, hash: Hash, folder: Path) -> None:
        self.hash = hash
        self.size = 0
        self.folder = folder
        self._edge: list[Tile] = []
        self._old: OrderedDict[tuple[int, int], Tile] = OrderedDict()

    @classmethod
    def load(cls, hash: Hash, folder: Path, size: int) -> Tree:
        """The tree of ``size`` leaves from its tiles.  Raises ``MissingTileError``."""
        tree = cls(hash, folder)
        tree.size = size
        level = 0
        while size >> (HEIGHT * level):
            number, width = divmod(size >> (HEIGHT * level), WIDTH)
            found = tiles.read(folder, level, number, width, hash) if width else Tile(hash)
            if found is None:
                raise MissingTileError
            tree._edge.append(found)
            level += 1
        return tree

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes; tiles that they fill are written.  Raises ``OSError``; then load it anew."""
        for leaf in leaves:
            self._add(0, leaf)
            self.size += 1

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` leaves (default: all)."""
        return merkle.root(self.size if size is None else size, self.node, self.hash)

    def inclusion(self, index: int) -> merkle.Proof:
        """The audit path of a leaf in the whole tree."""
        return merkle.inclusion(index, self.size, self.node, self.hash)

    def node(self, height: int, index: int) -> bytes:
        """The hash of a complete subtree.  Raises ``MissingTileError``."""
        level, row = divmod(height, HEIGHT)
        number = (index << row) // WIDTH
        return self._tile(level, number).rows[row][index - (number * WIDTH >> row)]

    def write_edge(self) -> None:
        """Write the partial tiles of this size.  Raises ``OSError``."""
        for level, tile in enumerate(self._edge):
            if tile.width:
                self.put(level, self._number(level), tile)

    def put(self, level: int, number: int, tile: Tile) -> None:
        """Write a tile.  Raises ``OSError``."""
        tiles.write(self.folder, level, number, tile)

    def _number(self, level: int) -> int:
        return self.size >> (HEIGHT * (level + 1))

    def _add(self, level: int, found: bytes) -> None:
        if level == len(self._edge):
            self._edge.append(Tile(self.hash))
        tile = self._edge[level]
        top = tile.add(found)
        if top is not None:
            self.put(level, self._number(level), tile)
            self._edge[level] = Tile(self.hash)
            self._add(level + 1, top)

    def _tile(self, level: int, number: int) -> Tile:
        if number == self._number(level):
            return self._edge[level]
        key = (level, number)
        found = self._old.get(key) or tiles.read(self.folder, level, number, WIDTH, self.hash)
        if found is None:
            raise MissingTileError
        self._old[key] = found
        self._old.move_to_end(key)
        if len(self._old) > _REMEMBERED:
            self._old.popitem(last=False)
        return found
