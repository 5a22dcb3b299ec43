"""What clipping did to cells: corrections and half-widths from noisy values alone."""

from __future__ import annotations

import math

import numpy as np

from sandbox.privacy.caps import Cap, Lost
from sandbox.privacy.clipping import Estimate, Floats, Width, blended, corrected

NOISE = Width(10.0, 8.5)
CAP = Cap(50, 1000.0, 100.0, 600.0, 100_000.0, (Lost(20.0, 20.0, 30.0), Lost(50.0, 4.0, 8.0)))
CELLS = np.array([60_000.0, 30_000.0, 9_000.0, 1_000.0, 0.0, -5.0])


def both(amounts: Floats, cap: Cap, noise: Width, *, sign: int, alone: bool) -> tuple[Floats, Floats]:
    found = corrected(amounts, cap, noise, sign=sign, alone=alone)
    return found.amounts, found.widths


def test_without_clipping_values_stay_and_widths_are_the_noise() -> None:
    values, widths = both(CELLS, Cap(50), NOISE, sign=1, alone=False)
    assert values.tolist() == CELLS.tolist()
    assert set(widths) == {10.0}


def test_values_that_cannot_be_negative_are_raised_by_their_share_of_the_likely_part() -> None:
    values, widths = both(CELLS, CAP, NOISE, sign=1, alone=False)
    assert np.allclose(values - CELLS, np.maximum(CELLS, 0) / 100_000 * 600)
    assert (widths >= values - CELLS + NOISE.near - 1e-9).all(), "no correction at all lies within"
    assert (np.diff(widths) <= 1e-9).all(), "smaller cells bear less"
    down, _ = both(-CELLS, CAP, NOISE, sign=-1, alone=False)
    assert np.allclose(down, -values)


def test_values_of_either_sign_stay_where_they_are() -> None:
    values, widths = both(CELLS, CAP, NOISE, sign=0, alone=False)
    assert values.tolist() == CELLS.tolist()
    assert (widths > NOISE.whole).all()


def test_a_lone_cell_bears_everything() -> None:
    values, widths = both(np.array([5000.0]), CAP, NOISE, sign=1, alone=True)
    assert values.tolist() == [5600.0]
    assert widths.tolist() == [600.0 + NOISE.near]
    values, widths = both(np.array([5000.0]), CAP, NOISE, sign=0, alone=True)
    assert (values.tolist(), widths.tolist()) == ([5000.0], [1000.0 + NOISE.near])


def test_little_clipping_leaves_the_whole_width_of_the_noise() -> None:
    small = Cap(50, 4.0, 0.0, 2.0, 100_000.0, (Lost(1.0, 2.0, 4.0),))
    _, widths = both(np.array([5000.0]), small, NOISE, sign=1, alone=True)
    assert widths.tolist() == [12.0]


def test_no_cell_bears_more_than_all() -> None:
    assert both(np.array([1e9]), CAP, NOISE, sign=0, alone=False)[1][0] <= 1000.0 + NOISE.whole
    nothing_kept = Cap(50, 1000.0, 0.0, 600.0, 0.0, CAP.lost)
    values, widths = both(CELLS, nothing_kept, NOISE, sign=1, alone=False)
    assert values.tolist() == CELLS.tolist()
    assert (widths == 1000.0 + NOISE.near).all()


def test_an_unknown_excess_leaves_no_interval() -> None:
    values, widths = both(CELLS, Cap(50, math.inf), NOISE, sign=1, alone=False)
    assert values.tolist() == CELLS.tolist()
    assert np.isinf(widths).all()


def test_two_draws_are_mixed_by_the_error_that_each_likely_has() -> None:
    clipped = Estimate(np.array([1000.0, 10.0]), np.array([300.0, 0.0]), Width(2.0, 1.7))
    noisy = Estimate(np.array([1100.0, 50.0]), np.array([0.0, 0.0]), Width(40.0, 34.0))
    values, widths = blended(clipped, noisy)
    assert 1080 < values[0] < 1100, "the one that is not clipped counts for more"
    assert 10 < values[1] < 10.2, "the one with less noise counts for more"
    assert abs(widths[0] - (abs(values[0] - 1100) + 40)) < 1e-9
    assert widths[1] < 2.2


def test_equal_draws_are_better_together() -> None:
    one = Estimate(np.array([100.0]), np.zeros(1), NOISE)
    values, widths = blended(one, Estimate(np.array([104.0]), np.zeros(1), NOISE))
    assert values.tolist() == [102.0]
    assert abs(widths[0] - NOISE.whole / math.sqrt(2)) < 1e-9


def test_where_both_are_unknown_there_is_no_interval() -> None:
    lost = Estimate(np.array([100.0]), np.array([math.inf]), NOISE)
    values, widths = blended(lost, lost)
    assert np.isfinite(values).all()
    assert np.isinf(widths).all()
