"""What is publicly known about the data: tables, columns, and the facts declared about them.

Everything here is public in the sense of the threat model: names, types, declared ranges and
domains, key paths, and the *contents' extent of public tables*.  No fact in here was read from a
protected row.  The SQL front resolves against a ``Catalogue``; the planner derives from it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

Scalar = bool | int | float | str | dt.date | dt.datetime | None
"""A value of a domain or literal.  Decimals are carried as ``Fraction`` in ranges only."""


class Kind(StrEnum):
    """Value types.  DECIMAL is exact with a scale; INTEGER is 64-bit; DOUBLE is binary64."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def numeric(self) -> bool:
        return self in (Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE)

    @property
    def temporal(self) -> bool:
        return self in (Kind.DATE, Kind.TIMESTAMP)


class Use(StrEnum):
    """What a grant may do with a column (POLICY: ``use``)."""

    GROUP = "group"
    FILTER = "filter"
    JOIN = "join"
    MEASURE = "measure"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Range:
    """A closed numeric interval, bounds exact; ``None`` is unbounded on that side."""

    lo: Fraction | None = None
    hi: Fraction | None = None

    @property
    def bounded(self) -> bool:
        return self.lo is not None and self.hi is not None

    @property
    def magnitude(self) -> Fraction | None:
        """The largest absolute value inside, or ``None`` if unbounded."""
        if self.lo is None or self.hi is None:
            return None
        return max(abs(self.lo), abs(self.hi))


UNBOUNDED = Range()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, as far as the public may know it.

    ``range``: numeric bounds, or for dates and timestamps the bounds as ISO day ordinals
    (``date.toordinal``).  ``clip``: where a measure is clamped.  ``scale``: granularity of
    fixed-point sums (``Fraction(1, 100)`` is cents).  ``domain``: the finite values, in declared
    order.  ``step``: a key must be at least this coarse: a number (band width) or one of
    ``hour day week month quarter year``.  ``unique``: no two rows of a public table share a value.
    """

    name: str
    kind: Kind
    use: frozenset[Use] = frozenset()
    nullable: bool = True
    range: Range = UNBOUNDED
    clip: Range = UNBOUNDED
    scale: Fraction | None = None
    domain: tuple[Scalar, ...] | None = None
    step: Fraction | str | None = None
    unique: bool = False
    per_unit: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """The privacy unit of a protected table: its kind and the column that carries it.

    ``column`` is the user-visible unit column if the table has one (equal to the dense unit number
    in the snapshot), else ``None``: the unit was found along a key path.  ``scope`` says within
    which numbering dense integers compare: ``dataset/kind``.
    """

    kind: str
    scope: str
    column: str | None


@dataclass(frozen=True, slots=True)
class KeyPath:
    """``column`` of this table determines the row's unit through ``table.key`` (unique there)."""

    column: str
    table: str
    key: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Exact mode's published grid of one table."""

    cells: tuple[str, ...]
    units: int
    dominance: Fraction
    round: int
    outside_totals: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: ``dataset.name``.  ``unit is None`` means public.

    ``rows``: most rows a unit is expected to bring (declared); with ``rows == 1`` ingestion
    enforces that a unit has one row.  ``extent``: number of rows, for public tables only.
    ``paths``: key paths by which an equality on a key implies equality on the unit.
    ``several_units``: the table declares more than one kind of unit.  ``unique``: sets of columns in which no
    two rows of a public table agree, together (a single column says so itself).
    """

    dataset: str
    name: str
    columns: tuple[Column, ...] = field(hash=False)
    unit: Unit | None = None
    rows: int | None = None
    extent: int | None = None
    paths: tuple[KeyPath, ...] = field(default=(), hash=False)
    grid: Grid | None = field(default=None, hash=False)
    several_units: bool = False
    unique: tuple[tuple[str, ...], ...] = field(default=(), hash=False)

    @property
    def id(self) -> str:
        return f"{self.dataset}.{self.name}"

    @property
    def public(self) -> bool:
        return self.unit is None

    def column(self, name: str) -> Column | None:
        """The column of this (case-folded) name, or ``None``."""
        folded = name.lower()
        return next((c for c in self.columns if c.name.lower() == folded), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables open to one grant, and the joins it lists.

    ``joins`` holds unordered pairs of ``dataset.table.column``.  ``version`` is the canonical hash
    of the documents and snapshots behind it (part of plan and answer keys).
    """

    tables: tuple[Table, ...]
    joins: frozenset[frozenset[str]] = frozenset()
    version: str = ""
    index: dict[str, Table] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for table in self.tables:
            self.index[table.id.lower()] = table

    def find(self, name: str, dataset: str | None = None) -> tuple[Table, ...]:
        """Tables of this name, case-folded; bare names may match in several datasets."""
        if dataset is not None:
            table = self.index.get(f"{dataset}.{name}".lower())
            return (table,) if table else ()
        folded = name.lower()
        return tuple(t for t in self.tables if t.name.lower() == folded)
