"""Asking by accuracy, of the real gateway: the least epsilon that promises it, or a refusal that says why."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from pathlib import Path
from statistics import median

import pytest

from sandbox.doors.asking import new_id
from sandbox.errors import Code
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Answer, Person, Refused, Request, Within
from tests.flights.house import GRANT, build, fresh

AIRCRAFT = "SELECT COUNT(DISTINCT tailnum) FROM flights"
CARRIERS = "SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder: Path = tmp_path_factory.mktemp("within")
    return build(folder / "home")


def asked(
    gateway: Gateway, sql: str, within: str | None, *, part: bool = False, epsilon: Fraction | None = None
) -> Answer | Refused:
    grant = gateway.documents().grant(GRANT)
    assert grant is not None
    aim = None if within is None else Within(Fraction(within), part)
    now = dt.datetime.now(dt.UTC)
    person = Person("operator", "operator", grant.to)
    return gateway.query(Request(new_id(), person, GRANT, sql, epsilon, now, aim))


def answered(found: Answer | Refused) -> Answer:
    assert isinstance(found, Answer), found
    return found


def widths(answer: Answer, column: int) -> list[float]:
    return [w for w in answer.margins.column(column).to_pylist() if w is not None]


def test_the_smallest_epsilon_that_meets_an_absolute_target_is_spent(home: Home) -> None:
    with fresh(home) as gateway:
        answer = answered(asked(gateway, AIRCRAFT, "60"))
        assert answer.price is not None and not answer.price.free
        assert widths(answer, 0)[0] <= 60
        assert answer.columns[0].predicted
    with fresh(home) as gateway:
        less = answer.price.epsilon - Fraction(1, 1000)
        assert widths(answered(asked(gateway, AIRCRAFT, None, epsilon=less)), 0)[0] > 60


def test_more_accuracy_costs_more(home: Home) -> None:
    spent = []
    for target in ("200", "60", "20"):
        with fresh(home) as gateway:
            price = answered(asked(gateway, AIRCRAFT, target)).price
            assert price is not None
            spent.append(price.epsilon)
    assert spent == sorted(set(spent))


def test_what_cannot_be_met_is_refused_with_the_best(home: Home) -> None:
    with fresh(home) as gateway:
        found = asked(gateway, AIRCRAFT, "0.5")
        assert isinstance(found, Refused)
        (reason,) = found.reasons
        assert reason.code is Code.WITHIN
        assert "at epsilon" in reason.subject
        person = Person("operator", "operator", "")
        assert all(b.spent == 0 for b in gateway.budget(person))


def test_a_relative_target_needs_a_released_magnitude_and_then_scales_what_was_kept(home: Home) -> None:
    with fresh(home) as gateway:
        found = asked(gateway, CARRIERS, "0.5", part=True)
        assert isinstance(found, Refused)
        assert found.reasons[0].code is Code.WITHIN
        assert "not public" in found.reasons[0].subject
        first = answered(asked(gateway, CARRIERS, None, epsilon=Fraction(1, 2)))
        values = [abs(v) for v in first.table.column(1).to_pylist()]
        had = median(widths(first, 1)) / median(values)
        target = Fraction(had * 0.4).limit_denominator(10**6)
        second = answered(asked(gateway, CARRIERS, str(target), part=True))
        assert second.price is not None and first.price is not None
        assert second.price.epsilon > first.price.epsilon
        assert median(widths(second, 1)) / median(values) < had
        # What is accurate enough already comes back as it is, free.
        again = answered(asked(gateway, CARRIERS, str(Fraction(had).limit_denominator(10**6)), part=True))
        assert again.price is not None and again.price.free
        assert again.table.equals(second.table)


def test_computed_columns_epsilon_beside_it_and_public_questions(home: Home) -> None:
    with fresh(home) as gateway:
        computed = asked(gateway, "SELECT AVG(distance) FROM flights", "100")
        assert isinstance(computed, Refused)
        assert computed.reasons[0].code is Code.WITHIN
        both = asked(gateway, AIRCRAFT, "60", epsilon=Fraction(1))
        assert isinstance(both, Refused)
        assert both.reasons[0].code is Code.EPSILON
        median_ = asked(gateway, "SELECT MEDIAN(distance) FROM flights", "10")
        assert isinstance(median_, Refused)
        assert answered(asked(gateway, "SELECT COUNT(*) FROM airports", "1")).table.num_rows == 1
