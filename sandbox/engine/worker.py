"""The DuckDB worker's process: one locked in-memory database over the files of one snapshot.

Invariants: whatever its box allows, it can open exactly the files it was given, and write nothing but spill;
the configuration is locked before the first query; a query is one SELECT over known tables, checked on
DuckDB's own syntax tree; every query runs in a transaction that is rolled back; the answer to the gateway is
Arrow or one of three words, never an engine's text.

What is remembered from one query to the next follows from its text alone: that it was accepted, and DuckDB's
plan of it where it reads nothing but tables held in memory.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import duckdb
import pyarrow as pa

from sandbox.engine import child
from sandbox.engine.duckdb_sql import LOCK, RELEASED, literal, quoted
from sandbox.engine.frames import Body, Frame
from sandbox.engine.ipc import opened, written
from sandbox.engine.syntax import only_reads, read
from sandbox.recent import Recent

LARGEST_REQUEST: Final = 1 << 30
_ARRIVING: Final = "arriving"  # the Python-side name of a released table while it is copied
_REMEMBERED: Final = 1 << 19
"""Characters of accepted texts that are remembered, and of those with a plan of their own."""

Status = Literal["done", "failed", "limit", "broken"]
"""``failed``: this query only.  ``limit``: out of memory.  ``broken``: the database cannot go on."""


def main() -> None:
    """Take the configuration, then queries until the gateway goes away."""
    channel = child.connect()
    configuration = channel.receive(LARGEST_REQUEST).header
    database = _Database(configuration)
    channel.send(Frame({"status": "done"}))
    while True:
        try:
            request = channel.receive(LARGEST_REQUEST)
        except EOFError:
            return
        status, bodies = database.answer(request)
        channel.send(Frame({"status": status}, bodies))


class _Database:
    """The connection and the schemas that a query may name."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        sources: dict[str, list[str]] = configuration["sources"]
        self._connection = duckdb.connect(":memory:")
        for setting in _settings(configuration):
            self._connection.execute(f"SET {setting}")
        self._schemas = frozenset({RELEASED, *(source.split(".", 1)[0].lower() for source in sources)})
        for statement in _schemas(sources):
            self._connection.execute(statement)
        hold: Sequence[str] = configuration["held"]
        keys: Mapping[str, str] = configuration["keys"]
        for source, key in keys.items():
            self._connection.execute(f"PRAGMA add_parquet_key({literal(source)}, {literal(key)})")
        rows = {source: _rows(files, source if source in keys else "") for source, files in sources.items()}
        held = [(self._hold if s in hold else self._view)(s, text) for s, text in rows.items()]
        for setting in LOCK:
            self._connection.execute(f"SET {setting}")
        self._in_memory = all(held)
        self._accepted: Recent[str, bool] = Recent(_REMEMBERED)
        self._prepared: Recent[str, str] = Recent(_REMEMBERED)
        self._numbers = itertools.count()

    def answer(self, request: Frame) -> tuple[Status, tuple[Body, ...]]:
        """Run one query over the snapshot and the tables that came with it."""
        names: Sequence[str] = request.header["tables"]
        tables = dict(zip(names, request.bodies, strict=True))
        try:
            return "done", (self._run(request.header["sql"], tables),)
        except (MemoryError, duckdb.OutOfMemoryException):
            return "limit", ()
        except (duckdb.InternalException, duckdb.FatalException):
            return "broken", ()
        except duckdb.Error:
            return "failed", ()
        except Exception:
            return "broken", ()

    def _run(self, sql: str, tables: Mapping[str, Body]) -> Body:
        self._check(sql)
        self._connection.begin()
        try:
            if self._in_memory and not tables and len(sql) <= _REMEMBERED:
                return written(self._again(sql))
            for name, body in tables.items():
                self._take(name, body)
            return written(self._connection.sql(sql).to_arrow_table())
        finally:
            self._connection.rollback()

    def _check(self, sql: str) -> None:
        if self._accepted.get(sql):
            return
        syntax = read(self._connection, sql)
        if syntax is None or not only_reads(syntax, self._schemas):
            raise duckdb.ProgrammingError
        self._accepted.put(sql, value=True, weight=len(sql))

    def _again(self, sql: str) -> pa.Table:
        """Run a text whose answer is small, by the plan made when it first came."""
        name = self._prepared.get(sql)
        if name is None:
            name = f"q{next(self._numbers)}"
            self._connection.execute(f"PREPARE {name} AS {sql}")
            for forgotten in self._prepared.put(sql, name, len(sql)):
                self._connection.execute(f"DEALLOCATE {forgotten}")
        with warnings.catch_warnings(action="ignore"):  # of one more copy of rows that are few
            return self._connection.execute(f"EXECUTE {name}").to_arrow_table()

    def _hold(self, source: str, rows: str) -> bool:
        """Read a source into memory, once; a view of it where there is no room for that."""
        try:
            self._connection.execute(f"CREATE TABLE {_name(source)} AS {rows}")
        except duckdb.OutOfMemoryException:
            return self._view(source, rows)
        return True

    def _view(self, source: str, rows: str) -> bool:
        self._connection.execute(f"CREATE VIEW {_name(source)} AS {rows}")
        return False

    def _take(self, name: str, body: Body) -> None:
        """Copy a released table into its schema: a view over Arrow would be a temporary object."""
        self._connection.register(_ARRIVING, opened(body))
        try:
            self._connection.execute(
                f"CREATE TABLE memory.{RELEASED}.{quoted(name)} AS SELECT * FROM temp.main.{_ARRIVING}"
            )
        finally:
            self._connection.unregister(_ARRIVING)


def _settings(configuration: dict[str, Any]) -> Iterator[str]:
    files = (file for files in configuration["sources"].values() for file in files)
    yield f"threads = {int(configuration['threads'])}"
    yield f"memory_limit = {literal(str(configuration['memory_mb']) + 'MiB')}"
    yield f"temp_directory = {literal(configuration['spill'])}"
    yield f"max_temp_directory_size = {literal(str(configuration['spill_mb']) + 'MiB')}"
    yield f"allowed_paths = [{', '.join(map(literal, files))}]"
    yield "TimeZone = 'UTC'"
    yield "parquet_metadata_cache = true"  # snapshots never change


def _schemas(sources: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"CREATE SCHEMA memory.{RELEASED}"
    for source in sources:
        yield f"CREATE SCHEMA IF NOT EXISTS memory.{quoted(source.split('.', 1)[0])}"


def _name(source: str) -> str:
    return "memory." + ".".join(map(quoted, source.split(".", 1)))


def _rows(files: Sequence[str], key: str) -> str:
    """The rows of a source.  Nothing is read into a column from a file's name or folder.

    ``key``: the name of the key that opens them, or "".
    """
    opened_by = f", encryption_config = {{footer_key: {literal(key)}}}" if key else ""
    # Conditions that reach the scan of an encrypted file make DuckDB 2.0 take it for forged.
    unfiltered = " OFFSET 0" if key else ""
    paths = ", ".join(map(literal, files))
    return (
        f"SELECT * FROM read_parquet([{paths}], "
        f"hive_partitioning = false, union_by_name = false, filename = false{opened_by}){unfiltered}"
    )
