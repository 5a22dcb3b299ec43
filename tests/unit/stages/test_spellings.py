"""A question is paid once, however it is spelt: every other spelling gets the kept answer, free and to the letter."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sandbox.gateway import Gateway
from sandbox.model import Answer
from tests.unit.stages.conftest import answered, request

FIRST = """
SELECT v.city, COUNT(*) AS n FROM visit AS v
WHERE v.city <> 7 AND v.city IN (0, 1) GROUP BY v.city ORDER BY v.city
"""
SPELLINGS = {
    "whitespace and comments": "select v.city,count(*) as n from visit v where v.city<>7 /* 1 */ "
    "and v.city in (0,1) group by v.city order by v.city -- end",
    "alias": "SELECT city AS ort, COUNT(*) AS anzahl FROM visit WHERE city <> 7 AND city IN (0, 1) "
    "GROUP BY city ORDER BY ort",
    "commuting conditions": "SELECT city, COUNT(*) AS n FROM visit "
    "WHERE (1 = city OR city = 0) AND 7 <> city GROUP BY 1 ORDER BY 1",
    "CTE": "WITH w AS (SELECT * FROM visit WHERE city <> 7) "
    "SELECT city, COUNT(*) AS n FROM w WHERE city IN (1, 0) GROUP BY city ORDER BY city",
    "inline": "SELECT t.city, t.n FROM (SELECT city, COUNT(*) AS n FROM (SELECT city FROM visit "
    "WHERE city IN (0, 1)) AS s WHERE city <> 7 GROUP BY city) AS t ORDER BY t.city",
    "another order of columns": "SELECT COUNT(*) AS n, city FROM visit "
    "WHERE city IN (0, 1) AND city <> 7 GROUP BY city ORDER BY city",
}


def ask(gateway: Gateway, sql: str) -> Answer:
    return answered(gateway.query(request("G-DP", sql, epsilon=Fraction(1, 2))))


def counts(found: Answer) -> dict[object, object]:
    """What was answered, by city, whatever the columns are called and wherever they stand."""
    first = next(i for i, column in enumerate(found.columns) if column.name in {"city", "ort"})
    keys, numbers = found.table.column(first).to_pylist(), found.table.column(1 - first).to_pylist()
    return dict(zip(keys, numbers, strict=True))


@pytest.fixture
def first(gateway: Gateway) -> Answer:
    found = ask(gateway, FIRST)
    assert found.price is not None and not found.price.free and found.table.num_rows
    return found


@pytest.mark.parametrize("sql", SPELLINGS.values(), ids=SPELLINGS)
def test_another_spelling_is_free_and_says_the_same(gateway: Gateway, first: Answer, sql: str) -> None:
    found = ask(gateway, sql)
    assert found.price is not None and found.price.free
    assert counts(found) == counts(first)


def test_another_question_is_paid(gateway: Gateway, first: Answer) -> None:
    found = ask(gateway, FIRST.replace("<> 7", "<> 1"))
    assert found.price is not None and not found.price.free
