"""Noise and clipping in a histogram of which quantiles are read: the error of ranks counts, not of cells.

A rank is a sum over cells, so noise of half-width h a cell makes one of h sqrt(b) / 2 in the middle of b
cells: that is weighed against clipping when the cap is chosen.  Clipping takes rows from all of a unit's
cells alike and so moves ranks by less than the rows that it takes.  These, E of a group at most, are stated
as more noise of E / sqrt(b) a cell, which the rank at p then bears sqrt(p (1 - p)) E of.  Of the excess of
norms (``caps``), a unit loses as many rows where norms are L1; where they are L2, its sum of counts over
their norm n times as many: at most n, sqrt(b), and r / n if it has no more than the r rows that are declared.

All here is post-processing of noisy values: privacy does not depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sandbox.privacy.caps import Cap
from sandbox.privacy.clipping import UNEVEN
from sandbox.privacy.grid import Floats


def rank_width(width_of: Callable[[int], float], cells: int) -> Callable[[int], float]:
    """The half-width of a middle rank's noise by cap, from that of a cell's."""
    return lambda cap: width_of(cap) * math.sqrt(cells) / 2


def cell_widths(
    amounts: Floats, cap: Cap, noise: float, cells: int, *, rows: int | None, squared: bool
) -> Floats:
    """Half-widths by cell, groups of ``cells`` after each other; ``squared``: norms are L2."""
    if math.isinf(cap.excess):
        return np.full(len(amounts), math.inf)
    most = [_rows(cap.value + x.each, cells, rows) if squared else 1.0 for x in cap.lost]
    lost = math.fsum(x.each * x.stated * by for x, by in zip(cap.lost, most, strict=True)) + cap.unsure
    held = np.maximum(amounts.reshape(-1, cells).sum(axis=1), 0.0) + noise * math.sqrt(cells)
    share = np.minimum(UNEVEN * held / max(float(held.sum()), 1.0), 1.0)
    return np.repeat(np.sqrt(noise**2 + (share * lost) ** 2 / cells), cells)


def _rows(norm: float, cells: int, rows: int | None) -> float:
    """How many rows stand for one step of a unit's L2 norm, at most."""
    return max(1.0, min(norm, math.sqrt(cells), math.inf if rows is None else rows / norm))
