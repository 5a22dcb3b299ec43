"""Tiles on disk: where they lie, what they hold, and trees that are read back from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.store.log import merkle, tiles
from sandbox.store.log.hashing import SHA256
from sandbox.store.log.tiles import Tile
from sandbox.store.log.tree import MissingTileError, Tree

MANY = 256 * 256 + 300


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return [SHA256.leaf(b"%d" % number) for number in range(MANY)]


def grown(folder: Path, leaves: list[bytes]) -> Tree:
    tree = Tree(SHA256, folder)
    tree.extend(leaves)
    tree.write_edge()
    return tree


def test_paths_are_those_of_tlog_tiles(tmp_path: Path) -> None:
    def path(*place: int) -> str:
        return tiles.path_of(tmp_path, *place).relative_to(tmp_path).as_posix()

    assert path(0, 1234067) == "tile/0/x001/x234/067"  # the specification's example
    assert path(2, 5, 17) == "tile/2/005.p/17"
    assert path(0, 999) == "tile/0/999"
    assert path(0, 1000) == "tile/0/x001/000"


def test_seventy_thousand_entries_make_the_tiles_of_the_specification(tmp_path: Path) -> None:
    leaf = SHA256.leaf(b"")
    grown(tmp_path, [leaf] * 70_000)
    found = [
        p.relative_to(tmp_path / "tile").as_posix() for p in (tmp_path / "tile").rglob("*") if p.is_file()
    ]
    full = {f"0/{number:03d}" for number in range(273)} | {"1/000"}
    assert set(found) == full | {"0/273.p/112", "1/001.p/17", "2/000.p/1"}
    assert (tmp_path / "tile" / "0" / "000").read_bytes() == leaf * 256


def test_a_tree_read_back_is_the_tree_that_was_written(tmp_path: Path, leaves: list[bytes]) -> None:
    whole = grown(tmp_path, leaves)
    for size in (0, 1, 255, 256, 257, 65_536, MANY):
        if size < MANY:
            grown(tmp_path / "other", leaves[:size])
        tree = Tree.load(SHA256, tmp_path, size)  # a full tile serves for a partial one before it
        assert tree.root() == whole.root(size)
        tree.extend(leaves[size:])
        assert tree.root() == whole.root()
    tree = Tree.load(SHA256, tmp_path, MANY)
    for index in (0, 255, 256, 30_000, 65_535, 65_536, MANY - 1):
        path = tree.inclusion(index)
        assert merkle.root_of_inclusion(index, MANY, leaves[index], path, SHA256) == tree.root()


def test_a_partial_tile_goes_when_the_full_one_comes(tmp_path: Path, leaves: list[bytes]) -> None:
    tree = grown(tmp_path, leaves[:10])
    assert (tmp_path / "tile" / "0" / "000.p" / "10").exists()
    tree.extend(leaves[10:256])
    assert (tmp_path / "tile" / "0" / "000").exists()
    assert not (tmp_path / "tile" / "0" / "000.p").exists()


def test_a_missing_or_truncated_tile_is_noticed(tmp_path: Path, leaves: list[bytes]) -> None:
    tree = grown(tmp_path, leaves[:700])
    file = tmp_path / "tile" / "0" / "001"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(MissingTileError):
        tree.inclusion(300)
    assert Tree.load(SHA256, tmp_path, 700).root() == tree.root()  # the edge does not need it
    with pytest.raises(MissingTileError):
        Tree.load(SHA256, tmp_path, 300)


def test_few_old_tiles_are_remembered(tmp_path: Path, leaves: list[bytes]) -> None:
    tree = grown(tmp_path, leaves)
    for number in range(200):
        tree.inclusion(number * 256)
    assert len(tree._old) <= 64
    assert Tile(SHA256, leaves[:3]).width == 3
