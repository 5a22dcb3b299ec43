"""A small snapshot: one table of people in two files, one cube, and a neighbour nobody was given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.twin import Twin

PEOPLE = {"id": [1, 2, 3], "name": ["Ann", "Zed Unique", "Bo"], "fee": [10, 20, 30]}


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder looks like a Hive partition, holds a quote and a brace, and must not matter for that."""
    folder = tmp_path_factory.mktemp("snapshot") / "it's {a,b} 快照" / "year=2024"
    folder.mkdir(parents=True)
    table = pa.table(PEOPLE)
    pq.write_table(table.slice(0, 2), folder / "part-0.parquet")
    pq.write_table(table.slice(2), folder / "part-1.parquet")
    pq.write_table(pa.table({"city": ["A", "B"], "rows": [40, 50]}), folder / "cube.parquet")
    pq.write_table(pa.table({"secret": ["Neighbour"]}), folder / "neighbour.parquet")
    (folder / "manifest.json").write_text('{"secret": "Neighbour"}')
    return folder


@pytest.fixture(scope="session")
def sources(snapshot: Path) -> dict[str, tuple[Path, ...]]:
    parts = (snapshot / "part-0.parquet", snapshot / "part-1.parquet")
    return {"med.people": parts, "med.people#cube": (snapshot / "cube.parquet",)}


@pytest.fixture(scope="module")
def engine(sources: dict[str, tuple[Path, ...]]) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(sources, memory_mb=512) as engine:
        yield engine


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    with Twin() as twin:
        yield twin
