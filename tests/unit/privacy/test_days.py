from __future__ import annotations

import datetime as dt
from fractions import Fraction

import numpy as np
import pytest

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.privacy.days import counted, in_days, spelled, times
from sandbox.privacy.explain import derivation
from sandbox.sql.expressions import Col, Facts
from sandbox.sql.facts import evaluate
from tests.support.plans import ZCDP, planned

FIRST, LAST = dt.date(1, 1, 1), dt.date(9999, 12, 31)
DATES = (FIRST, dt.date(1969, 12, 31), dt.date(2024, 2, 29), LAST)
MOMENTS = (
    dt.datetime(1, 1, 1),
    dt.datetime(1969, 12, 31, 23, 59, 59),
    dt.datetime(2024, 2, 29, 12, 30, 1),
    dt.datetime(9999, 12, 31, 23, 59, 59),
)


def known(kind: Kind, low: dt.date, high: dt.date) -> Facts:
    return Facts(kind, True, Range(Fraction(low.toordinal()), Fraction(high.toordinal())))


@pytest.mark.parametrize(("kind", "values"), [(Kind.DATE, DATES), (Kind.TIMESTAMP, MOMENTS)])
def test_every_date_and_second_has_a_number_within_the_range_and_comes_back(
    kind: Kind, values: tuple[dt.date, ...]
) -> None:
    expr, facts = counted(Col(0), known(kind, FIRST, LAST))
    numbers = [evaluate(expr, [value]) for value in values]
    assert (facts.kind, facts.scale) == (Kind.INTEGER, Fraction(1))
    assert [facts.range.lo, facts.range.hi] == [numbers[0], numbers[-1]]  # both ends are met
    missing = np.zeros(len(values), dtype=np.bool_)
    assert tuple(times(np.array(numbers), kind, missing).to_pylist()) == values
    assert times(np.array(numbers), kind, ~missing).null_count == len(values)


def test_numbers_are_taken_as_they_are_and_dates_without_a_range_stay_so() -> None:
    number = Facts(Kind.DOUBLE, True, Range(Fraction(1), Fraction(2)))
    assert counted(Col(0), number) == (Col(0), number)
    assert counted(Col(0), Facts(Kind.DATE, True))[1].range == UNBOUNDED
    assert [in_days(k) for k in (Kind.DATE, Kind.DOUBLE, Kind.TIMESTAMP)] == [1.0, 1.0, 1 / 86_400]


def test_a_derivation_says_cells_of_dates_as_dates() -> None:
    assert spelled(Fraction(86_400 + 61), Kind.TIMESTAMP) == "0001-01-02 0:01:01"
    told = str(derivation(planned("SELECT MEDIAN(day) FROM claim", ZCDP), ZCDP))
    assert "61 of [2024-" in told or "61 of [2025-" in told, told
