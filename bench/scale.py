"""``python -m bench.scale [ROWS UNITS]``: what protection costs as tables, units and groups grow.

Without arguments: 10 million rows of 10 thousand and of 2 million units, and 50 million rows of 2 million.
Rows per unit are skewed (a tenth of the units bring a third of the rows and more), groups from one to a
million.  Times are paired with plain DuckDB over the same files in the same run, as in ``python -m bench``.
Each size is built once, into build/bench.  The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import duckdb

from bench.anew import anew
from bench.data import CACHE
from bench.measure import Figure, figure, plain
from bench.questions import Question
from sandbox.home import Home, create_home, open_home
from sandbox.policy.load import load
from sandbox.snapshot import ingest

SIZES: Final = ((10_000_000, 10_000), (10_000_000, 2_000_000), (50_000_000, 2_000_000))
REPETITIONS: Final = 3

ASKED: Final = {
    "count": "SELECT COUNT(*) AS n FROM fact",
    "sum": "SELECT COUNT(*) AS n, SUM(amount) AS s FROM fact",
    "filtered": "SELECT SUM(amount) AS s FROM fact WHERE amount > 500",
    "region": "SELECT region, COUNT(*) AS n, SUM(amount) AS s FROM fact GROUP BY region",
    "units": "SELECT region, COUNT(DISTINCT person_id) AS n FROM fact GROUP BY region",
    "ten": "SELECT g10, COUNT(*) AS n, AVG(amount) AS s FROM fact GROUP BY g10",
    "thousand": "SELECT g1k, COUNT(*) AS n FROM fact GROUP BY g1k",
    "million": "SELECT g1m, COUNT(*) AS n FROM fact GROUP BY g1m",
}
QUESTIONS: Final = tuple(Question(name, "scale", "S-DP", sql) for name, sql in ASKED.items())


def generated(rows: int, units: int) -> str:
    """The rows as SQL: every value a function of its row's number, so the same file every time."""
    return f"""
    WITH drawn AS (
        SELECT CAST({units} * pow(hash(i, 1) / 18446744073709551616.0, 1.6) AS BIGINT) AS person_id,
               hash(i, 2) / 18446744073709551616.0 AS a, hash(i, 3) / 18446744073709551616.0 AS b,
               hash(i, 4) / 18446744073709551616.0 AS c
        FROM range({rows}) AS t(i)
    )
    SELECT person_id, hash(person_id, 5) % 12 AS region, CAST(floor(10 * a) AS BIGINT) AS g10,
           CAST(floor(1000 * b * b) AS BIGINT) AS g1k, CAST(floor(1000000 * a * b) AS BIGINT) AS g1m,
           round(least(120 * pow(1 - c, -0.6), 10000), 2) AS amount
    FROM drawn"""


def home(rows: int, units: int) -> Home:
    """The home of one size; made when missing."""
    place = CACHE / f"scale-{rows}-{units}"
    if (place / "complete").exists():
        return open_home(place)
    shutil.rmtree(place, ignore_errors=True)
    here = create_home(place)
    shutil.copytree(Path(__file__).parent / "policies_scale", here.policies / "scale")
    (dataset,) = load([here.policies]).datasets
    print(f"generating {rows:,} rows of {units:,} units …", flush=True)
    file = here.sources / "fact.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({generated(rows, units)}) TO '{file}' (FORMAT parquet)")
    ingest(dataset, {"fact": file}, here.snapshots, now=dt.datetime.now(dt.UTC))
    shutil.rmtree(here.sources)
    (place / "complete").touch()
    return here


def measured(rows: int, units: int) -> list[Figure]:
    """All questions at one size."""
    here = home(rows, units)
    here = replace(here, settings=replace(here.settings, release_clock_ms=0))
    found = []
    print(f"\n{rows:,} rows of {units:,} units")
    print(f"{'query':12} {'plain ms':>9} {'ours ms':>9} {'ratio':>7} {'worker MB':>10}", flush=True)
    for question in QUESTIONS:
        gateway = anew(here)
        try:
            with plain(here, question.dataset) as connection:
                one = figure(here, gateway, connection, question, REPETITIONS)
        finally:
            gateway.close()
        times = f"{1000 * one.plain_s:>9.1f} {1000 * one.ours_s:>9.1f} {one.ratio:>7.2f}"
        print(f"{one.name:12} {times} {one.peak_mb:>10.0f}", flush=True)
        found.append(one)
    return found


def main() -> None:
    """Measure every size, or the one asked for."""
    asked = [int(a) for a in sys.argv[1:]]
    sizes = ((asked[0], asked[1]),) if asked else SIZES
    results = {f"{rows}/{units}": measured(rows, units) for rows, units in sizes}
    means = {
        size: round(math.exp(sum(math.log(f.ratio) for f in found) / len(found)), 3)
        for size, found in results.items()
    }
    figures = {size: [asdict(f) for f in found] for size, found in results.items()}
    print(json.dumps({"means": means, "figures": figures}))


if __name__ == "__main__":
    main()
