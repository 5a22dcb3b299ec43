"""Killed at any instant, an ingestion leaves the snapshot that was in force, whole; and no litter."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from sandbox.catalogue import Kind, Use
from sandbox.errors import Refusal
from sandbox.policy.documents import ColumnRule, Dataset, Share, TableRule, Title, UnitRule
from sandbox.snapshot import current, history, ingest

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
TABLE = TableRule(
    "visit",
    (
        ColumnRule("who", Kind.STRING, 4, frozenset({Use.COUNT})),
        ColumnRule("firm", Kind.STRING, 4, frozenset({Use.COUNT})),
        ColumnRule("city", Kind.STRING, 1, frozenset({Use.GROUP})),
    ),
    units=(UnitRule("person", "who"), UnitRule("firm", "firm")),
)
DATASET = Dataset("d", Title("数", "D"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", (TABLE,))

CHILD = """
import importlib.util, os, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("crash", sys.argv[1])
crash = importlib.util.module_from_spec(spec)
sys.modules["crash"] = crash
spec.loader.exec_module(crash)
crash.child(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
"""


def child(source: Path, root: Path, die_at: int) -> None:
    """Ingest, but die at the ``die_at``-th rename, counted from 0: even before it, odd after it."""
    seen = 0
    for name in ("replace", "rename"):
        real = getattr(os, name)

        def fatal(*args: object, real: object = real) -> None:
            nonlocal seen
            if die_at == 2 * seen:
                os._exit(9)
            assert callable(real)
            real(*args)
            if die_at == 2 * seen + 1:
                os._exit(9)
            seen += 1

        setattr(os, name, fatal)
    print("ready", flush=True)
    ingest(DATASET, {"visit": source}, root, now=NOW)


def spawn(source: Path, root: Path, die_at: int) -> subprocess.Popen[str]:
    args = [sys.executable, "-c", CHILD, __file__, str(source), str(root), str(die_at)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def source_of(folder: Path, people: range) -> Path:
    path = folder / "visit.csv"
    lines = [f"p{i},f{i % 7},太原" for i in people]
    path.write_text("\n".join(["who,firm,city", *lines, ""]), encoding="utf-8")
    return path


def unit_map(root: Path) -> dict[str, int]:
    files = str(root / "d" / "units" / "person.parquet")
    return dict(duckdb.connect().execute("SELECT id, u FROM read_parquet(?)", [files]).fetchall())


def people(root: Path) -> int:
    snapshot = current(root, "d")
    snapshot.verify()
    facts = snapshot.manifest.table("visit")
    assert facts is not None
    return facts.published


# Renames of a later ingestion: two unit maps, quarantine, snapshot, CURRENT.
@pytest.mark.parametrize("die_at", range(10))
def test_death_around_every_rename(tmp_path: Path, die_at: int) -> None:
    root = tmp_path / "root"
    first = ingest(DATASET, {"visit": source_of(tmp_path, range(20))}, root, now=NOW)
    before = unit_map(root)
    source = source_of(tmp_path, range(10, 50))
    process = spawn(source, root, die_at)
    process.communicate(timeout=60)
    assert process.returncode == 9
    assert people(root) == (40 if die_at == 9 else 20)
    in_force = current(root, "d").id
    assert (in_force == first.manifest.id) == (die_at < 9)
    assert before.items() <= unit_map(root).items()
    between = unit_map(root)

    ingest(DATASET, {"visit": source}, root, now=NOW)
    assert people(root) == 40
    assert between.items() <= unit_map(root).items()
    assert sorted(unit_map(root).values()) == list(range(50))
    known = {s.id for s in history(root, "d")}
    home = root / "d"
    assert {p.name for p in home.iterdir()} == known | {"CURRENT", ".lock", "units", "quarantine"}
    assert {p.name for p in (home / "quarantine").iterdir()} == known


def test_death_in_the_first_ingestion_leaves_none(tmp_path: Path) -> None:
    """The eleventh step is just before the first ``CURRENT`` (the salt's rename comes first)."""
    root, source = tmp_path / "root", source_of(tmp_path, range(20))
    process = spawn(source, root, 10)
    process.communicate(timeout=60)
    assert process.returncode == 9
    with pytest.raises(Refusal):
        current(root, "d")
    ingest(DATASET, {"visit": source}, root, now=NOW)
    assert people(root) == 20 and len(history(root, "d")) == 1


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_sigkill_while_working(tmp_path: Path, delay: float) -> None:
    root = tmp_path / "root"
    ingest(DATASET, {"visit": source_of(tmp_path, range(20))}, root, now=NOW)
    process = spawn(source_of(tmp_path, range(30_000)), root, -1)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=60)
    assert people(root) in (20, 30_000)
    ingest(DATASET, {"visit": source_of(tmp_path, range(5))}, root, now=NOW)
    assert people(root) == 5
    assert not list((root / "d").glob(".staging-*"))
