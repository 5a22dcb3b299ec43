"""The published grid of exact mode: which cells may be seen, and the SQL that measures them.

Invariants
- A set of rows *passes* when it is empty, or when it holds at least ``grid.units`` distinct units of
  every declared kind and no measure of it is dominated (p % rule).
- Every surviving cell passes.  The withheld remainder, overall and within each slice of each margin
  named in ``outside_totals``, passes, or nothing survives in that slice that could still be withheld.
- Both tests are closed under disjoint union (units only grow; the p % rule is applied to sums of
  absolute values, which add up), so any union of surviving cells and remainders passes too.
- Margins that cross (city x month) determine more than their own slices: differences of several
  totals.  For those the whole linear span of the known totals is looked at; see ``derivable``.

Pure: data are reached through the ``Statistics`` callback only.  SQL texts expect a relation with the
columns of the snapshot (``_u``, ``_u2`` … are the dense units) and are meant for DuckDB.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, pairwise
from math import ceil, floor

from sandbox.catalogue import Grid, Kind, Range, Use
from sandbox.errors import Code, refuse
from sandbox.policy.documents import ColumnRule, TableRule

Key = tuple[bool | int | float | str | Decimal | dt.date | dt.datetime | None, ...]

PRIME = 2**61 - 1
"""Modulus of the elimination: the incidence entries are 0 and 1, so no rank is lost in practice."""

DEFAULT_DIGITS = 6
"""Digits after the point of a decimal or double column that declares no ``scale``."""


@dataclass(frozen=True, slots=True)
class Totals:
    """One measure over one set of rows: per-unit sums of absolute values, in fixed-point integers.

    ``total`` over all units, ``first`` and ``second`` of the two largest units.
    """

    total: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class UnitStats:
    """One kind of unit over one set of rows: how many, and each measure's ``Totals``."""

    units: int
    measures: tuple[Totals, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid: dense number, values of the cell columns, rows, statistics per kind."""

    id: int
    key: Key
    rows: int
    kinds: tuple[UnitStats, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of the grid: ``digits`` after the point; ``lo``/``hi`` clip bounds in those steps."""

    name: str
    kind: Kind
    digits: int
    lo: int | None
    hi: int | None


Statistics = Callable[[Mapping[int, int]], Mapping[int, tuple[UnitStats, ...]]]
"""From ``cell -> group`` to each group's statistics over the union of its cells, per unit kind."""


def passes(kinds: Iterable[UnitStats], grid: Grid) -> bool:
    """Whether a non-empty set of rows may be known: enough units of every kind, none dominant.

    p % rule: the contributions beside the two largest, ``total - x1 - x2``, must be at least p % of
    the largest, ``x1`` (Hundepool et al., Statistical Disclosure Control, 2012, section 4.2.2).
    """
    return all(
        kind.units >= grid.units
        and all((m.total - m.first - m.second) * 100 >= grid.dominance * m.first for m in kind.measures)
        for kind in kinds
    )


def withhold(cells: Sequence[Cell], grid: Grid, statistics: Statistics) -> frozenset[int]:
    """The cells to withhold: primary, then complementary until every remainder passes.

    In each failing slice the smallest surviving cell by rows (then by number) is added.
    """
    return _Withholding(cells, grid, statistics).run()


class _Withholding:
    """The state of one run of ``withhold``: only ``withheld`` changes, and only grows."""

    def __init__(self, cells: Sequence[Cell], grid: Grid, statistics: Statistics) -> None:
        self.grid = grid
        self.statistics = statistics
        self.order = sorted(cells, key=lambda c: (c.rows, c.id))
        self.keys = {c.id: c.key for c in cells}
        self.withheld = {c.id for c in cells if not passes(c.kinds, grid)}
        self.margins = [tuple(grid.cells.index(name) for name in m) for m in grid.outside_totals]

    def run(self) -> frozenset[int]:
        crossing = cross(self.grid.outside_totals)
        while more := self._remainders() or (self._spans() if crossing else set()):
            self.withheld |= more
        return frozenset(self.withheld)

    def _slice(self, cell: int, margin: tuple[int, ...]) -> Key:
        return tuple(self.keys[cell][i] for i in margin)

    def _failing(self, groups: Mapping[int, int]) -> set[int]:
        found = self.statistics(groups) if groups else {}
        return {group for group, kinds in found.items() if not passes(kinds, self.grid)}

    def _remainders(self) -> set[int]:
        """Cells to add because a remainder fails: the margins first, the whole table last."""
        for margin in [*self.margins, ()]:
            numbers: dict[Key, int] = {}
            groups = {
                c: numbers.setdefault(self._slice(c, margin), len(numbers)) for c in sorted(self.withheld)
            }
            failing = self._failing(groups)
            slices = [key for key, number in numbers.items() if number in failing]
            if more := self._one_each(margin, slices):
                return more
        return set()

    def _one_each(self, margin: tuple[int, ...], slices: list[Key]) -> set[int]:
        """The smallest surviving cell of each slice, in one pass over the cells."""
        wanted, chosen = set(slices), set[int]()
        for cell in self.order:
            key = self._slice(cell.id, margin)
            if key in wanted and cell.id not in self.withheld:
                wanted.discard(key)
                chosen.add(cell.id)
        return chosen

    def _spans(self) -> set[int]:
        """Cells to add because crossing totals together determine a failing set of withheld cells.

        Cells in the same slice of every margin are one *piece*: no total tells them apart.
        """
        numbers: dict[tuple[Key, ...], int] = {}
        groups = {
            c: numbers.setdefault(tuple(self._slice(c, m) for m in self.margins), len(numbers))
            for c in sorted(self.withheld)
        }
        pieces = {number: frozenset(enumerate(keys)) for keys, number in numbers.items()}
        added: set[int] = set()
        for support in self._unsafe(groups, derivable(pieces, self._failing(groups))):
            near = frozenset().union(*(pieces[piece] for piece in support))
            added |= self._smallest(near)
        return added

    def _unsafe(self, groups: Mapping[int, int], spans: list[Span]) -> list[frozenset[int]]:
        """Spans that could determine a failing set: several vectors, or one whose support fails."""
        alone = [span for span in spans if span.vectors == 1]
        owner = {piece: i for i, span in enumerate(alone) for piece in span.support}
        failing = self._failing({c: owner[piece] for c, piece in groups.items() if piece in owner})
        several = [span.support for span in spans if span.vectors > 1]
        return several + [span.support for i, span in enumerate(alone) if i in failing]

    def _near(self, cell: int, slices: frozenset[tuple[int, Key]]) -> bool:
        return any((i, self._slice(cell, m)) in slices for i, m in enumerate(self.margins))

    def _smallest(self, slices: frozenset[tuple[int, Key]]) -> set[int]:
        """The smallest surviving cell in any of the slices; empty if there is none."""
        free = (c.id for c in self.order if c.id not in self.withheld and self._near(c.id, slices))
        return set(islice(free, 1))


def cross(margins: Sequence[Sequence[str]]) -> bool:
    """Whether the margins cross, that is, do not refine one another in a chain."""
    chain = sorted((frozenset(m) for m in margins), key=len)
    return not all(a <= b for a, b in pairwise(chain))


@dataclass(frozen=True, slots=True)
class Span:
    """An indecomposable set of linear combinations of totals: dimension, and the pieces they touch."""

    vectors: int
    support: frozenset[int]


def derivable(pieces: Mapping[int, frozenset[tuple[int, Key]]], failing: set[int]) -> list[Span]:
    """What totals of slices determine about failing pieces alone, as independent spans.

    ``pieces`` maps each withheld piece to the slices that contain it.  A linear combination of slice
    totals is a vector over pieces; one that is zero on every passing piece speaks of failing pieces
    only.  Gauss-Jordan elimination with the passing pieces first leaves a basis of exactly those.
    Any set of too few units lies in failing pieces, so it cannot be had if no span contains it.
    """
    ordered = sorted(pieces, key=lambda piece: (piece in failing, piece))
    rows: dict[tuple[int, Key], dict[int, int]] = defaultdict(dict)
    for place, piece in enumerate(ordered):
        for part in pieces[piece]:
            rows[part][place] = 1
    passing = len(ordered) - len(failing)
    basis = _reduced(rows.values())
    return _independent([{ordered[i] for i in row} for row in basis if min(row) >= passing])


def _reduced(rows: Iterable[dict[int, int]]) -> list[dict[int, int]]:
    """The reduced row echelon form modulo ``PRIME`` of sparse rows (column -> entry)."""
    basis: dict[int, dict[int, int]] = {}
    for original in rows:
        row = dict(original)
        for pivot in [p for p in row if p in basis]:
            _eliminate(row, basis[pivot], pivot)
        if not row:
            continue
        lead = min(row)
        inverse = pow(row[lead], -1, PRIME)
        row = {i: entry * inverse % PRIME for i, entry in row.items()}
        for other in basis.values():
            _eliminate(other, row, lead)
        basis[lead] = row
    return list(basis.values())


def _eliminate(row: dict[int, int], by: dict[int, int], pivot: int) -> None:
    """Subtract the multiple of ``by`` that clears ``pivot`` from ``row``, in place."""
    factor = row.get(pivot, 0)
    for i, entry in by.items() if factor else ():
        left = (row.get(i, 0) - factor * entry) % PRIME
        if left:
            row[i] = left
        else:
            row.pop(i, None)


def _independent(supports: list[set[int]]) -> list[Span]:
    """Join vectors whose supports meet: combinations stay within such a group."""
    spans: list[Span] = []
    for support in supports:
        meeting = [s for s in spans if s.support & support]
        spans = [s for s in spans if not s.support & support]
        joined = frozenset(support).union(*(s.support for s in meeting))
        spans.append(Span(1 + sum(s.vectors for s in meeting), joined))
    return spans


# SQL texts.  ``rows`` below is a relation's text; its columns are those of the snapshot.


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
