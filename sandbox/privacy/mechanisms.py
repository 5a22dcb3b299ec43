"""Noise: discrete Gaussian and discrete Laplace on integer vectors, drawn by OpenDP.

Invariants:
- Values, sensitivities and noise are integers (fixed-point units); scales are exact rationals that
  are also exact binary64 numbers, so what is claimed is what is drawn.
- A mechanism's claimed loss is never below its true loss, and OpenDP's own privacy map agrees.
- Values outside +-2^62 are a caller's error, found before any draw.  Noise that leaves 64 bits is
  saturated by OpenDP, which is post-processing and only moves an answer towards the truth.
- The only randomness is OpenDP's (the operating system's generator); nothing is seeded.
- A scale of zero, which OpenDP would take and answer exactly, cannot be built.

Sensitivity is carried *squared*, since an L2 sensitivity such as sqrt(groups) is irrational while
its square is an integer.  For Laplace it is the square of the integer L1 sensitivity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from operator import index
from statistics import NormalDist
from typing import Any, Final

import opendp.prelude as dp

from sandbox.privacy.accounting import NANO, Measure

# OpenDP marks whatever its authors have not proved line by line as "contrib", and in 0.16 that
# covers both constructors used here, make_gaussian and make_laplace over i64 vectors.  These two
# are the discrete samplers of Canonne, Kamath and Steinke 2020.  Nothing else of OpenDP is used;
# "floating-point", "idealized-numerics", "honest-but-curious" and the rest stay off.
dp.enable_features("contrib")

LARGEST_VALUE: Final = 2**62
MANY: Final = 20_000
"""From so many values on a draw uses two threads."""
SMALLEST_SCALE: Final = 2.0**-64
LARGEST_SCALE: Final = 2.0**128
SUMMED_SCALE: Final = 64
"""Up to this scale Gaussian sums are taken term by term; beyond it, by integral bounds."""
_TAIL: Final = 40  # terms beyond this many scales are below e^-800 of the peak
_ABOVE: Final = 1 + 1e-12  # more than the floats of a quantile can lose


class Noise(StrEnum):
    """The two kinds of noise."""

    GAUSSIAN = "gaussian"
    LAPLACE = "laplace"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Integer noise of one kind and scale, for queries of a known sensitivity.

    ``sensitivity_squared``: square of the largest change of the whole vector between neighbours, in
    the L2 norm for Gaussian, in the L1 norm for Laplace (then a perfect square).  ``scale``: the
    parameter sigma of P(x) ~ exp(-x^2 / 2 sigma^2), or b of P(x) ~ exp(-|x| / b).
    """

    noise: Noise
    sensitivity_squared: int
    scale: Fraction

    def __post_init__(self) -> None:
        squared = self.sensitivity_squared
        if not 0 < squared <= LARGEST_VALUE**2:
            raise ValueError("a sensitivity is positive and at most 2^62")
        if self.noise is Noise.LAPLACE and math.isqrt(squared) ** 2 != squared:
            raise ValueError("an L1 sensitivity is an integer")
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE or Fraction(float(self.scale)) != self.scale:
            raise ValueError("a scale is a positive binary64 number, neither vanishing nor without end")

    def draw(self, values: Sequence[int]) -> list[int]:
        """The values with noise, one vector call.  ``ValueError`` before any draw if one is too large."""
        whole = [index(v) for v in values]
        if any(not -LARGEST_VALUE <= v <= LARGEST_VALUE for v in whole):
            raise ValueError("a value is too large to be protected")
        if not whole:
            return []
        measurement = _measurement(self.noise, float(self.scale))
        if len(whole) < MANY:
            return list(measurement(whole))
        # Each value has its own independent noise, so halves may be drawn side by side: OpenDP lets go
        # of the interpreter while it draws.
        middle = len(whole) // 2
        with ThreadPoolExecutor(2) as pool:
            halves = pool.map(measurement, (whole[:middle], whole[middle:]))
            return [v for half in halves for v in half]

    def cost(self) -> Fraction:
        """Loss in the noise's own measure: rho of Gaussian, epsilon of Laplace.  Exact.

        rho = s^2 / 2 sigma^2 (Canonne, Kamath and Steinke 2020, theorem 4); epsilon = s / b.
        """
        if self.noise is Noise.GAUSSIAN:
            return self.sensitivity_squared / (2 * self.scale**2)
        return math.isqrt(self.sensitivity_squared) / self.scale

    def cost_in(self, measure: Measure) -> Fraction:
        """Loss as an account of ``measure`` counts it.  ``ValueError`` for Gaussian in pure epsilon."""
        if self.noise is Noise.GAUSSIAN:
            if measure is Measure.PURE:
                raise ValueError("Gaussian noise has no pure epsilon")
            return self.cost()
        return self.cost() ** 2 / 2 if measure is Measure.ZCDP else self.cost()

    def half_width(self, confidence: float = 0.95) -> float:
        """Smallest integer h known to satisfy P(|noise| <= h) >= confidence, as a float."""
        if not 0 < confidence < 1:
            raise ValueError("a confidence lies between 0 and 1")
        if self.noise is Noise.LAPLACE:
            return _laplace_half_width(float(self.scale), confidence)
        return _gaussian_half_width(float(self.scale), confidence)

    def variance(self) -> float:
        """The variance of one coordinate's noise."""
        scale = float(self.scale)
        if self.noise is Noise.LAPLACE:
            return 2 * math.exp(-1 / scale) / math.expm1(-1 / scale) ** 2
        if scale > SUMMED_SCALE:
            return scale * scale  # exceeds the true variance by less than 1e-300 of it
        weights = gaussian_weights(scale)
        return 2 * math.fsum(x * x * w for x, w in enumerate(weights)) / gaussian_total(weights)


def calibrate(noise: Noise, sensitivity: int, nano: int, measure: Measure) -> Mechanism:
    """The least noise whose loss is at most ``nano``, for an integer L2 (Gaussian) or L1 sensitivity."""
    return calibrate_squared(noise, _squared(sensitivity), nano, measure)


@lru_cache(maxsize=4096)  # a cap is chosen among many, each for its noise
def calibrate_squared(noise: Noise, sensitivity_squared: int, nano: int, measure: Measure) -> Mechanism:
    """As ``calibrate``, for a sensitivity known by its square.

    The closed form gives the scale, rounded up to a binary64 number; it then grows by single steps
    until both the exact cost and OpenDP's own map are within the allowance (a step or two).
    ``ValueError`` for a sensitivity or allowance that is not positive, or Gaussian in pure epsilon.
    """
    if sensitivity_squared <= 0 or nano <= 0:
        raise ValueError("noise needs a positive sensitivity and a positive allowance")
    if noise is Noise.GAUSSIAN and measure is Measure.PURE:
        raise ValueError("Gaussian noise has no pure epsilon")
    scale = _closed_form(noise, sensitivity_squared, nano, measure)
    while not _within(
        mechanism := Mechanism(noise, sensitivity_squared, Fraction(scale)),
        nano,
        measure,
    ):
        scale = math.nextafter(scale, math.inf)
    return mechanism


def best(measure: Measure, l1: int, l2: int, nano: int) -> Mechanism:
    """The mechanism of the smaller 95 % half-width for a vector of both integer sensitivities."""
    return best_squared(measure, l1, _squared(l2), nano)


def best_squared(measure: Measure, l1: int, l2_squared: int, nano: int) -> Mechanism:
    """As ``best``, for an L2 sensitivity known by its square.  Pure epsilon allows Laplace only."""
    laplace = calibrate(Noise.LAPLACE, l1, nano, measure)
    if measure is Measure.PURE:
        return laplace
    gaussian = calibrate_squared(Noise.GAUSSIAN, l2_squared, nano, measure)
    return min((gaussian, laplace), key=Mechanism.half_width)


@lru_cache(maxsize=256)
def gaussian_weights(scale: float) -> tuple[float, ...]:
    """exp(-x^2 / 2 scale^2) for x = 0, 1, ... until it vanishes, for scales up to 64."""
    return tuple(math.exp(-0.5 * (x / scale) * (x / scale)) for x in range(math.ceil(_TAIL * scale) + 2))


def gaussian_total(weights: Sequence[float]) -> float:
    """The normalising constant, over all integers, for ``gaussian_weights``."""
    return 2 * math.fsum(weights) - weights[0]


def _squared(sensitivity: int) -> int:
    if sensitivity <= 0:
        raise ValueError("noise needs a positive sensitivity")
    return sensitivity * sensitivity


def _closed_form(noise: Noise, sensitivity_squared: int, nano: int, measure: Measure) -> float:
    if noise is Noise.LAPLACE and measure is Measure.PURE:
        return max(SMALLEST_SCALE, math.isqrt(sensitivity_squared) * NANO / nano)
    return max(SMALLEST_SCALE, math.sqrt(sensitivity_squared * NANO / (2 * nano)))


def _within(mechanism: Mechanism, nano: int, measure: Measure) -> bool:
    allowed = Fraction(nano, NANO)
    mapped = opendp_cost(mechanism)
    if mechanism.noise is Noise.LAPLACE and measure is Measure.ZCDP:
        mapped = mapped**2 / 2
    return mechanism.cost_in(measure) <= allowed and mapped <= allowed


def opendp_cost(mechanism: Mechanism) -> Fraction:
    """OpenDP's own figure for ``Mechanism.cost``: its privacy map, which rounds up."""
    squared = mechanism.sensitivity_squared
    distance: int | float = math.isqrt(squared)
    if mechanism.noise is Noise.GAUSSIAN:
        distance = math.sqrt(squared)
        if Fraction(distance) ** 2 < squared:
            distance = math.nextafter(distance, math.inf)
    measurement: Any = _measurement(mechanism.noise, float(mechanism.scale))  # its map() has no types
    return Fraction(measurement.map(distance))


@lru_cache(maxsize=4096)
def _measurement(noise: Noise, scale: float) -> dp.Measurement:
    """OpenDP's mechanism over vectors of i64 (its plain ``int`` would be 32 bits)."""
    domain = dp.vector_domain(dp.atom_domain(T=dp.i64))
    if noise is Noise.GAUSSIAN:
        return dp.m.make_gaussian(domain, dp.l2_distance(T=dp.f64), scale=scale)
    return dp.m.make_laplace(domain, dp.l1_distance(T=dp.i64), scale=scale)


def _laplace_half_width(scale: float, confidence: float) -> float:
    """From P(|X| > h) = 2 q^(h+1) / (1 + q), with q = e^(-1/b)."""
    exponent = math.log(2 / ((1 + math.exp(-1 / scale)) * (1 - confidence)))
    return float(max(0, math.ceil(scale * exponent * _ABOVE) - 1))


@lru_cache(maxsize=4096)
def _gaussian_half_width(scale: float, confidence: float) -> float:
    """By summation, or from P(X > h) <= P(N(0, scale^2) > h) for integers h >= 0.

    The terms from h + 1 on are below the integral from h on, and all terms together are at least
    scale * sqrt(2 pi), by Poisson summation (Canonne, Kamath and Steinke 2020, section 3).
    """
    if scale > SUMMED_SCALE:
        quantile = -NormalDist().inv_cdf((1 - confidence) / 2)
        return float(math.ceil(quantile * scale * _ABOVE))
    weights = gaussian_weights(scale)
    allowed = (1 - confidence) / 2 * gaussian_total(weights) / _ABOVE
    tail, h = 0.0, len(weights) - 1
    while h > 0 and tail + weights[h] <= allowed:
        tail += weights[h]
        h -= 1
    return float(h)
