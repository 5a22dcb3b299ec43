"""Published snapshots, as readers find them: the one in force, its files, facts and soundness."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import Code, refuse
from sandbox.policy.effective import PublicFacts
from sandbox.snapshot.manifest import Manifest
from sandbox.snapshot.publish import Home, home_of
from sandbox.snapshot.sealing import MasterKey, Sealing, opened


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable, published copy of a dataset."""

    id: str
    dataset: str
    directory: Path
    manifest: Manifest

    def files(self, table: str) -> tuple[Path, ...]:
        """The Parquet files of a table, in order of the unit; empty for an unknown table."""
        found = self.manifest.table(table)
        return tuple(self.directory / name for name in found.files) if found else ()

    def cube(self, table: str) -> Path | None:
        """The Parquet file of a table's surviving cells, or ``None`` without a grid."""
        found = self.manifest.table(table)
        return self.directory / found.cube.path if found and found.cube else None

    def sealing(self, key: MasterKey | None) -> Sealing:
        """The keys of its files.  Refuses with ``Code.SNAPSHOT_SEALED`` without the right one."""
        return opened(self.dataset, self.manifest.seal, key)

    def facts(self) -> dict[str, PublicFacts]:
        """What the contents of *public* tables say, by ``dataset.table``."""
        return {
            f"{self.dataset}.{t.name}": PublicFacts(
                t.published, {name: t.domain(name) for name in t.domains}, frozenset(t.unique)
            )
            for t in self.manifest.tables
            if t.public
        }

    def verify(self) -> None:
        """Hash every file again.  Refuses with ``Code.SNAPSHOT_DAMAGED`` at the first difference.

        Missing, changed and additional files all count.
        """
        known = {f.path: f for f in self.manifest.files}
        there = {str(p.relative_to(self.directory)) for p in self.directory.rglob("*") if p.is_file()}
        if there != {*known, "manifest.json"}:
            raise refuse(Code.SNAPSHOT_DAMAGED, f"{self.dataset}/{self.id}")
        for name, file in known.items():
            if digest(self.directory / name) != file.sha256:
                raise refuse(Code.SNAPSHOT_DAMAGED, f"{self.dataset}/{self.id}")


def current(root: Path, dataset_id: str) -> Snapshot:
    """The snapshot in force.  Refuses with ``Code.NO_SNAPSHOT`` before the first."""
    home = home_of(root, dataset_id)
    manifest = home.in_force()
    if manifest is None:
        raise refuse(Code.NO_SNAPSHOT, dataset_id)
    return _snapshot(home, manifest)


def history(root: Path, dataset_id: str) -> tuple[Snapshot, ...]:
    """Every snapshot that was ever in force and is still there, oldest first."""
    home = home_of(root, dataset_id)
    last = home.in_force()
    if last is None:
        return ()
    found = [home.manifest(path.name) for path in home.snapshots()]
    in_order = sorted((m for m in found if m.sequence <= last.sequence), key=lambda m: m.sequence)
    return tuple(_snapshot(home, m) for m in in_order)


def _snapshot(home: Home, manifest: Manifest) -> Snapshot:
    return Snapshot(manifest.id, manifest.dataset, home.path / manifest.id, manifest)


def digest(path: Path) -> str:
    """The SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
