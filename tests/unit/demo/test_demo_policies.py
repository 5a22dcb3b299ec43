"""The documents describe the sources that they are written for: names, bounds, domains, nulls, keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from sandbox.demo import flights, province
from sandbox.policy.cases import cases
from sandbox.policy.documents import Mode
from sandbox.policy.load import load

ROOT = Path(__file__).parents[3]
DATASETS = {
    d["id"]: d
    for path in sorted((ROOT / "policies").glob("*/dataset.yaml"))
    for d in [YAML(typ="safe").load(path.read_text(encoding="utf-8"))]
}
GRANTS = {
    d["id"]: d
    for path in sorted((ROOT / "policies").glob("*/G-*.yaml"))
    if not path.name.endswith(".queries.yaml")
    for d in [YAML(typ="safe").load(path.read_text(encoding="utf-8"))]
}
TABLES = [(d, t) for d, document in DATASETS.items() for t in document["tables"]]
KNOWN_BAD = {**province.PLANTED, "flights.flights": 2512}
"""Rows that break a rule of their table's document; all other rows must keep all rules."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("sources")
    files = {**province.write(folder, residents=2000), **flights.write(folder / "flights")}
    with duckdb.connect() as connection:
        for table, path in files.items():
            rows = pa_csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
            connection.register(table, rows)
        yield connection


def _literal(value: object) -> str:
    if isinstance(value, str | dt.date):
        return f"'{value}'"
    return str(value)


def _bad(name: str, column: dict[str, Any]) -> Iterator[str]:
    """Conditions under which a value breaks its column's rule."""
    if not column.get("nullable") and column.get("share") != "none":
        yield f'"{name}" IS NULL'
    if "domain" in column:
        yield f'"{name}" NOT IN ({", ".join(map(_literal, column["domain"]))})'
    if "range" in column:
        low, high = map(_literal, column["range"])
        yield f'"{name}" NOT BETWEEN {low} AND {high}'


@pytest.mark.parametrize(("dataset", "table"), TABLES)
def test_columns_are_those_of_the_source(
    sources: duckdb.DuckDBPyConnection, dataset: str, table: str
) -> None:
    declared = DATASETS[dataset]["tables"][table]["columns"]
    relation = sources.sql(f'FROM "{dataset}.{table}"')
    assert set(relation.columns) == set(declared)
    kinds = {
        "VARCHAR": "string",
        "BIGINT": "integer",
        "DOUBLE": "double",
        "DATE": "date",
        "BOOLEAN": "boolean",
    }
    found = [str(t).split("(")[0] for t in relation.types]
    named = [kinds.get(t, t.lower()) for t in found]
    assert dict(zip(relation.columns, named, strict=True)) == {n: c["type"] for n, c in declared.items()}


@pytest.mark.parametrize(("dataset", "table"), TABLES)
def test_only_known_bad_rows_break_a_rule(
    sources: duckdb.DuckDBPyConnection, dataset: str, table: str
) -> None:
    document = DATASETS[dataset]["tables"][table]
    rules = [rule for name, column in document["columns"].items() for rule in _bad(name, column)]
    unit = next(iter(document.get("unit", {}).values()), None)
    if document.get("rows") == 1:
        rules.append(f"ROW_NUMBER() OVER (PARTITION BY {unit}) > 1")
    if isinstance(unit, list):
        rules.append(f'claim_id NOT IN (SELECT claim_id FROM "{dataset}.claim")')
    for name, column in document["columns"].items():
        if column.get("unique"):
            rules.append(f'ROW_NUMBER() OVER (PARTITION BY "{name}") > 1')
    where = " OR ".join(f"COALESCE({rule}, false)" for rule in rules)
    query = f'SELECT COUNT(*) FROM (SELECT {where or "false"} AS bad FROM "{dataset}.{table}") WHERE bad'
    assert sources.sql(query).fetchall() == [(KNOWN_BAD.get(f"{dataset}.{table}", 0),)]


@pytest.mark.parametrize(("dataset", "table"), TABLES)
def test_clips_cut_few_values(sources: duckdb.DuckDBPyConnection, dataset: str, table: str) -> None:
    most = 0.001 if dataset == "flights" else 0.03  # the giants weigh more in a small province
    for name, column in DATASETS[dataset]["tables"][table]["columns"].items():
        if "clip" in column:
            low, high = column["clip"]
            cut = f'SELECT AVG(CAST("{name}" NOT BETWEEN {low} AND {high} AS INT)) FROM "{dataset}.{table}"'
            assert sources.sql(cut).fetchall()[0][0] < most


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_functions_of_the_unit_hold_and_levels_are_the_highest(
    sources: duckdb.DuckDBPyConnection, dataset: str
) -> None:
    document = DATASETS[dataset]
    levels = [c.get("level", 1) for t in document["tables"].values() for c in t["columns"].values()]
    assert document["level"] == max(levels)
    for table, rule in document["tables"].items():
        for name in rule.get("per_unit", []):
            (unit,) = rule["unit"].values()
            several = f'SELECT {unit} FROM "{dataset}.{table}" WHERE {unit} IS NOT NULL GROUP BY 1'
            assert sources.sql(f"{several} HAVING COUNT(DISTINCT {name}) > 1").fetchall() == []


@pytest.mark.parametrize("grant", sorted(GRANTS))
def test_grants_name_what_is_there(grant: str) -> None:
    shown = set()
    for table_id, names in GRANTS[grant]["data"].items():
        dataset, table = table_id.split(".")
        columns = DATASETS[dataset]["tables"][table]["columns"]
        chosen = list(columns) if names == "all" else names
        assert set(chosen) <= set(columns)
        assert all(columns[c].get("use", ["join"]) and columns[c].get("share") != "none" for c in chosen)
        shown |= {f"{table_id}.{c}" for c in chosen}
    assert {end for pair in GRANTS[grant].get("joins", []) for end in pair} <= shown


def test_cases_stand_beside_every_grant() -> None:
    found = {path.name: cases(path) for path in (ROOT / "policies").glob("*/*.queries.yaml")}
    assert found.keys() == {f"{grant}.queries.yaml" for grant in GRANTS}
    for name, listed in found.items():
        assert {case.grant for case in listed} == {name.removesuffix(".queries.yaml")}
        assert {case.refuse is None for case in listed} == {True, False}


def test_all_documents_load() -> None:
    documents = load([ROOT / "policies"])
    assert {d.id for d in documents.datasets} == set(DATASETS) == {"flights", "med", "power"}
    assert {g.id: g.mode for g in documents.grants} == {
        "G-FLIGHTS-DP": Mode.DP,
        "G-FLIGHTS-PURE": Mode.DP,
        "G-FLIGHTS-EXACT": Mode.EXACT,
        "G-2025-017": Mode.DP,
        "G-2025-018": Mode.DP,
        "G-2025-022": Mode.EXACT,
        "G-2025-023": Mode.DP,
    }
    corpus = load([ROOT / "tests" / "corpus" / "policies"])
    assert {d.id for d in corpus.datasets} == {"corpus", "corpus_firms", "tenant_b"}
    assert not any(table.startswith("tenant_b.") for g in corpus.grants for table, _ in g.data)
