"""The relation algebra: what a query means, after ``resolve`` and for ever after.

Each node carries its ``fields`` (facts of every output column) and ``privacy``: ``None`` for public
rows, else whose rows they are.  Nodes are built by the functions in ``build``, which enforce the
rules of privacy units (docs/soundness.md); constructing a private node in any other way is a bug.

Nodes are looked up by value while planning, so hashing leaves out what follows from the rest (``fields``) and
what is long (facts of columns); comparing looks at everything.

Invariant: a private relation's rows each belong to exactly one unit, whose dense number stands in the
field ``privacy.unit``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal as Choice

from sandbox.catalogue import Column, Range, Scalar, Table
from sandbox.sql.expressions import Agg, Expr, Facts, Sort, Win


@dataclass(frozen=True, slots=True)
class Source:
    """The stored column that a field passes through unchanged."""

    table: Table
    column: Column = field(hash=False)


@dataclass(frozen=True, slots=True)
class Field:
    """One output column.  ``clip``: where a measure is clamped when it is computed with.

    ``per_unit``: the value is a function of the row's unit (declared, verified at ingestion).
    ``keys``: the sets of its table's columns, this one among them, in which no two rows of a *public*
    relation agree.  ``hidden`` fields cannot be named.
    """

    name: str
    facts: Facts
    source: Source | None = None
    clip: Range | None = field(default=None, hash=False)
    per_unit: bool = False
    keys: tuple[tuple[str, ...], ...] = ()
    hidden: bool = False
    unit_scope: str = ""

    @property
    def unique(self) -> bool:
        """Whether no two rows share the value."""
        return any(len(key) == 1 for key in self.keys)


@dataclass(frozen=True, slots=True)
class Privacy:
    """Whose rows these are.

    ``unit`` indexes the field with the unit's dense number; ``scope`` says in which numbering;
    ``rows`` is how many rows a unit is *expected* to bring (declared, never trusted for soundness);
    ``single`` says a unit has at most one row (enforced by ingestion or by construction).
    """

    unit: int
    scope: str
    kind: str
    rows: int | None
    single: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """Read a stored table.  Private scans end with the hidden unit field."""

    table: Table
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class Values:
    """Constant rows."""

    rows: tuple[tuple[Scalar, ...], ...]
    fields: tuple[Field, ...] = field(hash=False)
    privacy: None = None


@dataclass(frozen=True, slots=True)
class Released:
    """The protected table of release number ``number`` of the plan: public."""

    number: int
    fields: tuple[Field, ...] = field(hash=False)
    privacy: None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows for which ``predicate`` is true."""

    input: Relation
    predicate: Expr
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class Project:
    """Computed columns; the unit field of private rows is carried along."""

    input: Relation
    exprs: tuple[Expr, ...]
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


JoinKind = Choice["inner", "left", "full"]


@dataclass(frozen=True, slots=True)
class Join:
    """Fields are the left's, then the right's; ``on`` stands over both."""

    kind: JoinKind
    left: Relation
    right: Relation
    on: Expr
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """Rows of ``left`` with (``anti``: without) a match; ``on`` stands over left, then right."""

    left: Relation
    right: Relation
    on: Expr
    anti: bool
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Fields are the keys, then the aggregates.  Over private input without the unit among its keys
    this node is a *release*: its output is public once protected."""

    input: Relation
    keys: tuple[Expr, ...]
    aggs: tuple[Agg, ...]
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each row once."""

    input: Relation
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class Window:
    """The input's fields, then one for each window function."""

    input: Relation
    wins: tuple[Win, ...]
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class SetOp:
    """``op`` is union, except or intersect; ``all`` keeps duplicates."""

    op: Choice["union", "except", "intersect"]
    all: bool
    left: Relation
    right: Relation
    fields: tuple[Field, ...] = field(hash=False)
    privacy: Privacy | None


@dataclass(frozen=True, slots=True)
class Order:
    """Sort, then skip ``offset`` and keep ``limit`` rows.  Public rows only."""

    input: Relation
    by: tuple[Sort, ...]
    limit: int | None
    offset: int
    fields: tuple[Field, ...] = field(hash=False)
    privacy: None = None


Relation = (
    Scan
    | Values
    | Released
    | Filter
    | Project
    | Join
    | SemiJoin
    | Aggregate
    | Distinct
    | Window
    | SetOp
    | Order
)


def inputs(relation: Relation) -> tuple[Relation, ...]:
    """The relations that this one reads."""
    match relation:
        case Scan() | Values() | Released():
            return ()
        case Join() | SemiJoin() | SetOp():
            return (relation.left, relation.right)
        case _:
            return (relation.input,)


def walk(relation: Relation) -> Iterator[Relation]:
    """The relation and everything under it, top first."""
    yield relation
    for below in inputs(relation):
        yield from walk(below)


def with_inputs(relation: Relation, change: Callable[[Relation], Relation]) -> Relation:
    """The same node over changed inputs (fields and privacy are kept)."""
    match relation:
        case Scan() | Values() | Released():
            return relation
        case Join() | SemiJoin() | SetOp():
            return replace(relation, left=change(relation.left), right=change(relation.right))
        case _:
            return replace(relation, input=change(relation.input))


def is_release(relation: Relation) -> bool:
    """Whether this node turns private rows into a public table."""
    return isinstance(relation, Aggregate) and relation.privacy is None and relation.input.privacy is not None


def facts(relation: Relation) -> tuple[Facts, ...]:
    """The facts of all fields."""
    return tuple(f.facts for f in relation.fields)


def visible(relation: Relation) -> tuple[int, ...]:
    """Indexes of the fields that a query can name or output."""
    return tuple(i for i, f in enumerate(relation.fields) if not f.hidden)


def releases(relation: Relation) -> tuple[Aggregate, ...]:
    """Every release under ``relation``, inner ones first, each once."""
    found: dict[Aggregate, None] = {}

    def visit(node: Relation) -> None:
        for below in inputs(node):
            visit(below)
        if isinstance(node, Aggregate) and is_release(node):
            found[node] = None

    visit(relation)
    return tuple(found)
