"""``python -m bench.confinement``: what the box around a worker costs, beside a worker with limits only.

Cold: from nothing to a configured worker.  Warm: the first query of a worker that was started beforehand.
Queries: the round trip of ``SELECT 1`` and of a scan of 200,000 rows.  Repetitions are interleaved.  The last
line is one JSON object, in milliseconds (medians).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.found import available
from sandbox.engine.layers import Layer

STARTS: Final = 9
QUERIES: Final = 500
SMALL: Final = "SELECT 1 AS a"
SCAN: Final = 'SELECT count(*) AS n, sum(i) AS s FROM "memory"."d"."t"'


def boxes() -> dict[str, frozenset[Layer]]:
    """What is compared."""
    return {
        "limits": frozenset({Layer.LIMITS}),
        "kernel": available() - {Layer.NAMESPACES, Layer.USER},
        "all": available(),
    }


def main() -> None:
    """Measure and print."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "t.parquet"
        pq.write_table(pa.table({"i": list(range(200_000))}), file)
        sources = {"d.t": (file,)}
        engines = {name: DuckDBEngine(sources, threads=1, layers=layers) for name, layers in boxes().items()}
        found = _measured(engines)
        warm = _warm(DuckDBEngine(sources, threads=1, queries=1))
    for name, figures in found.items():
        print(f"{name:8} " + "  ".join(f"{what} {ms:.2f} ms" for what, ms in figures.items()))
    print(json.dumps({**found, "warm": warm}))


def _measured(engines: dict[str, DuckDBEngine]) -> dict[str, dict[str, float]]:
    times: dict[str, dict[str, list[float]]] = {n: {"cold": [], "small": [], "scan": []} for n in engines}
    for _ in range(STARTS):
        for name, engine in engines.items():
            engine.close()
            times[name]["cold"].append(_timed(engine.start))
    for _ in range(QUERIES):
        for name, engine in engines.items():
            times[name]["small"].append(_timed(lambda: engine.run(SMALL)))  # noqa: B023 - called at once
            times[name]["scan"].append(_timed(lambda: engine.run(SCAN)))  # noqa: B023 - called at once
    for engine in engines.values():
        engine.close()
    return {n: {what: median(measured) for what, measured in by.items()} for n, by in times.items()}


def _warm(engine: DuckDBEngine) -> float:
    """Every query is a worker's last: the next worker is waited for, then asked for the first time."""
    first = []
    with engine:
        for _ in range(STARTS):
            engine.run(SCAN)
            while not engine.spare_is_ready():
                time.sleep(0.01)
            first.append(_timed(lambda: engine.run(SCAN)))
            while not engine.spare_is_ready():
                time.sleep(0.01)
    return median(first)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
