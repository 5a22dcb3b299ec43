"""The box around a child process: what it may read, write and use, and the command that builds it.

Invariants: a box shows the interpreter's and the package's code, the files it was given, one spill folder and
``/dev/null``; never a folder of the gateway's.  Paths are the same inside and outside.  No path but code's
is in the process list: the command's own arguments go through a descriptor.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sandbox
from sandbox.engine import seccomp
from sandbox.engine.layers import Layer

ROOT: Final = str(Path(sandbox.__file__).resolve().parent.parent)
_LOADER: Final = ("/lib", "/lib64", "/lib32", "/libx32")
_SYSTEM: Final = ("/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_DEVICES: Final = ("/dev/null", "/dev/urandom")
# What DuckDB, and a child of ours, look up about themselves: how much memory there is, and is used.
_SELF: Final = ("/proc/self/status", "/proc/self/cgroup", "/sys/fs/cgroup")

_APART: Final = (
    *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--hostname", "worker", "--die-with-parent", "--cap-drop", "ALL"),
)
# As root no user namespace is needed, and none is wanted: in one, uid 0 outside would be who runs.
_CHANGE_USER: Final = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_AS_NOBODY: Final = ("--unshare-user", "--uid", "65534", "--gid", "65534")

# systemd's range for users made for the life of one service: nothing else on a host has these.
_FIRST_USER, _USERS = 61184, 4336

_BASE_DESCRIPTORS: Final = 256
_BASE_THREADS: Final = 64


@dataclass(frozen=True, slots=True)
class Box:
    """What one child may have.  Sizes in bytes; ``cpu_s``: processor seconds of its whole life, 0: any.

    ``spill``: the folder to make its private scratch folder in, of at most ``spill_size`` bytes in all.
    ``code``: folders to read and import from besides the interpreter's and this package.
    """

    layers: frozenset[Layer]
    reads: tuple[str, ...] = ()
    spill: Path | None = None
    spill_size: int = 0
    address_space: int = 2 << 30
    threads: int = 1
    cpu_s: int = 0
    code: tuple[str, ...] = ()

    def orders(self, scratch: str, user: tuple[int, int] | None) -> dict[str, Any]:
        """What ``boot`` does before anything else runs."""
        confined = Layer.USER in self.layers or Layer.NAMESPACES in self.layers
        return {
            "user": user,
            "limits": {
                "AS": self.address_space,
                "FSIZE": self.spill_size if scratch else 0,
                "NOFILE": _BASE_DESCRIPTORS + len(self.reads),
                "CORE": 0,
                **({"CPU": self.cpu_s} if self.cpu_s else {}),
                # Counted by user and user namespace: without either, the user's other processes would count.
                **({"NPROC": _BASE_THREADS + self.threads} if confined else {}),
            },
            "landlock": Layer.LANDLOCK in self.layers,
            "filter": seccomp.QUERIES if Layer.FILTER in self.layers else "",
            "reads": [*code(), *self.code, *self.reads, "/dev/urandom", *_SELF],
            "writes": [*([scratch] if scratch else []), "/dev/null"],
        }

    def user(self) -> tuple[int, int] | None:
        """The user to run as: a number of its own, with the group that the files are readable to."""
        if Layer.USER not in self.layers:
            return None
        group = os.stat(self.reads[0]).st_gid if self.reads else os.getegid()
        return _FIRST_USER + int.from_bytes(os.urandom(4)) % _USERS, group

    def wrapping(self, scratch: str) -> list[str]:
        """The arguments of bubblewrap; empty without namespaces."""
        if Layer.NAMESPACES not in self.layers:
            return []
        who = _AS_NOBODY if os.geteuid() != 0 else _CHANGE_USER if Layer.USER in self.layers else ()
        return [*_APART, *who, *self._mounts(scratch)]

    def _mounts(self, scratch: str) -> Iterator[str]:
        for link in loader():
            yield from link
        for folder in above((*_DEVICES, *code(), *self.code, *self.reads, *([scratch] if scratch else []))):
            yield from ("--dir", folder)  # bubblewrap would make them for root alone
        for path in (*code(), *self.code):
            yield from ("--ro-bind-try", path, path)
        for path in self.reads:
            yield from ("--ro-bind", path, path)
        for path in _DEVICES:
            yield from ("--dev-bind", path, path)
        if scratch:
            yield from ("--bind", scratch, scratch)
        yield from ("--remount-ro", "/")


def loader() -> Iterator[tuple[str, str, str]]:
    """The system's links to where its libraries are."""
    for path in _LOADER:
        if os.path.islink(path):
            yield "--symlink", os.readlink(path), path


def above(paths: tuple[str, ...]) -> list[str]:
    """Every folder above these paths, highest first."""
    return sorted({str(folder) for path in paths for folder in Path(path).parents} - {"/"})


def tool() -> str | None:
    """Where bubblewrap is."""
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") if sys.platform == "linux" else None


def interpreter() -> str:
    """The real executable: a virtual environment's own is a link that may lead anywhere."""
    return os.path.realpath(sys.executable)


@functools.cache
def libraries() -> tuple[str, ...]:
    """Folders of installed packages."""
    return tuple(dict.fromkeys(p for p in sys.path if Path(p).name in {"site-packages", "dist-packages"}))


@functools.cache
def code() -> tuple[str, ...]:
    """All code that a child reads: the system's libraries, the interpreter's, packages, this package."""
    base = Path(sys.base_prefix)
    standard = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    own = [] if base == Path("/usr") else [str(base / "lib")]
    loader = [path for path in _LOADER if os.path.isdir(path) and not os.path.islink(path)]
    package = str(Path(ROOT) / "sandbox")
    found = [*_SYSTEM, *loader, interpreter(), *own, *standard, *libraries(), package]
    return tuple(dict.fromkeys(path for path in found if os.path.exists(path)))
