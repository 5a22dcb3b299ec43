"""Laws that every calibrated mechanism obeys, and the threshold's delta by exact enumeration."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from hypothesis import given
from hypothesis import strategies as st

from sandbox.privacy.accounting import Measure
from sandbox.privacy.mechanisms import Mechanism, Noise, best_squared, calibrate_squared, opendp_cost
from sandbox.privacy.selection import threshold

sensitivities = st.one_of(st.integers(1, 100), st.integers(1, 10**15))
nanos = st.one_of(st.integers(1, 100), st.integers(1, 10**10))
kinds = st.sampled_from(
    [(Noise.GAUSSIAN, Measure.ZCDP), (Noise.LAPLACE, Measure.ZCDP), (Noise.LAPLACE, Measure.PURE)]
)


@given(kinds, sensitivities, nanos)
def test_calibrate_never_overspends_nor_wastes(
    kind: tuple[Noise, Measure], sensitivity: int, nano: int
) -> None:
    noise, measure = kind
    mechanism = calibrate_squared(noise, sensitivity**2, nano, measure)
    allowed = Fraction(nano, 10**9)
    assert allowed * (1 - Fraction(1, 10**12)) < mechanism.cost_in(measure) <= allowed
    mapped = opendp_cost(mechanism)
    assert mechanism.cost() <= mapped
    assert (mapped**2 / 2 if kind == (Noise.LAPLACE, Measure.ZCDP) else mapped) <= allowed


@given(st.integers(1, 10**30), nanos)
def test_calibrate_never_overspends_for_irrational_sensitivities(squared: int, nano: int) -> None:
    mechanism = calibrate_squared(Noise.GAUSSIAN, squared, nano, Measure.ZCDP)
    assert mechanism.cost() <= opendp_cost(mechanism) <= Fraction(nano, 10**9)


@given(st.integers(1, 10**6), nanos)
def test_gaussian_is_best_wherever_the_norms_are_equal(sensitivity: int, nano: int) -> None:
    chosen = best_squared(Measure.ZCDP, sensitivity, sensitivity**2, nano)
    laplace = calibrate_squared(Noise.LAPLACE, sensitivity**2, nano, Measure.ZCDP)
    assert chosen.half_width() <= laplace.half_width()
    assert chosen.noise is Noise.GAUSSIAN or chosen.half_width() < 10


@given(kinds, sensitivities, nanos, st.floats(0.01, 0.999999))
def test_accuracy_figures_are_total_and_ordered(
    kind: tuple[Noise, Measure], sensitivity: int, nano: int, confidence: float
) -> None:
    mechanism = calibrate_squared(kind[0], sensitivity**2, nano, kind[1])
    assert 0 <= mechanism.half_width(confidence / 2) <= mechanism.half_width(confidence) < math.inf
    assert 0 <= mechanism.variance() < math.inf


@lru_cache
def exact_tails(noise: Noise, scale: Fraction) -> tuple[float, ...]:
    """P(X >= t) for t = 0, 1, ... by summing the whole distribution from its far end."""
    b = float(scale)
    powers = [x / b if noise is Noise.LAPLACE else x * x / (2 * b * b) for x in range(int(70 * b) + 60)]
    weights = [math.exp(-p) for p in powers]
    total, at, tails = 2 * math.fsum(weights) - 1, 0.0, []
    for weight in reversed(weights):
        at += weight
        tails.append(at / total)
    return tuple(reversed(tails))


@given(
    st.sampled_from(list(Noise)),
    st.integers(4, 1200).map(lambda n: Fraction(n, 8)),
    st.integers(1, 50),
    st.integers(1, 15).map(lambda k: Fraction(1, 3 * 10**k)),
)
def test_the_threshold_keeps_its_delta_and_is_the_smallest(
    noise: Noise, scale: Fraction, groups: int, delta: Fraction
) -> None:
    mechanism = Mechanism(noise, groups**2, scale)
    found = threshold(mechanism, groups, delta, 1)
    tails = exact_tails(noise, scale)
    alone = -math.expm1(groups * math.log1p(-tails[found]))  # 1 - (1 - p)^groups, one unit alone
    union = groups * tails[found]
    assert alone <= union * (1 + 1e-12)  # rounding of the two formulas
    assert union <= float(delta)
    convex = noise is Noise.GAUSSIAN and scale > 64
    assert (
        found == 1
        or groups * tails[found - 1] > float(delta) * (0.999 if convex else 1 - 1e-8)
        or (convex and found - 1.5 < float(scale))
    )


mechanisms = st.builds(
    lambda kind, sensitivity, nano: calibrate_squared(kind[0], sensitivity**2, nano, kind[1]),
    kinds,
    sensitivities,
    nanos,
)


@given(mechanisms, st.integers(1, 10**6), st.integers(0, 18), st.integers(1, 10**4))
def test_thresholds_are_total_and_monotone(
    mechanism: Mechanism, groups: int, digits: int, units: int
) -> None:
    delta = max(Fraction(1, 2 * 10**digits), Fraction(1, 10**18))
    found = threshold(mechanism, groups, delta, units)
    assert found >= units
    assert threshold(mechanism, groups + 1, delta, units) >= found
    assert threshold(mechanism, groups, delta, units + 1) >= found
