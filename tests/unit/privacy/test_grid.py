from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
import pytest

from sandbox.catalogue import Kind, Range
from sandbox.errors import Code, Refusal
from sandbox.privacy.grid import CELLS, FEWEST_CELLS, Grid, cells_for, grid, zoomed_cell
from sandbox.sql.expressions import Col, Facts
from sandbox.sql.facts import evaluate


def facts(low: int, high: int, scale: Fraction | None, kind: Kind = Kind.DOUBLE) -> Facts:
    return Facts(kind, True, Range(Fraction(low), Fraction(high)), scale)


MONEY = grid(facts(0, 200_000, Fraction(1, 100)), "median", 64)
SIGNED = grid(facts(-500, 1000, None), "median", 64)
NARROW = grid(facts(1900, 2100, None), "median", 16)
WHOLE = grid(facts(-3, 2000, Fraction(1), Kind.INTEGER), "median", 32)
AGES = grid(facts(0, 120, Fraction(1), Kind.INTEGER), "median", 64)


def test_few_steps_have_a_cell_each() -> None:
    assert (AGES.single, AGES.cells) == (True, 121)
    assert [evaluate(AGES.cell(Col(0)), [float(v)]) for v in (-5, 0, 1, 119, 120, 999)] == [
        0,
        0,
        1,
        119,
        120,
        120,
    ]
    assert not MONEY.single
    cut = grid(Facts(Kind.DOUBLE, True, Range(Fraction(1, 4), Fraction(21, 4)), Fraction(1, 2)), "min", 64)
    assert (cut.low, cut.high, cut.cells) == (Fraction(1, 2), Fraction(5), 10)


@pytest.mark.parametrize("cut", [MONEY, SIGNED, NARROW, WHOLE], ids=["money", "signed", "narrow", "whole"])
def test_rows_fall_in_the_cell_between_whose_borders_they_lie(cut: Grid) -> None:
    random, borders = Random(4), cut.borders()
    assert len(borders) == cut.cells + 1
    assert (np.diff(borders) >= 0).all()
    assert borders[0] <= float(cut.low) <= float(cut.high) < borders[-1]
    for _ in range(500):
        value = float(cut.low) + random.random() ** 4 * float(cut.high - cut.low)
        value = float(cut.nearest(np.array([value]))[0])
        cell = evaluate(cut.cell(Col(0)), [value])
        near = 1e-9 * max(abs(value), 1)
        assert borders[cell] - near <= value < borders[cell + 1] + near


def test_cells_are_narrow_where_values_are_small() -> None:
    widths = np.diff(MONEY.borders())
    places = np.searchsorted(MONEY.borders(), [30, 3_000, 150_000]) - 1
    relative = widths[places] / MONEY.borders()[places]
    assert relative.max() < 0.3
    assert widths[places[0]] < 10


def test_a_cell_is_cut_into_its_steps_or_evenly() -> None:
    low, high = np.array([9.5, 99.5]), np.array([13.5, 1099.5])
    assert WHOLE.finer(low, high).tolist() == [4, 32]
    assert SIGNED.finer(low, high).tolist() == [64, 64]
    parts = [
        evaluate(zoomed_cell(Col(0), Col(1), Col(2), 32), [float(v), 9.5, 1.0]) for v in (10, 13, 9, 500)
    ]
    assert parts == [0, 3, 0, 31]
    assert WHOLE.first(low).tolist() == [10, 100]
    assert WHOLE.last(high).tolist() == [13, 1099]
    assert MONEY.nearest(np.array([0.126, 1.0000001])).tolist() == [0.13, 1.0]


def test_what_is_out_of_range_stands_at_the_ends() -> None:
    for cut in (MONEY, SIGNED):
        cell = cut.cell(Col(0))
        assert evaluate(cell, [-1e300]) == 0
        assert evaluate(cell, [1e300]) == cut.cells - 1


def test_values_off_the_steps_are_taken_as_reals() -> None:
    shifted = Facts(Kind.DOUBLE, True, Range(Fraction(1, 3), Fraction(1000)), Fraction(1, 100))
    assert grid(shifted, "median", 8).step is None


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 0),
        (Fraction(1, 3), Fraction(1, 3)),
        (7, Fraction(7) + Fraction(1, 10**12)),
        (-(10**15), -(10**15)),
    ],
)
def test_a_range_of_one_value_is_one_cell(low: Fraction, high: Fraction) -> None:
    cut = grid(Facts(Kind.DOUBLE, True, Range(Fraction(low), Fraction(high)), None), "median", 64)
    assert (cut.single, cut.cells) == (True, 1)
    assert [evaluate(cut.cell(Col(0)), [v]) for v in (float(low), 1e300, -1e300)] == [0, 0, 0]
    assert cut.nearest(np.array([float(low)])) == pytest.approx([float(low)])


def test_no_grid_without_a_range_or_a_number() -> None:
    for known, code in ((Facts(Kind.DOUBLE), Code.NO_BOUND), (Facts(Kind.DATE), Code.TYPE),
                        (facts(0, 10**16, None), Code.NO_BOUND)):  # fmt: skip
        with pytest.raises(Refusal) as caught:
            grid(known, "median", 64)
        assert caught.value.reasons[0].code is code


def test_many_groups_have_fewer_cells_each() -> None:
    assert [cells_for(n, 2**14) for n in (1, 256, 257, 1000, 10**6)] == [CELLS, 64, 32, 16, FEWEST_CELLS]
    assert cells_for(None, 2**14) == CELLS
