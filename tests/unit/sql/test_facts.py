"""What is publicly known of a value: types, ranges, granularity and finite domains."""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import Any

import duckdb
import pytest

from sandbox.catalogue import Catalogue, Kind, Range, Table, Unit
from sandbox.errors import Code, Refusal
from sandbox.sql.build import clamp_values, map_agg_value
from sandbox.sql.compile import compile_relation
from sandbox.sql.expressions import NULL, Agg, Call, Case, Cast, Col, Facts, Literal
from sandbox.sql.facts import evaluate, facts_of
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.functions.letters import upper
from sandbox.sql.functions.numbers import total
from sandbox.sql.parse import parse
from sandbox.sql.relation import Field
from sandbox.sql.resolve.query import resolve
from tests.oracle import Oracle
from tests.spec.house import CATALOGUE, PERSONS, column, read

D = dt.date


def days(first: dt.date, last: dt.date) -> Range:
    return Range(Fraction(first.toordinal()), Fraction(last.toordinal()))


BIG = Table(
    "spec",
    "big",
    (
        column("i", Kind.INTEGER),
        column("small", Kind.INTEGER, range=Range(Fraction(-3), Fraction(3))),
        column("few", Kind.STRING, domain=("a", "b"), nullable=False),
        column("flag", Kind.BOOLEAN, nullable=False),
        column("r", Kind.DOUBLE),
        column("e", Kind.DOUBLE, range=Range(Fraction(0), Fraction(1000))),
        column("week", Kind.DATE, range=days(D(2025, 1, 27), D(2025, 2, 2))),
        column("far", Kind.DATE, range=days(D(1900, 1, 1), D(2100, 1, 1))),
        column("t", Kind.TIMESTAMP, range=days(D(2025, 1, 1), D(2025, 1, 3))),
        column("other", Kind.INTEGER, range=Range(Fraction(0), Fraction(999)), nullable=False),
    ),
    extent=9,
)
SEVERAL = Table("spec", "several", (), Unit("person", "s", None), several_units=True)
TWICE = Table("other", "towns", (column("town", Kind.STRING),), extent=1)
ALL = Catalogue((*CATALOGUE.tables, BIG, SEVERAL, TWICE))


def known(text: str) -> Facts:
    return resolve(parse(f"SELECT {text} AS x FROM big"), ALL).fields[0].facts


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("few || '!'", ("a!", "b!")),
        ("CASE WHEN flag THEN few END", ("a", "b")),
        ("small * small", (9, 4, 1, 0)),
        ("small + NULL", ()),
        ("date_trunc('week', week)", (dt.datetime(2025, 1, 27),)),
        ("date_trunc('day', t)", tuple(dt.datetime(2025, 1, n) for n in (1, 2, 3))),
        ("month(week)", (1, 2)),
        ("strftime(week, '%Y-%m')", ("2025-01", "2025-02")),
        ("last_day(week)", (D(2025, 1, 31), D(2025, 2, 28))),
        ("coalesce(week, t)", None),
        ("strftime(t, '%H')", None),
        ("strftime(far, '%Y')", None),
        ("date_trunc('year', far)", None),
        ("date_trunc('minute', t)", None),
        ("other + other", tuple(range(0, 2000, 2))),
        ("other + small * 2 + other * small", None),
        ("i + 1", None),
        ("hour(t)", tuple(range(24))),
        ("sign(i)", (-1, 0, 1)),
        ("flag", (False, True)),
    ],
)
def test_domains(text: str, domain: tuple[Any, ...] | None) -> None:
    found = known(text).domain
    assert found == domain if domain is None else (found is not None and set(found) == set(domain))


@pytest.mark.parametrize(
    ("text", "kind", "low", "high"),
    [
        ("small + 1", Kind.INTEGER, -2, 4),
        ("small * -2", Kind.INTEGER, -6, 6),
        ("i + 1", Kind.DOUBLE, None, None),
        ("abs(small)", Kind.INTEGER, 0, 3),
        ("abs(small + 10)", Kind.INTEGER, 7, 13),
        ("abs(i)", Kind.DOUBLE, 0, None),
        ("-small", Kind.INTEGER, -3, 3),
        ("small / 2", Kind.DOUBLE, Fraction(-3, 2), Fraction(3, 2)),
        ("1 / small", Kind.DOUBLE, None, None),
        ("small // 2", Kind.INTEGER, -1, 1),
        ("other % 10", Kind.INTEGER, 0, 9),
        ("small % 10", Kind.INTEGER, -9, 9),
        ("power(small, 2)", Kind.DOUBLE, 0, 9),
        ("power(small, 3)", Kind.DOUBLE, -27, 27),
        ("power(r, 2)", Kind.DOUBLE, None, None),
        ("exp(r)", Kind.DOUBLE, None, None),
        ("exp(e)", Kind.DOUBLE, None, None),
        ("round(e, 1)", Kind.DOUBLE, Fraction(-1, 10), Fraction(10001, 10)),
        ("greatest(small, 0)", Kind.INTEGER, 0, 3),
        ("greatest(i, 0)", Kind.INTEGER, 0, None),
        ("least(i, 7)", Kind.INTEGER, None, 7),
        ("least(i, r)", Kind.DOUBLE, None, None),
        ("coalesce(small, 9)", Kind.INTEGER, -3, 9),
        ("CAST(e AS INTEGER)", Kind.INTEGER, 0, 1000),
        ("CAST(r AS INTEGER)", Kind.INTEGER, None, None),
        ("CAST(flag AS INTEGER)", Kind.INTEGER, 0, 1),
        ("CAST(small AS DECIMAL(9, 2))", Kind.DOUBLE, Fraction(-301, 100), Fraction(301, 100)),
        ("date_diff('day', week, week)", Kind.INTEGER, -7, 7),
        ("date_diff('day', week, NULL)", Kind.INTEGER, None, None),
        ("length(few)", Kind.INTEGER, 0, 2**31),
    ],
)
def test_ranges(text: str, kind: Kind, low: Fraction | int | None, high: Fraction | int | None) -> None:
    facts = known(text)
    assert facts.kind is kind
    assert (facts.range.lo, facts.range.hi) == (low, high)


def test_granularity_goes_along() -> None:
    assert known("small * 0.25").scale == Fraction(1, 4)
    assert known("small + 0.1").scale == Fraction(1, 10)
    assert known("small + r").scale is None
    assert known("r * 2").scale is None
    assert known("coalesce(small, 0.5)").scale == Fraction(1, 2)
    assert known("1e-13").scale is None


def test_a_sure_value_bounds_what_greatest_and_least_give() -> None:
    assert known("greatest(r, 1)").range.lo == 1
    assert known("least(greatest(r, 1), 5)").range == Range(Fraction(1), Fraction(5))
    assert known("ln(greatest(r, 1))").nullable is False


@pytest.mark.parametrize("text", ["NULL", "NOT NULL", "upper(NULL)", "NULL + 1", "-NULL", "sign(NULL)"])
def test_what_is_always_null_has_the_empty_domain(text: str) -> None:
    assert known(text).domain == () and known(text).nullable


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("DATE '9999-12-31' + INTERVAL 1 DAY", None),
        ("DATE '9999-12-31' + INTERVAL 1 MONTH", None),
        ("DATE '2024-01-31' + INTERVAL 1 MONTH", dt.datetime(2024, 2, 29)),
        ("'2025-01-31' + INTERVAL 1 HOUR", dt.datetime(2025, 1, 31, 1)),
        ("date_trunc('second', TIMESTAMP '2025-01-02 03:04:05')", dt.datetime(2025, 1, 2, 3, 4, 5)),
        ("date_trunc('minute', TIMESTAMP '2025-01-02 03:04:05')", dt.datetime(2025, 1, 2, 3, 4)),
        ("date_trunc('hour', TIMESTAMP '2025-01-02 03:04')", dt.datetime(2025, 1, 2, 3)),
        ("date_trunc('day', DATE '2025-01-02')", dt.datetime(2025, 1, 2)),
        ("TIMESTAMP '2025-01-02' = DATE '2025-01-02'", True),
        ("coalesce(NULL, DATE '2025-01-02', TIMESTAMP '2025-01-02')", dt.datetime(2025, 1, 2)),
        ("NULL IN (1, 2)", None),
        ("3 IN (1, NULL)", None),
        ("1 IN (1, NULL)", True),
        ("exp(1000)", math.inf),
        ("power(-1e10, 3)", -1e30),
        ("power(1e30 * 1e30 * 1e30 * 1e30, 4)", math.inf),
        ("power(-1e30 * 1e30 * 1e30 * 1e30, 3)", -math.inf),
        ("CAST(2.5 AS INTEGER)", 3),
        ("CAST(TRUE AS VARCHAR)", "true"),
        ("CAST(FALSE AS VARCHAR)", "false"),
        ("CAST(DATE '2025-01-02' AS VARCHAR)", "2025-01-02"),
        ("CAST(2.5 AS DECIMAL)", 2.5),
        ("floor(1e30)", 1e30),
        ("upper('ßŉ')", "ẞŉ"),
        ("right('abc', 9)", "abc"),
        ("replace('abc', '', 'x')", "abc"),
        ("7 % 3", 1),
        ("-7 // 2", -3),
        ("9007199254740993 % 10", 3),
        ("4611686018427387904 + 4611686018427387904", 2.0**63),
        ("5 IS NULL", False),
    ],
)
def test_constants_are_computed_while_reading(text: str, value: Any) -> None:
    (expr,) = resolve(parse(f"SELECT {text} AS x"), ALL).exprs  # type: ignore[union-attr]
    found = evaluate(expr, ())
    assert found == value and type(found) is type(value)


def test_casts_of_truth_values_stay() -> None:
    assert evaluate(Cast(Col(0), Kind.BOOLEAN), (True,)) is True
    assert evaluate(Case(((Literal(False, Kind.BOOLEAN), NULL),), Col(0)), (3,)) == 3


def test_functions_outside_their_domain_are_null() -> None:
    assert total(math.log, -1.0) is None
    assert total(math.sqrt, math.nan) is None
    assert FUNCTIONS["power"]([-1e200, 3]) == -math.inf and FUNCTIONS["power"]([-1e200, 2]) == math.inf
    assert FUNCTIONS["clamp"]([math.nan, 0, 1]) == 1 and FUNCTIONS["clamp"]([7, 0, 1]) == 1
    assert FUNCTIONS["round"]([math.inf]) == math.inf
    assert FUNCTIONS["floor"]([math.inf]) == math.inf
    assert upper("ß") == "ẞ"


def test_calls_of_ours_know_their_facts() -> None:
    flag = facts_of(Call("flag", (Col(0),)), (Facts(Kind.BOOLEAN),))
    assert flag.range == Range(Fraction(0), Fraction(1)) and flag.domain == (0, 1)
    assert FUNCTIONS["flag"]([True]) == 1


def test_values_that_flow_out_are_clamped_and_conditions_are_not() -> None:
    fields = (
        Field("n", Facts(Kind.INTEGER), clip=Range(Fraction(1, 2), Fraction(9, 2))),
        Field("t", Facts(Kind.STRING), clip=Range(Fraction(0), Fraction(1))),
        Field("r", Facts(Kind.DOUBLE)),
    )
    clamped = Call("clamp", (Col(0), Literal(0, Kind.INTEGER), Literal(4, Kind.INTEGER)))
    test = Call("gt", (Col(0), Literal(3, Kind.INTEGER)))
    assert clamp_values(Col(0), fields) == clamped
    assert clamp_values(Col(1), fields) == Col(1)
    assert clamp_values(Col(2), fields) == Col(2)
    assert clamp_values(test, fields) == test
    assert clamp_values(Case(((test, Col(0)),), Col(2)), fields) == Case(((test, clamped),), Col(2))
    assert clamp_values(Call("add", (Col(0), Col(2))), fields) == Call("add", (clamped, Col(2)))
    assert clamp_values(Cast(Col(0), Kind.DOUBLE), fields) == Cast(clamped, Kind.DOUBLE)
    assert map_agg_value(Agg("count", Col(0)), fields) == Agg("count", Col(0))


def test_names_of_two_datasets_and_tables_of_several_units() -> None:
    with pytest.raises(Refusal) as caught:
        resolve(parse("SELECT town FROM towns"), ALL)
    assert caught.value.code is Code.AMBIGUOUS
    assert resolve(parse("SELECT town FROM other.towns"), ALL).fields[0].name == "town"
    with pytest.raises(Refusal) as caught:
        resolve(parse("SELECT 1 AS x FROM several"), ALL)
    assert caught.value.code is Code.UNIT_KINDS
    assert PERSONS.public is False


def test_a_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        facts_of(Call("upper", (Col(0), Col(0))), (Facts(Kind.STRING),))
    assert caught.value.code is Code.ARGUMENT
    assert read("SELECT 1 AS x").fields[0].facts.domain == (1,)


def test_a_constant_among_wider_ones_is_as_wide() -> None:
    for text in ("greatest(1.5, CAST(2.25 AS INTEGER))", "least(100.5, 1 % 3)", "coalesce(NULL, 2, 1.5)"):
        relation = resolve(parse(f"SELECT {text} AS x"), CATALOGUE)
        ((value,),) = Oracle({}).run(relation)
        assert isinstance(value, float)
        with duckdb.connect() as connection:
            assert isinstance(connection.execute(compile_relation(relation)).fetchall()[0][0], float)
