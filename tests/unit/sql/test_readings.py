"""Texts that can be read in two ways, and questions that are one question in different words."""

from __future__ import annotations

import logging
import logging.config
from fractions import Fraction

import pytest

from sandbox.catalogue import Kind
from sandbox.errors import Code, Refusal
from sandbox.sql.canonical import canonical_expr
from sandbox.sql.expressions import Call, Col, Expr, Literal
from sandbox.sql.parse import parse
from sandbox.sql.resolve.literals import half_away

X, Y = Col(0), Col(1)
ONE, TWO, THREE = (Literal(n, Kind.INTEGER) for n in (1, 2, 3))


def call(name: str, *args: Expr) -> Call:
    return Call(name, args)


@pytest.mark.parametrize("text", ["1 day junk", "1 day) or (true", "one day", "1  day", "1 day 2 hours", ""])
def test_an_interval_says_nothing_but_an_amount_and_a_unit(text: str) -> None:
    with pytest.raises(Refusal) as found:
        parse(f"SELECT DATE '2025-01-01' + INTERVAL '{text}'")
    assert found.value.code is Code.LITERAL


@pytest.mark.parametrize(
    "text", ["INTERVAL '1 day'", "INTERVAL '-3 months'", "INTERVAL 90 DAY", "INTERVAL '7' DAY"]
)
def test_plain_intervals_are_read(text: str) -> None:
    assert parse(f"SELECT DATE '2025-01-01' + {text}").key == "select"


def test_a_text_that_does_not_parse_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    with caplog.at_level(logging.DEBUG), pytest.raises(Refusal):
        parse("SHOW DATABASES")
    assert not caplog.records


@pytest.mark.parametrize(
    ("value", "whole"),
    [("2.5", 3), ("-2.5", -3), ("3.5", 4), ("2.4999", 2), ("-0.4", 0), ("7", 7), ("0.5", 1)],
)
def test_decimal_constants_round_half_away_from_zero(value: str, whole: int) -> None:
    assert half_away(Fraction(value)) == whole


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (call("eq", X, ONE), call("eq", ONE, X)),
        (call("in", X, ONE, TWO), call("in", X, TWO, ONE)),
        (call("in", X, ONE, TWO), call("or", call("eq", X, TWO), call("eq", ONE, X))),
        (call("in", X, ONE), call("eq", X, ONE)),
        (
            call("or", call("eq", X, ONE), call("or", call("eq", X, TWO), call("eq", X, THREE))),
            call("or", call("in", X, THREE, TWO), call("eq", X, ONE)),
        ),
        (
            call("or", call("eq", X, ONE), call("lt", Y, TWO)),
            call("or", call("lt", Y, TWO), call("eq", ONE, X)),
        ),
    ],
)
def test_alternatives_in_other_words_are_one(one: Expr, other: Expr) -> None:
    assert canonical_expr(one) == canonical_expr(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (call("eq", X, ONE), call("eq", X, TWO)),
        (call("eq", X, ONE), call("eq", Y, ONE)),
        (call("eq", X, Y), call("eq", X, ONE)),
        (call("in", X, ONE, TWO), call("in", X, ONE)),
        (call("or", call("eq", X, ONE), call("eq", Y, ONE)), call("in", X, ONE)),
        (call("or", call("eq", X, ONE), call("lt", Y, TWO)), call("eq", X, ONE)),
        (call("ne", X, ONE), call("eq", X, ONE)),
    ],
)
def test_other_questions_stay_apart(one: Expr, other: Expr) -> None:
    assert canonical_expr(one) != canonical_expr(other)
