"""The policy documents as frozen values: ``Dataset``, ``Grant``, ``Product`` and ``SourceRule``.

This module holds nouns only.  ``load`` reads YAML into them and reports every mistake;
``effective`` (in ``effective.py``) intersects floor ∩ dataset ∩ grant into a ``Catalogue``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Grid, KeyPath, Kind, Range, Scalar, Use


class Share(StrEnum):
    """Sharing attribute (无条件 / 有条件 / 不予共享)."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    NONE = "none"


class Mode(StrEnum):
    """How answers of a grant are protected."""

    DP = "dp"
    EXACT = "exact"


class Release(StrEnum):
    """Who lets an answer out."""

    AUTO = "auto"
    REVIEW = "review"
    TWO_PERSON = "two-person"


@dataclass(frozen=True, slots=True)
class Title:
    """A name in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Why:
    """Reason and legal basis of a conditional or withheld sharing."""

    reason: str
    basis: str


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """One column of a dataset document (words as in POLICY).

    ``share is None`` means the dataset's own.  ``unique``: no two rows of a public table share a value.
    """

    name: str
    kind: Kind
    level: int
    use: frozenset[Use]
    nullable: bool = False
    domain: tuple[Scalar, ...] | None = None
    range: Range = UNBOUNDED
    clip: Range = UNBOUNDED
    scale: Fraction | None = None
    step: Fraction | str | None = None
    share: Share | None = None
    why: Why | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True)
class UnitRule:
    """One kind of privacy unit of a table: directly a column, or the end of a key path.

    ``path`` is empty for a direct column; else ``(KeyPath(...), …)`` is followed in order and
    ``column`` is the unit column of the last table, as in
    ``{person: [claim_id -> claim.claim_id, claim.person_id]}``.
    """

    kind: str
    column: str
    path: tuple[KeyPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Expect:
    """How far a table may drift from the snapshot in force before a person looks.

    ``change``: most percent by which rows read may differ; ``quarantined``: most percent of them left out;
    ``fresh``: a column of days or moments whose newest value is at most ``days`` old.  ``None``, "": any.
    """

    change: int | None = None
    quarantined: int | None = None
    fresh: str = ""
    days: int = 0


@dataclass(frozen=True, slots=True)
class TableRule:
    """One table of a dataset document.

    ``unique``: of a public table, sets of columns in which no two rows agree, together.
    """

    name: str
    columns: tuple[ColumnRule, ...]
    public: bool = False
    units: tuple[UnitRule, ...] = ()
    per_unit: tuple[str, ...] = ()
    rows: int | None = None
    grid: Grid | None = None
    unique: tuple[tuple[str, ...], ...] = ()
    expect: Expect | None = None

    def column(self, name: str) -> ColumnRule | None:
        """The column of exactly this name, or ``None``."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Keep:
    """Which snapshots of before are kept: the newest so many, and all that are younger than so many days."""

    snapshots: int
    days: int = 0


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset document: what exists, how sensitive it is, what may be known about it.

    ``budget`` caps (epsilon, delta) over all grants of this dataset; ``None`` means no DP grant may
    exist beyond the platform's default cap.  ``hash`` is the SHA-256 of the canonical JSON form.
    ``keep is None``: every snapshot is kept.
    """

    id: str
    title: Title
    owner: str
    class_path: tuple[str, ...]
    level: int
    important: bool
    share: Share
    why: Why | None
    snapshot: str
    tables: tuple[TableRule, ...]
    budget: Budget | None = None
    hash: str = ""
    keep: Keep | None = None

    def table(self, name: str) -> TableRule | None:
        """The table of exactly this name, or ``None``."""
        return next((t for t in self.tables if t.name == name), None)


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount of privacy loss: total epsilon at delta (``delta == 0`` means pure)."""

    epsilon: Fraction
    delta: Fraction


@dataclass(frozen=True, slots=True)
class DpGuard:
    """DP guard of a grant.  ``query``: most epsilon one query may spend; ``total`` over the grant.

    ``delta == 0`` asks for pure epsilon.  ``groups``: most groups a unit may bring to partition
    selection.  ``units``: fewest units a group key may rest on.
    """

    query: Fraction
    total: Fraction
    delta: Fraction
    groups: int
    units: int


@dataclass(frozen=True, slots=True)
class ExactGuard:
    """Exact guard of a grant: query quotas (``None`` = no limit of that kind)."""

    per_day: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """The declared use (应用场景)."""

    id: str
    title: Title


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant document.  ``data`` maps ``dataset.table`` to column names, or ``None`` for all."""

    id: str
    to: str
    scenario: Scenario
    purpose: str
    start: dt.date
    until: dt.date
    data: tuple[tuple[str, tuple[str, ...] | None], ...]
    joins: tuple[tuple[str, str], ...]
    guard: DpGuard | ExactGuard
    release: Release
    hash: str = ""

    @property
    def mode(self) -> Mode:
        """Which guard protects its answers."""
        return Mode.DP if isinstance(self.guard, DpGuard) else Mode.EXACT


@dataclass(frozen=True, slots=True)
class RowTest:
    """Rows of a source whose ``column`` compares so with ``value``; a number compares as a number."""

    column: str
    op: str
    value: str | Decimal


@dataclass(frozen=True, slots=True)
class Load:
    """How a table is read again: only rows whose ``since`` is new, on top of what is kept.

    With a ``key`` a row that is read replaces the one of the same key (upsert); without, rows are only added
    (append).  ``overlap``: days (or steps, if ``since`` counts) before the newest that are read once more.
    """

    since: str
    key: tuple[str, ...] = ()
    overlap: int = 0


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table as a source names it, its columns that the dataset names otherwise, which rows are read, and
    how they are read again (``None``: all of them, every time)."""

    name: str
    columns: Mapping[str, str] = field(default_factory=dict)
    where: tuple[RowTest, ...] = ()
    load: Load | None = None


@dataclass(frozen=True, slots=True)
class SourceRule:
    """A source: its connector, the connector's settings (secrets are references), and what it feeds.

    ``tables`` go by ``dataset.table``.
    """

    id: str
    connector: str
    options: Mapping[str, str]
    tables: Mapping[str, SourceTable]


class Form(StrEnum):
    """What a product is delivered as.  Verification of one person (核验) is none."""

    TABLE = "table"
    CHART = "chart"


class Parameter(StrEnum):
    """The type of a product's parameter."""

    DATE = "date"
    INTEGER = "integer"
    DECIMAL = "decimal"
    STRING = "string"


class FeePer(StrEnum):
    """What a fee is the price of: a delivery, or a month in which there was one."""

    DELIVERY = "delivery"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Fee:
    """A product's fee.  ``price`` in units of the currency ``unit``, exactly."""

    basis: str
    price: Fraction
    per: FeePer
    unit: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product document: an approved query under a grant, for the organisations ``to``.

    ``epsilon``: what one computation spends, ``None`` for the grant's default.
    """

    id: str
    grant: str
    title: Title
    form: Form
    sql: str
    parameters: tuple[tuple[str, Parameter], ...]
    epsilon: Fraction | None
    schedule: str
    to: tuple[str, ...]
    fee: Fee
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents that were read together, in the order of their files; ids are unique per kind."""

    datasets: tuple[Dataset, ...] = ()
    grants: tuple[Grant, ...] = ()
    sources: tuple[SourceRule, ...] = ()
    products: tuple[Product, ...] = ()

    def product(self, id: str) -> Product | None:
        """The product of exactly this id, or ``None``."""
        return next((p for p in self.products if p.id == id), None)

    def dataset(self, id: str) -> Dataset | None:
        """The dataset of exactly this id, or ``None``."""
        return next((d for d in self.datasets if d.id == id), None)

    def grant(self, id: str) -> Grant | None:
        """The grant of exactly this id, or ``None``."""
        return next((g for g in self.grants if g.id == id), None)

    def source(self, id: str) -> SourceRule | None:
        """The source of exactly this id, or ``None``."""
        return next((s for s in self.sources if s.id == id), None)
