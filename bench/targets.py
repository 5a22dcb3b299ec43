"""``python -m bench.targets [RUNS]``: errors at epsilon 1 on a table like those that peers are measured on.

1,000,000 rows of 100,000 persons: rows a person geometric with mean 10 (median 7, 99 % below 47, largest
about 113), 12 regions that are functions of the person, 400 cities by Zipf's law that rows cross freely,
amounts up to 500.  No bound on rows is declared.  Errors are relative, means over the cells in question, and
medians over runs; a withheld city counts as wrong by all of it.  Each question is asked through the gateway
of an empty store, under a zCDP grant (delta 1e-6) and, where no key is unknown, a pure one.  The last line is
one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.anew import anew
from bench.data import CACHE
from bench.measure import plain
from sandbox.doors.asking import new_id
from sandbox.home import Home, create_home, open_home
from sandbox.model import Answer, Person, Refused, Request
from sandbox.policy.load import load
from sandbox.snapshot import ingest

ROWS, PERSONS, CITIES, REGIONS = 1_000_000, 100_000, 400, 12
EPSILON: Final = Fraction(1)
Rows = dict[Any, float]


def home() -> Home:
    """The home with the data set in force; made when missing."""
    place = CACHE / "targets"
    if (place / "complete").exists():
        return open_home(place)
    shutil.rmtree(place, ignore_errors=True)
    here = create_home(place)
    shutil.copytree(Path(__file__).parent / "policies_targets", here.policies / "targets")
    (dataset,) = load([here.policies]).datasets
    print(f"generating {ROWS:,} visits …", flush=True)
    file = here.sources / "visit.parquet"
    pq.write_table(visits(), file)
    ingest(dataset, {"visit": file}, here.snapshots, now=dt.datetime.now(dt.UTC))
    shutil.rmtree(here.sources)
    (place / "complete").touch()
    return here


def visits() -> pa.Table:
    """The same rows every time."""
    rng = np.random.default_rng(20261123)
    weight = rng.exponential(1.0, PERSONS)
    person = rng.choice(PERSONS, ROWS, p=weight / weight.sum())
    region = rng.choice(REGIONS, PERSONS, p=_zipf(REGIONS, 0.5))
    city = rng.choice(CITIES, ROWS, p=_zipf(CITIES, 1.9)) + 1
    return pa.table(
        {
            "person_id": person,
            "region": region[person],
            "city": city,
            "town": city,
            "amount": np.round(np.minimum(rng.exponential(50, ROWS), 500), 2),
        }
    )


def _zipf(count: int, exponent: float) -> Any:
    weight = np.arange(1.0, count + 1) ** -exponent
    return weight / weight.sum()


@dataclass(frozen=True, slots=True)
class Question:
    """``largest``: the error is over so many of the largest groups; none: over all that there are."""

    name: str
    grant: str
    sql: str
    target: float
    largest: int | None = None


QUESTIONS: Final = (
    Question("count", "T-ZCDP", "SELECT 0, COUNT(*) FROM visit", 0.0005),
    Question("count, pure", "T-PURE", "SELECT 0, COUNT(*) FROM visit", 0.0005),
    Question("sum by region", "T-ZCDP", "SELECT region, SUM(amount) FROM visit GROUP BY region", 0.004),
    Question("sum by region, pure", "T-PURE", "SELECT region, SUM(amount) FROM visit GROUP BY region", 0.004),
    Question("average", "T-ZCDP", "SELECT 0, AVG(amount) FROM visit", 0.0005),
    *(
        Question(f"{n} largest cities{note}", grant, sql, target, n)
        for note, grant, sql in (
            (", keys unknown", "T-ZCDP", "SELECT city, COUNT(*) FROM visit GROUP BY city"),
            (", cities declared", "T-ZCDP", "SELECT town, COUNT(*) FROM visit GROUP BY town"),
            (", declared, pure", "T-PURE", "SELECT town, COUNT(*) FROM visit GROUP BY town"),
        )
        for n, target in ((12, 0.008), (40, 0.02), (55, 0.04))
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """What was found.  ``fewest``: of the persons of any released group, the fewest."""

    name: str
    target: float
    error: float
    width: float
    covered: float
    groups: int
    fewest: int


def ask(here: Home, question: Question) -> Answer:
    """One answer of an empty store.  ``RuntimeError`` if refused."""
    gateway = anew(here)
    try:
        person, now = Person("bench", "operator", "bench"), dt.datetime.now(dt.UTC)
        found = gateway.query(Request(new_id(), person, question.grant, question.sql, EPSILON, now))
    finally:
        gateway.close()
    if isinstance(found, Refused):
        raise RuntimeError(f"{question.name}: {', '.join(r.code.id for r in found.reasons)}")
    return found


def measured(question: Question, answers: Sequence[Answer], truth: Rows, persons: Rows) -> Line:
    """Errors of repeated answers against the truth."""
    judged = sorted(truth, key=lambda k: -truth[k])[: question.largest]
    errors, widths, held, groups, fewest = [], [], [], [], []
    for answer in answers:
        keys, values = (answer.table.column(i).to_pylist() for i in (0, 1))
        margins = answer.margins.column(1).to_pylist()
        found = {k: (v, m) for k, v, m in zip(keys, values, margins, strict=True)}
        errors.append(
            np.mean([abs(found[k][0] - truth[k]) / truth[k] if k in found else 1.0 for k in judged])
        )
        widths += [found[k][1] / truth[k] for k in judged if k in found and found[k][1] is not None]
        held += [abs(v - truth.get(k, 0)) <= m for k, (v, m) in found.items() if m is not None]
        groups.append(len(found))
        fewest.append(min(persons.get(k, 0) for k in found))
    return Line(
        question.name,
        question.target,
        float(median(errors)),
        float(median(widths)),
        float(np.mean(held)),
        int(median(groups)),
        int(min(fewest)),
    )


def _facts(connection: duckdb.DuckDBPyConnection, question: Question) -> tuple[Rows, Rows]:
    truth = dict(connection.execute(question.sql.replace("town", "city")).fetchall())
    key = question.sql.split(",")[0].removeprefix("SELECT ").replace("town", "city")
    persons = connection.execute(f"SELECT {key}, count(DISTINCT _u) FROM visit GROUP BY 1").fetchall()
    return {k: float(v) for k, v in truth.items()}, dict(persons)


def main() -> None:
    """Build what is missing, measure, print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    here = home()
    here = replace(here, settings=replace(here.settings, release_clock_ms=0))
    found: list[Line] = []
    heads = ("target %", "error %", "half-width %", "covered %", "groups", "fewest")
    print(f"{'question':34} " + " ".join(f"{h:>12}" for h in heads))
    asked: dict[tuple[str, str], list[Answer]] = {}
    for question in QUESTIONS:
        key = (question.grant, question.sql)
        if key not in asked:
            asked[key] = [ask(here, question) for _ in range(runs)]
        with plain(here, "targets") as connection:
            line = measured(question, asked[key], *_facts(connection, question))
        found.append(line)
        shares = (line.target, line.error, line.width, line.covered)
        figures = [*(f"{100 * x:12.3f}" for x in shares), f"{line.groups:>12}", f"{line.fewest:>12}"]
        print(f"{line.name:34} " + " ".join(figures), flush=True)
    met = [x.name for x in found if x.error <= x.target]
    print(json.dumps({"runs": runs, "met": met, "lines": [asdict(x) for x in found]}))


if __name__ == "__main__":
    main()
