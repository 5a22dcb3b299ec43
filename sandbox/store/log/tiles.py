"""Tiles of a Merkle tree as files (C2SP tlog-tiles): ``tile/<level>/<number>[.p/<width>]``.

Invariants: a tile holds 1 to 256 hashes, the ``number``-th 256 of the complete subtrees of ``256 ** level``
leaves; its content follows from the leaves alone, so whoever writes it writes the same; a file appears whole,
by a rename.  Tiles are a derived copy: they are not flushed to disk, and what a crash takes is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.store.log.files import put
from sandbox.store.log.hashing import SIZE, Hash

WIDTH: Final = 256
"""Hashes of a full tile."""

HEIGHT: Final = 8
"""Levels of the tree within one tile."""


class Tile:
    """One tile with the nodes above its hashes: ``rows[h][i]`` is the ``i``-th of height ``h`` within it."""

    __slots__ = ("_hash", "rows")

    def __init__(self, hash: Hash, hashes: Iterable[bytes] = ()) -> None:
        self._hash = hash
        self.rows: list[list[bytes]] = [[] for _ in range(HEIGHT + 1)]
        for found in hashes:
            self.add(found)

    @property
    def width(self) -> int:
        """How many hashes it holds."""
        return len(self.rows[0])

    @property
    def data(self) -> bytes:
        """Its file's content."""
        return b"".join(self.rows[0])

    def add(self, found: bytes) -> bytes | None:
        """Append a hash; the hash of the whole tile if that made it full."""
        self.rows[0].append(found)
        height = 0
        while height < HEIGHT and len(self.rows[height]) % 2 == 0:
            left, right = self.rows[height][-2:]
            height += 1
            self.rows[height].append(self._hash.node(left, right))
        return self.rows[HEIGHT][0] if height == HEIGHT else None


def path_of(folder: Path, level: int, number: int, width: int = WIDTH) -> Path:
    """Where a tile is: ``tile/0/x001/x234/067`` for number 1234067, ``….p/<width>`` where it is partial."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    place = folder / "tile" / str(level)
    for part in parts[:-1]:
        place /= f"x{part}"
    return place / parts[-1] if width == WIDTH else place / f"{parts[-1]}.p" / str(width)


def read(folder: Path, level: int, number: int, width: int, hash: Hash) -> Tile | None:
    """The first ``width`` hashes of a tile; ``None`` if its files are absent or of another length."""
    for wide in dict.fromkeys((width, WIDTH)):
        with suppress(OSError):
            data = path_of(folder, level, number, wide).read_bytes()
            if len(data) == wide * SIZE:
                return Tile(hash, (data[i : i + SIZE] for i in range(0, width * SIZE, SIZE)))
    return None


def write(folder: Path, level: int, number: int, tile: Tile) -> None:
    """Put a tile's file in place; a full one replaces the partial ones before it."""
    put(path_of(folder, level, number, tile.width), tile.data)
    if tile.width == WIDTH:
        full = path_of(folder, level, number)
        shutil.rmtree(full.with_name(f"{full.name}.p"), ignore_errors=True)
