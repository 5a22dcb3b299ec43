"""What encryption at rest costs: ``python -m bench.encryption [ROWS]``."""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from sandbox.catalogue import Kind, Use
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.policy.documents import ColumnRule, Dataset, Share, TableRule, Title, UnitRule
from sandbox.snapshot import MasterKey, current, ingest

ROWS = 4_000_000
KEY = MasterKey(bytes(range(32)))
VISIT = TableRule(
    "visit",
    (
        ColumnRule("who", Kind.STRING, 4, frozenset({Use.COUNT})),
        ColumnRule("city", Kind.STRING, 1, frozenset({Use.GROUP})),
        ColumnRule("fee", Kind.DECIMAL, 3, frozenset({Use.MEASURE})),
        ColumnRule("day", Kind.DATE, 1, frozenset({Use.GROUP})),
    ),
    units=(UnitRule("person", "who"),),
)
DATASET = Dataset("d", Title("数", "D"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", (VISIT,))
SQL = 'SELECT city, sum(fee), count(DISTINCT _u) FROM "memory"."d"."visit" GROUP BY city'


def main() -> None:
    """A table of seconds and megabytes."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print("| | ingest, rows a second | MB on disk | query, s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = folder / "visit.parquet"
        duckdb.execute(
            f"COPY (SELECT 'p' || (i * 7919 % {rows // 8}) AS who, ['a', 'b', 'c'][i % 3 + 1] AS city, "
            "CAST(i % 100000 / 100.0 AS DECIMAL(18, 2)) AS fee, "
            "DATE '2024-01-01' + CAST(i % 366 AS INT) AS day "
            f"FROM range({rows}) AS t(i)) TO '{source}' (FORMAT parquet)"
        )
        for name, key in (("plain", None), ("encrypted", KEY)):
            begun = time.perf_counter()
            ingest(DATASET, {"visit": source}, folder / name, now=dt.datetime.now(dt.UTC), key=key)
            pace = rows / (time.perf_counter() - begun)
            snapshot = current(folder / name, "d")
            size = sum(f.bytes for f in snapshot.manifest.files) / 1e6
            table = snapshot.sealing(key).table("visit")
            keys = {} if table is None else {"d.visit": table}
            seconds = asked(snapshot.files("visit"), keys)
            print(f"| {name} | {pace:,.0f} | {size:,.1f} | {seconds:.2f} |", flush=True)


def asked(files: tuple[Path, ...], keys: dict[str, bytes]) -> float:
    """The best of five runs in a worker."""
    with DuckDBEngine({"d.visit": files}, keys=keys) as engine:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            engine.run(SQL)
            times.append(time.perf_counter() - begun)
    return min(times)


if __name__ == "__main__":
    main()
