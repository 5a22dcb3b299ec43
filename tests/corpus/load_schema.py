"""Sources for the attack corpus: run a ``schema.sql`` and export its tables to Parquet.

The script is trusted test material.  Tables of the main schema become ``<folder>/corpus/<table>.parquet``;
what the corpus policy grants to nobody (``hr_notes`` and every other schema) becomes
``<folder>/<dataset>/<table>.parquet`` under its own dataset.  Tables of ``ALSO`` are written a second time,
for the dataset that answers them exactly.  ``without`` names planted values: rows that hold one are deleted,
which gives the same house a world in which they never were.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

DATASET = "corpus"
APART = {"hr_notes": "tenant_b"}
ALSO = dict.fromkeys(("enterprises", "counties", "sectors"), "corpus_firms")


TABLES = "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL"


def load(script: Path, folder: Path, without: Iterable[str | float] = ()) -> dict[str, Path]:
    """Export all tables of ``script`` below ``folder``; return the file of each ``dataset.table``."""
    files: dict[str, Path] = {}
    with database(script, without) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            rows = connection.sql(f'FROM "{schema}"."{table}"').to_arrow_table()
            for dataset in _datasets(schema, table):
                path = folder / dataset / f"{table}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(rows, path)
                files[f"{dataset}.{table}"] = path
    return files


def database(script: Path, without: Iterable[str | float] = ()) -> duckdb.DuckDBPyConnection:
    """The tables of ``script`` in memory, without the rows that hold a planted value."""
    connection = duckdb.connect()
    connection.execute(script.read_text(encoding="utf-8"))
    planted = list(without)
    for schema, table in connection.execute(TABLES).fetchall() if planted else []:
        name = f'"{schema}"."{table}"'
        for column, kind, *_ in connection.execute(f"DESCRIBE {name}").fetchall():
            values = [v for v in planted if isinstance(v, str) == (kind == "VARCHAR")]
            if values and kind in {"VARCHAR", "DOUBLE", "BIGINT", "INTEGER"}:
                marks = ", ".join("?" * len(values))
                connection.execute(f'DELETE FROM {name} WHERE "{column}"::{_wide(kind)} IN ({marks})', values)
    return connection


def _wide(kind: str) -> str:
    """A type in which every planted value of its sort can be compared."""
    return "VARCHAR" if kind == "VARCHAR" else "DOUBLE"


def _datasets(schema: str, table: str) -> list[str]:
    """The datasets that hold a table of the script."""
    if schema != "main":
        return [schema]
    also = [ALSO[table]] if table in ALSO else []
    return [APART.get(table, DATASET), *also]


def main() -> None:
    """Command line: ``load_schema.py schema.sql folder``; prints one line a table."""
    parser = argparse.ArgumentParser(description="Export the tables of a schema.sql to Parquet files.")
    parser.add_argument("script", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    for table, path in load(arguments.script, arguments.folder).items():
        print(f"{table}\t{path}")


if __name__ == "__main__":
    main()
