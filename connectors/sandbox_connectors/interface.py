"""The one interface of all sources, and the values that pass through it.

A ``Connector`` tells its tables, opens one as a stream of Arrow batches, and judges no value: what cannot be
parted into columns comes as a row of nulls with its text in ``MALFORMED``, so that rows in are rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.secrets import Secret

BATCH: Final = 65_536
"""Most rows of a batch: what a connector holds in memory at a time."""

MALFORMED: Final = "_malformed"
"""A column of text that a reader may add: the source's own text of a row that has no columns."""

Value = str | int | Decimal


class Op(StrEnum):
    """How a condition compares."""

    EQUAL = "="
    DIFFERENT = "<>"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows whose ``column`` compares so with ``value``.  A row without a value there never does."""

    column: str
    op: Op
    value: Value


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the source names it, with the Arrow type in which it comes."""

    name: str
    type: pa.DataType


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the source names it."""

    name: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """The same as an Arrow schema."""
        return pa.schema([(c.name, c.type) for c in self.columns])

    def only(self, columns: Sequence[str], where: Iterable[Condition] = ()) -> Table:
        """The table with these columns alone.  ``Code.SOURCE_UNKNOWN`` if it lacks one, of ``where`` too."""
        known = {c.name: c for c in self.columns}
        for name in (*columns, *(c.column for c in where)):
            if name not in known:
                raise faults.unknown(f"{self.name}: {name}")
        return Table(self.name, tuple(known[name] for name in columns))


class Connector(Protocol):
    """One source, connected when first needed.  Every method refuses in the words of ``faults``."""

    def discover(self) -> tuple[Table, ...]:
        """The tables that may be read, with their columns and types."""

    def open(
        self,
        table: str,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        since: Condition | None = None,
    ) -> pa.RecordBatchReader:
        """The rows of a table that meet every condition; no batch is read before it is asked for.

        ``since`` is one more condition, by which a later load reads what was not there before.
        Tables that one connector opens are read one after the other, from one state of a database.
        """

    def test(self) -> None:
        """Connect, and see that there is something to read."""

    def close(self) -> None:
        """Let go of the connection."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where relative paths start, and where a connector may lay down what it cannot hold in memory."""

    folder: Path
    scratch: Path


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one source, known to its kind; secrets are references."""

    texts: Mapping[str, str]
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The setting, or "" if it was not written."""
        return self.texts.get(name, "")

    def whole(self, name: str, default: int, most: int) -> int:
        """The setting as a whole number from 1 to ``most``."""
        with suppress(ValueError):
            found = int(self.texts.get(name) or default)
            if 1 <= found <= most:
                return found
        raise faults.setting(name, f"a whole number from 1 to {most}", f"应为 1 到 {most} 的整数")

    def secret(self, name: str) -> str:
        """What the reference leads to, or "" if none was written."""
        found = self.secrets.get(name)
        return found.reveal() if found else ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source, as its entry point gives it."""

    name: str
    connect: Callable[[Options, Place], Connector]
    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()

    def options(self, written: Mapping[str, str]) -> Options:
        """The settings of a document, told apart.  ``Code.DOCUMENT`` for the first that does not fit."""
        known = self.required | self.optional | self.secret
        for name in sorted(self.required - set(written)):
            raise faults.setting(name, "this setting is required", "此项必填")
        for name in sorted(set(written) - known):
            listed = ", ".join(sorted(known))
            raise faults.setting(name, f"one of: {listed}", f"可用：{listed}")
        secrets = {n: Secret(v) for n, v in written.items() if n in self.secret}
        return Options({n: v for n, v in written.items() if n not in self.secret}, secrets)


def stream(table: Table, batches: Iterator[pa.RecordBatch], *, ragged: bool = False) -> pa.RecordBatchReader:
    """A reader over batches that all have the table's schema (and ``MALFORMED``, if rows may be ragged).

    Refuses with ``Code.SOURCE_CHANGED`` at the first batch that has another.
    """
    schema = table.schema.append(pa.field(MALFORMED, pa.string())) if ragged else table.schema

    def alike() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.schema.equals(schema):
                raise faults.changed(table.name)
            yield batch

    return pa.RecordBatchReader.from_batches(schema, alike())


def texts(table: Table, rows: Iterable[Sequence[str | None]]) -> Iterator[pa.RecordBatch]:
    """Batches of text columns from rows of equal width."""
    held: list[Sequence[str | None]] = []
    for row in rows:
        held.append(row)
        if len(held) == BATCH:
            yield _batch(table, held)
            held = []
    if held:
        yield _batch(table, held)


def _batch(table: Table, rows: list[Sequence[str | None]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [() for _ in table.columns]
    arrays = [pa.array(values, c.type) for values, c in zip(columns, table.columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def text_table(name: str, columns: Iterable[str]) -> Table:
    """A table whose columns all come as text.  Refuses names that are missing or repeated."""
    names = tuple(columns)
    if not names or not all(names) or len({n.casefold() for n in names}) < len(names):
        raise faults.unreadable(f"{name}: column names are missing or repeated")
    return Table(name, tuple(Column(n, pa.string()) for n in names))
