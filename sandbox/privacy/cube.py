"""The published grid of exact mode: which cells may be seen.

Invariants
- A set of rows *passes* when it is empty, or when it holds at least ``grid.units`` distinct units of
  every declared kind and no measure of it is dominated (p % rule).
- Every surviving cell passes.  The withheld remainder, overall and within each slice of each margin
  named in ``outside_totals``, passes, or nothing survives in that slice that could still be withheld.
- Both tests are closed under disjoint union (units only grow; the p % rule is applied to sums of
  absolute values, which add up), so any union of surviving cells and remainders passes too.
- Margins that cross (city x month) determine more than their own slices: differences of several
  totals.  For those the whole linear span of the known totals is looked at; see ``derivable``.

Pure: data are reached through the ``Statistics`` callback only; ``cube_sql`` has the SQL.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, pairwise

from sandbox.catalogue import Grid

Key = tuple[bool | int | float | str | Decimal | dt.date | dt.datetime | None, ...]

PRIME = 2**61 - 1
"""Modulus of the elimination: the incidence entries are 0 and 1, so no rank is lost in practice."""


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

    To each failing slice the smallest surviving cells by rows (then by number) are added, as few as do.
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
        self._remainders()
        while cross(self.grid.outside_totals) and (more := self._spans()):
            self.withheld |= more
            self._remainders()
        return frozenset(self.withheld)

    def _slice(self, cell: int, margin: tuple[int, ...]) -> Key:
        return tuple(self.keys[cell][i] for i in margin)

    def _failing(self, groups: Mapping[int, int]) -> set[int]:
        found = self.statistics(groups) if groups else {}
        return {group for group, kinds in found.items() if not passes(kinds, self.grid)}

    def _remainders(self) -> None:
        """Withhold until every remainder passes or is its whole slice: the margins first, the table last.

        A margin that is done stays done: what the next ones add are survivors, which pass, and passing
        sets pass in union.
        """
        for margin in [*self.margins, ()]:
            taken, free = self._sliced(margin)
            groups = dict(enumerate(taken))
            failing = self._failing({cell: i for i, key in groups.items() for cell in taken[key]})
            slices = {key: (taken[key], free[key]) for i, key in groups.items() if i in failing}
            for key, count in self._needed(slices).items():
                self.withheld.update(free[key][:count])

    def _sliced(self, margin: tuple[int, ...]) -> tuple[dict[Key, list[int]], dict[Key, list[int]]]:
        """Per slice of a margin: the withheld cells, and the surviving ones, the smallest first."""
        taken: dict[Key, list[int]] = defaultdict(list)
        free: dict[Key, list[int]] = defaultdict(list)
        for cell in self.order:
            side = taken if cell.id in self.withheld else free
            side[self._slice(cell.id, margin)].append(cell.id)
        return taken, free

    def _needed(self, slices: Mapping[Key, tuple[list[int], list[int]]]) -> dict[Key, int]:
        """How many free cells each failing slice needs at least: all of them where no number is enough.

        What passes still passes with one survivor more, so the number is searched by doubling and halving,
        all slices at once: looks at the data grow with the logarithm of a slice's cells, not with the cells.
        """
        low = dict.fromkeys(slices, 0)
        high = {key: len(free) for key, (_, free) in slices.items()}
        while tried := {
            key: min(2 * low[key] + 1, (low[key] + high[key]) // 2)
            for key in slices
            if high[key] - low[key] > 1
        }:
            keys = dict(enumerate(tried))
            groups = {
                cell: i
                for i, key in keys.items()
                for cell in (*slices[key][0], *slices[key][1][: tried[key]])
            }
            failing = self._failing(groups)
            for i, key in keys.items():
                (low if i in failing else high)[key] = tried[key]
        return high

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
