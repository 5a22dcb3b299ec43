"""The ingesting process's own DuckDB: trusted side, file-backed, bounded memory, no network."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from sandbox.errors import Code, Refusal, refuse

MEMORY_MB = 2048
"""Most memory that DuckDB may use, in MB; half of the machine's if that is less."""


@contextmanager
def workspace(folder: Path, *, hidden: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose tables and spill live in ``folder``; engine errors leave as refusals.

    ``hidden``: they live in memory alone, half of the machine's at most, and nothing is spilled; for no
    byte of what is to be encrypted may lie on a disk before it is.
    The engine's own text may carry values, so it is dropped: ``Code.SOURCE`` says only that the
    source could not be read.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{_memory_mb(hidden)}MB",
        "temp_directory": "" if hidden else str(folder / "spill"),
        "threads": os.cpu_count() or 1,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": True,
    }
    place = ":memory:" if hidden else str(folder / "work.duckdb")
    try:
        with duckdb.connect(place, config=config) as connection:  # where the disk fails, this does too
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except (duckdb.Error, pa.ArrowException) as error:
        raise _unreadable(error) from None


@contextmanager
def storing() -> Iterator[None]:
    """Where a disk lets us down, that is said, and not where on it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full() from None
        hint = "see that snapshots can be written where they are kept, then repeat the ingestion"
        hint_zh = "请确认快照所在磁盘可写，然后重新导入"
        raise refuse(Code.SOURCE, "the disk cannot be written", hint, hint_zh) from None


def _full() -> Refusal:
    hint = "free disk space where snapshots are kept, then repeat the ingestion"
    return refuse(Code.SOURCE, "the disk is full", hint, "请释放快照所在磁盘的空间，然后重新导入")


def _unreadable(error: Exception) -> Refusal:
    if os.strerror(errno.ENOSPC) in str(error):  # as a failed read, write or commit: no class of its own
        return _full()
    if isinstance(error, (duckdb.OutOfMemoryException, pa.ArrowMemoryError)):
        hint = "free memory or disk space where snapshots are kept"
        return refuse(Code.SOURCE, "out of memory or disk space", hint, "请释放内存或快照所在磁盘的空间")
    hint = "check that every file is a well-formed CSV or Parquet file and that the disk is not full"
    return refuse(
        Code.SOURCE, "a file cannot be read", hint, "请检查文件是否为完好的 CSV 或 Parquet，磁盘是否已满"
    )


def _memory_mb(hidden: bool) -> int:
    half = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**21)
    return half if hidden else min(MEMORY_MB, half)


def scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The single integer that a query returns; NULL counts as 0."""
    row = connection.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0
