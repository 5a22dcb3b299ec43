"""Where files are: a path of a source document, relative to the place where sources lie."""

from __future__ import annotations

from pathlib import Path

from sandbox_connectors import faults
from sandbox_connectors.interface import Options, Place


def the_file(options: Options, place: Place, kind: str) -> Path:
    """The one file that ``path`` names."""
    path = place.folder / options.text("path")
    if not path.is_file():
        raise faults.unreachable(kind)
    return path


def the_tables(
    options: Options, place: Place, kind: str, suffixes: tuple[str, ...]
) -> dict[str, tuple[Path, ...]]:
    """Tables by name: of a file, its own; of a folder, each file and each folder of files in it.

    A file's name up to its first point is the table's.  A folder's files are one table, ordered by name.
    """
    path = place.folder / options.text("path")
    if path.is_file():
        return {_stem(path): (path,)}
    if not path.is_dir():
        raise faults.unreachable(kind)
    found: dict[str, tuple[Path, ...]] = {}
    for entry in sorted(path.iterdir()):
        if entry.is_file() and entry.name.lower().endswith(suffixes):
            found[_stem(entry)] = (*found.get(_stem(entry), ()), entry)
        elif entry.is_dir():
            inside = tuple(
                sorted(f for f in entry.rglob("*") if f.is_file() and f.name.lower().endswith(suffixes))
            )
            if inside:
                found[entry.name] = inside
    return found


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]
