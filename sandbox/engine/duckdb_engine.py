"""The DuckDB engine as the gateway sees it: one worker process, one query at a time.

Invariants: a worker sees the files it is given and nothing else (``worker.py``); a query that fails,
hangs, crashes or runs out of memory costs one worker and one ``EngineFailure``, and the next run starts
afresh; no worker outlives ``close`` or its gateway; between runs nothing stays in a worker.
"""

from __future__ import annotations

import threading
import weakref
from base64 import b64encode
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from sandbox.engine import found
from sandbox.engine.box import Box
from sandbox.engine.crew import Crew
from sandbox.engine.duckdb_sql import RELEASED
from sandbox.engine.frames import Frame
from sandbox.engine.hired import Hired
from sandbox.engine.interface import EngineFailure
from sandbox.engine.ipc import opened, written
from sandbox.engine.layers import Layer
from sandbox.engine.process import ChildGone

_START_S: Final = 30.0
_SMALLEST_ADDRESS_SPACE: Final = 2 << 30
_MB: Final = 1 << 20
_EARLY: Final = 0.5  # the part of a worker's life after which its successor is started
_LIFE: Final = 10  # a worker lives for as much work as this many of the longest runs


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
        keys: Mapping[str, bytes] | None = None,
        memory_mb: int = 1024,
        threads: int = 2,
        timeout_s: float = 60.0,
        spill: Path | None = None,
        spill_mb: int = 4096,
        queries: int = 1000,
        layers: frozenset[Layer] | None = None,
        crew: Crew | None = None,
    ) -> None:
        """``sources``: table id -> its Parquet files, in order, none of them empty.

        ``held``: small sources that the worker reads into memory when it starts.  ``keys``: of sources whose
        files are encrypted; the worker is told these keys through its channel and no others.

        ``memory_mb``: DuckDB's limit; the process gets three times that in address space, at least 2 GB.
        ``timeout_s``: wall clock of one run.  ``spill``: a folder in which a worker may use up to
        ``spill_mb`` megabytes in a private subfolder; without one it can write no byte anywhere.
        ``queries``: runs of one worker; the next is then another's, which is started beforehand.
        ``layers``: of the box around the worker; by default all that the machine gives.  ``crew``: of all
        engines that share a bound on memory.
        Raises ``ValueError`` for a table id, a path or a number that cannot be one.
        """
        if memory_mb < 1 or threads < 1 or timeout_s <= 0 or spill_mb < 1 or queries < 1:
            raise ValueError("limits are positive")
        self._sources = {source: _checked(source, files) for source, files in sources.items()}
        self._held = sorted(held)
        self._keys = {source: b64encode(key).decode() for source, key in (keys or {}).items()}
        self._memory_mb = memory_mb
        self._threads = threads
        self._timeout_s = timeout_s
        self._spill = spill
        self._spill_mb = spill_mb
        self._queries = queries
        self._layers = layers
        self._crew = Crew() if crew is None else crew
        self._one_run = threading.Lock()
        self._child: Hired | None = None
        self._spare_lock = threading.Lock()
        self._spare: Hired | None = None
        self._busy = False
        self._stopped = self._closed = False

    def run(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The rows of one SELECT; see ``Engine.run``.  Other threads' runs wait for this one."""
        released = tables or {}
        with self._one_run:
            request = _request(sql, released)
            self._crew.join(self)
            self._stopped, self._closed, self._busy = False, False, True
            try:
                return self._answer(request)
            except ChildGone as gone:
                self._drop()
                self._prepare_soon()
                raise EngineFailure(limit=gone.limit) from None
            finally:
                self._busy = False
                self._retire()

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
        with self._spare_lock:
            self._closed = True
            self._drop_spare()

    def spare_is_ready(self) -> bool:
        """Whether the next worker is there and waits for its first query."""
        if not self._spare_lock.acquire(blocking=False):
            return False  # it is being started
        try:
            return self._spare is not None and self._spare.alive
        finally:
            self._spare_lock.release()

    def dismiss_idle(self) -> bool:
        """End one worker that runs nothing, the spare one first; whether there was one."""
        if self._spare_lock.acquire(blocking=False):
            try:
                if self._spare is not None:
                    self._drop_spare()
                    return True
            finally:
                self._spare_lock.release()
        if self._one_run.acquire(blocking=False):
            try:
                if self._child is not None:
                    self._drop()
                    return True
            finally:
                self._one_run.release()
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def box(self) -> Box:
        """What a worker of this engine may have."""
        return Box(
            found.available() if self._layers is None else self._layers,
            reads=tuple(dict.fromkeys(file for files in self._sources.values() for file in files)),
            spill=self._spill,
            spill_size=self._spill_mb * _MB,
            address_space=max(3 * self._memory_mb * _MB, _SMALLEST_ADDRESS_SPACE),
            threads=self._threads,
            cpu_s=int((_LIFE + 1) * self._timeout_s + _START_S) * self._threads,
        )

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

    def _ready(self) -> Hired:
        """The worker; the spare one, or one started now, if there is none."""
        if self._child is not None and self._child.alive:
            return self._child
        self._drop()
        with self._spare_lock:  # one that is being started is waited for
            self._child, self._spare = self._spare, None
        if self._child is None or not self._child.alive:
            self._drop()
            self._child = self._hired(self._timeout_s)
            self._configure(self._child)
        return self._child

    def _hired(self, patience_s: float) -> Hired:
        """A worker that does not know its files yet."""
        if not self._crew.claim(self._memory_mb, patience_s):
            raise ChildGone(limit=True)
        return Hired(self.box(), self._crew, self._memory_mb)

    def _configure(self, worker: Hired) -> None:
        reply = worker.call(Frame(self._configuration(worker.scratch)), _START_S, _MB)
        if reply.header.get("status") != "done":
            raise ChildGone

    def _retire(self) -> None:
        """Let a worker go that has done its work; have the next one ready before."""
        worker = self._child
        if worker is None:
            return
        done = max(worker.runs / (self._queries + 1), worker.busy_s / (_LIFE * self._timeout_s))
        if done >= 1:
            self._drop()
        if done >= _EARLY and self._spare is None:
            self._prepare_soon()

    def _prepare_soon(self) -> None:
        method = weakref.WeakMethod(self._prepare)  # so that work ahead keeps no forgotten engine

        def prepare() -> None:
            if (still := method()) is not None:
                still()

        self._crew.ahead(prepare)

    def _prepare(self) -> None:
        """Start the spare worker, if there is room without sending another away."""
        with self._spare_lock:
            if self._closed or (self._spare is not None and self._spare.alive):
                return
            self._drop_spare()
            try:
                self._spare = self._hired(0)
                self._configure(self._spare)
            except ChildGone:
                self._drop_spare()

    def _configuration(self, scratch: str) -> dict[str, Any]:
        return {
            "sources": self._sources,
            "held": self._held,
            "keys": self._keys,
            "threads": self._threads,
            "memory_mb": self._memory_mb,
            "spill": scratch,
            "spill_mb": self._spill_mb,
        }

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None


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
