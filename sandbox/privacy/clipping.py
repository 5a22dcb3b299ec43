"""What clipping did to each cell: a correction of its value, and the half-width of its interval.

A cap is chosen for a release as a whole (``caps``), and what is known of its excess, the sum of what
clipping removes, is known for the whole.  A cell g bears a part E(g) of it.  If units were dealt to cells
without regard to their norms, a cell that holds a share s of the sum of norms would bear s of the excess
on average, with a standard deviation of at most sqrt(s) times the root of the sum of the squares of what
single units lose.  Units of some cells may be larger than those of others, so a cell's share is taken to be
up to ``UNEVEN`` times what it seems.  In one cell without keys, the share is one and nothing is assumed.

Where no value can be negative, clipping only removes: the value is raised by the likely part, and its
interval reaches down to no correction and up to the largest.  Elsewhere the value stays as it is.

The interval.  An error is noise plus a remainder of clipping, at most ``d`` either way, of which nothing
else is known.  For d = 0 the half-width is the noise's at 95 %; for larger d only one tail matters at a time
(Imbens and Manski 2004, "Confidence Intervals for Partially Identified Parameters", section 3), so the
noise's half-width at 91 % plus d is enough: from 2 d at least the half-width at 95 % on, the far tail has
less than 0.5 %.

Two draws.  One cap does not suit cells of very different size: small ones want little noise, large ones
little clipping.  Where there are cells, a part of the budget goes to a second draw at the cap that suits
their total, and each cell is shown by both: see ``blended``.

All here is post-processing of noisy values: privacy does not depend on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sandbox.privacy.caps import Cap, borne

Floats = npt.NDArray[np.float64]

UNEVEN: Final = 1.5
"""How many times its apparent share of the clipping a cell may bear on average: clipped units are large."""

WEIGHED: Final = 0.25
"""The part of a remainder, which is a worst case, that counts as a cell's error where two draws are weighed.
Measured (``docs/accuracy.md``): at a half, large cells lean on the draw at the high cap and get its noise,
even where cells hardly differ; at an eighth they keep too much of the clipping where cells do differ."""

_DEVIATIONS: Final = 1.28  # one-sided 90 %, of counts that are upper estimates themselves
_SMALLEST_SHARE: Final = 1e-6
_UNKNOWN: Final = 1e150  # stands for an infinite remainder in weights; its square is finite
NEAR: Final = 0.91
"""The confidence at which noise counts where clipping outweighs it."""


@dataclass(frozen=True, slots=True)
class Width:
    """Half-widths of one measure's noise: at 95 % and at ``NEAR``."""

    whole: float
    near: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Corrected amounts by cell; what may remain of clipping in each, either way; and the noise of all."""

    amounts: Floats
    remainder: Floats
    noise: Width

    @property
    def widths(self) -> Floats:
        """Half-widths of the intervals; an infinite one means that none is known."""
        return _around(self.remainder, self.noise.whole, self.noise.near)


def corrected(amounts: Floats, cap: Cap, noise: Width, *, sign: int, alone: bool) -> Estimate:
    """Corrected amounts, and what is not known of them.

    ``amounts``: noisy totals by cell.  ``sign``: 1 where no value is negative, -1 where none is positive,
    else 0.  ``alone``: the release has one cell, without keys.
    """
    if cap.excess == 0:
        return Estimate(amounts, np.zeros(len(amounts)), noise)
    if math.isinf(cap.excess):
        return Estimate(amounts, np.full(len(amounts), math.inf), noise)
    likely, most = _borne(amounts, cap, noise, sign=sign, alone=alone)
    shift = np.minimum(likely, most) if sign else np.zeros(len(amounts))
    remainder = np.maximum(most - shift, shift if sign else 0.0)
    return Estimate(amounts + sign * shift, remainder, noise)


def blended(near: Estimate, far: Estimate) -> tuple[Floats, Floats]:
    """The amounts of two independent draws of the same cells, and the half-widths of their intervals.

    ``near`` is drawn at a cap with little noise, ``far`` at one with little clipping.  A cell's amount is
    their mean, weighted by the inverse square of the error that each likely has.  Its interval is the
    shortest around that which holds the interval of one of them, or of their mean by inverse variance.
    """
    known = [np.minimum(WEIGHED * e.remainder, _UNKNOWN) for e in (near, far)]
    squares = [(e.noise.whole / 2) ** 2 + left**2 for e, left in zip((near, far), known, strict=True)]
    weight = squares[0] / (squares[0] + squares[1])
    shown = (1 - weight) * near.amounts + weight * far.amounts
    even = near.noise.whole**2 / (near.noise.whole**2 + far.noise.whole**2)
    options = [_mean(near, far, w) for w in (0.0, even, 1.0)]
    reach = [np.abs(shown - e.amounts) + e.widths for e in options]
    return shown, np.minimum(np.minimum(reach[0], reach[1]), reach[2])


def _mean(near: Estimate, far: Estimate, w: float) -> Estimate:
    """The mean of two independent estimates; ``w`` is the weight of the second."""
    pairs = ((near.noise.whole, far.noise.whole), (near.noise.near, far.noise.near))
    width = Width(*(math.hypot((1 - w) * a, w * b) for a, b in pairs))
    amounts = (1 - w) * near.amounts + w * far.amounts
    remainder = np.zeros(len(amounts))
    for part, estimate in ((1 - w, near), (w, far)):
        remainder += part * estimate.remainder if part else 0.0  # 0 times an unknown one is none
    return Estimate(amounts, remainder, width)


def _borne(amounts: Floats, cap: Cap, noise: Width, *, sign: int, alone: bool) -> tuple[Floats, Floats]:
    """What each cell likely lost, and the most that it may have lost."""
    if alone or cap.kept <= 0:
        return np.full(len(amounts), cap.likely if alone else 0.0), np.full(len(amounts), cap.excess)
    held = np.maximum(sign * amounts, 0.0) if sign else np.abs(amounts)
    apparent = np.minimum(held / cap.kept, 1.0)
    share = np.minimum(UNEVEN * (held + noise.whole / 2) / cap.kept, 1.0)
    grid = np.geomspace(_SMALLEST_SHARE, 1.0, 97)
    most = np.interp(np.log(np.maximum(share, _SMALLEST_SHARE)), np.log(grid), [_most(cap, s) for s in grid])
    return apparent * cap.likely, np.minimum(most, cap.excess)


def _most(cap: Cap, share: float) -> float:
    """What is not sure adds in quadrature: how many units lie above the cap, and which cells they are in."""
    mean, variance = borne([(x.each, x.stated) for x in cap.lost], share)
    likely, _ = borne([(x.each, max(x.likely, 0.0)) for x in cap.lost], share / UNEVEN)
    more = mean + share * cap.unsure - likely
    return likely + math.hypot(more, _DEVIATIONS * math.sqrt(variance))


def _around(remainder: Floats, whole: float, near: float) -> Floats:
    return remainder + np.where(2 * remainder >= whole, near, whole)
