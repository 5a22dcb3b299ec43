"""Budgets, costs and the reading of epsilon, by worked figures and hostile input."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest

from sandbox.errors import Code, Refusal
from sandbox.policy.documents import Budget
from sandbox.privacy.accounting import (
    Account,
    Cost,
    Measure,
    account,
    as_dataset_cost,
    epsilon_for,
    limit,
    parse_epsilon,
    query_cost,
    rho_for,
    split,
)

DELTA = Fraction(1, 10**7)
GRANT = Budget(Fraction(8), DELTA)
PURE = Budget(Fraction(8), Fraction(0))


def test_account_of_a_zcdp_budget_halves_delta() -> None:
    held = account(GRANT)
    assert held == Account(Measure.ZCDP, DELTA, limit(Fraction(8), DELTA))
    assert held.limit_atto == 5 * 10**10
    assert held.limit_nano == math.floor(rho_for(Fraction(8), DELTA / 2) * 10**9)
    assert 7.9999 < held.epsilon(held.limit_nano) <= 8 < held.epsilon(held.limit_nano + 1)


def test_account_of_a_pure_budget_counts_epsilon() -> None:
    held = account(PURE)
    assert held == Account(Measure.PURE, Fraction(0), 8 * 10**9)
    assert (held.limit_atto, held.epsilon(500_000_000)) == (0, 0.5)
    assert Fraction(held.epsilon(333_333_333)) >= Fraction(333_333_333, 10**9)


def test_the_conversion_agrees_with_published_figures() -> None:
    # sigma = 1, delta = 1e-6: the classical conversion rho + 2 sqrt(rho ln(1/delta)) gives 5.757
    assert 4.9 < epsilon_for(Fraction(1, 2), Fraction(1, 10**6)) < 5.3
    assert epsilon_for(Fraction(0), DELTA) == 0.0
    assert epsilon_for(Fraction(1, 10**12), Fraction(1, 2)) == 0.0


def test_rho_never_falls_below_zero() -> None:
    assert rho_for(Fraction(1, 10**30), Fraction(1, 10**18)) >= 0


@pytest.mark.parametrize("delta", [Fraction(1), Fraction(3, 2), Fraction(-1)])
def test_a_budget_needs_a_delta_below_one(delta: Fraction) -> None:
    with pytest.raises(ValueError, match="delta"):
        account(Budget(Fraction(1), delta))


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1), Fraction(-1)])
def test_conversions_need_a_proper_delta(delta: Fraction) -> None:
    with pytest.raises(ValueError, match="delta"):
        epsilon_for(Fraction(1), delta)
    with pytest.raises(ValueError, match="delta"):
        rho_for(Fraction(1), delta)


def test_conversions_need_proper_losses() -> None:
    with pytest.raises(ValueError, match="rho"):
        epsilon_for(Fraction(-1), DELTA)
    with pytest.raises(ValueError, match="epsilon"):
        limit(Fraction(0), Fraction(0))
    with pytest.raises(ValueError, match="epsilon"):
        rho_for(Fraction(-1), DELTA)


def test_asking_for_the_whole_budget_costs_exactly_the_limit() -> None:
    held = account(GRANT)
    assert query_cost(Fraction(8), GRANT) == Cost(held.limit_nano, held.limit_atto)
    assert query_cost(Fraction(8), PURE) == Cost(8 * 10**9, 0)


def test_a_query_is_never_free() -> None:
    tiny = Fraction(1, 10**15)
    assert query_cost(tiny, GRANT).nano == 1
    assert query_cost(tiny, PURE) == Cost(1, 0)
    assert query_cost(tiny, Budget(tiny, DELTA)) == Cost(1, 5 * 10**10)


def test_a_query_beyond_the_budget_costs_more_than_the_limit() -> None:
    held = account(GRANT)
    cost = query_cost(Fraction(9), GRANT)
    assert cost.nano > held.limit_nano
    assert cost.delta_atto > held.limit_atto


def test_a_pure_charge_in_a_dataset_account() -> None:
    assert as_dataset_cost(Cost(5 * 10**8, 0), Measure.PURE) == Cost(125_000_000, 0)
    assert as_dataset_cost(Cost(1, 0), Measure.PURE) == Cost(1, 0)
    assert as_dataset_cost(Cost(7, 9), Measure.ZCDP) == Cost(7, 9)


@pytest.mark.parametrize(
    ("nano", "weights", "parts"),
    [
        (10, (1, 1, 1), (4, 3, 3)),
        (10, (9, 1), (9, 1)),
        (1, (1, 5), (0, 1)),
        (0, (1, 2), (0, 0)),
        (7, (0, 3), (0, 7)),
    ],
)
def test_split(nano: int, weights: tuple[int, ...], parts: tuple[int, ...]) -> None:
    assert split(nano, weights) == parts


@pytest.mark.parametrize(("nano", "weights"), [(-1, (1,)), (1, ()), (1, (0, 0)), (1, (3, -1))])
def test_split_refuses_what_cannot_be_divided(nano: int, weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="split"):
        split(nano, weights)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("0.5", Fraction(1, 2)),
        ("0.001", Fraction(1, 1000)),
        ("20", Fraction(20)),
        ("20.000000", Fraction(20)),
        ("007.25", Fraction(29, 4)),
        (1, Fraction(1)),
        (20, Fraction(20)),
        (0.1, Fraction(1, 10)),
        (2.0, Fraction(2)),
    ],
)
def test_parse_epsilon(given: object, read: Fraction) -> None:
    assert parse_epsilon(given) == read


HOSTILE: tuple[object, ...] = (
    *("", " 1", "1 ", "1\n", "+1", "-1", "-0.5", "1_0", "1.0; DROP", "0x1", "1e0", "1e-1", "NaN", "nan"),
    *("inf", "Infinity", ".5", "5.", "1,5", "1/2", "\u0661", "\uff11", "0", "0.0", "0.0009", "0.000999"),
    *("20.000001", "21", "999.999999", "0.1234567", "9" * 100_000, "0." + "0" * 5000 + "1", "1\x00"),
    *(float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 5e-324, 1e308, 20.1, 0.1 + 0.2, 1e-7),
    *(0, -1, 21, 10**5000, -(10**5000), True, False, None, b"1", [1], (1,), {"epsilon": 1}, 1j, object()),
    *(Decimal("0.5"), Fraction(1, 2)),
)


@pytest.mark.parametrize("given", HOSTILE, ids=lambda given: f"{type(given).__name__}")
def test_parse_epsilon_refuses(given: object) -> None:
    with pytest.raises(Refusal) as caught:
        parse_epsilon(given)
    reason = caught.value.reasons[0]
    assert reason.code is Code.EPSILON
    assert len(reason.subject) <= 140
    assert reason.subject.isascii()
    assert reason.subject.isprintable()
    assert "0.001" in reason.hint
    assert "0.001" in reason.hint_zh
