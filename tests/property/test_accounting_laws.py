"""Laws of accounting: conversions are sound and tight, sums never pass their limits."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction
from typing import Any

import opendp.prelude as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import Code, Refusal
from sandbox.policy.documents import Budget
from sandbox.privacy.accounting import (
    ATTO,
    Cost,
    Measure,
    account,
    as_dataset_cost,
    epsilon_for,
    parse_epsilon,
    query_cost,
    rho_for,
    split,
)
from sandbox.privacy.mechanisms import Mechanism, Noise, opendp_cost

epsilons = st.fractions(min_value="0.001", max_value=20, max_denominator=10**6)
deltas = st.integers(4, 15).map(lambda k: Fraction(1, 10**k))
scales = st.integers(1, 10**6).map(lambda n: Fraction(n, 16))


def gaussian_delta(scale: float, epsilon: float) -> float:
    """The exact delta of continuous Gaussian noise at sensitivity 1 (Balle and Wang 2018, theorem 8)."""

    def cdf(x: float) -> float:  # by erfc: statistics.NormalDist loses its lower tail to rounding
        return math.erfc(-x / math.sqrt(2)) / 2

    shift = epsilon * scale
    return cdf(0.5 / scale - shift) - math.exp(epsilon) * cdf(-0.5 / scale - shift)


def opendp_gaussian(scale: Fraction) -> Any:  # opendp leaves map() without types
    space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.l2_distance(T=dp.f64)
    return dp.m.make_gaussian(*space, scale=float(scale))


@given(st.fractions(min_value="0.3", max_value=50, max_denominator=100), deltas)
def test_the_conversion_is_not_below_the_true_loss(scale: Fraction, delta: Fraction) -> None:
    epsilon = epsilon_for(1 / (2 * scale * scale), delta)
    assert gaussian_delta(float(scale), epsilon) <= float(delta)


@given(scales.filter(lambda s: s >= 1), deltas)
def test_the_conversion_agrees_with_opendp(scale: Fraction, delta: Fraction) -> None:
    converted: Any = dp.c.make_zCDP_to_approxDP(opendp_gaussian(scale))
    theirs = converted.map(1.0).epsilon(float(delta))
    ours = epsilon_for(1 / (2 * scale * scale), delta)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@given(epsilons, deltas)
def test_rho_and_epsilon_are_inverse_within_rounding(epsilon: Fraction, delta: Fraction) -> None:
    rho = rho_for(epsilon, delta)
    assert 0 < rho < epsilon
    assert epsilon_for(rho * Fraction(999_999_999, 10**9), delta) <= epsilon
    assert epsilon_for(rho * Fraction(1_000_001, 10**6), delta) > epsilon


@given(st.lists(scales, min_size=1, max_size=4), st.integers(1, 10**6))
def test_sums_of_costs_equal_opendps_own_composition(several: list[Fraction], squared: int) -> None:
    made = [Mechanism(Noise.GAUSSIAN, squared, scale) for scale in several]
    parts = [opendp_cost(m) for m in made]
    distance = math.nextafter(math.sqrt(squared), math.inf)
    whole: Any = dp.c.make_composition([opendp_gaussian(scale) for scale in several])
    assert sum(m.cost() for m in made) <= sum(parts)
    assert float(sum(m.cost() for m in made)) == pytest.approx(whole.map(distance), rel=1e-12)


@given(epsilons, epsilons, deltas, st.booleans())
def test_nano_and_atto_run_out_together(
    total: Fraction, asked: Fraction, delta: Fraction, pure: bool
) -> None:
    budget = Budget(total, Fraction(0) if pure else delta)
    held, cost = account(budget), query_cost(asked, budget)
    affordable = held.limit_nano // cost.nano
    assert affordable * cost.delta_atto <= held.limit_atto
    assert cost.nano <= held.limit_nano or asked > total
    unspent = Fraction(held.limit_atto, ATTO) - Fraction(cost.delta_atto * affordable, ATTO)
    assert pure or unspent <= budget.delta * Fraction(cost.nano, held.limit_nano) + Fraction(affordable, ATTO)


@given(epsilons, deltas)
def test_a_query_alone_keeps_its_own_epsilon(asked: Fraction, delta: Fraction) -> None:
    held = account(Budget(Fraction(20), delta))
    cost = query_cost(asked, Budget(Fraction(20), delta))
    assert cost.nano == 1 or held.epsilon(cost.nano) <= asked


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=5))
def test_dataset_costs_are_rounded_up(nanos: list[int]) -> None:
    charged = sum(as_dataset_cost(Cost(n, 0), Measure.PURE).nano for n in nanos)
    true = sum(Fraction(n, 10**9) ** 2 / 2 for n in nanos)
    assert true <= Fraction(charged, 10**9) < true + Fraction(len(nanos), 10**9)


@given(st.integers(0, 10**12), st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
def test_split_is_exact_and_proportional(nano: int, weights: list[int]) -> None:
    parts = split(nano, tuple(weights))
    assert sum(parts) == nano
    assert all(abs(p - Fraction(nano * w, sum(weights))) < 1 for p, w in zip(parts, weights, strict=True))


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.none(), st.booleans(), st.binary()))
def test_parse_epsilon_is_total(given_value: object) -> None:
    read = None
    with contextlib.suppress(Refusal):
        read = parse_epsilon(given_value)
    if read is None:
        with pytest.raises(Refusal) as refused:
            parse_epsilon(given_value)
        assert refused.value.code is Code.EPSILON
    else:
        assert Fraction(1, 1000) <= read <= 20
        assert Fraction(str(given_value)) == read


@given(st.integers(1000, 20_000_000))
def test_parse_epsilon_reads_every_form_of_a_number_alike(millionths: int) -> None:
    epsilon = Fraction(millionths, 10**6)
    text = f"{millionths // 10**6}.{millionths % 10**6:06d}"
    assert parse_epsilon(text) == epsilon
    assert parse_epsilon(float(text)) == epsilon
