"""Scratch folders: where a child may write, how much, and what becomes of it.

Invariants: a folder is one child's alone (0700, its user's), locked for as long as its gateway lives, and
removed with the child; one whose gateway was killed is removed by the next gateway's first child.  The
quota is watched from outside, four times a second: a child that holds more, in files that are there or in
files that it removed and keeps open, is killed.  Beyond the quota it can have what it writes in a quarter of
a second, and what it has mapped, which its address space bounds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

_PREFIX: Final = "spill-"
_UNLOCKED: Final = "new-"  # its name until it is locked, so that nobody takes it for one left behind
_EVERY_S: Final = 0.25
_LEAST: Final = 4096  # what an empty file counts, for the file system's own table of them


class Scratch:
    """One folder, until ``remove``."""

    def __init__(self, parent: Path, user: tuple[int, int] | None) -> None:
        """Make it in ``parent`` for ``user`` (uid, gid), or for the gateway's own.  Raises ``OSError``."""
        parent.mkdir(mode=0o700, exist_ok=True)  # whoever cleans disks may have removed it meanwhile
        _sweep(parent)
        made = Path(tempfile.mkdtemp(prefix=_UNLOCKED, dir=parent))
        if user is not None:
            os.chown(made, *user)
        self._lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path: Final = str(made.rename(parent / made.name.replace(_UNLOCKED, _PREFIX)))

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


class Watched(Protocol):
    """A child with a scratch folder."""

    @property
    def scratch(self) -> str:
        """The folder's path."""
        ...

    @property
    def worker(self) -> int:
        """The process that writes there."""
        ...

    def kill(self, *, greedy: bool = False) -> None:
        """End it."""
        ...


def used(child: Watched) -> int:
    """Bytes of disk that a child holds."""
    found = (status for status in _files(child) if stat.S_ISREG(status.st_mode))
    return sum(max(_LEAST, status.st_blocks * 512) for status in found)


def watch(child: Watched, quota: int) -> None:
    """Have a child killed once it holds more than ``quota`` bytes."""
    with _lock:
        _watched[child] = quota
        if not any(thread.name == _NAME for thread in threading.enumerate()):
            threading.Thread(target=_watch, name=_NAME, daemon=True).start()


_NAME: Final = "scratch-watch"
_lock = threading.Lock()
_watched: weakref.WeakKeyDictionary[Watched, int] = weakref.WeakKeyDictionary()
_swept: set[Path] = set()


def _watch() -> None:
    while True:
        time.sleep(_EVERY_S)
        with _lock:
            children = list(_watched.items())
        for child, quota in children:
            if used(child) > quota:
                child.kill(greedy=True)
        del children
        child = None  # type: ignore[assignment]  # a forgotten child must not live on in this loop


def _files(child: Watched) -> Iterator[os.stat_result]:
    for folder, _, names in os.walk(child.scratch):
        for name in names:
            yield from _status(f"{folder}/{name}")
    opened = f"/proc/{child.worker}/fd"
    try:
        descriptors = os.listdir(opened)
    except OSError:
        return
    for descriptor in descriptors:
        yield from (status for status in _status(f"{opened}/{descriptor}") if status.st_nlink == 0)


def _status(path: str) -> Iterator[os.stat_result]:
    try:
        yield os.stat(path)
    except OSError:
        return


def _sweep(parent: Path) -> None:
    """Remove folders whose gateway was killed; once a gateway."""
    with _lock:
        if parent in _swept:
            return
        _swept.add(parent)
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(lock)
