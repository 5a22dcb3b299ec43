"""The invented province: source files of the datasets ``med`` and ``power``.

``write`` is deterministic in content: every value is a function of seed and place, so the chunk size
changes nothing but memory.  Peak memory is set by the chunk, never by the number of residents.
Per 100,000 residents: about 205,000 claims, 440,000 claim items, 10,000 enterprises and 325,000
monthly readings.  A few bad rows are planted at the end of each protected table (``PLANTED``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.demo import med, power
from sandbox.demo.draws import Draws, Ints
from sandbox.errors import Code, refuse

LEAST, MOST = 1_000, 10_000_000
RESIDENTS_PER_ENTERPRISE: Final = 10
CHUNK: Final = 50_000

PLANTED: Final[dict[str, int]] = {
    **{f"med.{table}": count for table, count in med.PLANTED.items()},
    **{f"power.{table}": count for table, count in power.PLANTED.items()},
}
"""How many bad rows each source file holds, by ``dataset.table``."""


def write(folder: Path, residents: int = 100_000, seed: int = 7, *, chunk: int = CHUNK) -> dict[str, Path]:
    """Write ``folder/med/*.parquet`` and ``folder/power/*.parquet``; give the file of each table.

    ``residents``: 1,000 to 10,000,000, else refused with ``SOURCE``.  ``chunk``: residents in
    memory at a time.  Keys are ``dataset.table``.  Each file appears under its name only when it is complete.
    """
    if not LEAST <= residents <= MOST:
        hint = f"ask for {LEAST:,} to {MOST:,} residents"
        raise refuse(Code.SOURCE, f"{residents} residents", hint, f"居民数须在 {LEAST:,} 至 {MOST:,} 之间")
    draws, enterprises = Draws(seed), residents // RESIDENTS_PER_ENTERPRISE
    return {
        **_write_tables(folder / "med", "med", _med(draws, residents, chunk)),
        **_write_tables(folder / "power", "power", _power(draws, enterprises, chunk)),
    }


def _med(draws: Draws, residents: int, chunk: int) -> Iterator[tuple[str, pa.Table]]:
    yield "hospital", med.hospitals()
    yield "chapter", med.chapters()
    for index in _ranges(residents, chunk):
        yield from med.chunks(draws, index)
    yield from med.planted(draws)


def _power(draws: Draws, enterprises: int, chunk: int) -> Iterator[tuple[str, pa.Table]]:
    yield "sector", power.sectors()
    for index in _ranges(enterprises, max(1, chunk // RESIDENTS_PER_ENTERPRISE)):
        yield from power.chunks(draws, index)
    yield from power.planted(draws)


def _ranges(total: int, chunk: int) -> Iterator[Ints]:
    """0 … total - 1 in runs of at most ``chunk``."""
    for start in range(0, total, chunk):
        yield np.arange(start, min(start + chunk, total), dtype=np.int64)


def _write_tables(folder: Path, dataset: str, parts: Iterable[tuple[str, pa.Table]]) -> dict[str, Path]:
    """Append each part to its table's file; rename the files into place when all are closed."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, pq.ParquetWriter] = {}
    with ExitStack() as stack:
        for table, rows in parts:
            if table not in writers:
                partial = folder / f"{table}.parquet.partial"
                writers[table] = stack.enter_context(pq.ParquetWriter(partial, rows.schema))
            writers[table].write_table(rows)
    files = {f"{dataset}.{table}": folder / f"{table}.parquet" for table in writers}
    for path in files.values():
        path.with_name(path.name + ".partial").replace(path)
    return files
