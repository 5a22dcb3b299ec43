"""The box around one analyst's Jupyter server: ``engine.box`` with a home, scratch and two sockets.

Invariants: it shows code, the analyst's own home, and the two folders of sockets; it has processes, network,
IPC and host name of its own, and no socket of a family that could reach out of those; what stays is written
to the home alone.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.engine import box, seccomp
from sandbox.engine.box import Box
from sandbox.engine.layers import Layer
from sandbox.notebooks import places

NEEDED: Final = frozenset({Layer.NAMESPACES, Layer.FILTER})
"""Without these there are no notebooks, whatever floor is set for queries: here people bring the code."""

_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_SHARED: Final = "/usr/share/zoneinfo"


@dataclass(frozen=True, slots=True)
class Walls(Box):
    """``home``, ``room`` and ``line``: folders outside.  ``owner``: whose number the home bears, if any."""

    home: Path = Path()
    room: Path = Path()
    line: Path = Path()
    owner: int | None = None
    file_size: int = 1 << 30
    scratch_size: int = 1 << 28
    processes: int = 128

    def orders(self, scratch: str, user: tuple[int, int] | None) -> dict[str, Any]:
        """What ``boot`` does before anything else runs."""
        limits = {
            "AS": self.address_space,
            "FSIZE": self.file_size,
            "NOFILE": 1024,
            "NPROC": self.processes,
            "CORE": 0,
        }
        return {"user": user, "limits": limits, "landlock": False, "filter": seccomp.NOTEBOOKS}

    def user(self) -> tuple[int, int] | None:
        """The number that the home bears."""
        return None if self.owner is None else (self.owner, self.owner)

    def _mounts(self, scratch: str) -> Iterator[str]:
        for path in (places.SCRATCH, "/dev/shm"):
            yield from ("--perms", "1777", "--size", str(self.scratch_size), "--tmpfs", path)
        for link in box.loader():
            yield from link
        shown = [*box.code(), *self.code, *shares()]
        for folder in box.above((*_DEVICES, *shown, places.HOME, places.ROOM, places.LINE)):
            yield from ("--dir", folder)
        for path in shown:
            yield from ("--ro-bind-try", path, path)
        for path in _DEVICES:
            yield from ("--dev-bind", path, path)
        yield from ("--proc", "/proc")
        yield from ("--bind", str(self.home), places.HOME)
        yield from ("--bind", str(self.room), places.ROOM)
        yield from ("--ro-bind", str(self.line), places.LINE)
        yield from ("--remount-ro", "/")


def shares() -> tuple[str, ...]:
    """Files of packages that are no modules: JupyterLab's pages, time zones."""
    return tuple(
        path for path in (str(Path(sys.prefix) / "share" / "jupyter"), _SHARED) if Path(path).is_dir()
    )


def client() -> tuple[str, ...]:
    """The folder that the client is imported from; none where it is not installed."""
    found = importlib.util.find_spec("sandbox_client")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    return tuple(str(Path(folder).parent) for folder in folders)
