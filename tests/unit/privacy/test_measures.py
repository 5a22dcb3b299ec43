from __future__ import annotations

from fractions import Fraction

import pytest

from sandbox.errors import Code, Refusal
from sandbox.privacy.measures import EXCEEDED, LARGEST_CAP
from sandbox.privacy.release import Measure
from tests.support.plans import planned


def one(text: str) -> Measure:
    return planned(text).priced[0].release.measures[0]


def test_counts_where_a_unit_has_one_row() -> None:
    measure = one("SELECT COUNT(*) FROM person")
    assert (measure.scale, measure.upper, measure.search) == (Fraction(1), 1, False)


def test_counts_of_rows_and_of_units() -> None:
    assert one("SELECT COUNT(*) FROM claim").upper == 4
    assert one("SELECT COUNT(*) FROM item").search
    assert one("SELECT COUNT(*) FROM item").declared == 2**30
    assert one("SELECT COUNT(DISTINCT pid) FROM claim").upper == 1
    pairs = one(
        "SELECT vip, COUNT(DISTINCT p.pid) FROM person AS p JOIN claim AS c ON p.pid = c.pid GROUP BY n > 3, vip, icd IS NULL"
    )
    assert (pairs.scale, pairs.declared) == (Fraction(1), 4)
    few = one("SELECT n > 3, COUNT(DISTINCT pid) FROM claim GROUP BY n > 3")
    assert few.declared == 3
    assert one("SELECT icd, COUNT(DISTINCT pid) FROM claim GROUP BY icd").declared == 4


def test_sums_have_the_declared_granularity() -> None:
    fee = one("SELECT SUM(fee) FROM claim")
    assert (fee.low, fee.high, fee.scale) == (Fraction(0), Fraction(500), Fraction(1, 100))
    assert fee.search
    assert (fee.declared, fee.upper) == (4 * 50_000, EXCEEDED * 4 * 50_000)
    assert one("SELECT SUM(age) FROM person").scale == 1


def test_general_reals_get_a_power_of_ten() -> None:
    wide = one("SELECT SUM(least(greatest(score, -2000000), 3)) FROM person")
    assert wide.scale == Fraction(1, 10)
    assert one("SELECT SUM(least(greatest(score, 0), 0.003)) FROM person").scale == Fraction(1, 10**10)
    huge = one("SELECT SUM(least(greatest(x, 0), 1e29)) FROM claim")
    assert huge.scale == 10**22
    assert huge.upper <= LARGEST_CAP
    assert one("SELECT SUM(0) FROM person").upper == 1


@pytest.mark.parametrize("text", ["SELECT SUM(score) FROM person", "SELECT AVG(least(score, 3)) FROM person",
                                  "SELECT SUM(least(greatest(score, 0), 1e20) * least(greatest(score, 0), 1e20)) FROM person"])  # fmt: skip
def test_without_useful_bounds_there_is_no_sum(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        one(text)
    assert caught.value.reasons[0].code is Code.NO_BOUND
