"""The store and its transactions, over one SQLite file or one PostgreSQL database.

Invariants:
- a write is one short transaction that waits its turn among the writers of all processes before it reads
  anything, and is on disk when ``write()`` returns, or has left no trace;
- writes of several threads share a transaction and its flush (``group``), yet stand or fall each alone;
- within one thread, ``write()`` inside ``write()`` joins the outer one as a savepoint, so that several
  records become durable together;
- any number of threads and processes may use the same store;
- trouble of the store is one refusal (``Code.STORE``) with a constant word; no path, SQL or value in it.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Table, TextClause, text
from sqlalchemy.exc import SQLAlchemyError

from sandbox.errors import Code, Refusal, refuse
from sandbox.store import migrate, postgres, sqlite
from sandbox.store.group import Group, NotDurable

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)

_opening = threading.Lock()
"""Creating a file closes a descriptor on it, which would drop the POSIX locks of another thread's store."""


class Database:
    """The store at ``place``: a file's path, or a database's ``postgresql://`` URL.  Made if there is none.

    ``patience`` is how many seconds to wait for another process's turn to write.  Raises ``Refusal`` with
    ``Code.STORE`` if it is no store, is of a newer schema, cannot be reached or cannot be written.
    """

    def __init__(self, place: Path | str, patience: float = 30.0) -> None:
        self._local = threading.local()
        with _opening, _named_trouble():
            self._reader, self._writer = _engines(place, patience)
            self._group = Group(self._writer.execution_options(writing=True))
            try:
                with self.write() as connection:
                    migrate.upgrade(connection)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the pooled connections.  The store may be used again; it reopens by itself."""
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One all-or-nothing write.  Leaving it normally makes it durable; an exception undoes it."""
        outer: Connection | None = getattr(self._local, "connection", None)
        with _named_trouble():
            if outer is not None:
                with _savepoint(outer):
                    yield outer
                return
            with self._group.part() as connection:
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
            with self._reader.begin() as connection:
                yield connection


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


def _engines(place: Path | str, patience: float) -> tuple[Engine, Engine]:
    """To read, and to write."""
    if isinstance(place, str) and place.startswith(postgres.SCHEME):
        return postgres.engines(place, patience)
    engine = sqlite.engine(Path(place), patience)
    return engine, engine


@contextmanager
def _named_trouble() -> Iterator[None]:
    try:
        yield
    except NotDurable as lost:
        raise _trouble(lost.__cause__) from lost
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _trouble(error) from error


def _trouble(error: BaseException | None) -> Refusal:
    """The refusal for what the driver reports."""
    origin = getattr(error, "orig", None) or error
    found = None if origin is None else sqlite.word(origin) or postgres.word(origin)
    return refuse(Code.STORE, found or "failed")
