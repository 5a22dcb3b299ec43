"""What a snapshot has in quarantine, for the owner's eyes: rows as text, with their reasons."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb

from sandbox.snapshot import parquet
from sandbox.snapshot.publish import home_of
from sandbox.snapshot.published import Snapshot
from sandbox.snapshot.sealing import MasterKey


def quarantined(root: Path, snapshot: Snapshot, table: str, key: MasterKey | None) -> str:
    """The rows of one table as CSV: their place in the source, reasons, and columns as they were read.

    Lines of a CSV source that have no columns follow as rows of one field.  Refuses with
    ``Code.SNAPSHOT_SEALED`` without the right key.
    """
    folder = home_of(root, snapshot.dataset).quarantine / snapshot.id
    own = snapshot.sealing(key).quarantine(table)
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    with duckdb.connect() as connection:
        for file in (folder / f"{table}.parquet", folder / f"{table}.malformed.parquet"):
            if file.exists():
                rows = parquet.stored(connection, [file], own)
                names = [name for name, *_ in connection.execute(f"DESCRIBE FROM {rows}").fetchall()]
                lines.writerow(names)
                found = connection.execute(f"FROM {rows}").fetchall()
                lines.writerows(["; ".join(v) if isinstance(v, list) else v for v in row] for row in found)
    plain = folder / f"{table}.malformed.txt"
    if plain.exists():
        lines.writerows([line] for line in ["line", *plain.read_text(encoding="utf-8").splitlines()])
    return text.getvalue()
