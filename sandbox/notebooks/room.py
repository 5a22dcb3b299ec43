"""One analyst's box while it runs: its processes, what they use, and its end.

Invariants: nothing of a room outlives it but the home; its sockets are in folders that no other room sees,
made anew each time, under a path short enough for a socket.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sandbox.engine.frames import Frame
from sandbox.engine.process import Child, ChildGone
from sandbox.errors import Code, Refusal, refuse
from sandbox.notebooks import places
from sandbox.notebooks.walls import Walls, shares

_GLANCE_S: Final = 0.05
LONGEST_SOCKET: Final = 107
"""Bytes that a Unix socket's path may have."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a room uses: bytes of memory and of its home, how many kernels."""

    memory: int
    disk: int
    kernels: int


class Sockets:
    """The two folders of a room: ``room`` for the server's socket, ``line`` for the gateway's.

    Refuses ``NOTEBOOKS`` where a socket's path would be too long for the kernel.
    """

    def __init__(self, owner: int | None) -> None:
        self.folder: Final = Path(tempfile.mkdtemp(prefix="ds-"))
        self.room, self.line = self.folder / "room", self.folder / "line"
        self.room.mkdir(mode=0o700)
        self.line.mkdir(mode=0o755)
        if owner is not None:
            os.chown(self.room, owner, owner)
        self.server = self.room / Path(places.SERVER).name
        self.gateway = self.line / Path(places.GATEWAY).name
        if max(len(os.fsencode(path)) for path in (self.server, self.gateway)) > LONGEST_SOCKET:
            self.remove()
            hint, zh = "the bureau sets TMPDIR to a shorter path", "请主管部门将 TMPDIR 设为更短的路径"
            raise refuse(Code.NOTEBOOKS, "its sockets' path is too long", hint, zh)

    def remove(self) -> None:
        """Remove both, and what is in them."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Room:
    """A running box.  ``ready`` before it is talked to; ``close`` at the end."""

    def __init__(self, walls: Walls, sockets: Sockets, line: AbstractContextManager[object]) -> None:
        """Start it; ``line`` is entered for as long as it runs.  Refuses ``NOTEBOOKS`` where it cannot."""
        self.sockets: Final = sockets
        self._line = line
        try:
            line.__enter__()
        except OSError:
            sockets.remove()
            raise failed() from None
        try:
            self._child = Child(
                "sandbox.notebooks.inside", replace(walls, room=sockets.room, line=sockets.line)
            )
        except ChildGone:
            self._leave()
            raise failed() from None
        self._home = walls.home

    def begin(self, *, lang: str, idle_s: int, paths: tuple[str, ...], patience_s: float) -> None:
        """Tell it what to serve, and wait until it does.  Refuses ``NOTEBOOKS`` if it does not in time."""
        orders = {"lang": lang, "idle_s": idle_s, "paths": list(paths), "shares": list(shares())}
        deadline = time.monotonic() + patience_s
        try:
            self._child.tell(Frame(orders))
        except ChildGone:
            raise failed() from None
        while not self._answers():
            if time.monotonic() > deadline or not self._child.alive:
                raise failed()
            time.sleep(_GLANCE_S)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.alive

    def figures(self) -> Figures:
        """What it uses now."""
        kernels, everything = self._kernels(), list(_below(self._child.pid))
        return Figures(sum(map(_resident, everything)), _size(self._home), len(kernels))

    def end_kernels(self) -> None:
        """Kill every kernel, and what kernels started; files can still be deleted."""
        for pid in self._kernels():
            _kill(pid)

    def close(self) -> None:
        """End it, and remove its sockets."""
        self._child.close()
        self._leave()

    def _leave(self) -> None:
        try:
            self._line.__exit__(None, None, None)
        finally:
            self.sockets.remove()

    def _kernels(self) -> list[int]:
        """The server's children; it is the first process of the box's first one, which is bubblewrap's."""
        for first in _children(self._child.pid):
            for server in _children(first):
                return _children(server)
        return []

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1.0)
            try:
                line.connect(str(self.sockets.server))
                line.sendall(b"GET /api HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return line.recv(12).endswith(b"200")
            except OSError:
                return False


def failed() -> Refusal:
    """The refusal where a room does not come up."""
    hint, zh = "open it again; if that does not help, tell the bureau", "请重新打开；仍不行请联系主管部门"
    return refuse(Code.NOTEBOOKS, "it did not start", hint, zh)


def _children(pid: int) -> list[int]:
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in told.split()]


def _below(pid: int) -> Iterator[int]:
    """A process and all that go back to its first threads."""
    yield pid
    for child in _children(pid):
        yield from _below(child)


def _resident(pid: int) -> int:
    """Bytes of memory, what processes share divided among them: children of a fork share nearly all."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in told.splitlines() if line.startswith("Pss:"))


def _kill(pid: int) -> None:
    for each in [*_below(pid)]:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _size(folder: Path) -> int:
    """Bytes on disk below a folder, at least a block a file; symbolic links count as themselves."""
    total = 0
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                total += max(os.lstat(os.path.join(above, name)).st_blocks * 512, 4096)
            except OSError:
                continue
    return total
