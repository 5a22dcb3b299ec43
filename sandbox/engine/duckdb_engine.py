"""The DuckDB engine as the gateway sees it: one worker process, one query at a time.

Invariants: a worker sees the files it is given and nothing else (``worker.py``); a query that fails,
hangs, crashes or runs out of memory costs one worker and one ``EngineFailure``, and the next run starts
afresh; no worker outlives ``close`` or its gateway; between runs nothing stays in a worker.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from sandbox.engine.duckdb_sql import RELEASED
from sandbox.engine.frames import Frame
from sandbox.engine.interface import EngineFailure
from sandbox.engine.ipc import opened, written
from sandbox.engine.process import Child, ChildGone

_START_S: Final = 30.0
_SMALLEST_ADDRESS_SPACE: Final = 2 << 30
_MB: Final = 1 << 20


class DuckDBEngine:
    """An ``Engine`` over Parquet files.

    Names in SQL: a source ``dataset.table`` is ``"memory"."dataset"."table"``, a cube
    ``"memory"."dataset"."table#cube"``, a released table ``"memory"."released"."<name>"``; an accepted
    text names its tables in these three-part forms, or a CTE of its own, and calls no table function.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[Path, ...]],
        *,
        held: Collection[str] = (),
        memory_mb: int = 1024,
        threads: int = 2,
        timeout_s: float = 60.0,
        spill: Path | None = None,
        spill_mb: int = 4096,
    ) -> None:
        """``sources``: table id -> its Parquet files, in order, none of them empty.

        ``held``: small sources that the worker reads into memory when it starts.

        ``memory_mb``: DuckDB's limit; the process gets three times that in address space, at least 2 GB.
        ``timeout_s``: wall clock of one run.  ``spill``: a folder in which a worker may use up to
        ``spill_mb`` megabytes in a private subfolder; without one it can write no byte anywhere.
        Raises ``ValueError`` for a table id, a path or a number that cannot be one.
        """
        if memory_mb < 1 or threads < 1 or timeout_s <= 0 or spill_mb < 1:
            raise ValueError("limits are positive")
        self._sources = {source: _checked(source, files) for source, files in sources.items()}
        self._held = sorted(held)
        self._memory_mb = memory_mb
        self._threads = threads
        self._timeout_s = timeout_s
        self._spill = spill
        self._spill_mb = spill_mb
        self._one_run = threading.Lock()
        self._child: Child | None = None
        self._busy = False
        self._stopped = False

    def run(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The rows of one SELECT; see ``Engine.run``.  Other threads' runs wait for this one."""
        released = tables or {}
        with self._one_run:
            request = _request(sql, released)
            self._stopped, self._busy = False, True
            try:
                return self._answer(request)
            except ChildGone as gone:
                self._drop()
                raise EngineFailure(limit=gone.limit) from None
            finally:
                self._busy = False

    def start(self) -> None:
        """Start the worker now, so that the first run need not wait for it."""
        with self._one_run:
            try:
                self._ready()
            except ChildGone:
                self._drop()
                raise EngineFailure from None

    def cancel(self) -> None:
        """Stop the run in progress, if any: it raises ``EngineFailure``.  Any thread may call this."""
        if not self._busy:
            return
        self._stopped = True  # the worker may still have to be started
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """Stop the run in progress and end the worker.  A later run would start another."""
        self.cancel()
        with self._one_run:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: Frame) -> pa.Table:
        worker = self._ready()
        if self._stopped:
            raise EngineFailure
        reply = worker.call(request, self._timeout_s, self._memory_mb * _MB)
        status = reply.header.get("status")
        if status == "done":
            return _received(reply)
        if status != "failed":
            self._drop()
        raise EngineFailure(limit=status == "limit")

    def _ready(self) -> Child:
        """The worker, started and configured if there is none."""
        if self._child is not None and self._child.alive:
            return self._child
        self._drop()
        self._child = worker = Child("sandbox.engine.worker", self._spill)
        reply = worker.call(Frame(self._configuration(worker.scratch)), _START_S, _MB)
        if reply.header.get("status") != "done":
            raise ChildGone
        return worker

    def _configuration(self, scratch: str) -> dict[str, Any]:
        return {
            "sources": self._sources,
            "held": self._held,
            "threads": self._threads,
            "memory_mb": self._memory_mb,
            "address_space": max(3 * self._memory_mb * _MB, _SMALLEST_ADDRESS_SPACE),
            "file_size": self._spill_mb * _MB if scratch else 0,
            "spill": scratch,
            "spill_mb": self._spill_mb,
        }

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def _checked(source: str, files: tuple[Path, ...]) -> list[str]:
    """The files' real paths.  DuckDB would expand ``*?[`` in a path, and cannot be told not to."""
    dataset, dot, table = source.partition(".")
    if not (dataset and dot and table and files) or dataset.lower() == RELEASED:
        raise ValueError("a source is dataset.table, has files, and is not in the dataset 'released'")
    paths = [str(file.resolve()) for file in files]
    if any(character in path for path in paths for character in "*?[\0"):
        raise ValueError("a snapshot's path holds none of the characters * ? [")
    return paths


def _request(sql: str, tables: Mapping[str, pa.Table]) -> Frame:
    try:
        bodies = tuple(written(table) for table in tables.values())
    except pa.ArrowException:
        raise EngineFailure from None
    return Frame({"sql": sql, "tables": list(tables)}, bodies)


def _received(reply: Frame) -> pa.Table:
    try:
        (body,) = reply.bodies
        return opened(body)
    except (ValueError, pa.ArrowException):
        raise ChildGone from None
