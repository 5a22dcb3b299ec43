"""Whoever is refused is told what to write instead, by the name they wrote; and what is advised is answered."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from sandbox.errors import Code, Reason, Refusal
from sandbox.policy.documents import DpGuard
from sandbox.privacy.plan import plan
from sandbox.sql.instead import ANOTHER_WAY, INSTEAD, nearest
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.small import CATALOGUE

GUARD = DpGuard(Fraction(1), Fraction(8), Fraction(1, 10**6), 4, 5)

REFUSED = """
SELECT string_agg(city, ',') AS x FROM people           | SELECT city, COUNT(*) AS n FROM people GROUP BY city
SELECT list(city) AS x FROM people                      | SELECT city, COUNT(*) AS n FROM people GROUP BY city
SELECT array_agg(city) AS x FROM people                 | SELECT city, COUNT(*) AS n FROM people GROUP BY city
SELECT arg_max(city, age) AS x FROM people              | SELECT city, COUNT(*) AS n FROM people GROUP BY city
SELECT mode(city) AS x FROM people                      | SELECT city, COUNT(*) AS n FROM people GROUP BY city ORDER BY n DESC LIMIT 1
SELECT any_value(age) AS x FROM people                  | SELECT MIN(age) AS x, MAX(age) AS y FROM people
SELECT bool_or(member) AS x FROM people                 | SELECT COUNT(*) FILTER (WHERE member) AS n FROM people
SELECT bool_and(member) AS x FROM people                | SELECT COUNT(*) FILTER (WHERE NOT member) AS n FROM people
SELECT histogram(age) AS x FROM people                  | SELECT floor(age / 10) AS b, COUNT(*) AS n FROM people GROUP BY b
SELECT entropy(city) AS x FROM people                   | SELECT -SUM(p * ln(p)) AS h FROM (SELECT greatest(n, 1) / 100.0 AS p FROM (SELECT city, COUNT(*) AS n FROM people GROUP BY city) AS t) AS u
SELECT approx_count_distinct(pid) AS x FROM people      | SELECT COUNT(DISTINCT pid) AS n FROM people
SELECT approx_quantile(age, 0.5) AS x FROM people       | SELECT quantile_cont(age, 0.5) AS x FROM people
SELECT mad(age) AS x FROM people                        | SELECT quantile_cont(age, 0.25) AS x FROM people
SELECT product(age) AS x FROM people                    | SELECT exp(AVG(ln(greatest(age, 1)))) AS x FROM people
SELECT geomean(age) AS x FROM people                    | SELECT exp(AVG(ln(greatest(age, 1)))) AS x FROM people
SELECT kurtosis(age) AS x FROM people                   | SELECT AVG(age) AS a, AVG(age * age) AS b, AVG(age * age * age) AS c FROM people
SELECT skewness(age) AS x FROM people                   | SELECT AVG(age) AS a, AVG(age * age) AS b, AVG(age * age * age) AS c FROM people
SELECT favg(age) AS x FROM people                       | SELECT AVG(age) AS x FROM people
SELECT COUNT(*) AS n FROM people WHERE regexp_matches(city, '^a')        | SELECT COUNT(*) AS n FROM people WHERE starts_with(city, 'a') OR city LIKE '%b' OR contains(city, 'c')
SELECT regexp_replace(city, 'a', 'b') AS x, COUNT(*) AS n FROM people GROUP BY x | SELECT replace(city, 'a', 'b') AS x, COUNT(*) AS n FROM people GROUP BY x
SELECT string_split(city, '-') AS x FROM people         | SELECT split_part(city, '-', 1) AS x, COUNT(*) AS n FROM people GROUP BY x
SELECT COUNT(DISTINCT md5(city)) AS n FROM people       | SELECT COUNT(DISTINCT city) AS n FROM people
SELECT COUNT(*) AS n FROM people WHERE random() < 0.1   | SELECT COUNT(*) AS n FROM people
SELECT COUNT(*) AS n FROM people WHERE born < today()    | SELECT COUNT(*) AS n FROM people WHERE born < DATE '2026-01-31'
SELECT COUNT(*) AS n FROM people WHERE born < current_date                | SELECT COUNT(*) AS n FROM people WHERE born < DATE '2026-01-31'
SELECT COUNT(*) AS n FROM range(10) AS t(x)             | SELECT SUM(x) AS n FROM (VALUES (1), (2)) AS t(x)
SELECT COUNT(*) AS n FROM read_csv('people.csv')        | SELECT COUNT(*) AS n FROM rates
"""
PAIRS = [[part.strip() for part in line.split("|", 1)] for line in REFUSED.strip().splitlines()]


def reasons(sql: str) -> tuple[Reason, ...]:
    """Why a query is refused; empty for one that is planned."""
    try:
        plan(simplify(resolve(parse(sql), CATALOGUE)), GUARD, Fraction(1))
    except Refusal as refusal:
        return refusal.reasons
    return ()


@pytest.mark.parametrize(
    ("refused", "instead"), PAIRS, ids=[re.findall(r"\w+\(|current_date", r)[-1] for r, _ in PAIRS]
)
def test_the_name_is_given_back_with_advice_that_is_answered(refused: str, instead: str) -> None:
    told = [r for r in reasons(refused) if r.code in (Code.FUNCTION, Code.AGGREGATE)]
    assert told and all(f"{r.subject}" in refused for r in told)
    assert told[0].subject in INSTEAD and (told[0].hint, told[0].hint_zh) == INSTEAD[told[0].subject]
    assert told[0].now("en") == told[0].hint and told[0].now("zh") == told[0].hint_zh
    assert not reasons(instead)


def test_each_advice_is_shown_by_a_case() -> None:
    shown = {INSTEAD[r.subject] for refused, _ in PAIRS for r in reasons(refused) if r.subject in INSTEAD}
    assert shown == set(INSTEAD.values())


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        ("SELECT COUNT(*) AS n FROM people WHERE citty = 'a'", "city"),
        ("SELECT p.Memebr AS m, COUNT(*) AS n FROM people p GROUP BY m", "member"),
        ("SELECT COUNT(*) AS n FROM peeple", "people"),
        ("SELECT COUNT(*) AS n FROM d.visit", "visits"),
    ],
)
def test_a_name_that_is_nearly_right_is_asked_about(sql: str, meant: str) -> None:
    (told,) = reasons(sql)
    assert told.hint.startswith("did you mean ") and meant in told.hint and meant in told.hint_zh


def test_no_name_is_offered_that_the_grant_does_not_have() -> None:
    names = {c.name for t in CATALOGUE.tables for c in t.columns} | {t.name for t in CATALOGUE.tables}
    for wrong in ("salery", "cit", "pe", "x" * 500):
        for sql in (f"SELECT COUNT(*) AS n FROM people WHERE {wrong} = 1", f"SELECT 1 AS n FROM {wrong}"):
            (told,) = reasons(sql)
            assert set(re.findall(r"\w+", told.hint)) - {"did", "you", "mean"} <= names
    assert nearest("abc", ["xyz", "ABC"]) == ("", "")


def test_a_name_that_is_nothing_known_is_still_given_back() -> None:
    for sql, subject in (
        ("SELECT FooBar(age) AS x FROM people", "foobar"),
        ("SELECT current_user AS x", "current_user"),
        ("SELECT [1] AS x", "array"),
    ):
        (told,) = reasons(sql)
        assert (told.subject, told.hint, told.hint_zh) == (subject, *ANOTHER_WAY)
