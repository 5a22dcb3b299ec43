from __future__ import annotations

import math

import numpy as np
import pytest

from sandbox.privacy.caps import Cap, Lost
from sandbox.privacy.ranks import cell_widths, rank_width

CELLS = np.array([100.0] * 16 + [300.0] * 16)
CLIPPED = Cap(
    4, excess=100.0, unsure=10.0, likely=50.0, kept=1000.0, lost=(Lost(4.0, 5.0, 10.0), Lost(12.0, 1.0, 4.0))
)


def test_a_rank_bears_the_noise_of_half_its_cells() -> None:
    assert rank_width(lambda cap: 3.0 * cap, 64)(2) == 24.0


def test_without_clipping_a_cell_has_its_noise() -> None:
    assert cell_widths(CELLS, Cap(4), 7.0, 16, rows=None, squared=True).tolist() == [7.0] * 32


def test_rows_that_may_be_missing_widen_the_groups_that_hold_them() -> None:
    widths = cell_widths(CELLS, CLIPPED, 7.0, 16, rows=None, squared=True)
    assert (widths[:16] == widths[0]).all()
    assert 7.0 < widths[0] < widths[16]
    # At most all: 4 steps of ten units of norm 8, four rows a step at most, and 12 of four of norm 16.
    lost = 4 * 10 * 4 + 12 * 4 * 4 + 10
    assert widths[16] == pytest.approx(math.sqrt(49 + lost**2 / 16))


def test_fewer_rows_stand_for_a_step_where_few_are_declared_or_norms_add_up() -> None:
    free, declared, plain = (
        cell_widths(CELLS, CLIPPED, 7.0, 16, rows=rows, squared=squared)[16]
        for rows, squared in ((None, True), (16, True), (None, False))
    )
    assert free > declared > plain > 7.0


def test_what_has_no_known_norm_has_no_known_rank() -> None:
    assert np.isinf(cell_widths(CELLS, Cap(4, math.inf), 7.0, 16, rows=None, squared=True)).all()
