"""Publication: one ingestion at a time, all or nothing, durable at every step.

Order, so that a crash at any instant leaves a whole snapshot in force:
1. everything is built in ``.staging-…`` and flushed to disk;
2. each unit map replaces its older self.  The new one holds all of the old with the same numbers, so
   the snapshot in force still fits, and numbers once given are never given to another unit;
3. the quarantine folder, the base of incremental loads, then the snapshot directory, are renamed into place;
4. ``CURRENT`` is replaced.  Only now is the new snapshot in force; earlier bases are removed.
What a dead ingestion leaves (stagings, directories never in force) is removed by the next one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import Code, refuse
from sandbox.snapshot.manifest import Manifest, decode

NAME = re.compile(r"\w[\w.-]*")
STAGING = ".staging-"


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of one dataset's snapshots."""

    path: Path

    @property
    def current(self) -> Path:
        return self.path / "CURRENT"

    @property
    def units(self) -> Path:
        return self.path / "units"

    @property
    def quarantine(self) -> Path:
        return self.path / "quarantine"

    @property
    def base(self) -> Path:
        return self.path / "base"

    def in_force(self) -> Manifest | None:
        """The manifest in force, or ``None`` before the first.  ``Code.SNAPSHOT_DAMAGED`` if unreadable."""
        try:
            name = self.current.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return self.manifest(name)

    def manifest(self, name: str) -> Manifest:
        """The manifest of one snapshot directory.  ``Code.SNAPSHOT_DAMAGED`` if it is not whole."""
        subject = f"{self.path.name}/{name}" if NAME.fullmatch(name) else self.path.name
        try:
            data = (self.path / name / "manifest.json").read_bytes()
        except OSError:
            raise refuse(Code.SNAPSHOT_DAMAGED, subject) from None
        manifest = decode(data, subject)
        if manifest.id != name or manifest.dataset != self.path.name:
            raise refuse(Code.SNAPSHOT_DAMAGED, subject)
        return manifest

    def snapshots(self) -> list[Path]:
        """Every snapshot directory that was renamed into place, in force or not."""
        return sorted(
            p.parent for p in self.path.glob("*/manifest.json") if not p.parent.name.startswith(".")
        )


def home_of(root: Path, dataset: str) -> Home:
    """Where a dataset's snapshots live.  A name that could leave the root is refused."""
    if not NAME.fullmatch(dataset):
        raise refuse(Code.NO_SNAPSHOT, "a dataset of this name")
    return Home(root / dataset)


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the dataset's ingestion lock; the system lets go of it if the process dies."""
    home.path.mkdir(parents=True, exist_ok=True, mode=0o750)
    with (home.path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait until it has ended"
            subject = f"{home.path.name}: another ingestion is running"
            raise refuse(Code.SOURCE, subject, hint, "另一导入正在进行，请等待其结束") from None
        yield


def sweep(home: Home) -> int:
    """Remove what dead ingestions left; return the last sequence number in force (0 if none).

    A lost ``CURRENT`` is not taken for a first ingestion: that would delete the history.
    """
    manifest = home.in_force()
    last = manifest.sequence if manifest else 0
    newer = [p for p in home.snapshots() if home.manifest(p.name).sequence > last]
    if any(home.manifest(p.name).sequence > last + 1 for p in newer):
        raise refuse(Code.SNAPSHOT_DAMAGED, home.path.name)
    for path in [*newer, *home.path.glob(STAGING + "*")]:
        shutil.rmtree(path)
    kept = {p.name for p in home.snapshots()}
    for path in home.quarantine.glob("*"):
        if path.name not in kept:
            shutil.rmtree(path)
    forget_bases(home, manifest.id if manifest else "")
    return last


def forget_bases(home: Home, kept: str) -> None:
    """Remove the bases of incremental loads, but for that of the snapshot in force."""
    for path in home.base.glob("*"):
        if path.name != kept:
            shutil.rmtree(path)


@contextmanager
def staging(home: Home) -> Iterator[Path]:
    """A fresh staging directory, removed at the end whatever happened."""
    path = home.path / f"{STAGING}{os.getpid()}"
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(home: Home, stage: Path, name: str) -> None:
    """Put the stage's ``snapshot``, ``units``, ``quarantine`` and ``base`` in force under ``name``."""
    for folder, mode in (("snapshot", 0o640), ("units", 0o600), ("quarantine", 0o600), ("base", 0o600)):
        _settle(stage / folder, mode)
    home.units.mkdir(mode=0o700, exist_ok=True)
    for file in sorted((stage / "units").iterdir()):
        file.replace(home.units / file.name)
    flush(home.units)
    _put(stage / "quarantine", home.quarantine, name)
    if any((stage / "base").iterdir()):
        _put(stage / "base", home.base, name)
    (stage / "snapshot").rename(home.path / name)
    flush(home.path)
    write_file(home.current, f"{name}\n".encode(), 0o640)
    forget_bases(home, name)


def _put(folder: Path, place: Path, name: str) -> None:
    place.mkdir(mode=0o700, exist_ok=True)
    folder.rename(place / name)
    flush(place)


def write_file(path: Path, data: bytes, mode: int) -> None:
    """Write a whole file durably, or leave the old one as it was."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Force a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(folder: Path, mode: int) -> None:
    """Set modes (directories: readable where files are) and flush everything below ``folder``."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(mode | (mode & 0o440) >> 2 if path.is_dir() else mode)
        flush(path)
