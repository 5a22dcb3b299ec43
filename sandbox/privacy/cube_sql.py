"""The SQL that measures the cells of a published grid, and writes those that survive.

Texts expect a relation with the columns of the snapshot (``_u``, ``_u2`` … are the dense units) and are meant
for DuckDB.  ``rows`` is such a relation's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor

from sandbox.catalogue import Grid, Kind, Range, Use
from sandbox.errors import Code, refuse
from sandbox.policy.documents import ColumnRule, TableRule

DEFAULT_DIGITS = 6
"""Digits after the point of a decimal or double column that declares no ``scale``."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of the grid: ``digits`` after the point; ``lo``/``hi`` clip bounds in those steps."""

    name: str
    kind: Kind
    digits: int
    lo: int | None
    hi: int | None


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def digits_of(column: ColumnRule) -> int:
    """Digits after the point that a number of this column carries: fewest that can write its ``scale``.

    Refuses with ``Code.DOCUMENT`` when no 18 digits can (a scale of 1/3).
    """
    if column.kind is Kind.INTEGER:
        return 0
    if column.scale is None:
        return DEFAULT_DIGITS
    for digits in range(19):
        if (column.scale * 10**digits).denominator == 1:
            return digits
    hint = "declare a scale with at most 18 decimals"
    raise refuse(Code.DOCUMENT, f"scale of {column.name}", hint, "请声明至多 18 位小数的粒度")


def measures(rule: TableRule, shared: Iterable[str]) -> tuple[Measure, ...]:
    """The measures of a table's grid: ``shared`` columns with use ``measure`` that are no cell."""
    cells = rule.grid.cells if rule.grid else ()
    names = frozenset(shared) - frozenset(cells)
    return tuple(_measure(c) for c in rule.columns if Use.MEASURE in c.use and c.name in names)


def _measure(column: ColumnRule) -> Measure:
    digits = digits_of(column)
    return Measure(column.name, column.kind, digits, *steps(column.clip, digits))


def steps(bounds: Range, digits: int) -> tuple[int | None, int | None]:
    """Bounds as whole steps of ``10 ** -digits``, rounded inwards."""
    lo = None if bounds.lo is None else ceil(bounds.lo * 10**digits)
    hi = None if bounds.hi is None else floor(bounds.hi * 10**digits)
    return lo, hi


def fixed_point(measure: Measure) -> str:
    """The clipped measure of a row as a whole number of steps; NULL stays NULL."""
    name, ten = identifier(measure.name), 10**measure.digits
    if measure.kind is Kind.INTEGER:
        value = f"CAST({name} AS HUGEINT)"
    elif measure.kind is Kind.DECIMAL:
        value = f"CAST({name} * CAST({ten} AS DECIMAL({measure.digits + 1}, 0)) AS HUGEINT)"
    else:
        value = f"CAST(round(greatest(least({name}, 1e18), -1e18) * {ten}.0) AS HUGEINT)"
        value = f"CASE WHEN {name} IS NULL THEN NULL ELSE {value} END"
    low = "" if measure.lo is None else f" WHEN {value} < {measure.lo} THEN {measure.lo}"
    high = "" if measure.hi is None else f" WHEN {value} > {measure.hi} THEN {measure.hi}"
    return f"CASE{low}{high} ELSE {value} END" if low or high else value


def cells_sql(rows: str, grid: Grid, found: Sequence[Measure]) -> str:
    """One row per cell: ``_cell`` (its number), the cell columns, ``_n`` rows, ``_s<i>``, ``_c<i>``.

    ``_s<i>`` is the sum in steps of the i-th measure, ``_c<i>`` how many of its values are not null.
    """
    names = ", ".join(identifier(name) for name in grid.cells)
    sums = "".join(
        f", coalesce(sum({fixed_point(m)}), 0) AS _s{i}, count({identifier(m.name)}) AS _c{i}"
        for i, m in enumerate(found)
    )
    order = ", ".join(f"{identifier(name)} NULLS FIRST" for name in grid.cells)
    return (
        f"SELECT row_number() OVER (ORDER BY {order}) - 1 AS _cell, * "
        f"FROM (SELECT {names}, count(*) AS _n{sums} FROM {rows} GROUP BY {names})"
    )


def pairs_sql(rows: str, cells: str, grid: Grid, found: Sequence[Measure], unit: str) -> str:
    """One row per cell and unit: ``cell``, ``unit``, ``x<i>`` its sum of absolute steps per measure."""
    names = ", ".join(identifier(name) for name in grid.cells)
    sums = "".join(f", coalesce(sum(abs({fixed_point(m)})), 0) AS _x{i}" for i, m in enumerate(found))
    same = " AND ".join(
        f"p.{identifier(name)} IS NOT DISTINCT FROM c.{identifier(name)}" for name in grid.cells
    )
    shown = "".join(f", p._x{i} AS x{i}" for i in range(len(found)))
    key = identifier(unit)
    return (
        f"SELECT c._cell AS cell, p._unit AS unit{shown} FROM "
        f"(SELECT {names}, {key} AS _unit{sums} FROM {rows} GROUP BY {names}, {key}) AS p "
        f"JOIN {cells} AS c ON {same}"
    )


def statistics_sql(pairs: str, groups: str, number: int) -> str:
    """Per group of cells: ``part``, units, and of each of ``number`` measures total, first, second.

    ``pairs`` as from ``pairs_sql``; ``groups`` has ``cell`` and ``part``.  A unit's totals are added up
    over the cells of its group before the largest are looked for.
    """
    sums = "".join(f", sum(x{i}) AS x{i}" for i in range(number))
    shown = "".join(
        f", sum(x{i}), max(x{i}), coalesce(list_extract(max(x{i}, 2), 2), 0)" for i in range(number)
    )
    return (
        f"SELECT part, count(*){shown} FROM (SELECT g.part, p.unit{sums} FROM {pairs} AS p "
        f"JOIN {groups} AS g ON p.cell = g.cell GROUP BY g.part, p.unit) GROUP BY part"
    )


def rounded(steps_sql: str, to: int) -> str:
    """A whole number of steps rounded to the nearest multiple of ``to``, half to even."""
    if to <= 1:
        return steps_sql
    rest = f"((({steps_sql}) % {to} + {to}) % {to})"
    down = f"(({steps_sql}) - {rest})"
    up = f"2 * {rest} > {to} OR (2 * {rest} = {to} AND ({down} // {to}) % 2 <> 0)"
    return f"({down} + CASE WHEN {up} THEN {to} ELSE 0 END)"


def sum_value(steps_sql: str, measure: Measure, to: int) -> str:
    """A sum in steps as published: BIGINT, or DECIMAL(38, digits); NULL if it does not fit.

    ``to`` is the grid's ``round``, in units of the measure; 0 leaves the sum as it is.
    """
    steps_ = rounded(steps_sql, to * 10**measure.digits)
    if measure.kind is Kind.INTEGER:
        return f"TRY_CAST({steps_} AS BIGINT)"
    digits = measure.digits
    one = f"CAST('{Decimal(1).scaleb(-digits):f}' AS DECIMAL({digits + 1}, {digits}))"
    return f"TRY_CAST({steps_} AS DECIMAL({37 - digits}, 0)) * {one}"


def published_sql(cells: str, survivors: str, grid: Grid, found: Sequence[Measure]) -> str:
    """What is written: surviving cells with ``rows``, ``units`` and ``sum_<m>``, ``count_<m>``.

    ``survivors`` has ``cell`` and ``units`` (of the first declared kind; all kinds were tested).
    """
    names = ", ".join(f"c.{identifier(name)}" for name in grid.cells)
    sums = "".join(
        f", {sum_value(f'c._s{i}', m, grid.round)} AS {identifier('sum_' + m.name)}"
        f", c._c{i} AS {identifier('count_' + m.name)}"
        for i, m in enumerate(found)
    )
    return (
        f"SELECT {names}, c._n AS rows, v.units{sums} "
        f"FROM {cells} AS c JOIN {survivors} AS v ON c._cell = v.cell ORDER BY c._cell"
    )
