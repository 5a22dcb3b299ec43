"""The noise mechanisms: what can be built, what is drawn, what is claimed."""

from __future__ import annotations

import math
import statistics
import threading
from fractions import Fraction

import pytest

from sandbox.privacy.accounting import Measure
from sandbox.privacy.mechanisms import (
    LARGEST_VALUE,
    MANY,
    Mechanism,
    Noise,
    best,
    best_squared,
    calibrate,
    calibrate_squared,
    opendp_cost,
)

BOTH = pytest.mark.parametrize("noise", list(Noise))
SCALES = pytest.mark.parametrize(
    "scale", [Fraction(1, 4), Fraction(3, 4), Fraction(5), Fraction(129, 2), Fraction(10**6)]
)


@BOTH
@pytest.mark.parametrize(
    "scale", [Fraction(0), Fraction(-1), Fraction(1, 3), Fraction(1, 2**65), Fraction(10**400)]
)
def test_a_scale_is_positive_and_exact(noise: Noise, scale: Fraction) -> None:
    with pytest.raises(ValueError, match="scale"):
        Mechanism(noise, 1, scale)


@BOTH
@pytest.mark.parametrize("squared", [0, -1, LARGEST_VALUE**2 + 1])
def test_a_sensitivity_is_positive_and_bounded(noise: Noise, squared: int) -> None:
    with pytest.raises(ValueError, match="sensitivity"):
        Mechanism(noise, squared, Fraction(1))


def test_an_l1_sensitivity_is_whole_but_an_l2_sensitivity_need_not_be() -> None:
    assert Mechanism(Noise.GAUSSIAN, 12, Fraction(2)).cost() == Fraction(12, 8)
    with pytest.raises(ValueError, match="L1"):
        Mechanism(Noise.LAPLACE, 12, Fraction(2))


def test_costs_in_each_measure() -> None:
    gaussian, laplace = Mechanism(Noise.GAUSSIAN, 9, Fraction(6)), Mechanism(Noise.LAPLACE, 9, Fraction(6))
    assert (gaussian.cost(), gaussian.cost_in(Measure.ZCDP)) == (Fraction(1, 8), Fraction(1, 8))
    assert (laplace.cost(), laplace.cost_in(Measure.PURE)) == (Fraction(1, 2), Fraction(1, 2))
    assert laplace.cost_in(Measure.ZCDP) == Fraction(1, 8)
    with pytest.raises(ValueError, match="Gaussian"):
        gaussian.cost_in(Measure.PURE)
    with pytest.raises(ValueError, match="Gaussian"):
        calibrate(Noise.GAUSSIAN, 1, 1, Measure.PURE)


@BOTH
@pytest.mark.parametrize(("sensitivity", "nano"), [(0, 1), (-1, 1), (1, 0), (1, -5)])
def test_calibrate_refuses_nothing_to_protect_or_to_spend(noise: Noise, sensitivity: int, nano: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        calibrate(noise, sensitivity, nano, Measure.ZCDP)
    with pytest.raises(ValueError, match="positive"):
        calibrate_squared(noise, sensitivity, nano, Measure.ZCDP)


@BOTH
def test_no_allowance_is_large_enough_to_switch_noise_off(noise: Noise) -> None:
    assert calibrate(noise, 1, 10**400, Measure.ZCDP).scale == Fraction(1, 2**64)


@BOTH
def test_draws_are_one_per_value_and_whole(noise: Noise) -> None:
    mechanism = calibrate(noise, 10, 10**6, Measure.ZCDP)
    drawn = mechanism.draw([5] * 1000)
    assert len(drawn) == 1000
    assert all(type(v) is int for v in drawn)
    assert len(set(drawn)) > 100
    assert mechanism.draw([]) == []


@BOTH
def test_draws_at_the_edge_of_the_range(noise: Noise) -> None:
    mechanism = Mechanism(noise, 1, Fraction(1))
    for edge in (LARGEST_VALUE, -LARGEST_VALUE):
        assert abs(mechanism.draw([edge])[0] - edge) < 1000
        with pytest.raises(ValueError, match="too large"):
            mechanism.draw([0, edge + (1 if edge > 0 else -1)])
    with pytest.raises(TypeError):
        mechanism.draw([1.5])  # type: ignore[list-item]  # a caller's mistake, on purpose


@BOTH
def test_noise_wider_than_64_bits_saturates(noise: Noise) -> None:
    mechanism = calibrate(noise, 10**15, 1, Measure.ZCDP)
    assert all(-(2**63) <= v < 2**63 for v in mechanism.draw([0] * 50))


@BOTH
@SCALES
def test_draws_have_the_claimed_variance_and_half_width(noise: Noise, scale: Fraction) -> None:
    mechanism, n = Mechanism(noise, 1, scale), 4000
    drawn = mechanism.draw([1000] * n)
    error = [v - 1000 for v in drawn]
    variance = mechanism.variance()
    assert abs(statistics.fmean(error)) <= 6 * math.sqrt(variance / n)
    fourth = 6 * variance**2 + 2 * variance  # bounds the fourth moment's part for both kinds of noise
    assert abs(statistics.fmean(e * e for e in error) - variance) <= 7 * math.sqrt(fourth / n)
    covered = sum(abs(e) <= mechanism.half_width() for e in error) / n
    assert covered >= 0.95 - 6 * math.sqrt(0.95 * 0.05 / n)


def exact_coverage(mechanism: Mechanism, half_width: int) -> float:
    """P(|noise| <= half_width), summed over all integers that matter."""
    scale = float(mechanism.scale)
    plain = mechanism.noise is Noise.LAPLACE
    powers = ((x / scale) if plain else x * x / (2 * scale * scale) for x in range(int(60 * scale) + 2))
    weights = [math.exp(-p) for p in powers]
    return (2 * sum(weights[: half_width + 1]) - 1) / (2 * sum(weights) - 1)


@BOTH
@SCALES
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_half_width_is_the_smallest_that_covers(noise: Noise, scale: Fraction, confidence: float) -> None:
    mechanism = Mechanism(noise, 1, min(scale, Fraction(2000)))
    h = int(mechanism.half_width(confidence))
    assert exact_coverage(mechanism, h) >= confidence
    spare = 2 if noise is Noise.GAUSSIAN and mechanism.scale > 64 else 1
    assert h < spare or exact_coverage(mechanism, h - spare) < confidence


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, math.nan])
def test_half_width_needs_a_confidence(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        Mechanism(Noise.GAUSSIAN, 1, Fraction(1)).half_width(confidence)


@BOTH
def test_the_smallest_scales_give_no_error(noise: Noise) -> None:
    mechanism = Mechanism(noise, 1, Fraction(1, 2**64))
    assert (mechanism.half_width(), mechanism.variance()) == (0.0, 0.0)


def test_best_takes_the_narrower_noise() -> None:
    assert best(Measure.ZCDP, 1, 1, 10**6).noise is Noise.GAUSSIAN
    assert best(Measure.ZCDP, 10, 100, 10**6).noise is Noise.LAPLACE
    assert best_squared(Measure.ZCDP, 12, 12, 10**6).sensitivity_squared == 12
    assert best(Measure.PURE, 3, 1, 10**6) == calibrate(Noise.LAPLACE, 3, 10**6, Measure.PURE)
    with pytest.raises(ValueError, match="positive"):
        best(Measure.ZCDP, 1, 0, 1)


def test_opendps_map_is_taken_at_a_distance_not_below_an_irrational_sensitivity() -> None:
    for squared in (2, 3, 5, 12):
        mechanism = Mechanism(Noise.GAUSSIAN, squared, Fraction(2))
        assert mechanism.cost() <= opendp_cost(mechanism) < mechanism.cost() * (1 + Fraction(1, 10**14))


def test_a_mechanism_serves_several_threads() -> None:
    mechanism, lengths = Mechanism(Noise.GAUSSIAN, 1, Fraction(1000)), []
    threads = [
        threading.Thread(target=lambda: lengths.append(len(set(mechanism.draw([0] * 500))))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lengths) == 8
    assert min(lengths) > 100


@BOTH
def test_many_values_are_drawn_by_two_threads_each_on_its_own(noise: Noise) -> None:
    mechanism = Mechanism(noise, 1, Fraction(5))
    values = [1000 * i for i in range(MANY + 1)]
    errors = [drawn - v for v, drawn in zip(values, mechanism.draw(values), strict=True)]
    assert statistics.pvariance(errors) == pytest.approx(mechanism.variance(), rel=0.1)
    half = len(errors) // 2
    assert errors[:half] != errors[half : 2 * half]
    assert abs(statistics.correlation(errors[:half], errors[half : 2 * half])) < 0.05
