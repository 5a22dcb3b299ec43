"""What narrowing keeps of a domain is what the condition is true for, whichever way it was found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.catalogue import Kind
from sandbox.sql import narrow
from sandbox.sql.expressions import Call, Col, Expr, Facts, Literal
from sandbox.sql.facts import evaluate
from sandbox.sql.relation import Field

DAYS = st.integers(0, 40).map(lambda n: dt.date(2024, 2, 1) + dt.timedelta(days=n))
MOMENTS = DAYS.map(lambda day: dt.datetime(day.year, day.month, day.day, 12))
NUMBERS = st.integers(-20, 20) | st.sampled_from((2**53, 2**53 + 1, 2**63 - 1))
FLOATS = st.floats(allow_nan=True) | st.integers(-5, 5).map(float)
VALUES: dict[Kind, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    Kind.INTEGER: (NUMBERS, NUMBERS | FLOATS),
    Kind.DOUBLE: (FLOATS, NUMBERS | FLOATS),
    Kind.STRING: (st.text("abß太", max_size=3), st.text("abß太", max_size=3)),
    Kind.DATE: (DAYS, DAYS | MOMENTS),
    Kind.TIMESTAMP: (MOMENTS, DAYS | MOMENTS),
}


def kind_of(value: object) -> Kind:
    kinds = {int: Kind.INTEGER, float: Kind.DOUBLE, str: Kind.STRING, dt.date: Kind.DATE}
    return kinds.get(type(value), Kind.TIMESTAMP)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Field, Expr]:
    kind = draw(st.sampled_from(list(VALUES)))
    members, constants = VALUES[kind]
    domain = draw(st.lists(members, min_size=1, max_size=30, unique_by=repr))
    if draw(st.booleans()):
        domain.sort(key=lambda value: (str(value) == "nan", value))
    constant = draw(constants | st.none())
    literal = Literal(constant, kind if constant is None else kind_of(constant))
    name = draw(st.sampled_from(("lt", "le", "gt", "ge", "eq", "ne")))
    sides: tuple[Expr, ...] = (Col(0), literal)
    test: Expr = Call(name, sides if draw(st.booleans()) else sides[::-1])
    if draw(st.booleans()):
        test = Call("not", (test,))
    return Field("x", Facts(kind, draw(st.booleans()), domain=tuple(domain))), test


@given(cases())
def test_narrowing_is_trying_every_value(case: tuple[Field, Expr]) -> None:
    field, test = case
    domain = field.facts.domain or ()
    (found,) = narrow.narrowed((field,), test)
    left = tuple(value for value in domain if evaluate(test, [value]) is True)
    if not left:
        assert found == field
        return
    assert found.facts.domain is not None
    assert list(map(repr, found.facts.domain)) == list(map(repr, left))
    assert found.facts.nullable == (field.facts.nullable and evaluate(test, [None]) is True)


def test_few_values_are_tried_where_the_domain_is_long_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    days = tuple(dt.date(2020, 1, 1) + dt.timedelta(days=n) for n in range(2000))
    tried: list[object] = []

    def counting(expr: Expr, row: list[Any]) -> Any:
        tried.append(row)
        return evaluate(expr, row)

    monkeypatch.setattr(narrow, "evaluate", counting)
    test = Call("lt", (Col(0), Literal(days[700], Kind.DATE)))
    (found,) = narrow.narrowed((Field("d", Facts(Kind.DATE, True, domain=days)),), test)
    assert found.facts.domain == days[:700] and not found.facts.nullable
    assert len(tried) < 20
