"""PostgreSQL by its ADBC driver, which streams COPY's binary rows into Arrow batches.

Settings: ``host``, ``database``, ``user``; optional ``port``, ``sslmode``, ``sslrootcert``, and ``password``
by reference.  All tables come from one read-only transaction, hence one state of the database.

Traps that this file steps around: the driver gives ``money`` in cents and ``numeric`` as an opaque type, so
both come as text with all their digits; ``infinity`` comes as a day outside the years 1 to 9999, which
ingestion quarantines; the driver has no code for a refused log-in, so the server is asked whether it
is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.interface import Column, Condition, Connector, Kind, Options, Place, Table, stream
from sandbox_connectors.statement import every, name, select

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

PATIENCE_S: Final = 10
"""How long a connection, and a locked table, are waited for, in seconds."""
BATCH_BYTES: Final = 4 * 2**20
"""About how many bytes the driver puts into a batch."""
LOCKED: Final = "55P03"
DENIED: Final = "42501"

_TYPES: Final = {
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
"""Types that travel as they are; all others come as the server's own text."""

_SESSION: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    f"SET LOCAL lock_timeout = '{PATIENCE_S}s'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO'",
    "SET LOCAL bytea_output = 'hex'",
)

_COLUMNS: Final = """
SELECT CAST(n.nspname AS text), CAST(c.relname AS text), CAST(a.attname AS text),
       CAST(CASE WHEN t.typtype = 'd' THEN b.typname ELSE t.typname END AS text)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY 1, 2, a.attnum
"""


class PostgreSQL:
    """The tables of one database that its user may read.  Names are ``schema.table``."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._connection: Connection | None = None
        self._kinds: dict[tuple[str, str], str] = {}

    def discover(self) -> tuple[Table, ...]:
        """Every table and view whose columns the user may read."""
        found: dict[str, list[Column]] = {}
        with _spoken("postgresql"), self._open().cursor() as cursor:
            cursor.execute(_COLUMNS)
            for schema, table, column, kind in cursor.fetchall():
                shown = f"{schema}.{table}"
                self._kinds[shown, column] = kind
                found.setdefault(shown, []).append(Column(column, _TYPES.get(kind, pa.string())))
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
        full = table if "." in table else f"public.{table}"
        whole = next((t for t in self.discover() if t.name == full), None)
        if whole is None:
            raise faults.unknown(table)
        wanted = whole.only(columns, conditions)
        shown = [self._shown(full, c) for c in wanted.columns]
        schema, _, bare = full.partition(".")
        return stream(
            wanted, self._batches(wanted, select(f"{name(schema)}.{name(bare)}", shown, conditions))
        )

    def test(self) -> None:
        """Connect, and read the catalogue."""
        self.discover()

    def close(self) -> None:
        """Close the connection; one that is gone already is closed."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _shown(self, table: str, column: Column) -> str:
        plain = name(column.name)
        kind = self._kinds[table, column.name]
        if kind == "money":
            plain = f"CAST({plain} AS numeric)"
        return plain if kind in _TYPES else f"CAST({plain} AS text) AS {name(column.name)}"

    def _batches(self, table: Table, query: str) -> Iterator[pa.RecordBatch]:
        with _spoken(table.name), self._open().cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            cursor.execute(query)
            try:
                for batch in cursor.fetch_record_batch():
                    yield pa.RecordBatch.from_arrays(batch.columns, names=table.schema.names)
            except OSError:  # once rows flow, the driver's errors come through Arrow
                raise faults.dropped(table.name) from None

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = _connected(_conninfo(self._options))
            with _spoken("postgresql"), self._connection.cursor() as cursor:
                for statement in _SESSION:
                    cursor.execute(statement)
        return self._connection


def _conninfo(options: Options) -> str:
    from psycopg.conninfo import make_conninfo

    told = {n: options.text(n) for n in ("host", "port", "user", "sslmode", "sslrootcert") if options.text(n)}
    if password := options.secret("password"):
        told["password"] = password
    return make_conninfo(
        "",
        dbname=options.text("database"),
        connect_timeout=PATIENCE_S,
        application_name="data-sandbox",
        **told,
    )


def _connected(conninfo: str) -> Connection:
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        raise faults.driver("postgresql") from None
    try:
        found: Connection = driver.connect(conninfo)
    except driver.Error:
        from psycopg.pq import PGconn, Ping

        there = PGconn.ping(conninfo.encode()) == Ping.OK
        raise faults.credentials("postgresql") if there else faults.unreachable("postgresql") from None
    return found


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    """Driver errors leave as refusals; their texts, which carry the query and values, are dropped."""
    from adbc_driver_manager import Error

    try:
        yield
    except Error as error:
        if error.sqlstate == LOCKED:
            raise faults.locked(what) from None
        if error.sqlstate == DENIED:
            raise faults.credentials(what) from None
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57")):
            raise faults.dropped(what) from None
        raise faults.unreadable(what) from None


def connect(options: Options, place: Place) -> Connector:
    """A connector to one PostgreSQL database."""
    return PostgreSQL(options, place)


KIND: Final = Kind(
    "postgresql",
    connect,
    required=frozenset({"host", "database", "user"}),
    optional=frozenset({"port", "sslmode", "sslrootcert"}),
    secret=frozenset({"password"}),
)
