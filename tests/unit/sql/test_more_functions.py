"""Padding, splitting, buckets, angles: their bounds, and how calls outside them are refused."""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import Any

import pytest

from sandbox.catalogue import Kind, Range
from sandbox.errors import Code, Refusal
from sandbox.sql.expressions import Call, Col, Expr, Facts, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.functions import FUNCTIONS
from tests.spec.house import read


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("lpad(town, 3)", Code.ARGUMENT),
        ("lpad(town, 3, '')", Code.ARGUMENT),
        ("rpad(town, 201, 'x')", Code.ARGUMENT),
        ("rpad(town, people, 'x')", Code.ARGUMENT),
        ("split_part(town, '', 1)", Code.ARGUMENT),
        ("split_part(town, '-', 0)", Code.ARGUMENT),
        ("concat_ws(region, town)", Code.ARGUMENT),
        ("translate(town, 'a', NULL) || sin(town)", Code.TYPE),
        ("log(3, people)", Code.FUNCTION),
        ("log2(people - 5)", Code.ARGUMENT),
        ("time_bucket(people, founded)", Code.FUNCTION),
        ("time_bucket(INTERVAL 0 DAY, founded)", Code.ARGUMENT),
        ("time_bucket(INTERVAL 401 DAY, founded)", Code.ARGUMENT),
        ("date_add(founded, people)", Code.FUNCTION),
        ("date_diff('week', founded, founded)", Code.ARGUMENT),
        ("bit_count(area)", Code.TYPE),
    ],
)
def test_calls_outside_their_bounds_are_refused(text: str, code: Code) -> None:
    with pytest.raises(Refusal) as caught:
        read(f"SELECT {text} AS x FROM towns")
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("sin", [math.inf], None),
        ("asin", [1.5], None),
        ("sinh", [-1000.0], -math.inf),
        ("cosh", [-1000.0], math.inf),
        ("atan2", [-0.0, -1.0], math.pi),
        ("atan2", [math.nan, 1.0], None),
        ("ascii", [""], 0),
        ("unicode", [""], -1),
        ("bit_count", [-1], 64),
        ("make_date", [2025, 2, 30], None),
        ("make_date", [2**62, 1, 1], None),
        ("bucket_seconds", [dt.date(1, 1, 1), 10 * 86_400], None),
        ("bucket_months", [dt.date(1, 1, 1), 7], None),
        ("concat_ws", ["-", None, None], ""),
    ],
)
def test_every_function_has_a_value_or_null(name: str, values: list[Any], wanted: Any) -> None:
    assert FUNCTIONS[name](values) == wanted


def days(first: dt.date, last: dt.date) -> Range:
    return Range(Fraction(first.toordinal()), Fraction(last.toordinal()))


YEAR = Facts(Kind.DATE, False, days(dt.date(2020, 1, 1), dt.date(2020, 12, 31)))
COUNT = Facts(Kind.INTEGER, False, Range(Fraction(2000), Fraction(2001)), Fraction(1))


@pytest.mark.parametrize(
    ("call", "known", "low", "high"),
    [
        (Call("epoch", (Col(0),)), YEAR, Fraction(1_577_836_800), Fraction(1_609_459_200)),
        (
            Call("make_date", (Col(0), Col(0), Col(0))),
            COUNT,
            Fraction(dt.date(2000, 1, 1).toordinal()),
            Fraction(dt.date(2001, 12, 31).toordinal()),
        ),
        (
            Call("bucket_months", (Col(0), Literal(1, Kind.INTEGER))),
            YEAR,
            Fraction(dt.date(2019, 11, 30).toordinal()),
            Fraction(dt.date(2020, 12, 31).toordinal()),
        ),
        (Call("cos", (Col(0),)), COUNT, Fraction(-1), Fraction(1)),
    ],
)
def test_ranges_follow_those_of_the_arguments(
    call: Expr, known: Facts, low: Fraction, high: Fraction
) -> None:
    assert facts_of(call, [known]).range == Range(low, high)


@pytest.mark.parametrize(
    ("unit", "low", "high"), [("day", -366, 366), ("year", -Fraction(731, 365), Fraction(731, 365))]
)
def test_boundaries_between_two_days_are_bounded(unit: str, low: Fraction, high: Fraction) -> None:
    call = Call("date_diff", (Literal(unit, Kind.STRING), Col(0), Col(1)))
    assert facts_of(call, [YEAR, YEAR]).range == Range(Fraction(low), Fraction(high))
