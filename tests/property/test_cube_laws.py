"""Laws of the published grid, by brute force over random small databases.

What anyone can compute from surviving cells and totals published elsewhere are linear combinations of
cells.  Surviving cells are safe one by one; so the question is which sets of *withheld* cells have a
0/1 vector in the row space of the remainders.  All sets are tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.catalogue import Grid
from sandbox.privacy import cube
from sandbox.privacy.cube import Cell, Key, Totals, UnitStats

MARGINS: list[tuple[tuple[str, ...], ...]] = [
    (),
    (("a",),),
    (("a",), ("a", "b")),
    (("a",), ("b",)),
    (("a", "b"), ("c",)),
    (("a",), ("b",), ("c",)),
    (("a", "b"), ("b", "c")),
]
NAMES = ("a", "b", "c")

Row = tuple[Key, int, int]
rows_of = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 1)),
        st.integers(0, 7),
        st.integers(-3, 9),
    ),
    min_size=1,
    max_size=45,
)


class World:
    """A random database: rows of (cell key, unit, value), and a second kind of unit beside the first."""

    def __init__(self, rows: list[Row], grid: Grid) -> None:
        self.rows, self.grid = rows, grid
        self.keys = sorted({key for key, _, _ in rows}, key=repr)
        at = {key: i for i, key in enumerate(self.keys)}
        self.by_cell: list[list[Row]] = [[] for _ in self.keys]
        for row in rows:
            self.by_cell[at[row[0]]].append(row)
        cells = [Cell(i, k, len(self.by_cell[i]), self.stats([i])) for i, k in enumerate(self.keys)]
        self.withheld = sorted(cube.withhold(cells, grid, self.statistics))
        self.surviving = [i for i in range(len(self.keys)) if i not in self.withheld]

    def stats(self, cells: list[int]) -> tuple[UnitStats, ...]:
        found = []
        for kind in ({u: u for u in range(8)}, {u: u // 2 for u in range(8)}):
            sums: dict[int, int] = {}
            for cell in cells:
                for _, unit, value in self.by_cell[cell]:
                    sums[kind[unit]] = sums.get(kind[unit], 0) + abs(value)
            top = [*sorted(sums.values(), reverse=True), 0, 0]
            found.append(UnitStats(len(sums), (Totals(sum(top), top[0], top[1]),)))
        return tuple(found)

    def statistics(self, groups: Mapping[int, int]) -> dict[int, tuple[UnitStats, ...]]:
        return {g: self.stats([c for c, of in groups.items() if of == g]) for g in set(groups.values())}

    def safe(self, cells: list[int]) -> bool:
        return cube.passes(self.stats(cells), self.grid)

    def enough(self, cells: list[int]) -> bool:
        return all(kind.units >= self.grid.units for kind in self.stats(cells))

    def part(self, cell: int, margin: tuple[str, ...]) -> Key:
        return tuple(self.keys[cell][NAMES.index(n)] for n in margin)

    def lonely(self, cells: list[int], margin: tuple[str, ...]) -> bool:
        """Whether nothing survives in any slice of this margin that the cells touch."""
        touched = {self.part(c, margin) for c in cells}
        return not any(self.part(c, margin) in touched for c in self.surviving)

    def computable(self) -> list[list[int]]:
        """Every non-empty set of withheld cells that follows from the totals."""
        incidence = [
            [float(self.part(c, margin) == value) for c in self.withheld]
            for margin in [(), *self.grid.outside_totals]
            for value in sorted({self.part(c, margin) for c in self.withheld}, key=repr)
        ]
        matrix = np.array(incidence).reshape(-1, len(self.withheld))
        _, singular, right = np.linalg.svd(matrix)
        basis = right[: int((singular > 1e-9).sum())]
        sets = np.array(list(itertools.product((0.0, 1.0), repeat=len(self.withheld))))[1:]
        inside = np.abs(sets @ basis.T @ basis - sets).max(axis=1) < 1e-6
        return [[c for c, x in zip(self.withheld, row, strict=True) if x] for row in sets[inside]]


worlds = st.builds(
    World,
    rows_of,
    st.builds(
        Grid,
        st.just(NAMES),
        st.integers(2, 4),
        st.sampled_from([Fraction(0), Fraction(10), Fraction(40)]),
        st.just(0),
        st.sampled_from(MARGINS),
    ),
)


@settings(max_examples=400, deadline=None)
@given(worlds)
def test_surviving_cells_and_remainders_pass(world: World) -> None:
    assert all(world.safe([cell]) for cell in world.surviving)
    for margin in [(), *world.grid.outside_totals]:
        for value in {world.part(c, margin) for c in world.withheld}:
            rest = [c for c in world.withheld if world.part(c, margin) == value]
            assert world.safe(rest) or world.lonely(rest, margin)


@settings(max_examples=400, deadline=None)
@given(worlds)
def test_no_combination_isolates_fewer_than_k_units(world: World) -> None:
    """A computable set may fail only where there was nothing left that could have hidden it."""
    if not world.withheld:
        return
    margins = world.grid.outside_totals or ((),)
    crossing = cube.cross(world.grid.outside_totals)
    for cells in world.computable():
        alone = [world.lonely(cells, margin) for margin in margins]
        excused = all(alone) if crossing else any(world.lonely([c], m) for c in cells for m in margins)
        assert excused or (world.enough(cells) if crossing else world.safe(cells))


@settings(max_examples=200, deadline=None)
@given(worlds)
def test_unions_of_surviving_cells_and_remainder_pass(world: World) -> None:
    """Any few surviving cells, with or without the overall remainder, are a passing set."""
    rest = world.withheld if world.withheld and world.safe(world.withheld) else []
    for size in (1, 2, 3):
        for cells in itertools.islice(itertools.combinations(world.surviving, size), 60):
            assert world.safe(list(cells))
            assert world.safe([*cells, *rest])


def one_by_one(world: World) -> set[int]:
    """What is withheld if a failing slice takes in its smallest surviving cell, and all is looked at anew."""
    order = sorted(range(len(world.keys)), key=lambda i: (len(world.by_cell[i]), i))
    gone = {i for i in order if not world.safe([i])}
    while True:
        for margin in [*world.grid.outside_totals, ()]:
            failing = [
                value
                for value in {world.part(c, margin) for c in gone}
                if not world.safe([c for c in gone if world.part(c, margin) == value])
            ]
            free = {v: [c for c in order if c not in gone and world.part(c, margin) == v] for v in failing}
            if more := {cells[0] for cells in free.values() if cells}:
                gone |= more
                break
        else:
            return gone


@settings(max_examples=400, deadline=None)
@given(worlds)
def test_the_search_for_enough_cells_ends_where_adding_one_by_one_does(world: World) -> None:
    """Margins that cross are left to the laws above: what they add depends on the order of looks."""
    if not cube.cross(world.grid.outside_totals):
        assert set(world.withheld) == one_by_one(world)
