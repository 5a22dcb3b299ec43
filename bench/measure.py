"""Times and memory of one question, paired with plain DuckDB over the same Parquet in the same run."""

from __future__ import annotations

import datetime as dt
import os
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Final

import duckdb

from bench.questions import Question
from sandbox.doors.asking import new_id
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Answer, Person, Refused, Request
from sandbox.policy.documents import DpGuard
from sandbox.snapshot import current

PLANNING: Final = ("recall", "parse", "resolve", "simplify", "opinion", "authorize", "plan")
EPSILON, STEP = Fraction(1, 2), Fraction(1, 1000)
"""Each repetition spends a little more than the one before: else the kept answer would come back, free."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the repetitions: seconds of both, their ratio in pairs, and the worker's peak in MB.

    ``planning``: seconds from parse to plan.  ``shares``: of each stage in the protected query's time.
    """

    name: str
    plain_s: float
    ours_s: float
    ratio: float
    planning_s: float
    peak_mb: float
    shares: dict[str, float]


def plain(home: Home, dataset: str) -> duckdb.DuckDBPyConnection:
    """Plain DuckDB with a view of each table over the snapshot's files, and as many threads as a worker."""
    snapshot = current(home.snapshots, dataset)
    connection = duckdb.connect(config={"threads": home.settings.worker.threads})
    for table in snapshot.manifest.tables:
        files = [str(path) for path in snapshot.files(table.name)]
        connection.execute(f"CREATE VIEW {table.name} AS FROM read_parquet({files})")
    return connection


def figure(
    home: Home, gateway: Gateway, connection: duckdb.DuckDBPyConnection, question: Question, repetitions: int
) -> Figure:
    """Ask both in turn, the first pair unmeasured.  ``RuntimeError`` if the question is refused."""
    sql = question.sql.replace("person_id", "_u")  # the snapshot keeps the unit, not its name
    pairs: list[tuple[float, float, Answer]] = []
    for i in range(repetitions + 1):
        begun = time.perf_counter()
        connection.execute(sql).fetchall()
        between = time.perf_counter()
        if i == 1:
            _forget_peaks()
        answer = _ask(gateway, question, i)
        pairs.append((between - begun, time.perf_counter() - between, answer))
    pairs = pairs[1:]
    stages = [dict(answer.timings) for _, _, answer in pairs]
    whole = sum(ours for _, ours, _ in pairs)
    names = dict.fromkeys(name for found in stages for name in found)
    return Figure(
        question.name,
        median(p for p, _, _ in pairs),
        median(ours for _, ours, _ in pairs),
        median(ours / p for p, ours, _ in pairs),
        median(sum(found.get(name, 0.0) for name in PLANNING) for found in stages),
        _peak_mb(),
        {name: sum(found.get(name, 0.0) for found in stages) / whole for name in names},
    )


def _ask(gateway: Gateway, question: Question, i: int) -> Answer:
    grant = gateway.documents().grant(question.grant)
    assert grant is not None
    epsilon = EPSILON + i * STEP if isinstance(grant.guard, DpGuard) else None
    person, now = Person("bench", "operator", grant.to), dt.datetime.now(dt.UTC)
    found = gateway.query(Request(new_id(), person, question.grant, question.sql, epsilon, now))
    if isinstance(found, Refused):
        raise RuntimeError(f"{question.name}: {', '.join(r.code.id for r in found.reasons)}")
    return found


def _workers() -> list[Path]:
    """/proc of every process that this one started, and of theirs."""
    found, waiting = [], [os.getpid()]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            started = [int(pid) for pid in task.read_text().split()]
            waiting += started
            found += [Path(f"/proc/{pid}") for pid in started]
    return found


def _forget_peaks() -> None:
    for process in _workers():
        (process / "clear_refs").write_text("5")


def _peak_mb() -> float:
    """The largest resident size among the workers since ``_forget_peaks``, in megabytes."""
    return max((_field(p / "status", "VmHWM") for p in _workers()), default=0.0)


def _field(status: Path, name: str) -> float:
    line = next((x for x in status.read_text().splitlines() if x.startswith(f"{name}:")), f"{name}: 0 kB")
    return int(line.split()[1]) / 1024
