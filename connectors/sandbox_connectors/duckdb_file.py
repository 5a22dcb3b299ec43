"""Another DuckDB file, opened read-only; and the small DuckDB of their own that readers of files use.

Settings: ``path``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

import duckdb
import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.files import the_file
from sandbox_connectors.interface import (
    BATCH,
    Column,
    Condition,
    Connector,
    Kind,
    Options,
    Place,
    Table,
    stream,
)
from sandbox_connectors.statement import every, literal, name, select

MEMORY_MB: Final = 512
"""Most memory of a reader's DuckDB, in MB."""

_PLAIN: Final = frozenset(
    {
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE"),
        *("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"),
    }
)
"""Types that travel as they are; all others come as text (decimals with all their digits)."""


def engine(place: Place) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that spills into ``place`` and fetches nothing."""
    connection = duckdb.connect(
        config={
            "memory_limit": f"{MEMORY_MB}MB",
            "temp_directory": str(place.scratch),
            "threads": 2,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": True,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def rows_of(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    """The rows of a query, as they are asked for."""
    return cast("pa.RecordBatchReader", connection.sql(query).to_arrow_reader(BATCH))


@contextmanager
def spoken(table: str) -> Iterator[None]:
    """Engine errors leave as refusals; their texts, which carry values and paths, are dropped."""
    try:
        yield
    except duckdb.Error:
        raise faults.unreadable(table) from None


class DuckDBFile:
    """The tables and views of one database file.  Names are ``schema.table``, ``main`` left out."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._engine: duckdb.DuckDBPyConnection | None = None

    def discover(self) -> tuple[Table, ...]:
        """Every table and view."""
        found: dict[str, list[Column]] = {}
        with spoken("duckdb"):
            rows = (
                self._open()
                .execute(
                    "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
                    "WHERE database_name = 'source' AND NOT internal ORDER BY ALL"
                )
                .fetchall()
            )
            for schema, table, column, kind in rows:
                shown = table if schema == "main" else f"{schema}.{table}"
                found.setdefault(shown, []).append(Column(column, self._type(kind)))
        return tuple(Table(n, tuple(columns)) for n, columns in found.items())

    def open(
        self,
        table: str,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        since: Condition | None = None,
    ) -> pa.RecordBatchReader:
        """The rows, with columns and conditions pushed down."""
        conditions = every(where, since)
        whole = next((t for t in self.discover() if t.name == table), None)
        if whole is None:
            raise faults.unknown(table)
        wanted = whole.only(columns, conditions)
        shown = [f"CAST({name(c.name)} AS {_spelled(c.type)})" for c in wanted.columns]
        schema, _, bare = table.rpartition(".")
        relation = f"source.{name(schema or 'main')}.{name(bare)}"
        return stream(wanted, self._batches(wanted, select(relation, shown, conditions)))

    def test(self) -> None:
        """Open the file."""
        self.discover()

    def close(self) -> None:
        """Close the file."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _batches(self, table: Table, query: str) -> Iterator[pa.RecordBatch]:
        with spoken(table.name):
            for batch in rows_of(self._open(), query):
                yield pa.RecordBatch.from_arrays(
                    [a.cast(c.type) for a, c in zip(batch.columns, table.columns, strict=True)],
                    schema=table.schema,
                )

    def _type(self, kind: str) -> pa.DataType:
        if kind not in _PLAIN:
            return pa.string()
        with rows_of(self._open(), f"SELECT CAST(NULL AS {kind})") as reader:
            found: pa.DataType = reader.schema.field(0).type
        return found

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            path = the_file(self._options, self._place, "duckdb")
            connection = engine(self._place)
            try:
                connection.execute(f"ATTACH {literal(str(path))} AS source (READ_ONLY)")
            except duckdb.Error as error:
                connection.close()
                # DuckDB tells a lock from damage only by its words, which are not shown.
                raise (
                    faults.locked("duckdb") if "lock" in str(error) else faults.unreadable("duckdb")
                ) from None
            self._engine = connection
        return self._engine


def _spelled(kind: pa.DataType) -> str:
    return "VARCHAR" if pa.types.is_string(kind) else _NAMES.get(str(kind), str(kind).upper())


_NAMES: Final = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[s]": "TIMESTAMP_S",
    "timestamp[ms]": "TIMESTAMP_MS",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
}


def connect(options: Options, place: Place) -> Connector:
    """A connector to one DuckDB file."""
    return DuckDBFile(options, place)


KIND: Final = Kind("duckdb", connect, required=frozenset({"path"}))
