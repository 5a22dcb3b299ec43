"""What follows from kept answers is free, never contradicts them, and is told as such."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Answer, Explained, Within
from tests.unit.stages.conftest import answered, explained, publish, request

PEOPLE = "(SELECT person_id, city, COUNT(*) > 1 AS many, least(COUNT(*), 4) AS c FROM visit GROUP BY person_id, city) AS t"
FINE = f"SELECT city, many, COUNT(*) AS n, SUM(c) AS s FROM {PEOPLE} GROUP BY city, many ORDER BY city, many"
CITIES = f"SELECT city, COUNT(*) AS n FROM {PEOPLE} GROUP BY city ORDER BY city"
TOTAL = f"SELECT COUNT(*) AS n, AVG(c) AS a FROM {PEOPLE}"
HALF = Fraction(1, 2)


def ask(gateway: Gateway, sql: str, epsilon: Fraction | None = HALF) -> Answer:
    return answered(gateway.query(request("G-DP", sql, epsilon=epsilon)))


def tell(gateway: Gateway, sql: str) -> Explained:
    return explained(gateway.explain(request("G-DP", sql, epsilon=HALF)))


def column(found: Answer, index: int) -> list[Any]:
    values: list[Any] = found.table.column(index).to_pylist()
    return values


def free(found: Answer | Explained) -> bool:
    assert found.price is not None
    return found.price.free


def labels(found: Answer | Explained) -> list[str]:
    return [child.label for child in found.derivation.children]


def test_a_coarser_question_is_the_sum_of_what_was_answered_and_costs_nothing(gateway: Gateway) -> None:
    fine = ask(gateway, FINE)
    assert not free(fine) and labels(fine) == ["release r0"]
    cities = ask(gateway, CITIES)
    assert free(cities) and labels(cities) == ["derived r0"]
    parts = list(zip(column(fine, 0), column(fine, 2), fine.margins.column(2).to_pylist(), strict=True))
    for city, shown, width in zip(
        column(cities, 0), column(cities, 1), cities.margins.column(1).to_pylist(), strict=True
    ):
        own = [(n, w) for c, n, w in parts if c == city]
        assert shown == sum(n for n, _ in own)
        assert abs(width - sum(w * w for _, w in own) ** 0.5) < 1e-9
    total = ask(gateway, TOTAL)
    assert free(total) and column(total, 0) == [sum(column(fine, 2))]
    assert abs(column(total, 1)[0] - sum(column(fine, 3)) / sum(column(fine, 2))) < 1e-9


def test_it_is_kept_whatever_is_answered_later(gateway: Gateway) -> None:
    fine, first = ask(gateway, FINE), ask(gateway, TOTAL)
    dearer = ask(gateway, CITIES, Fraction(1))
    assert not free(dearer)  # more was asked for than the kept cells were bought for
    assert column(ask(gateway, TOTAL), 0) == column(first, 0) == [sum(column(fine, 2))]


def test_the_explanation_says_so_before(gateway: Gateway) -> None:
    before = tell(gateway, CITIES)
    assert not free(before) and labels(before) == ["release r0"]
    ask(gateway, FINE)
    after = tell(gateway, CITIES)
    assert free(after) and labels(after) == ["derived r0"]
    answer = ask(gateway, CITIES)
    assert after.columns == answer.columns and after.derivation == answer.derivation
    width = float(after.columns[1].predicted.removeprefix("±"))
    assert abs(width - answer.margins.column(1).to_pylist()[0]) < 1e-3
    assert width > float(before.columns[1].predicted.removeprefix("±"))


def test_who_asks_for_an_accuracy_gets_a_draw_of_its_own(gateway: Gateway) -> None:
    fine, derived = ask(gateway, FINE), ask(gateway, TOTAL)
    wanted = replace(
        request("G-DP", f"SELECT COUNT(*) AS n FROM {PEOPLE}"), within=Within(Fraction(9), False)
    )
    drawn = answered(gateway.query(wanted))
    assert not free(drawn) and labels(drawn) == ["release r0"]
    assert drawn.margins.column(0).to_pylist()[0] <= 9 < derived.margins.column(0).to_pylist()[0]
    assert column(ask(gateway, TOTAL), 0) == [sum(column(fine, 2))]


def test_other_rows_and_other_data_are_other_questions(gateway: Gateway, home: Home) -> None:
    ask(gateway, FINE)
    assert not free(tell(gateway, f"SELECT COUNT(*) AS n FROM {PEOPLE} WHERE c > 1"))
    assert not free(tell(gateway, f"SELECT SUM(c * 2) AS s FROM {PEOPLE}"))
    assert free(tell(gateway, TOTAL))
    publish(home, 70)
    assert not free(tell(gateway, TOTAL))


def test_a_release_that_others_read_is_drawn(gateway: Gateway) -> None:
    ask(gateway, FINE)
    above = f"SELECT COUNT(*) AS k FROM {PEOPLE} WHERE c > (SELECT AVG(c) FROM {PEOPLE})"
    assert "derived r0" not in labels(tell(gateway, above))
