"""Aggregates that need a release of their own: quantiles, extremes, and distinct values.

Quantiles of one column share one histogram of its cells; where cells hold several values, one more release a
quantile counts the rows of the cell in which it lies, by even parts.  The groups are those of the main
release; where these are selected, they are listed from it.  All is joined again above (``joined``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from sandbox.catalogue import Kind, Scalar
from sandbox.privacy.days import counted
from sandbox.privacy.desugar import Base, present
from sandbox.privacy.faces import ZOOMED, Face, Point, Read, Zoom
from sandbox.privacy.grid import cells_for, grid, zoomed_cell
from sandbox.privacy.release import Key, Listing, Release, What
from sandbox.sql.aggregates import EXTREMES, QUANTILES
from sandbox.sql.build import clamp_values, filter_, join
from sandbox.sql.expressions import TRUE, Agg, Call, Cast, Col, Expr, Literal, conjunction
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Field, Join, Project, Relation, Released, facts

MOST_CELLS = 2**14
"""Cells of one histogram, over all groups that are known."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What all releases of one aggregation share: rows, keys, which groups there are, how many at most."""

    below: Relation
    keys: tuple[Key, ...]
    listing: Listing | None
    most: int | None


@dataclass(frozen=True, slots=True)
class Side:
    """An aggregate's column in the public table of another release."""

    table: Released
    column: int


class Builder(Protocol):
    """The planner, as far as sides need it."""

    def built(self, frame: Frame, base: Base, face: Face | None) -> Release:
        """A release of one measure over the frame's groups."""

    def public(self, release: Release) -> Released:
        """Its public table."""


def aside(agg: Agg, scope_unit: bool) -> bool:
    """Whether the aggregate needs a release of its own; ``scope_unit``: its argument is the unit."""
    return agg.name in QUANTILES | EXTREMES or (agg.distinct and not scope_unit)


def sides(aggs: Sequence[Agg], frame: Frame, builder: Builder) -> dict[Agg, Side]:
    """Build the releases that these aggregates need, and where each then stands."""
    found: dict[Agg, Side] = {}
    families: dict[tuple[Expr | None, Expr | None], dict[Agg, None]] = {}
    for agg in aggs:
        if agg.distinct and agg.name not in EXTREMES:
            found[agg] = _distinct(agg, frame, builder)
        else:
            families.setdefault((agg.arg, agg.where), {})[agg] = None
    for members in families.values():
        found |= _quantiles(tuple(members), frame, builder)
    return found


def _distinct(agg: Agg, frame: Frame, builder: Builder) -> Side:
    where = present(agg, frame.below)
    release = builder.built(frame, Base(What.DISTINCT, agg.arg, where), None)
    return Side(builder.public(release), len(frame.keys))


def _quantiles(members: tuple[Agg, ...], frame: Frame, builder: Builder) -> dict[Agg, Side]:
    agg = members[0]
    assert agg.arg is not None
    value = clamp_values(agg.arg, frame.below.fields)
    own = facts_of(value, facts(frame.below))
    points = {m: _point(m, own.kind) for m in members}
    value, known = counted(value, own)
    cut = grid(known, agg.name, cells_for(frame.most, MOST_CELLS))
    asked = tuple(dict.fromkeys(points.values()))
    rows = filter_(frame.below, present(agg, frame.below) or TRUE)
    frame = replace(frame, below=rows)
    value = Cast(value, Kind.DOUBLE) if known.kind is Kind.INTEGER else value
    cells = _numbered(cut.cell(value), frame.below, cut.cells)
    by_cell = replace(frame, keys=(*frame.keys, cells))
    if cut.single:
        table = builder.public(builder.built(by_cell, Base(What.ROWS), Read(cut, asked)))
        return {m: Side(table, len(frame.keys) + asked.index(points[m])) for m in members}
    first = builder.built(by_cell, Base(What.ROWS), Zoom(cut, asked))
    shown = builder.public(first)
    faces = [Read(cut, (p,), first.number, i, first.identity) for i, p in enumerate(asked)]
    tables = [_zoomed(frame, value, shown, face, builder) for face in faces]
    return {m: Side(tables[asked.index(points[m])], len(frame.keys)) for m in members}


def _point(agg: Agg, kind: Kind) -> Point:
    """What is asked of the values; dates and moments are answered by such as can occur."""
    within = agg.name in ("median", "quantile_cont")
    answer = kind if kind.temporal or (kind is Kind.INTEGER and not within) else Kind.DOUBLE
    if agg.name in EXTREMES:
        return Point(Fraction(agg.name == "max"), True, answer, True)
    share = agg.by.value if isinstance(agg.by, Literal) else Fraction(1, 2)
    assert isinstance(share, Fraction)
    return Point(share, False, answer, not within)


def _numbered(expr: Expr, below: Relation, count: int) -> Key:
    """A key of whole numbers from 0."""
    domain: tuple[Scalar, ...] = tuple(range(count))
    return Key("", expr, facts_of(expr, facts(below)), domain)


def _zoomed(frame: Frame, value: Expr, zoom: Released, face: Read, builder: Builder) -> Released:
    """The release of what ``zoom`` says to look into for one point, by even parts."""
    width, count = len(frame.below.fields), len(frame.keys)
    part, low, high, rate = (width + count + face.index * len(ZOOMED) + i for i in range(4))
    same = [_same(k, Col(width + i), frame.below) for i, k in enumerate(frame.keys)]
    within = [Call("ge", (value, Col(low))), Call("lt", (value, Col(high)))]
    joined = join("inner", frame.below, zoom, conjunction((*same, *within)))
    assert isinstance(joined, Join)
    # The zoomed table has one row for each group (``faces``), so no row is met twice.
    below = replace(joined, privacy=frame.below.privacy)
    parts = zoomed_cell(value, Col(low), Col(rate), face.grid.cells)
    looked = Key("", Col(part), below.fields[part].facts, None)
    keys = (*frame.keys, looked, _numbered(parts, below, face.grid.cells))
    places = tuple(range(count + 1))
    shown = tuple(Col(i) for i in (*range(count), part - width))
    listed = Project(zoom, shown, tuple(zoom.fields[c.index] for c in shown), None)
    listing = Listing(listed, places, frame.most or MOST_CELLS)
    made = builder.built(Frame(below, keys, listing, frame.most), Base(What.ROWS), face)
    return builder.public(made)


def _same(key: Key, other: Expr, below: Relation) -> Expr:
    """Equal, or both NULL."""
    equal = Call("eq", (key.expr, other))
    if not facts_of(key.expr, facts(below)).nullable:
        return equal
    both = Call("and", (Call("is_null", (key.expr,)), Call("is_null", (other,))))
    return Call("or", (equal, both))


def joined(
    base: Relation | None, keys: tuple[Key, ...], found: dict[Agg, Side]
) -> tuple[Relation, dict[Agg, int]]:
    """The public tables beside each other by their keys, and the column of each aggregate.

    ``base``: the main release's table, whose first fields are the keys; ``None``: there is none."""
    count, places = len(keys), dict[int, int]()
    for table in dict.fromkeys(side.table for side in found.values()):
        if base is None:
            base, places[table.number] = _visible(table), 0
            continue
        places[table.number] = len(base.fields)
        base = _beside(base, _visible(table), count)
    assert base is not None
    return base, {agg: places[side.table.number] + side.column for agg, side in found.items()}


def _visible(table: Released) -> Relation:
    shown = [i for i, f in enumerate(table.fields) if not f.hidden]
    return Project(table, tuple(Col(i) for i in shown), tuple(table.fields[i] for i in shown), None)


def _beside(left: Relation, right: Relation, count: int) -> Relation:
    width = len(left.fields)
    on = conjunction(tuple(_alike(left.fields[i], i, width + i) for i in range(count)))
    fields = (*left.fields, *(replace(f, facts=replace(f.facts, nullable=True)) for f in right.fields))
    return Join("left", left, right, on, fields, None)


def _alike(field: Field, one: int, other: int) -> Expr:
    equal = Call("eq", (Col(one), Col(other)))
    if not field.facts.nullable:
        return equal
    return Call("or", (equal, Call("and", (Call("is_null", (Col(one),)), Call("is_null", (Col(other),))))))
