"""Feeds: sources that hand over their rows as a stream of Arrow batches, read once and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import duckdb
import pyarrow as pa

from sandbox.errors import Refusal
from sandbox.policy.documents import Load, RowTest

MALFORMED: Final = "_malformed"
"""A column of text that a feed may add: what the source holds in place of a row that has no columns."""


class Feed(Protocol):
    """One table of a source, by the names of the dataset document."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that there are."""

    @property
    def load(self) -> Load | None:
        """How it is read again on top of what was read before; ``None``: as a whole, every time."""

    def open(self, columns: Sequence[str], since: RowTest | None = None) -> pa.RecordBatchReader:
        """The rows with these columns, and perhaps ``MALFORMED``.  Refuses, then or at any batch.

        With ``since`` those that meet it are enough; more may come.
        """


@dataclass(frozen=True, slots=True)
class Fed:
    """A table whose rows come from a feed; the counterpart of ``Source``."""

    table: str
    feed: Feed
    columns: tuple[str, ...]
    since: RowTest | None = None

    @contextmanager
    def attached(self, connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> Iterator[str]:
        """A query for ``_row``, the wanted columns as ``_r0`` …, and ``_malformed``, to be run once.

        A refusal of the feed's, in the midst of its rows, is raised as it is.
        """
        faults: list[Refusal] = []
        reader = self.feed.open(wanted, self.since)
        shown = "".join(f", c{i} AS _r{i}" for i in range(len(wanted)))
        at = reader.schema.get_field_index(MALFORMED)
        broken = f"c{at}" if at >= 0 else "NULL"
        connection.register("feed", _watched(reader, faults))
        try:
            yield (
                f"SELECT row_number() OVER () - 1 AS _row{shown}, CAST({broken} AS VARCHAR) AS _malformed "
                "FROM feed"
            )
        except duckdb.Error:
            if faults:
                raise faults[0] from None
            raise
        finally:
            connection.unregister("feed")


def _watched(reader: pa.RecordBatchReader, faults: list[Refusal]) -> pa.RecordBatchReader:
    """The same rows under plain names; a refusal is kept, since the engine passes on texts alone."""
    schema = pa.schema([(f"c{i}", field.type) for i, field in enumerate(reader.schema)])

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except Refusal as refusal:
            faults.append(refusal)
            raise

    return pa.RecordBatchReader.from_batches(schema, batches())
