"""The store as one SQLite file: how it is opened, and how its troubles are named.

Invariants: WAL with ``synchronous=FULL``, so a commit that returned is on disk; a writing transaction takes
the file's write lock at its first statement (``BEGIN IMMEDIATE``); no connection is read-only for good; the
file is private to its owner (0600).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.errors import Code, refuse

_WORDS: Final = {
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


def word(error: BaseException) -> str | None:
    """What SQLite reports, such as ``SQLITE_IOERR_FSYNC``, in one word; ``None`` if nothing known."""
    name = str(getattr(error, "sqlite_errorname", ""))
    return _WORDS.get(name.removeprefix("SQLITE_").partition("_")[0])


def engine(path: Path, patience: float) -> Engine:
    """The engine over the file at ``path``, made private if new.  Refuses ``Code.STORE`` "not writable"."""
    _make_private(path)
    url = URL.create("sqlite", database=str(path))
    # ``hide_parameters`` keeps query texts and hashes out of exceptions.
    made = create_engine(url, hide_parameters=True, connect_args={"timeout": patience}, max_overflow=-1)
    event.listen(made, "connect", _on_connect)
    event.listen(made, "begin", _on_begin)
    try:
        with made.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        made.dispose()
        raise
    return made


def _on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # transactions are begun by _on_begin, never by the driver's guess
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        _demand_writable(connection)
    except BaseException:
        connection.close()
        raise


def _demand_writable(connection: sqlite3.Connection) -> None:
    """Raise SQLite's error where the connection cannot write.

    Files that cannot be opened to be written, SQLite opens to be read, without a word; such a connection
    would refuse every write for as long as it is pooled, long after the disk is well again.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Of a file that is open to be read, SQLite takes the line before for a mere BEGIN; not a write.
            connection.execute("PRAGMA user_version = 0")
        finally:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if word(error) != "locked":  # who finds another at work got past the question
            raise
    connection.execute(f"PRAGMA busy_timeout = {int(patience)}")


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
