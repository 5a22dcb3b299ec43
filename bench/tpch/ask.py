"""One published query against one home: asked, timed beside plain DuckDB, and judged."""

from __future__ import annotations

import datetime as dt
import re
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Final

import duckdb

from bench.anew import anew
from bench.tpch.judge import Judged, judge, spends, truth, wrong
from sandbox.doors.asking import new_id
from sandbox.home import Home
from sandbox.model import Answer, Person, Refused, Request

STEP: Final = Fraction(1, 10_000)
"""Each repetition spends a little more than the one before: else the kept answer would come back, free."""

LIMIT: Final = re.compile(r"\s+limit\s+\d+\s*$", re.IGNORECASE)
CHOSEN: Final = re.compile(r"\s+and total_revenue = \(.*?\n    \)", re.DOTALL)
"""Q15's choice of the largest.  A row that noise chose is held against the exact answer for all rows."""


@dataclass(frozen=True, slots=True)
class Line:
    """The outcome of one query: ``status`` is answered, refused or wrong; ``why`` says more.

    ``predicted``: the stated half-width, ``measured``: the error, medians over cells and repetitions, as
    shares of the exact numbers.  ``cells``: stated intervals and how many missed.
    """

    query: str
    status: str
    why: str
    shown: int = 0
    exact: int = 0
    predicted: float | None = None
    measured: float | None = None
    stated: int = 0
    missed: int = 0
    plain_s: float = 0.0
    ours_s: float = 0.0
    ratio: float | None = None
    noisy: bool = True


def plain(data: Path, threads: int) -> duckdb.DuckDBPyConnection:
    """Plain DuckDB with a view of each generated file."""
    connection = duckdb.connect(config={"threads": threads})
    for file in sorted(data.glob("*.parquet")):
        connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet('{file}')")
    return connection


class Asker:
    """Asks one grant of one home; answers are held against the generated files."""

    def __init__(self, home: Home, grant: str, data: Path) -> None:
        self.gateway = anew(home)
        found = self.gateway.documents().grant(grant)
        assert found is not None
        self.grant, self.person = found, Person("bench", "operator", found.to)
        self.connection = plain(data, home.settings.worker.threads)

    def close(self) -> None:
        """End the worker."""
        self.connection.close()
        self.gateway.close()

    def line(self, name: str, sql: str, repetitions: int) -> Line:
        """Ask, time and judge one query; the first pair only counts for accuracy."""
        known = truth(self.connection, sql, CHOSEN.sub("", LIMIT.sub("", sql)))
        answers, times = [], []
        for i in range(repetitions + 1):
            begun = time.perf_counter()
            self.connection.execute(sql).fetchall()
            between = time.perf_counter()
            answer = self.ask(sql, 1 - (repetitions - i) * STEP)
            if isinstance(answer, Refused):
                return Line(name, "refused", _reasons(answer))
            times.append((between - begun, time.perf_counter() - between))
            answers.append(answer)
        found = _line(name, [judge(a, known, complete=_complete(a, sql)) for a in answers], times)
        return replace(found, noisy=spends(answers[0]))

    def ask(self, sql: str, epsilon: Fraction) -> Answer | Refused:
        """One question at a price."""
        request = Request(new_id(), self.person, self.grant.id, sql, epsilon, dt.datetime.now(dt.UTC))
        return self.gateway.query(request)


def _reasons(found: Refused) -> str:
    return "; ".join(f"{r.code.id} {r.subject}: {r.now('en')}" for r in found.reasons)


def _complete(answer: Answer, sql: str) -> bool:
    """Whether noise chose neither groups nor rows."""
    chosen = LIMIT.search(sql) or CHOSEN.search(sql)
    return chosen is None and not any("selection:" in line for line in answer.derivation.lines())


def _line(name: str, found: list[Judged], times: list[tuple[float, float]]) -> Line:
    stated = [c for one in found for c in one.stated]
    why = wrong(found)
    measured = [one.measured for one in found if one.measured is not None]
    predicted = [one.predicted for one in found if one.predicted is not None]
    kept = times[1:] or times
    return Line(
        name,
        "wrong" if why else "answered",
        why or ("no group reaches the threshold" if found[-1].exact and not found[-1].shown else ""),
        found[-1].shown,
        found[-1].exact,
        median(predicted) if predicted else None,
        median(measured) if measured else None,
        len(stated),
        sum(c.missed for c in stated),
        median(p for p, _ in kept),
        median(ours for _, ours in kept),
        median(ours / p for p, ours in kept),
    )
