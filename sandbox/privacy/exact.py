"""Exact mode: a query over a protected table becomes ordinary SQL over its published cube.

The cube holds only cells that passed the disclosure rules when the snapshot was published (see
``cube``), so it is public, and so is everything computed from it.  This module never touches a row:
what the grid does not hold is refused (OFF_GRID), naming the column.

Columns of a cube: its cells, ``rows``, ``units``, and for each measure ``sum_<m>`` and ``count_<m>``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from sandbox.catalogue import Column, Kind, Range, Table, Use
from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.build import aggregate, fan_out, filter_, join, project, scan, semi_join
from sandbox.sql.expressions import Agg, Call, Case, Cast, Col, Expr, Literal, columns, conjuncts, remap
from sandbox.sql.relation import (
    Aggregate,
    Filter,
    Join,
    Relation,
    Scan,
    SemiJoin,
    facts,
    inputs,
    is_release,
    with_inputs,
)

CUBE = "#cube"
ROWS, UNITS = "rows", "units"


@dataclass(frozen=True, slots=True)
class OnGrid:
    """A private relation moved onto a cube.

    ``cells``: old field index to new, for grid columns and public columns; ``measures``: old field
    index to measure name; ``unit``: indexes of unit fields; the rest is off the grid.  ``once``: no join
    repeats a cell, so that its units may be counted.
    """

    relation: Relation
    cells: dict[int, int]
    measures: dict[int, str]
    unit: frozenset[int]
    table: Table
    fixed: frozenset[str]
    once: bool


def over_cubes(relation: Relation) -> Relation:
    """The relation with each release computed from a cube; everything in it is then public."""
    if isinstance(relation, Aggregate) and is_release(relation):
        return _release(relation)
    if relation.privacy is not None and not inputs(relation):
        raise refuse(Code.RAW_OUTPUT, "SELECT", "aggregate", "请先聚合")
    return with_inputs(relation, over_cubes)


def cube_table(table: Table) -> Table:
    """The published cube of a table, as a public table of the catalogue."""
    grid = table.grid
    if grid is None:
        raise refuse(Code.OFF_GRID, table.id)
    cells = [replace(c, nullable=True) for name in grid.cells if (c := table.column(name)) is not None]
    counts = [Column(ROWS, Kind.INTEGER, range=_COUNT), Column(UNITS, Kind.INTEGER, range=_COUNT)]
    sums = [
        part
        for c in table.columns
        if Use.MEASURE in c.use and c.name not in grid.cells
        for part in (
            Column(f"sum_{c.name}", Kind.DECIMAL, scale=c.scale),
            Column(f"count_{c.name}", Kind.INTEGER, range=_COUNT),
        )
    ]
    return Table(table.dataset, table.name + CUBE, (*cells, *counts, *sums))


_COUNT = Range(Fraction(0), Fraction(2**50))
NOTHING = Literal(Fraction(0), Kind.DOUBLE)
NO_VALUE = Cast(Literal(None, Kind.STRING), Kind.DOUBLE)


def _off(subject: str) -> Refusal:
    return refuse(Code.OFF_GRID, subject)


def _move(relation: Relation) -> OnGrid:
    match relation:
        case Scan(table) if relation.privacy is not None:
            return _scan(relation, table)
        case Filter():
            return _filter(relation)
        case Join():
            return _join(relation)
        case SemiJoin() if relation.right.privacy is None:
            below = _move(relation.left)
            right = over_cubes(relation.right)
            width, wider = len(relation.left.fields), len(below.relation.fields)
            on = _remapped(relation.on, below, width, wider)
            return replace(below, relation=semi_join(below.relation, right, on, anti=relation.anti))
        case _:
            raise _off(type(relation).__name__.lower())


def _scan(relation: Scan, table: Table) -> OnGrid:
    cube = scan(cube_table(table))
    assert table.grid is not None
    places = {f.name.lower(): i for i, f in enumerate(cube.fields)}
    cells, measures, units = {}, {}, set()
    for index, field in enumerate(relation.fields):
        name = field.source.column.name if field.source is not None else ""
        if field.unit_scope:
            units.add(index)
        elif name in table.grid.cells:
            cells[index] = places[name.lower()]
        elif f"sum_{name}".lower() in places:
            measures[index] = name
    return OnGrid(cube, cells, measures, frozenset(units), table, frozenset(), True)


def _remapped(expr: Expr, below: OnGrid, width: int, wider: int) -> Expr:
    """An expression over grid columns, moved; refuses any other column by name."""

    def place(index: int) -> int:
        if index >= width:
            return index - width + wider
        if index not in below.cells:
            raise _off(_name(below, index))
        return below.cells[index]

    return remap(expr, place)


def _name(below: OnGrid, index: int) -> str:
    if index in below.unit:
        return f"{below.table.id}: {below.table.unit.kind if below.table.unit else ''}"
    return f"{below.table.id}.{below.measures[index]}" if index in below.measures else below.table.id


def _filter(relation: Filter) -> OnGrid:
    below = _move(relation.input)
    for index in sorted(columns(relation.predicate)):
        if index not in below.cells:
            raise _off(_field_name(relation.input, index))
    width = len(relation.fields)
    predicate = _remapped(relation.predicate, below, width, width)
    fixed = {
        field.source.column.name
        for part in conjuncts(relation.predicate)
        if isinstance(part, Call)
        and part.name == "eq"
        and isinstance(part.args[0], Col)
        and isinstance(part.args[1], Literal)
        for field in [relation.input.fields[part.args[0].index]]
        if field.source is not None
    }
    return replace(below, relation=filter_(below.relation, predicate), fixed=below.fixed | frozenset(fixed))


def _field_name(relation: Relation, index: int) -> str:
    source = relation.fields[index].source
    assert source is not None  # what has none is the hidden unit, which nothing can name
    return f"{source.table.id}.{source.column.name}"


def _join(relation: Join) -> OnGrid:
    if relation.left.privacy is not None and relation.right.privacy is not None:
        raise _off("JOIN of protected tables")
    on_left = relation.left.privacy is not None
    side = _move(relation.left if on_left else relation.right)
    other = over_cubes(relation.right if on_left else relation.left)
    width = len(relation.left.fields)
    own = range(width) if on_left else range(width, len(relation.fields))
    base = 0 if on_left else width
    new_width = len(side.relation.fields) if on_left else len(other.fields)

    def place(index: int) -> int:
        if index in own:
            moved = side.cells.get(index - base)
            if moved is None:
                raise _off(_field_name(relation, index))
            return moved + (0 if on_left else new_width)
        return index - width + new_width if on_left else index

    left, right = (side.relation, other) if on_left else (other, side.relation)
    joined = join(relation.kind, left, right, remap(relation.on, place))
    offset = len(left.fields) if on_left else 0
    fan = fan_out(other, remap(relation.on, place), offset, facts(joined))
    cells = {i: place(i) for i in range(len(relation.fields)) if i not in own or (i - base) in side.cells}
    measures = {base + i: name for i, name in side.measures.items()}
    return replace(
        side,
        relation=joined,
        cells=cells,
        measures=measures,
        unit=frozenset(base + i for i in side.unit),
        once=side.once and fan == 1,
    )


def _release(relation: Aggregate) -> Relation:
    below = _move(relation.input)
    width = len(relation.input.fields)
    for expr in relation.keys:
        for index in sorted(columns(expr)):
            if index not in below.cells:
                raise _off(_field_name(relation.input, index))
    keys = [_remapped(k, below, width, width) for k in relation.keys]
    grouped = {
        f.source.column.name
        for k in relation.keys
        if isinstance(k, Col)
        and (f := relation.input.fields[k.index]).source is not None
        and f.source is not None
    }
    parts: dict[Agg, int] = {}

    def column(agg: Agg) -> Expr:
        return Col(len(keys) + parts.setdefault(agg, len(parts)))

    rules = _Rules(below, relation.input, frozenset(grouped))
    outputs = [rules.output(a, column) for a in relation.aggs]
    names = [f.name for f in relation.fields]
    table = aggregate(below.relation, list(zip(names, keys, strict=False)), [("", a) for a in parts])
    exprs = [*(Col(i) for i in range(len(keys))), *outputs]
    return replace(project(table, list(zip(names, exprs, strict=True))), fields=relation.fields)


@dataclass(frozen=True, slots=True)
class _Rules:
    """How each aggregate over rows is computed from cells."""

    below: OnGrid
    input: Relation
    grouped: frozenset[str]

    def output(self, agg: Agg, column: Callable[[Agg], Expr]) -> Expr:
        """The aggregate as an expression over sums of cells."""
        where = None if agg.where is None else self._condition(agg.where)
        if agg.name == "count_star":
            return self._count(column(self._sum(ROWS, where)))
        assert agg.arg is not None
        if agg.name == "count" and agg.distinct:
            return self._count(column(self._units(agg.arg, where)))
        if agg.name == "count":
            return self._count(column(self._present(agg.arg, where)))
        if agg.name not in ("sum", "avg"):
            raise refuse(
                Code.AGGREGATE,
                agg.name,
                "on the grid use COUNT, SUM or AVG",
                "网格上请使用 COUNT、SUM 或 AVG",
            )
        name, kept, factor = self._measure(agg.arg, where)
        total = column(self._sum(ROWS if name is None else f"sum_{name}", kept))
        total = Cast(total, Kind.DOUBLE)
        if factor != 1:
            total = Call("mul", (total, Literal(Fraction(factor), Kind.DOUBLE)))
        count = Cast(self._values(agg.arg, where, column), Kind.DOUBLE)
        # A cell's sum of no values is 0 in the cube; the SUM of no values is NULL.
        total = Case(((Call("gt", (count, NOTHING)), Call("coalesce", (total, NOTHING))),), NO_VALUE)
        if agg.name == "sum":
            return total
        return Call("div", (total, count))

    def _index(self, name: str) -> int:
        fields = self.below.relation.fields
        return next(i for i, f in enumerate(fields) if f.source is not None and f.source.column.name == name)

    def _sum(self, name: str, where: Expr | None) -> Agg:
        return Agg("sum", Col(self._index(name)), where)

    def _count(self, expr: Expr) -> Expr:
        return Call("coalesce", (Cast(expr, Kind.INTEGER), Literal(0, Kind.INTEGER)))

    def _condition(self, expr: Expr) -> Expr:
        for index in sorted(columns(expr)):
            if index not in self.below.cells:
                raise _off(_field_name(self.input, index))
        return remap(expr, lambda i: self.below.cells[i])

    def _present(self, arg: Expr, where: Expr | None) -> Agg:
        if isinstance(arg, Col) and arg.index in self.below.measures:
            return self._sum(f"count_{self.below.measures[arg.index]}", where)
        present = Call("not", (Call("is_null", (self._condition(arg),)),))
        return self._sum(ROWS, present if where is None else Call("and", (where, present)))

    def _values(self, arg: Expr, where: Expr | None, column: Callable[[Agg], Expr]) -> Expr:
        """How many values the argument has: what AVG divides by.  An ``ELSE 0`` is a value too."""
        if isinstance(arg, Col):
            return self._count(column(self._sum(f"count_{self.below.measures[arg.index]}", where)))
        rows = self._count(column(self._sum(ROWS, where)))
        if not isinstance(arg, Case):
            return rows
        condition, value = arg.whens[0]
        kept = _both(where, self._condition(condition))
        found = self._values(value, kept, column)
        if isinstance(arg.default, Literal) and arg.default.value is None:
            return found
        return Call("add", (found, Call("sub", (rows, self._count(column(self._sum(ROWS, kept)))))))

    def _units(self, arg: Expr, where: Expr | None) -> Agg:
        """Distinct units add up over cells only where no unit is in two of the cells added."""
        table = self.below.table
        grid = table.grid
        assert grid is not None
        if not (isinstance(arg, Col) and arg.index in self.below.unit):
            raise refuse(Code.AGGREGATE, "COUNT(DISTINCT …)", "count the privacy unit", "请对隐私单元计数")
        if not self.below.once:
            raise _off("COUNT(DISTINCT): JOIN")
        varying = [c for c in grid.cells if (known := table.column(c)) is not None and not known.per_unit]
        loose = [c for c in varying if c not in self.grouped and c not in self.below.fixed]
        if loose:
            raise _off(f"COUNT(DISTINCT): {', '.join(loose)}")
        return self._sum(UNITS, where)

    def _measure(self, arg: Expr, where: Expr | None) -> tuple[str | None, Expr | None, int]:
        """The measure summed, the condition under which, and a constant factor."""
        if isinstance(arg, Col) and arg.index in self.below.measures:
            return self.below.measures[arg.index], where, 1
        if isinstance(arg, Literal) and isinstance(arg.value, int):
            return None, where, arg.value
        if isinstance(arg, Case) and len(arg.whens) == 1 and _nothing(arg.default):
            condition, value = arg.whens[0]
            kept = self._condition(condition)
            return self._measure(value, _both(where, kept))
        for index in sorted(columns(arg)):
            raise _off(f"SUM: {_field_name(self.input, index)}")
        raise _off("SUM")


def _both(where: Expr | None, kept: Expr) -> Expr:
    return kept if where is None else Call("and", (where, kept))


def _nothing(expr: Expr) -> bool:
    return isinstance(expr, Literal) and (expr.value is None or expr.value == 0)
