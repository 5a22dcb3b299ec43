"""Qrlew rewrites each query into a private one in PostgreSQL's dialect; DuckDB runs it over the files.

Its description of the data comes from empty tables; the sizes, which it holds public, are set afterwards.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import duckdb
import pyqrlew
from protocol import Setting, serve
from pyqrlew import Dialect
from sqlalchemy import create_engine, text

QUERIES = {
    "count": "SELECT COUNT(*) AS n FROM visit",
    "sum": "SELECT region, SUM(amount) AS s FROM visit GROUP BY region",
    "avg": "SELECT AVG(amount) AS a FROM visit",
    "units": "SELECT COUNT(DISTINCT person_id) AS n FROM visit",
    "cities": "SELECT city, COUNT(*) AS n FROM visit GROUP BY city",
    "median": "SELECT MEDIAN(amount) AS m FROM visit",
    "join": "SELECT m.band AS band, SUM(v.amount) AS s FROM visit AS v JOIN member AS m "
    "ON v.person_id = m.person_id GROUP BY m.band",
    "nested": "SELECT AVG(t) AS a "
    "FROM (SELECT person_id, SUM(amount) AS t FROM visit GROUP BY person_id) AS p",
}
TABLES = {
    "visit": "person_id INTEGER, region TEXT, city INTEGER, amount FLOAT",
    "member": "person_id INTEGER, band TEXT",
}
KEYS = {("visit", "region"): range(12), ("member", "band"): range(5)}
UNIT = [(table, [], "person_id") for table in TABLES]


class Qrlew:
    """A description of the two tables, and DuckDB with views of them; keys are text, as Qrlew wants them."""

    def __init__(self, setting: Setting) -> None:
        self.version = f"{version('pyqrlew')} on DuckDB {duckdb.__version__}"
        self.bounds = (
            f"{setting.rows} rows (max_multiplicity), {setting.groups} cities, amount 0 to {setting.amount:g}"
        )
        self.notes: dict[str, str] = {}
        self._setting = setting
        self._duckdb = duckdb.connect()
        for table in TABLES:
            keys = ", ".join(f"CAST({k} AS VARCHAR) AS {k}" for t, k in KEYS if t == table)
            self._duckdb.execute(
                f"CREATE VIEW {table} AS SELECT * REPLACE ({keys}) FROM read_parquet('{setting.file(table)}')"
            )
        self._dataset = self._described()

    def _described(self) -> Any:
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            for table, columns in TABLES.items():
                connection.execute(text(f"CREATE TABLE {table} ({columns})"))
        empty = pyqrlew.Dataset.from_database("bench", engine)
        found = self._sized(empty).with_range(None, "visit", "amount", 0.0, self._setting.amount)
        found = found.with_range(None, "visit", "city", 1, 400)
        for (table, key), values in KEYS.items():
            found = found.with_possible_values(None, table, key, [str(v) for v in values])
        return found.with_constraint(None, "member", "person_id", "_UNIQUE_")

    def _sized(self, empty: Any) -> Any:
        schema, size = json.loads(empty.schema), json.loads(empty.size)
        for table in size["statistics"]["union"]["fields"]:
            rows = self._duckdb.execute(f"SELECT count(*) FROM {table['name']}").fetchone()[0]
            struct = table["statistics"]["struct"]
            struct["size"] = str(rows)
            for column in struct["fields"]:
                for kind in ("integer", "float", "text"):
                    column["statistics"].get(kind, {})["size"] = rows
        described = {
            "@type": "sarus_data_spec/sarus_data_spec.Dataset",
            "uuid": schema["dataset"],
            "name": "Transformed",
            "spec": {"transformed": {"transform": "0", "arguments": [], "named_arguments": {}}},
            "properties": {},
            "doc": "",
        }
        return pyqrlew.Dataset.from_str(json.dumps(described), json.dumps(schema), json.dumps(size))

    def ask(self, question: str) -> list[tuple[Any, float]]:
        wanted = self._setting
        private = self._dataset.relation(QUERIES[question]).rewrite_with_differential_privacy(
            self._dataset,
            UNIT,
            {"epsilon": wanted.epsilon, "delta": wanted.delta},
            max_multiplicity=float(wanted.rows),
            max_multiplicity_share=1.0,
            max_privacy_unit_groups=wanted.groups if question == "cities" else 1,
        )
        rows = self._duckdb.execute(private.relation().to_query(Dialect.PostgreSql)).fetchall()
        return [(int(row[0]), row[1]) if len(row) == 2 else (0, row[0]) for row in rows]


serve(Qrlew)
