from __future__ import annotations

import math
from fractions import Fraction

import pytest

from sandbox.catalogue import Kind
from sandbox.privacy.widths import NO_MARGIN, UNKNOWN, ZERO, Margin, margin_of
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Literal
from sandbox.sql.facts import evaluate
from tests.support.draws import Asked, house

A, B, C = Col(0), Col(1), Col(4)
WA, WB = Col(2), Col(3)
MARGINS = {
    0: Margin(2, frozenset({(0, 0)})),
    1: Margin(3, frozenset({(0, 1)})),
    5: Margin(None, frozenset({(0, 2)})),
}
THREE = Literal(3, Kind.INTEGER)
TWO = Literal(Fraction(2), Kind.DOUBLE)
NOTHING = Literal(None, Kind.STRING)
ROW = (10.0, 4.0, 1.0, 0.5, 7.0, 8.0)


def width(expr: Expr) -> float | None:
    found = margin_of(expr, MARGINS)
    assert found is not None
    if found[0] is None:
        return None
    value = evaluate(found[0], ROW)
    assert value is None or isinstance(value, float)
    return value


def call(name: str, *args: Expr) -> Call:
    return Call(name, args)


@pytest.mark.parametrize(("expr", "expected"), [
    (A, 1.0),
    (Col(5), None),
    (call("add", A, Col(5)), None),
    (call("add", A, C), 1.0),
    (call("add", A, B), math.hypot(1, 0.5)),
    (call("sub", A, A), 2.0),
    (call("mul", A, B), math.hypot(4, 5) + 0.5),
    (call("mul", TWO, A), 2.0),
    (call("div", A, TWO), 0.5),
    (call("div", A, B), math.hypot(1, 2.5 * 0.5) / 3.5),
    (call("div", TWO, B), 0.5 * 0.5 / 3.5),
    (call("div", A, call("sub", B, B)), None),
    (call("neg", A), 1.0),
    (call("abs", A), 1.0),
    (call("floor", A), 2.0),
    (call("round", A), 2.0),
    (call("round", A, Literal(1, Kind.INTEGER)), 1.1),
    (call("coalesce", A, B), 1.5),
    (call("nullif", A, C), 1.0),
    (call("sqrt", A), 1 / (math.sqrt(10) + 3)),
    (call("exp", A), None),
    (Cast(A, Kind.INTEGER), 2.0),
    (Cast(A, Kind.DOUBLE), 1.0),
    (Cast(A, Kind.DECIMAL, Fraction(1, 10)), 1.1),
    (Cast(A, Kind.STRING), None),
    (Case(((call("gt", C, THREE), A),), B), 1.0),
    (Case(((call("gt", C, THREE), A),), Col(5)), None),
    (Case(((call("lt", C, THREE), A),), NO_MARGIN), None),
    (Case(((call("gt", A, THREE), A),), NO_MARGIN), 1.0),
    (Case(((call("gt", A, THREE), A),), NOTHING), 1.0),
    (Case(((call("gt", A, THREE), B),), A), None),
    (Case(((call("gt", A, THREE), TWO),), THREE), None),
])  # fmt: skip
def test_half_widths_of_expressions(expr: Expr, expected: float | None) -> None:
    found = width(expr)
    assert found == expected if expected is None else found == pytest.approx(expected)


def test_without_noise_there_is_no_margin() -> None:
    assert margin_of(call("add", C, THREE), MARGINS) is None
    assert margin_of(ZERO, MARGINS) is None


def test_an_unknown_width_is_larger_than_any() -> None:
    assert UNKNOWN.value == 10**30


R = "(SELECT g, COUNT(*) AS n, AVG(fee) AS v FROM visit GROUP BY g) AS r"


@pytest.mark.parametrize(("text", "stated"), [
    (f"SELECT g, n FROM {R} ORDER BY n, g", True),
    (f"SELECT g, n FROM {R} ORDER BY n DESC OFFSET 1", True),
    (f"SELECT SUM(n) FROM {R}", True),
    (f"SELECT MIN(n) FROM {R}", True),
    (f"SELECT AVG(n), MAX(n) FROM (SELECT g, n FROM {R} UNION ALL SELECT g, n FROM {R}) AS t", True),
    ("SELECT SUM(n) FROM (SELECT 'x' AS g, 1 AS n FROM kind UNION ALL SELECT g, COUNT(*) FROM visit GROUP BY g) AS t", False),
    (f"SELECT MEDIAN(n) FROM {R}", False),
    (f"SELECT ntile(2) OVER (ORDER BY g), COUNT(n) OVER () FROM {R}", None),
    (f"SELECT MIN(n) OVER (), MAX(n) OVER (ORDER BY g), last_value(n) OVER (ORDER BY g) FROM {R}", True),
    (f"SELECT SUM(x) OVER () FROM (SELECT g, SUM(n) OVER (ORDER BY g) AS x FROM {R}) AS t", True),
    (f"SELECT r.n FROM {R} WHERE r.g IN (SELECT g FROM kind)", True),
    (f"SELECT k.share FROM kind AS k WHERE EXISTS (SELECT 1 FROM {R} WHERE r.n > 3 AND r.g = k.g)", None),
    ("SELECT COUNT(*), SUM(share) FROM kind", None),
    ("SELECT SUM(a.share) FROM kind AS a JOIN kind AS b ON a.g = b.g", None),
    ("SELECT SUM(n) FROM (SELECT g, COUNT(*) AS n FROM visit GROUP BY g UNION ALL SELECT g, 2 FROM kind WHERE share > 5) AS t GROUP BY g LIMIT 3", True),
    (f"SELECT r.n FROM {R} JOIN (SELECT DISTINCT g FROM kind) AS k ON r.g = k.g", True),
    (f"SELECT exp(n / 100000) FROM {R}", False),
    (f"SELECT SUM(exp(n / 100000)), MAX(exp(n / 100000)) OVER () FROM {R} GROUP BY n", False),
    (f"SELECT SUM(exp(n / 100000)), AVG(exp(v / 9)) FROM {R}", False),
    (f"SELECT SUM(exp(n / 100000)) OVER (), x.n FROM (SELECT n FROM {R} EXCEPT SELECT 3) AS x", False),
    (f"SELECT x, SUM(x) FROM (SELECT exp(n / 100000) AS x, g FROM {R}) AS t GROUP BY x", False),
    (f"SELECT r.n, t.x FROM {R} LEFT JOIN (SELECT g, exp(n / 100000) AS x FROM {R}) AS t ON r.g = t.g", None),
])  # fmt: skip
def test_intervals_travel_through_relations(text: str, stated: bool | None) -> None:
    connection = house(3, 120)
    try:
        asked = Asked(connection, text)
        shown = asked.draw() if asked.plan.priced else []
    finally:
        connection.close()
    if stated is not None:
        assert shown
        assert all((s.width is not None) is stated for s in shown), [(s.column, s.width) for s in shown]
    for one in shown:
        assert one.width is None or one.width >= 0
