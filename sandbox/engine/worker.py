"""The DuckDB worker's process: one locked in-memory database over the files of one snapshot.

Invariants: it can open exactly the files it was given, and write nothing but spill; the configuration is
locked before the first query; a query is one SELECT over known tables, checked on DuckDB's own syntax
tree; every query runs in a transaction that is rolled back; the answer to the gateway is Arrow or one of
three words, never an engine's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import duckdb

from sandbox.engine import child
from sandbox.engine.duckdb_sql import LOCK, RELEASED, literal, quoted
from sandbox.engine.frames import Body, Frame
from sandbox.engine.ipc import opened, written
from sandbox.engine.syntax import only_reads, read

LARGEST_REQUEST: Final = 1 << 30
_ARRIVING: Final = "arriving"  # the Python-side name of a released table while it is copied

Status = Literal["done", "failed", "limit", "broken"]
"""``failed``: this query only.  ``limit``: out of memory.  ``broken``: the database cannot go on."""


def main() -> None:
    """Take the configuration, then queries until the gateway goes away."""
    channel = child.connect()
    configuration = channel.receive(LARGEST_REQUEST).header
    child.restrict(configuration["address_space"], configuration["file_size"])
    if configuration["spill"]:
        child.remove_at_end(configuration["spill"])
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
        for statement in _views(sources):
            self._connection.execute(statement)
        for setting in LOCK:
            self._connection.execute(f"SET {setting}")

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
        syntax = read(self._connection, sql)
        if syntax is None or not only_reads(syntax, self._schemas):
            raise duckdb.ProgrammingError
        self._connection.begin()
        try:
            for name, body in tables.items():
                self._take(name, body)
            return written(self._connection.sql(sql).to_arrow_table())
        finally:
            self._connection.rollback()

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


def _views(sources: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """One view per source.  Nothing is read into a column from a file's name or folder."""
    yield f"CREATE SCHEMA memory.{RELEASED}"
    for source, files in sources.items():
        schema, name = map(quoted, source.split(".", 1))
        paths = ", ".join(map(literal, files))
        yield f"CREATE SCHEMA IF NOT EXISTS memory.{schema}"
        yield (
            f"CREATE VIEW memory.{schema}.{name} AS SELECT * FROM read_parquet([{paths}], "
            "hive_partitioning = false, union_by_name = false, filename = false)"
        )
