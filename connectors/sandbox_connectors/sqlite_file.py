"""SQLite, opened read-only, all tables from one state.

Settings: ``path``.  A column of SQLite holds values of any type whatever it declares, so all of them come as
text, with all their digits, and ingestion judges each.  Bytes come as ``0x…``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final
from urllib.parse import quote

import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.files import the_file
from sandbox_connectors.interface import (
    BATCH,
    Condition,
    Connector,
    Kind,
    Options,
    Place,
    Table,
    Value,
    stream,
    text_table,
    texts,
)
from sandbox_connectors.statement import every, literal, name, select

WAIT_S: Final = 10.0
"""How long a locked file is waited for, in seconds."""


class SQLiteFile:
    """The tables and views of one file."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._connection: sqlite3.Connection | None = None

    def discover(self) -> tuple[Table, ...]:
        """Every table and view."""
        rows = self._rows(
            "sqlite",
            "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
            "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid",
        )
        found: dict[str, list[str]] = {}
        for table, column in rows:
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
        shown = [name(c.name) for c in wanted.columns]
        query = select(name(table), shown, conditions, valued=_literal)
        return stream(wanted, texts(wanted, ([_text(v) for v in row] for row in self._rows(table, query))))

    def test(self) -> None:
        """Open the file and read its schema."""
        self.discover()

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rows(self, table: str, query: str) -> Iterator[tuple[object, ...]]:
        try:
            with closing(self._open().execute(query)) as cursor:
                while some := cursor.fetchmany(BATCH):
                    yield from some
        except UnicodeDecodeError:
            raise faults.encoding(table) from None
        except sqlite3.DatabaseError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            )
            raise faults.locked(table) if busy else faults.unreadable(table) from None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            path = the_file(self._options, self._place, "sqlite")
            place = f"file:{quote(str(path))}?mode=ro"
            # Batches are asked for by whichever thread of the reading engine is free, one at a time.
            connection = sqlite3.connect(place, uri=True, timeout=WAIT_S, check_same_thread=False)
            connection.isolation_level = None
            connection.text_factory = _strict
            connection.execute("BEGIN")
            self._connection = connection
        return self._connection


def _strict(raw: bytes) -> str:
    return raw.decode("utf-8")


def _literal(value: Value) -> str:
    return literal(value) if isinstance(value, str) else str(value)


def _text(value: object) -> str | None:
    if value is None:
        return None
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def connect(options: Options, place: Place) -> Connector:
    """A connector to one SQLite file."""
    return SQLiteFile(options, place)


KIND: Final = Kind("sqlite", connect, required=frozenset({"path"}))
