"""Sources held in memory, texts accepted once, plans used again: the same rows, and no door opened by any."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.engine import worker
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.frames import Frame
from sandbox.engine.interface import EngineFailure
from sandbox.engine.ipc import opened, written

Sources = dict[str, tuple[Path, ...]]
PEOPLE = '"memory"."med"."people"'
CUBE = '"memory"."med"."people#cube"'


def database(sources: Sources, *held: str, memory_mb: int = 256) -> worker._Database:
    files = {source: [str(path) for path in paths] for source, paths in sources.items()}
    limits = {"threads": 1, "memory_mb": memory_mb, "spill": "", "spill_mb": 1}
    return worker._Database({"sources": files, "held": list(held), "keys": {}, **limits})


def ask(there: worker._Database, sql: str, **tables: pa.Table) -> object:
    status, bodies = there.answer(
        Frame({"sql": sql, "tables": list(tables)}, tuple(written(table) for table in tables.values()))
    )
    return opened(bodies[0]).to_pylist() if status == "done" else status


@pytest.mark.parametrize("held", [(), ("med.people",), ("med.people", "med.people#cube")])
def test_held_or_not_the_rows_are_the_same_each_time(sources: Sources, held: tuple[str, ...]) -> None:
    with DuckDBEngine(sources, held=held, memory_mb=256) as engine:
        for _ in range(3):
            assert engine.run(f"SELECT sum(fee) AS s FROM {PEOPLE}").to_pylist() == [{"s": 60}]
            assert engine.run(f"SELECT city FROM {CUBE} WHERE rows > 45").to_pylist() == [{"city": "B"}]


def test_a_held_worker_still_takes_released_tables(sources: Sources) -> None:
    there = database(sources, *sources)
    sql = f'SELECT r.n + c.rows AS m FROM {CUBE} AS c, "memory"."released"."r" AS r ORDER BY 1'
    for n in (1, 2):
        assert ask(there, sql, r=pa.table({"n": [n]})) == [{"m": 40 + n}, {"m": 50 + n}]
    assert ask(there, sql) == "failed"


def test_a_text_that_was_refused_is_refused_again_and_next_to_accepted_ones(sources: Sources) -> None:
    there = database(sources, *sources)
    good = f"SELECT rows FROM {CUBE} ORDER BY 1"
    bad = (
        "SELECT * FROM duckdb_settings()",
        f"CREATE TABLE t AS {good}",
        f"{good}; {good}",
        "EXECUTE q0",
        "DEALLOCATE q0",
        "PREPARE q0 AS SELECT 1 AS rows",
    )
    for _ in range(2):
        assert ask(there, good) == [{"rows": 40}, {"rows": 50}]
        assert [ask(there, sql) for sql in bad] == ["failed"] * len(bad)


def test_plans_are_forgotten_and_made_again(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"SELECT rows + {n} AS n FROM {CUBE} WHERE city = 'A'" for n in range(10, 20)]
    monkeypatch.setattr(worker, "_REMEMBERED", 3 * len(texts[0]))
    there = database(sources, *sources)
    for _ in range(2):
        assert [ask(there, sql) for sql in texts] == [[{"n": 40 + n}] for n in range(10, 20)]
    plans = there._connection.execute("SELECT count(*) FROM duckdb_prepared_statements()").fetchone()
    assert plans == (3,)
    longer = texts[0] + " AND rows > 0" * 20
    assert ask(there, longer) == [{"n": 50}]
    assert there._connection.execute("SELECT count(*) FROM duckdb_prepared_statements()").fetchone() == plans


def test_what_fails_once_leaves_no_plan_behind(sources: Sources) -> None:
    there = database(sources, *sources)
    assert ask(there, f"SELECT missing FROM {CUBE}") == "failed"
    assert ask(there, f"SELECT city::INTEGER AS n FROM {CUBE}") == "failed"
    assert ask(there, f"SELECT city::INTEGER AS n FROM {CUBE}") == "failed"
    assert ask(there, f"SELECT rows FROM {CUBE} ORDER BY 1") == [{"rows": 40}, {"rows": 50}]


def test_what_does_not_fit_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "wide.parquet"
    repeated = pa.array(["x" * 1000]).take(pa.array([0] * 200_000))
    pq.write_table(pa.table({"n": range(200_000), "t": repeated}), file)
    assert file.stat().st_size < 2_000_000
    there = database({"d.wide": (file,)}, "d.wide", memory_mb=64)
    assert ask(there, 'SELECT max(n) AS n FROM "memory"."d"."wide"') == [{"n": 199_999}]


def test_a_held_source_that_is_damaged_stops_the_worker(tmp_path: Path) -> None:
    file = tmp_path / "damaged.parquet"
    file.write_bytes(b"PAR1 and nothing else PAR1")
    with DuckDBEngine({"d.t": (file,)}, held=["d.t"], memory_mb=256) as engine, pytest.raises(EngineFailure):
        engine.run('SELECT * FROM "memory"."d"."t"')
