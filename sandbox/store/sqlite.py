"""The store as one SQLite file: how it is opened, and how its troubles are named.

Invariants: WAL with ``synchronous=FULL``, so a commit that returned is on disk; a writing transaction takes
the file's write lock at its first statement (``BEGIN IMMEDIATE``); the file is private to its owner (0600).
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
