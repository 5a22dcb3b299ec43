"""One store file and its transactions.

Invariants:
- a write is one short transaction that takes the write lock at its first statement (``BEGIN IMMEDIATE``)
  and is on disk when ``write()`` returns (WAL with ``synchronous=FULL``), or has left no trace;
- within one thread, ``write()`` inside ``write()`` joins the outer transaction as a savepoint, so that
  several records become durable together, by one flush;
- any number of threads and processes may use the same file;
- trouble of the store is one refusal (``Code.STORE``) with a constant word; no path, SQL or value in it.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    TextClause,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.errors import Code, Refusal, refuse
from sandbox.store.schema import FENCES, VERSION, log_head, metadata, schema_version

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)

_TROUBLE: Final = {
    "BUSY": "locked",
    "LOCKED": "locked",
    "CORRUPT": "damaged",
    "NOTADB": "damaged",
    "FULL": "disk full",
    "IOERR": "disk error",
    "READONLY": "not writable",
    "CANTOPEN": "not writable",
}
"""SQLite's primary result codes in our words."""

_opening = threading.Lock()
"""Creating a file closes a descriptor on it, which would drop the POSIX locks of another thread's store."""


class Database:
    """The store at ``path``, created private to its owner (mode 0600) if there is none.

    ``patience`` is how many seconds to wait for another process's write lock.  Raises ``Refusal`` with
    ``Code.STORE`` if the file is no store, is of another schema version, or cannot be written.
    """

    def __init__(self, path: Path, patience: float = 30.0) -> None:
        self._engine = _engine(path, patience)
        self._writer = self._engine.execution_options(writing=True)
        self._queue = threading.Lock()
        self._local = threading.local()
        with _opening, _named_trouble():
            _make_private(path)
            try:
                self._prepare()
            except Exception:
                self.close()
                raise

    def close(self) -> None:
        """Close the pooled connections.  The store may be used again; it reopens by itself."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One all-or-nothing write.  Leaving it normally makes it durable; an exception undoes it."""
        outer: Connection | None = getattr(self._local, "connection", None)
        with _named_trouble():
            if outer is not None:
                with _savepoint(outer):
                    yield outer
                return
            with self._queue, self._writer.begin() as connection:
                self._local.connection = connection
                try:
                    yield connection
                finally:
                    self._local.connection = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; inside this thread's ``write()`` it sees what was written so far."""
        outer: Connection | None = getattr(self._local, "connection", None)
        with _named_trouble():
            if outer is not None:
                yield outer
                return
            with self._engine.begin() as connection:
                yield connection

    def _prepare(self) -> None:
        with self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA journal_mode = WAL")
        with self.write() as connection:
            if not inspect(connection).has_table(schema_version.name):
                metadata.create_all(connection)
                for fence in FENCES:
                    connection.exec_driver_sql(fence)
                connection.execute(insert(schema_version).values(version=VERSION))
                connection.execute(insert(log_head).values(id=0, size=0))
            if connection.execute(select(schema_version.c.version)).scalars().all() != [VERSION]:
                raise refuse(Code.STORE, "its schema is of another version of this program")


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """A part of a transaction that an exception undoes alone.  The same words in SQLite and PostgreSQL."""
    connection.exec_driver_sql("SAVEPOINT part")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
        connection.exec_driver_sql("RELEASE SAVEPOINT part")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT part")


def insert_new(connection: Connection, table: Table, **values: object) -> bool:
    """Insert a row unless its key is there; True if inserted.

    Text, because Core has no such clause common to both dialects, while SQLite and PostgreSQL share it.
    """
    return connection.execute(_insert_new(table.name, tuple(values)), values).rowcount == 1


@lru_cache
def _insert_new(table: str, columns: tuple[str, ...]) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(f":{name}" for name in columns)
    return text(f'INSERT INTO "{table}" ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING')


def micros(moment: dt.datetime) -> int:
    """Whole microseconds since 1970 UTC.  Raises ``ValueError`` for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return (moment - _EPOCH) // _MICROSECOND


def moment(stored: int) -> dt.datetime:
    """The UTC time of ``micros``, exactly."""
    return _EPOCH + stored * _MICROSECOND


def _engine(path: Path, patience: float) -> Engine:
    """The engine; ``hide_parameters`` keeps query texts and hashes out of exceptions."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": patience}, max_overflow=-1)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # transactions are begun by _on_begin, never by the driver's guess
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _make_private(path: Path) -> None:
    """Create the file for its owner alone, or narrow an existing one; SQLite gives -wal and -shm the same."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError:
        raise refuse(Code.STORE, "not writable") from None


@contextmanager
def _named_trouble() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _trouble(error) from error


def _trouble(error: Exception) -> Refusal:
    """The refusal for what SQLite reports, such as ``SQLITE_IOERR_FSYNC``."""
    name = str(getattr(getattr(error, "orig", error), "sqlite_errorname", ""))
    primary = name.removeprefix("SQLITE_").partition("_")[0]
    return refuse(Code.STORE, _TROUBLE.get(primary, "failed"))
