"""The corpus loader exports every table of a script, each under the dataset that holds it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

CORPUS = Path(__file__).parents[2] / "corpus"
SCRIPT = """
    CREATE SCHEMA tenant_b;
    CREATE TABLE people (id BIGINT, name VARCHAR, county VARCHAR, age INTEGER, salary DOUBLE);
    INSERT INTO people VALUES (1, 'A', 'Harju', 40, 98765.43), (2, 'B', 'Hiiu', 41, 10.0);
    CREATE TABLE sectors (sector VARCHAR, title VARCHAR);
    CREATE TABLE hr_notes (note_id BIGINT, person_id BIGINT, note VARCHAR);
    CREATE TABLE tenant_b.people (id BIGINT, name VARCHAR, salary DOUBLE);
    INSERT INTO tenant_b.people VALUES (1, 'C', 5.0);
"""


@pytest.fixture
def load() -> Callable[[Path, Path], dict[str, Path]]:
    spec = importlib.util.spec_from_file_location("load_schema", CORPUS / "load_schema.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[Path, Path], dict[str, Path]] = module.load
    return found


def test_tables_go_to_their_datasets(load: Callable[[Path, Path], dict[str, Path]], tmp_path: Path) -> None:
    script = tmp_path / "schema.sql"
    script.write_text(SCRIPT, encoding="utf-8")
    files = load(script, tmp_path / "out")
    assert sorted(files) == [
        "corpus.people",
        "corpus.sectors",
        "corpus_firms.sectors",
        "tenant_b.hr_notes",
        "tenant_b.people",
    ]
    people = pq.read_table(files["corpus.people"])
    assert people.column("salary").to_pylist() == [98765.43, 10.0]
    assert pq.read_metadata(files["tenant_b.people"]).num_rows == 1
    documents = [YAML(typ="safe").load(p.read_text("utf-8")) for p in (CORPUS / "policies").glob("*.yaml")]
    declared = {f"{d['id']}.{t}": rule for d in documents if "tables" in d for t, rule in d["tables"].items()}
    for table, path in files.items():
        assert set(pq.read_schema(path).names) == set(declared[table]["columns"])
