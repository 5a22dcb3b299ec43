"""Sources for the attack corpus: run a ``schema.sql`` and export its tables to Parquet.

The script is trusted test material.  Tables of the main schema become ``<folder>/corpus/<table>.parquet``;
what the corpus policy grants to nobody (``hr_notes`` and every other schema) becomes
``<folder>/<dataset>/<table>.parquet`` under its own dataset.  Tables of ``ALSO`` are written a second time,
for the dataset that answers them exactly.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

DATASET = "corpus"
APART = {"hr_notes": "tenant_b"}
ALSO = dict.fromkeys(("enterprises", "counties", "sectors"), "corpus_firms")


def load(script: Path, folder: Path) -> dict[str, Path]:
    """Export all tables of ``script`` below ``folder``; return the file of each ``dataset.table``."""
    files: dict[str, Path] = {}
    with duckdb.connect() as connection:
        connection.execute(script.read_text(encoding="utf-8"))
        for schema, table in connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL"
        ).fetchall():
            rows = connection.sql(f'FROM "{schema}"."{table}"').to_arrow_table()
            for dataset in _datasets(schema, table):
                path = folder / dataset / f"{table}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(rows, path)
                files[f"{dataset}.{table}"] = path
    return files


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
