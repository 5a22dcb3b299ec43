"""Killed ingestions: ``python tests/faults/ingest_crash.py [ROUNDS]``, which ``make ingest-crash`` runs.

A real ``sandbox ingest`` reads a Parquet file that is new every round and, through a source document, what is
new in a CSV file that grows, both with rows that belong in quarantine.  It is killed (SIGKILL) at every named step of its work, then at random
instants; every fourth time the disk fails under it instead, at a random call: full, broken or read-only.  After
each the snapshot in force must be whole and be the source's of before or of now; half of the times it is then
repeated to its end, else the next round falls upon what is left.  The last line is one JSON object; anything but
kills is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[2]))

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from sandbox.errors import Refusal
from sandbox.home import Home, open_home
from sandbox.snapshot import Snapshot, current, history
from tests.faults.disk import ERRORS, Disk
from tests.faults.nursery import INGESTING, Nursery

ROUNDS: Final = 200
PERSONS: Final = 300
ROWS: Final = 1_000
"""Rows that come between two ingestions, of which the next reads no others."""
PATIENCE_S: Final = 60.0
LOOKED_AT: Final = 3
"""Newest snapshots whose every file is hashed again after a kill."""

_DATASET = """
kind: dataset
id: clinic
title: {zh: 门诊, en: Clinic}
owner: 测试
class: 测试/崩溃
level: 4
share: conditional
why: {reason: 测试, basis: 测试}
snapshot: daily
tables:
  person:
    unit: {person: id}
    rows: 1
    columns:
      id:   {type: string, level: 4, use: [join, count]}
      city: {type: integer, level: 1, use: [group], domain: [0, 1, 2]}
  visit:
    unit: {person: [who -> person.id, person.id]}
    grid: {cells: [kind], units: 5, dominance: 30, round: 1}
    columns:
      who:  {type: string, level: 4, use: [join]}
      kind: {type: integer, level: 1, use: [group, filter], domain: [0, 1]}
      fee:  {type: integer, level: 3, use: [measure, filter], range: [0, 999], clip: [0, 999], scale: 1}
"""
_SOURCE = """
kind: source
id: drop
connector: csv
options: {path: drop}
tables: {clinic.visit: {table: visit, load: {since: round}}}
"""

Rows = Counter[tuple[str, int, int]]


@dataclass(slots=True)
class Found:
    """What is wrong.  ``partial``: what is in force, or what is left, is not whole.  ``mismatched``: it is
    whole, and is not what the source holds, or a unit's number changed, or the log does not know of it."""

    partial: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)


class Campaign:
    """One home, its source and the ingestions that are killed over it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.kills = self.failures = 0
        self.unreached: list[str] = []
        self.found = Found()
        self._dice = random.Random(seed)
        self._log = folder / "said"
        self._path = folder / "home"
        self._disk = Disk(folder / "disk", self._path / "snapshots")
        self._nursery = Nursery(self._disk.environment)
        self.ran("init")
        self.home: Home = open_home(self._path)
        (self.home.policies / "clinic.yaml").write_text(_DATASET, encoding="utf-8")
        (self.home.policies / "drop.yaml").write_text(_SOURCE, encoding="utf-8")
        (self.home.sources / "drop").mkdir()
        self._units: dict[str, int] = {}
        self.truth: dict[str, Rows] = {}
        self._last = ""
        self._round = 0
        self._visits: list[tuple[str, int, int, int]] = []
        self._lasting_s = 0.0
        self._calls = 0

    def run(self, steps: Sequence[str]) -> Iterator[str]:
        """Kill at each step, "" being a random instant, or fail the disk; yields each step when it is over."""
        self.repeat(self.source())
        for step in steps:
            now = self.source()
            if step in ERRORS:
                self._fail(ERRORS[step])
            else:
                self.die(step)
            self.look(now)
            if self._dice.random() < 0.5:
                self.repeat(now)
            yield step
        self.repeat(self.source())

    def close(self) -> None:
        """No more ingestions."""
        self._nursery.close()
        self._disk.close()

    def source(self) -> Rows:
        """Write a new source; the rows that are to be published of it, under their persons' own ids."""
        first = self._dice.randrange(1000)
        persons = [(f"p{n}", n % 3) for n in range(first, first + PERSONS)]
        # Who is in no city that there is goes to quarantine, and so do the visits of who is not known.
        listed = [*persons, ("odd", 9), persons[0]]
        table = {"id": [p for p, _ in listed], "city": [c for _, c in listed]}
        folder = self.home.sources / "clinic"
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.table(table), folder / "person.parquet")
        self._round += 1
        self._visits += [
            (self._dice.choice(listed)[0], self._dice.randrange(2), self._dice.randrange(1010), self._round)
            for _ in range(ROWS)
        ]
        rows = (f"{who},{kind},{fee},{at}" for who, kind, fee, at in self._visits)
        text = "\n".join(["who,kind,fee,round", *rows, "p1,0", ""])
        (self.home.sources / "drop" / "visit.csv").write_text(text, encoding="utf-8")
        known = {p for p, _ in persons}
        return Counter(row[:3] for row in self._visits if row[0] in known and row[2] <= 999)

    def die(self, step: str) -> None:
        """By one's own hand at a step, or by ours at a random instant."""
        # Steps of a table or a file are passed several times.
        after = self._dice.randint(1, 2) if INGESTING.get(step, ("",))[0] in _MANY else 1
        running = self._nursery.run(self._words("ingest", "clinic"), self._log, step, after)
        if step and not running.dead(PATIENCE_S):
            self.unreached.append(step)
        elif not step:
            time.sleep(self._dice.uniform(0, self._lasting_s))
        running.kill()
        running.close()
        self.kills += 1

    def _fail(self, error: int) -> None:
        """Let a call fail, or all from one on: it says so in its own words, and takes its litter away."""
        self._disk.fail(self._dice.randint(1, self._calls), error, sticky=self._dice.random() < 0.5)
        said = self.ran("ingest", "clinic")
        self._disk.heal()
        self.failures += 1
        left = [p.name for p in (self.home.snapshots / "clinic").glob(".staging-*")]
        if left or not any(words in said for words in ("DS-602", "DS-6", "published", "已发布")):
            self.found.partial.append(f"after a disk's failure: {left or said}")

    def repeat(self, now: Rows) -> None:
        """Ingest to the end: what is in force is the source's of now, and nothing else is left."""
        begun, before = time.monotonic(), self._disk.calls
        self.ran("ingest", "clinic")
        self._lasting_s, self._calls = time.monotonic() - begun, self._disk.calls - before
        self.look(now)
        folder = self.home.snapshots / "clinic"
        known = set(self.truth)
        beside = (
            {p.name for p in folder.glob("*")} - known - {"CURRENT", ".lock", "units", "quarantine", "base"}
        )
        kept = {p.name for p in (folder / "quarantine").glob("*")}
        if beside or kept != known:
            self.found.partial.append(f"left behind: {sorted(beside | (kept ^ known))}")
        if self.truth.get(self._last) != now:
            self.found.mismatched.append("a repeated ingestion did not come into force")

    def look(self, now: Rows) -> None:
        """Hold what is in force against the sources and the log."""
        try:
            snapshot = current(self.home.snapshots, "clinic")
            for each in history(self.home.snapshots, "clinic")[-LOOKED_AT:]:
                each.verify()
        except Refusal as refusal:
            self.found.partial.append(str(refusal))
            return
        if any(t.rows_in != t.published + t.quarantined for t in snapshot.manifest.tables):
            self.found.partial.append(f"{snapshot.id}: rows do not add up")
        if snapshot.id != self._last:  # the killed one had come into force
            self._last = snapshot.id
            self.truth[snapshot.id] = now
        units = self._map()
        if not self._units.items() <= units.items() or len(set(units.values())) != len(units):
            self.found.mismatched.append(f"{snapshot.id}: a unit has another number")
        self._units = units
        if self._stored(snapshot) != self.truth[snapshot.id]:
            self.found.mismatched.append(f"{snapshot.id}: not the source's rows")
        if snapshot.id not in self._announced():
            self.found.mismatched.append(f"{snapshot.id}: not in the log")

    def _stored(self, snapshot: Snapshot) -> Rows:
        names = {number: id for id, number in self._units.items()}
        files = [str(f) for f in snapshot.files("visit")]
        rows = duckdb.execute("SELECT who, kind, fee FROM read_parquet(?)", [files]).fetchall()
        return Counter((names.get(who, ""), kind, fee) for who, kind, fee in rows)

    def _map(self) -> dict[str, int]:
        file = str(self.home.snapshots / "clinic" / "units" / "person.parquet")
        return dict(duckdb.execute("SELECT id, u FROM read_parquet(?)", [file]).fetchall())

    def _announced(self) -> set[str]:
        """Snapshots of which the log has an entry."""
        with contextlib.closing(sqlite3.connect(self.home.store)) as store:
            rows: list[tuple[Any]] = store.execute(
                "SELECT payload FROM audit JOIN audit_personal ON audit.seq = audit_personal.seq "
                "WHERE kind = 'ingest'"
            ).fetchall()
        return {json.loads(payload)["snapshot"] for (payload,) in rows}

    def _words(self, *words: str) -> list[str]:
        return [*words, "--home", str(self._path)]

    def ran(self, *words: str) -> str:
        """Run a command to its end; what it says."""
        before = self._log.stat().st_size if self._log.exists() else 0
        running = self._nursery.run(self._words(*words), self._log)
        done = running.dead(PATIENCE_S)
        running.kill()
        running.close()
        if not done:
            raise TimeoutError(f"sandbox {words[0]} does not end")
        return self._log.read_bytes()[before:].decode()


_MANY: Final = frozenset(
    {INGESTING[step][0] for step in ("rows read", "units followed", "table written", "hashed", "settled")}
)


def steps(rounds: int) -> list[str]:
    """Every named step, then random instants, with a failing disk between them."""
    kills = ([*INGESTING] + [""] * rounds)[:rounds]
    disks = itertools.cycle(ERRORS)
    return [each for n, step in enumerate(kills, 1) for each in ([step] if n % 3 else [step, next(disks)])]


def main() -> None:
    """The campaign; fails where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    told = parser.parse_args()
    print(f"seed {told.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="ingest-") as folder,
        contextlib.closing(Campaign(Path(folder), told.seed)) as campaign,
        Progress() as bar,
    ):
        planned = steps(told.rounds)
        for _ in bar.track(campaign.run(planned), total=len(planned)):
            pass
    found = campaign.found
    print(f"{campaign.failures} failing disks")
    for words in [*found.partial[:10], *found.mismatched[:10]]:
        print(words)
    for step in campaign.unreached:
        print(f"not reached: {step}")
    counts = {"partial": len(found.partial), "mismatched": len(found.mismatched)}
    print(json.dumps({"kills": campaign.kills, **counts}))
    if any(counts.values()) or campaign.unreached:
        sys.exit(1)


if __name__ == "__main__":
    main()
