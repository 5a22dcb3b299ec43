"""MariaDB and MySQL by PyMySQL, unbuffered: the server's rows are read as they are asked for.

Settings: ``host`` or ``socket``, ``database``, ``user``; optional ``port``, ``tls_ca``, and ``password`` by
reference.  All values come as the server's own text, so that ``0000-00-00``, unsigned and decimal values
arrive as they are and ingestion judges each.  FLOAT goes through DOUBLE, since its text has six digits only.
All tables come from one consistent snapshot (of transactional engines).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.interface import (
    BATCH,
    Condition,
    Connector,
    Kind,
    Options,
    Place,
    Table,
    stream,
    text_table,
    texts,
)
from sandbox_connectors.statement import every, name, select

if TYPE_CHECKING:
    from pymysql.connections import Connection

PATIENCE_S: Final = 10
"""How long a connection, and a locked table, are waited for, in seconds."""
STALLED_S: Final = 600
"""How long the next row is waited for, in seconds."""

_DENIED: Final = frozenset({1044, 1045, 1049, 1142, 1143, 1251, 1698})
_AWAY: Final = frozenset({2002, 2003, 2005})
_LOCKED: Final = frozenset({1099, 1205, 1213})
_GONE: Final = frozenset({1053, 1317, 1927, 2006, 2013, 2014, 2055})
_BYTES: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_SHAPES: Final = frozenset(
    [
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    ]
)

_SESSION: Final = (
    "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    "SET SESSION time_zone = '+00:00'",
    f"SET SESSION lock_wait_timeout = {PATIENCE_S}",
    f"SET SESSION net_write_timeout = {STALLED_S}",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_COLUMNS: Final = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns "
    "WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
)


class MariaDB:
    """The tables of one database that its user may read."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._connection: Connection[Any] | None = None
        self._kinds: dict[tuple[str, str], str] = {}

    def discover(self) -> tuple[Table, ...]:
        """Every table and view."""
        found: dict[str, list[str]] = {}
        for table, column, kind in self._rows("mariadb", _COLUMNS):
            self._kinds[str(table), str(column)] = str(kind).lower()
            found.setdefault(str(table), []).append(str(column))
        return tuple(text_table(n, columns) for n, columns in found.items())

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
        shown = [_shown(c.name, self._kinds[table, c.name]) for c in wanted.columns]
        return stream(wanted, texts(wanted, self._rows(table, select(name(table), shown, conditions))))

    def test(self) -> None:
        """Connect, and read the catalogue."""
        self.discover()

    def close(self) -> None:
        """Close the connection; one that is gone already is closed."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _rows(self, table: str, query: str) -> Iterator[tuple[str | None, ...]]:
        connection = self._open()
        with _spoken(table):
            cursor = connection.cursor()
            whole = False
            try:
                cursor.execute(query)
                while some := cursor.fetchmany(BATCH):
                    yield from some
                whole = True
            finally:
                # A cursor that ends early would first read all the rows that are left, its result again when
                # it is collected: so the connection goes first, and the result is told that nothing is left.
                left = getattr(cursor, "_result", None)
                if whole:
                    cursor.close()
                elif left is not None:
                    left.unbuffered_active = False
                    self.close()

    def _open(self) -> Connection[Any]:
        if self._connection is None:
            self._connection = _connected(self._options)
            with _spoken("mariadb"):
                for statement in _SESSION:
                    self._connection.query(statement)
        return self._connection


def _shown(column: str, kind: str) -> str:
    plain = name(column)
    if kind in _BYTES:
        return f"CONCAT('0x', LOWER(HEX({plain})))"
    if kind in _SHAPES:
        return f"ST_AsText({plain})"
    if kind in ("bit", "float"):
        return f"CAST({plain} AS {'UNSIGNED' if kind == 'bit' else 'DOUBLE'})"
    return plain


def _connected(options: Options) -> Connection[Any]:
    try:
        import pymysql.cursors
        from pymysql.converters import conversions
    except ImportError:
        raise faults.driver("mariadb") from None
    told: dict[str, Any] = {"unix_socket": options.text("socket")} if options.text("socket") else {}
    if authority := options.text("tls_ca"):
        told["ssl"] = {"ca": authority, "check_hostname": True}
    with _spoken("mariadb"):
        return pymysql.connect(
            host=options.text("host") or None,
            port=options.whole("port", 3306, 65_535),
            user=options.text("user"),
            password=options.secret("password"),
            database=options.text("database"),
            charset="utf8mb4",
            connect_timeout=PATIENCE_S,
            read_timeout=STALLED_S,
            cursorclass=pymysql.cursors.SSCursor,
            conv={k: v for k, v in conversions.items() if not isinstance(k, int)},  # no decoders: texts
            **told,
        )


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    """Driver errors leave as refusals; their texts, which carry the query and values, are dropped."""
    from pymysql.err import Error

    try:
        yield
    except UnicodeDecodeError:
        raise faults.encoding(what) from None
    except OSError:
        raise faults.dropped(what) from None
    except Error as error:
        number = error.args[0] if error.args else 0
        if number in _DENIED:
            raise faults.credentials(what) from None
        if number in _AWAY:
            raise faults.unreachable(what) from None
        if number in _LOCKED:
            raise faults.locked(what) from None
        raise faults.dropped(what) if number in _GONE or number == 0 else faults.unreadable(what) from None


def connect(options: Options, place: Place) -> Connector:
    """A connector to one MariaDB or MySQL database."""
    return MariaDB(options, place)


KIND: Final = Kind(
    "mariadb",
    connect,
    required=frozenset({"database", "user"}),
    optional=frozenset({"host", "socket", "port", "tls_ca"}),
    secret=frozenset({"password"}),
)
