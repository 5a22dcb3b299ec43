"""Parquet files of a snapshot, written and read by the ingesting DuckDB, encrypted or not.

DuckDB's wheel reads encrypted Parquet and cannot write it, so encrypted files are streamed through pyarrow.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_encryption_properties

from sandbox.errors import Code, refuse
from sandbox.snapshot.storage import text

GROUP_ROWS: Final = 122_880
"""Rows in a Parquet row group: DuckDB's own, the grain of its parallel scans."""

_ENCRYPTED: Final = b"PARE"
_LARGEST: Final = 1 << 30
_ONE_PAGE: Final[dict[str, Any]] = {
    "compression": "zstd",
    "data_page_size": _LARGEST,
    "max_rows_per_page": _LARGEST,
    "dictionary_pagesize_limit": _LARGEST,
}
"""One data page in each column of a row group: DuckDB 2.0 takes the second of an encrypted one for forged."""


UNFILTERED: Final = "OFFSET 0"
"""Keeps conditions out of the scan of an encrypted file: DuckDB 2.0 takes what it would skip for forged."""


def store(connection: duckdb.DuckDBPyConnection, query: str, target: Path, key: bytes | None) -> None:
    """Write the rows of a query over tables of the database, in their order, as one file."""
    if key is None:
        connection.execute(
            f"COPY ({query}) TO {text(str(target))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS})"
        )
        return
    sealed = create_encryption_properties(footer_key=key)
    with connection.cursor() as own:  # a stream wants a connection on which nothing else is unfinished
        rows: pa.RecordBatchReader = own.sql(query).to_arrow_reader(GROUP_ROWS)
        with pq.ParquetWriter(target, rows.schema, encryption_properties=sealed, **_ONE_PAGE) as file:
            for batch in rows:
                file.write_batch(batch)


def stored(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], key: bytes | None) -> str:
    """A table expression over files that ``store`` wrote with this key.

    Refuses with ``Code.SNAPSHOT_SEALED`` encrypted files without a key, or with another.
    """
    paths = ", ".join(text(str(file)) for file in files)
    if not any(encrypted(file) for file in files):
        return f"read_parquet([{paths}])"
    if key is None:
        raise refuse(Code.SNAPSHOT_SEALED, files[0].stem)
    name = "key_" + hashlib.sha256(key).hexdigest()[:16]
    connection.execute(f"PRAGMA add_parquet_key({text(name)}, {text(base64.b64encode(key).decode())})")
    rows = f"(FROM read_parquet([{paths}], encryption_config = {{footer_key: {text(name)}}}) {UNFILTERED})"
    try:
        connection.execute(f"FROM {rows} LIMIT 0").fetchall()
    except duckdb.InvalidInputException:
        raise refuse(Code.SNAPSHOT_SEALED, files[0].stem) from None
    return rows


def encrypted(file: Path) -> bool:
    """Whether a Parquet file's footer is encrypted."""
    with file.open("rb") as stream:
        return stream.read(len(_ENCRYPTED)) == _ENCRYPTED
