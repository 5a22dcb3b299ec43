"""Partition selection: which group keys may appear, when the keys themselves come from the data.

A key is released, with its noisy count of distinct units, when that count lies *strictly above* a
threshold T.  Each unit counts 1 for at most ``groups`` keys.  Keys without any unit are never
looked at, which is where the delta comes from.

Lemma.  Let X be the noise of one coordinate and p = P(1 + X > T).  If the noisy counts over a fixed
set of keys are rho-zCDP, the selection is (groups * p)-approximate rho-zCDP; in the same way
epsilon-DP noise gives (epsilon, groups * p)-DP.

Proof.  Let D' be D plus one unit, K the keys of D, and K' the keys of D' outside K: at most
``groups`` of them, each with count exactly 1, all of that unit.  Coordinates carry independent noise.
Let A be the event that no key of K' passes.  Given A, the answer over D' is a function of the noisy
counts over K alone, and so is the answer over D: they are rho-close.  By the union bound A fails
with probability at most groups * p.  (Exactly 1 - (1 - p)^groups; the union bound exceeds that by less
than half of (groups * p)^2, and is what is used here.)  QED.

The threshold is strict and the noise is discrete, so p = P(X >= T) for integer T; a threshold from
the continuous tail, or one that passes at equality, is too small by a factor of up to e^(1/scale).

Sources: Korolova, Kenthapadi, Mishra and Ntoulas 2009, "Releasing Search Queries and Clicks
Privately"; Google's "Delta for thresholding"; Bun and Steinke 2016, section 8, for approximate zCDP;
Canonne, Kamath and Steinke 2020 for the discrete Gaussian.
"""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist
from typing import Final

from sandbox.privacy.accounting import ATTO
from sandbox.privacy.mechanisms import (
    LARGEST_VALUE,
    SUMMED_SCALE,
    Mechanism,
    Noise,
    gaussian_total,
    gaussian_weights,
)

_SMALLEST_DELTA: Final = Fraction(1, ATTO)
_ABOVE: Final = 1 + 1e-9  # more than the floats of a tail can lose


def threshold(mechanism: Mechanism, groups: int, delta: Fraction, floor_units: int) -> int:
    """Smallest integer T >= ``floor_units`` whose selection adds at most ``delta``.

    Release the keys whose noisy unit count is strictly above T.  ``mechanism`` is the noise of the
    counts, ``groups`` the most keys a unit may bring, ``floor_units`` the policy's fewest units.
    ``ValueError`` if ``delta`` is below 1e-18 or not below 1, or ``groups`` or the floor below 1 (or
    ``groups`` past 2^62).
    """
    if not 1 <= groups <= LARGEST_VALUE or floor_units < 1 or not _SMALLEST_DELTA <= delta < 1:
        raise ValueError("a threshold needs groups >= 1, units >= 1 and 1e-18 <= delta < 1")
    allowed = float(delta / groups) / _ABOVE
    scale = float(mechanism.scale)
    if mechanism.noise is Noise.LAPLACE:
        found = _laplace_threshold(scale, allowed)
    elif scale <= SUMMED_SCALE:
        found = _summed_threshold(scale, allowed)
    else:
        found = _wide_threshold(scale, allowed)
    return max(found, floor_units)


def _laplace_threshold(scale: float, allowed: float) -> int:
    """P(X >= T) = q^T / (1 + q) with q = e^(-1/b), solved for T."""
    room = allowed * (1 + math.exp(-1 / scale))
    return max(1, math.ceil(-math.log(room) * scale))


def _summed_threshold(scale: float, allowed: float) -> int:
    """From the far end inwards, while the sum of the terms stays within the allowance."""
    weights = gaussian_weights(scale)
    most = allowed * gaussian_total(weights)
    total, at = 0.0, len(weights)
    while at > 1 and total + weights[at - 1] <= most:
        at -= 1
        total += weights[at]
    return at


def _wide_threshold(scale: float, allowed: float) -> int:
    """From P(X >= T) <= P(N(0, scale^2) > T - 1/2), for T - 1/2 >= scale.

    exp(-x^2 / 2 scale^2) is convex from x = scale on, so each term lies below its integral over
    [x - 1/2, x + 1/2]; and the terms of all integers add up to at least scale * sqrt(2 pi), by Poisson
    summation (Canonne, Kamath and Steinke 2020, section 3).
    """
    quantile = max(1.0, -NormalDist().inv_cdf(allowed))
    return math.ceil(quantile * scale + 0.5)
