"""What a run gives, and that nothing stays of it."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.interface import Engine, EngineFailure
from sandbox.errors import Code

PEOPLE = '"memory"."med"."people"'


def rows(table: pa.Table) -> list[dict[str, object]]:
    found: list[dict[str, object]] = table.to_pylist()
    return found


def test_sources_are_read_under_three_part_names(engine: Engine) -> None:
    assert rows(engine.run(f"SELECT * FROM {PEOPLE} ORDER BY id"))[1] == {
        "id": 2,
        "name": "Zed Unique",
        "fee": 20,
    }
    assert rows(engine.run('SELECT sum(rows) AS n FROM "memory"."med"."people#cube"')) == [{"n": 90}]


def test_sums_of_integers_are_exact_decimals(engine: Engine) -> None:
    (row,) = rows(engine.run(f"SELECT sum(4611686018427387904 + id * 0) AS s FROM {PEOPLE}"))
    assert row == {"s": Decimal(3 * 2**62)}


def test_division_by_zero_is_null(engine: Engine) -> None:
    assert rows(engine.run("SELECT 1 // 0 AS a, 1 % 0 AS b")) == [{"a": None, "b": None}]


def test_times_are_utc(engine: Engine) -> None:
    (row,) = rows(engine.run("SELECT (TIMESTAMPTZ '2024-01-01 00:00:00+00')::VARCHAR AS t"))
    assert row == {"t": "2024-01-01 00:00:00+00"}


def test_an_empty_answer_keeps_its_columns(engine: Engine) -> None:
    table = engine.run(f"SELECT id, name FROM {PEOPLE} WHERE id < 0")
    assert (table.num_rows, table.column_names) == (0, ["id", "name"])


def test_ctes_and_deep_nesting_run(engine: Engine) -> None:
    sql = f"SELECT id, fee FROM {PEOPLE}"
    for depth in range(80):
        sql = f"SELECT q{depth}.id, q{depth}.fee FROM ({sql}) AS q{depth} WHERE q{depth}.id IS NOT NULL"
    assert engine.run(sql).num_rows == 3
    with_ctes = f"WITH a AS ({sql}), b AS (SELECT * FROM a) SELECT * FROM b JOIN a USING (id)"
    assert engine.run(with_ctes).num_rows == 3


def test_released_tables_are_there_for_one_run(engine: Engine) -> None:
    released = {
        "r 1": pa.table({"k": ["a", "b"], "n": pa.array([1, 2], pa.decimal128(38, 0))}),
        "r2": pa.table({"n": [5]}),
    }
    factor = '(SELECT n FROM "memory"."released"."r2")'
    sql = f'SELECT k, n * {factor} AS m FROM "memory"."released"."r 1" ORDER BY k'
    assert rows(engine.run(sql, released)) == [{"k": "a", "m": Decimal(5)}, {"k": "b", "m": Decimal(10)}]
    with pytest.raises(EngineFailure):
        engine.run(sql)
    assert rows(engine.run('SELECT n FROM "memory"."released"."r2"', {"r2": pa.table({"n": [6]})})) == [
        {"n": 6}
    ]


def test_a_failed_run_leaves_nothing_either(engine: Engine) -> None:
    table = pa.table({"n": ["x"]})
    with pytest.raises(EngineFailure):
        engine.run('SELECT n::INTEGER FROM "memory"."released"."r"', {"r": table})
    assert rows(engine.run('SELECT n FROM "memory"."released"."r"', {"r": table})) == [{"n": "x"}]


def test_an_engine_needs_no_sources() -> None:
    with DuckDBEngine({}, memory_mb=256) as scratch:
        assert rows(
            scratch.run('SELECT n + 1 AS m FROM "memory"."released"."r"', {"r": pa.table({"n": [1]})})
        ) == [{"m": 2}]


def test_runs_of_many_threads_do_not_mix(engine: Engine) -> None:
    found: dict[int, object] = {}

    def ask(number: int) -> None:
        for _ in range(5):
            found[number] = rows(engine.run(f"SELECT {number} AS n"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [{"n": number}] for number in range(8)}


def test_a_result_larger_than_the_limit_is_refused(sources: dict[str, tuple[Path, ...]]) -> None:
    with DuckDBEngine(sources, memory_mb=64) as engine:
        with pytest.raises(EngineFailure) as failure:
            engine.run(
                "SELECT a, b FROM (SELECT unnest(range(1000)) AS a), (SELECT unnest(range(5000)) AS b)"
            )
        assert failure.value.code is Code.ENGINE_LIMIT
        assert rows(engine.run("SELECT 1 AS n")) == [{"n": 1}]


@pytest.mark.parametrize("source", ["people", ".people", "med.", "released.r", "RELEASED.r"])
def test_a_source_has_a_table_id(source: str) -> None:
    with pytest.raises(ValueError, match=r"dataset\.table"):
        DuckDBEngine({source: (Path("/tmp/a.parquet"),)})


def test_a_source_has_files() -> None:
    with pytest.raises(ValueError, match="has files"):
        DuckDBEngine({"med.people": ()})


@pytest.mark.parametrize("name", ["*.parquet", "a?.parquet", "[ab].parquet"])
def test_a_path_is_never_a_pattern(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="path"):
        DuckDBEngine({"med.people": (tmp_path / name,)})


@pytest.mark.parametrize("limits", [{"memory_mb": 0}, {"threads": 0}, {"timeout_s": 0}, {"spill_mb": 0}])
def test_limits_are_positive(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        DuckDBEngine({}, **limits)  # type: ignore[arg-type]  # a row of the table above


def test_a_missing_file_fails_without_naming_it(tmp_path: Path) -> None:
    with DuckDBEngine({"med.people": (tmp_path / "gone.parquet",)}) as engine:
        for attempt in (engine.start, lambda: engine.run("SELECT 1")):
            with pytest.raises(EngineFailure) as failure:
                attempt()
            assert "gone" not in str(failure.value)


def test_a_spill_folder_that_cannot_be_made_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file stands where the folder should be")
    with DuckDBEngine({}, spill=tmp_path / "taken") as engine, pytest.raises(EngineFailure):
        engine.run("SELECT 1")


def test_a_missing_spill_folder_is_made_again(tmp_path: Path) -> None:
    with DuckDBEngine({}, spill=tmp_path / "gone") as engine:
        assert engine.run("SELECT 1").column(0).to_pylist() == [1]
