"""The threshold of partition selection, against hand-worked figures and known mistakes."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from sandbox.privacy.mechanisms import Mechanism, Noise
from sandbox.privacy.selection import threshold


def laplace(scale: Fraction, groups: int = 1) -> Mechanism:
    return Mechanism(Noise.LAPLACE, groups**2, scale)


def gaussian(scale: Fraction, groups: int = 1) -> Mechanism:
    return Mechanism(Noise.GAUSSIAN, groups, scale)


def test_a_worked_laplace_threshold() -> None:
    # scale 1: P(X >= T) = e^-T / (1 + e^-1); a delta of 0.0133 allows T = 5 (0.00493), and 4 (0.0134) not
    assert threshold(laplace(Fraction(1)), 1, Fraction(133, 10_000), 1) == 5
    assert threshold(laplace(Fraction(1)), 1, Fraction(135, 10_000), 1) == 4
    assert threshold(laplace(Fraction(1)), 1, Fraction(49, 10_000), 1) == 6


def test_a_worked_gaussian_threshold() -> None:
    # scale 1: weights 1, e^-1/2, e^-2, e^-9/2 ...; P(X >= 3) = 0.004567, P(X >= 4) = 0.000135
    assert threshold(gaussian(Fraction(1)), 1, Fraction(46, 10_000), 1) == 3
    assert threshold(gaussian(Fraction(1)), 1, Fraction(45, 10_000), 1) == 4


def test_a_unit_of_many_groups_needs_a_higher_threshold() -> None:
    delta = Fraction(1, 10**8)
    assert threshold(laplace(Fraction(4), 12), 12, delta, 1) - threshold(
        laplace(Fraction(4)), 1, delta, 1
    ) == round(4 * math.log(12))


def test_the_policys_floor_holds() -> None:
    assert threshold(gaussian(Fraction(1, 4)), 1, Fraction(1, 10**6), 30) == 30


def test_large_deltas_and_tiny_noise_give_the_least_threshold() -> None:
    almost = Fraction(99, 100)
    assert threshold(gaussian(Fraction(1, 2**64)), 1, Fraction(1, 10**18), 1) == 1
    assert threshold(laplace(Fraction(1)), 1, almost, 1) == 1
    assert threshold(gaussian(Fraction(1)), 1, almost, 1) == 1
    assert threshold(gaussian(Fraction(100)), 1, almost, 1) == 101


def test_the_integral_bound_meets_the_sum_where_they_change_over() -> None:
    delta = Fraction(1, 10**7)
    summed, integral = gaussian(Fraction(64)), gaussian(Fraction(64) + Fraction(1, 2**20))
    assert threshold(integral, 1, delta, 1) - threshold(summed, 1, delta, 1) in (0, 1)


@pytest.mark.parametrize(
    ("groups", "delta", "units"),
    [
        (0, Fraction(1, 10), 1),
        (2**62 + 1, Fraction(1, 10), 1),
        (1, Fraction(0), 1),
        (1, Fraction(1), 1),
        (1, Fraction(1, 10**19), 1),
        (1, Fraction(1, 10), 0),
    ],
)
def test_a_threshold_refuses_what_it_cannot_prove(groups: int, delta: Fraction, units: int) -> None:
    with pytest.raises(ValueError, match="threshold"):
        threshold(gaussian(Fraction(1)), groups, delta, units)
