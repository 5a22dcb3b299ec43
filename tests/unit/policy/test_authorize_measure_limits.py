"""Sums that one row decides, and joins that multiply rows too far, are refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sandbox.catalogue import Catalogue, Column, Kind, Range, Table, Unit, Use
from sandbox.errors import Code
from sandbox.policy.authorize import authorize
from sandbox.policy.authorize.work import moderate_work
from sandbox.sql.build import set_op
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation, Released
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify

OPEN = frozenset(Use)


def _column(name: str, kind: Kind = Kind.INTEGER, high: int = 0) -> Column:
    spread = Range(Fraction(0), Fraction(high)) if high else Range()
    return Column(name, kind, OPEN, range=spread, clip=spread)


PEOPLE = Table(
    "d",
    "people",
    (_column("id"), _column("county", Kind.STRING), _column("pay", high=100), _column("age", high=100)),
    Unit("person", "d/person", "id"),
    rows=1,
)
DAYS = Table("d", "days", (_column("d"), _column("weight", high=9)), extent=365)
BIG = Table("d", "big", (_column("d"),), extent=20_000)
UNKNOWN = Table("d", "unknown", (_column("d"),))
CATALOGUE = Catalogue((PEOPLE, DAYS, BIG, UNKNOWN))


def relation_of(sql: str) -> Relation:
    return simplify(resolve(parse(sql), CATALOGUE))


def codes(sql: str) -> set[Code]:
    return {reason.code for reason in authorize(relation_of(sql), CATALOGUE)}


@pytest.mark.parametrize(
    "summand",
    [
        "pay * pay * pay",
        "power(pay, 3)",
        "power(pay * age, 2)",
        "1 / (pay + 1)",
        "exp(pay / 10)",
        "CASE WHEN age > 50 THEN pay * pay * pay ELSE 0 END",
        "abs(pay * pay * age)",
        "CAST(power(pay, 4) AS DOUBLE)",
    ],
)
def test_a_summand_that_one_row_decides_is_refused(summand: str) -> None:
    assert codes(f"SELECT SUM({summand}) FROM people") == {Code.USE}
    assert codes(f"SELECT county, AVG({summand}) FROM people GROUP BY county") == {Code.USE}


@pytest.mark.parametrize(
    "summand",
    [
        "pay",
        "pay * 12",
        "pay / 12",
        "pay * pay",
        "power(pay, 2)",
        "pay * age",
        "exp(2) * pay",
        "power(2, 3) * pay",
        "pay / power(2, 3)",
        "CASE WHEN pay * 2 > 50 THEN pay ELSE 0 END",
        "abs(pay - 3)",
    ],
)
def test_means_variances_and_products_of_two_are_sums(summand: str) -> None:
    assert codes(f"SELECT SUM({summand}) FROM people") == set()


def test_public_factors_have_no_degree() -> None:
    days = "FROM people p JOIN days ON days.d = p.age"
    catalogue = replace(CATALOGUE, joins=frozenset({frozenset({"d.days.d", "d.people.age"})}), index={})
    relation = simplify(resolve(parse(f"SELECT SUM(pay * weight * weight) {days}"), catalogue))
    assert authorize(relation, catalogue) == ()


def test_a_variance_squares_by_itself() -> None:
    assert codes("SELECT VAR_POP(pay) FROM people") == set()
    assert codes("SELECT VAR_POP(pay * pay) FROM people") == {Code.USE}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM days a, days b, days c, days d",
        "SELECT COUNT(*) FROM big a, big b",
        "SELECT COUNT(*) FROM big a JOIN big b ON a.d < b.d",
        "SELECT COUNT(*) FROM big a JOIN big b ON a.d = a.d",
        "SELECT COUNT(*) FROM unknown a, unknown b, unknown c",
        "SELECT county, COUNT(*) FROM people, days a, days b GROUP BY county",
        "WITH t AS (SELECT a.d FROM days a, days b), u AS (SELECT t.d FROM t, t AS s) SELECT COUNT(*) FROM u",
        "SELECT COUNT(*) FROM (SELECT d FROM big UNION ALL SELECT d FROM big) a, big b",
    ],
)
def test_rows_are_not_multiplied_without_end(sql: str) -> None:
    assert Code.WORK in codes(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM days a, days b",
        "SELECT COUNT(*) FROM big a JOIN big b ON a.d = b.d",
        "SELECT COUNT(*) FROM big a JOIN big b ON b.d = a.d AND a.d > 3",
        "SELECT COUNT(*) FROM big WHERE d IN (SELECT d FROM big)",
        "SELECT COUNT(*) FROM days, (VALUES (1), (2)) v(x)",
        "SELECT county, COUNT(*) FROM people, days GROUP BY county",
        "SELECT x.n * y.n FROM (SELECT COUNT(*) AS n FROM people) x, (SELECT COUNT(*) AS n FROM people) y",
        "SELECT x.county FROM (SELECT county FROM people GROUP BY county) x, days ORDER BY 1 LIMIT 3",
    ],
)
def test_ordinary_joins_are_within_bounds(sql: str) -> None:
    assert codes(sql) == set()


def test_a_released_table_is_small_and_counted_once() -> None:
    released = Released(0, ())
    assert list(moderate_work(released)) == []
    assert list(moderate_work(set_op("union", True, released, released))) == []
