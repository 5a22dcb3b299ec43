"""What authorization allows and refuses, column by column and context by context."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sandbox.catalogue import Catalogue, Column, Kind, Range, Table, Unit, Use
from sandbox.errors import Code, Reason
from sandbox.policy.authorize import authorize
from sandbox.sql import growth
from sandbox.sql.build import aggregate, distinct, scan, set_op, window
from sandbox.sql.expressions import Agg, Col, Literal, Win
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify

G, F, J, M, C = Use.GROUP, Use.FILTER, Use.JOIN, Use.MEASURE, Use.COUNT
OPEN = frozenset(Use)


def column(name: str, kind: Kind, *uses: Use, step: Fraction | str | None = None, high: int = 0) -> Column:
    spread = Range(Fraction(0), Fraction(high)) if high else Range()
    return Column(name, kind, frozenset(uses), step=step, range=spread, clip=spread)


PERSON = Unit("person", "d/person", "id")
PATIENT = Unit("person", "d/person", "person_id")
FIRM = Unit("firm", "d/firm", "firm_id")
DAY = Kind.DATE
PEOPLE = Table(
    "d",
    "people",
    (
        column("id", Kind.INTEGER, J, C),
        column("county", Kind.STRING, G, F, J),
        column("age", Kind.INTEGER, G, F, J, M, step=Fraction(5), high=120),
        column("salary", Kind.DOUBLE, M, F, high=20000),
        column("bonus", Kind.DOUBLE, M, F, high=20000),
        column("score", Kind.INTEGER, M, high=100),
        column("phone", Kind.STRING, F),
        column("tag", Kind.STRING, G),
        column("code", Kind.STRING, J),
        column("active", Kind.BOOLEAN, F),
        column("height", Kind.INTEGER, G, high=250),
        column("doctor", Kind.STRING, C),
    ),
    PERSON,
    rows=1,
)
CLAIMS = Table(
    "d",
    "claims",
    (
        column("person_id", Kind.INTEGER, J, C),
        column("amount", Kind.DOUBLE, M, F, high=10000),
        column("diagnosis", Kind.STRING, G, F, J),
        column("visit", DAY, G, F, J, step="month"),
        column("weekly", DAY, G, F, step="week"),
        column("daily", DAY, G, F, step="day"),
        column("at", Kind.TIMESTAMP, G, F, step="day"),
        column("hourly", Kind.TIMESTAMP, G, F, step="hour"),
        column("quarterly", DAY, G, F, step="quarter"),
        column("paid", DAY, G, step="month"),
        column("code", Kind.STRING, J),
    ),
    PATIENT,
    rows=50,
)
# Its unit may be joined but never counted.
NOTES = Table(
    "d", "notes", (column("id", Kind.INTEGER, J), column("word", Kind.STRING, G, F)), PERSON, rows=9
)
FIRMS = Table(
    "d", "firms", (column("firm_id", Kind.INTEGER, C), column("sector", Kind.STRING, G, F)), FIRM, rows=1
)
COUNTIES = Table(
    "d",
    "counties",
    (
        Column("county", Kind.STRING, OPEN, unique=True),
        Column("region", Kind.STRING, OPEN),
        Column("size", Kind.INTEGER, OPEN),
        Column("code", Kind.STRING, OPEN),
        Column("who", Kind.INTEGER, OPEN),
    ),
)
CALENDAR = Table(
    "d", "calendar", (Column("day", DAY, OPEN, unique=True), Column("month", Kind.INTEGER, OPEN))
)
LISTED = (
    ("d.people.id", "d.claims.person_id"),
    ("d.people.county", "d.counties.county"),
    ("d.claims.visit", "d.calendar.day"),
    ("d.people.code", "d.counties.code"),
    ("d.people.tag", "d.counties.region"),
    ("d.people.id", "d.counties.who"),
)
CATALOGUE = Catalogue(
    (PEOPLE, CLAIMS, NOTES, FIRMS, COUNTIES, CALENDAR), frozenset(frozenset(pair) for pair in LISTED)
)


def ask(sql: str) -> tuple[Reason, ...]:
    """The reasons over the simplified relation, which must be those over the plain one."""
    plain = resolve(parse(sql), CATALOGUE)
    found = authorize(simplify(plain), CATALOGUE)
    assert set(found) == set(authorize(plain, CATALOGUE))
    return found


def told(sql: str) -> list[tuple[str, str, str]]:
    """Code, subject and rule of each reason."""
    return [(r.code.name, r.subject, r.rule) for r in ask(sql)]


def keys_of(expr: str, table: str) -> list[tuple[str, str, str]]:
    return told(f"SELECT {expr} AS k, COUNT(*) AS n FROM {table} GROUP BY 1")


def where(condition: str, table: str = "people") -> list[tuple[str, str, str]]:
    return told(f"SELECT COUNT(*) FROM {table} WHERE {condition}")


@pytest.mark.parametrize(
    "expr",
    [
        "county",
        "tag",
        "upper(county) || '!'",
        "coalesce(county, tag)",
        "CASE WHEN age >= 65 THEN 'old' ELSE county END",
        "salary > 100",
        "county IN ('a', 'b') AND NOT active",
        "floor(age / 5) * 5",
        "floor(age / 10.0)",
        "ceil(age / 5)",
        "trunc(age * 0.1)",
        "round(age, -1)",
        "round(age / 5)",
        "CAST(age / 5 AS INTEGER)",
        "(age // 5) * 5 + 1",
        "age - age % 10",
        "height + 1",
        "floor(height)",
    ],
)
def test_keys_allowed(expr: str) -> None:
    assert keys_of(expr, "people") == []


@pytest.mark.parametrize(
    ("expr", "code", "subject", "rule"),
    [
        ("age", "STEP", "people.age", "group"),
        ("age + 1", "STEP", "people.age", "group"),
        ("floor(age / 4)", "STEP", "people.age", "group"),
        ("floor(age)", "STEP", "people.age", "group"),
        ("floor(age * 0)", "STEP", "people.age", "group"),
        ("floor(age * 2)", "STEP", "people.age", "group"),
        ("floor((age + 2) / 5) * 5", "STEP", "people.age", "group"),
        ("floor(age / height)", "STEP", "people.age", "group"),
        ("age % 10", "STEP", "people.age", "group"),
        ("age - height % 10", "STEP", "people.age", "group"),
        ("round(age)", "STEP", "people.age", "group"),
        ("CAST(age AS DOUBLE)", "STEP", "people.age", "group"),
        ("CAST(age AS VARCHAR)", "STEP", "people.age", "group"),
        ("CASE WHEN active THEN age ELSE 0 END", "STEP", "people.age", "group"),
        ("salary", "USE", "people.salary", "group"),
        ("floor(salary / 7)", "USE", "people.salary", "group"),
        ("phone", "USE", "people.phone", "group"),
        ("active", "USE", "people.active", "group"),
        ("id", "RAW_OUTPUT", "k, n", "aggregate"),
        ("id % 10", "USE", "people.id", "group"),
        ("salary = 100", "USE", "people.salary", "filter"),
        ("score > 10", "USE", "people.score", "filter"),
        ("CASE WHEN salary = 100 THEN 1 ELSE 2 END", "USE", "people.salary", "filter"),
    ],
)
def test_keys_refused(expr: str, code: str, subject: str, rule: str) -> None:
    assert keys_of(expr, "people") == [(code, subject, rule)]


@pytest.mark.parametrize(
    ("name", "fits", "fails"),
    [
        (
            "visit",
            [
                "date_trunc('month', {})",
                "date_trunc('quarter', {}) + INTERVAL 3 DAY",
                "date_trunc('year', {})",
                "year({})",
                "quarter({})",
                "month({})",
                "last_day({})",
                "strftime({}, '%Y-%m')",
                "strftime(date_trunc('month', {}), '%Y-%m-%d')",
                "date_trunc('month', CAST({} AS TIMESTAMP))",
                "strftime({}, 'all')",
            ],
            [
                "{}",
                "date_trunc('week', {})",
                "date_trunc('day', {})",
                "week({})",
                "day({})",
                "dayofyear({})",
                "dayofweek({})",
                "strftime({}, '%Y-%m-%d')",
                "strftime({}, '%j')",
                "CAST({} AS TIMESTAMP)",
                "{} + INTERVAL 1 MONTH",
                "date_trunc('month', {} + INTERVAL 3 DAY)",
                "date_diff('day', {}, DATE '2025-01-01')",
            ],
        ),
        (
            "weekly",
            ["date_trunc('week', {})", "week({})", "month({})", "date_trunc('month', {})"],
            ["dayofweek({})", "day({})", "{}"],
        ),
        (
            "at",
            [
                "date_trunc('day', {})",
                "CAST({} AS DATE)",
                "CAST(CAST({} AS DATE) AS VARCHAR)",
                "hour({})",
                "dayofweek({})",
                "isodow({})",
                "dayofyear({})",
                "day({})",
                "hour(CAST({} AS DATE))",
                "strftime({}, '%Y-%m-%d')",
            ],
            [
                "{}",
                "date_trunc('hour', {})",
                "minute({})",
                "second({})",
                "strftime({}, '%H')",
                "strftime({}, '%d %M')",
            ],
        ),
        (
            "daily",
            ["{}", "date_trunc('day', {})", "date_trunc('month', {})", "week({})", "CAST({} AS TIMESTAMP)"],
            [],
        ),
        (
            "hourly",
            ["date_trunc('hour', {})", "hour({})", "strftime({}, '%H')"],
            ["date_trunc('minute', {})", "minute({})"],
        ),
        (
            "quarterly",
            ["date_trunc('quarter', {})", "quarter({})", "year({})"],
            ["month({})", "last_day({})", "week({})"],
        ),
    ],
)
def test_steps_of_time(name: str, fits: list[str], fails: list[str]) -> None:
    for expr in fits:
        assert keys_of(expr.format(name), "claims") == [], expr
    for expr in fails:
        assert keys_of(expr.format(name), "claims") == [("STEP", f"claims.{name}", "group")], expr


def test_a_numeric_band_of_a_date_is_no_coarsening() -> None:
    assert keys_of("floor(date_diff('day', DATE '2025-01-01', visit) / 31)", "claims") == [
        ("STEP", "claims.visit", "group")
    ]


@pytest.mark.parametrize(
    ("table", "keys", "refused"),
    [
        ("people", "age // 5, age // 10", False),
        ("people", "age // 5, age // 6", True),
        ("people", "floor(age / 5), round(age / 5)", True),
        ("people", "floor(height / 5), round(height / 7)", False),
        ("claims", "date_trunc('week', weekly), date_trunc('month', weekly)", True),
        ("claims", "week(weekly), year(weekly)", False),
        ("claims", "week(at), month(at)", False),
        ("claims", "year(visit), month(visit)", False),
    ],
)
def test_several_bands_of_a_column_must_nest(table: str, keys: str, refused: bool) -> None:
    found = ask(f"SELECT {keys}, COUNT(*) FROM {table} GROUP BY 1, 2")
    assert [r.code for r in found] == ([Code.STEP] if refused else [])


def test_hints_name_the_coarser_form_in_both_languages() -> None:
    (band,) = ask("SELECT age, COUNT(*) FROM people GROUP BY 1")
    assert band.column == "age"
    assert "floor(age / 5) * 5" in band.now("en")
    assert "floor(age / 5) * 5" in band.now("zh")
    (month,) = ask("SELECT visit, COUNT(*) FROM claims GROUP BY 1")
    assert "date_trunc('month', visit)" in month.now("en")
    (use,) = ask("SELECT salary, COUNT(*) FROM people GROUP BY 1")
    assert "filter (compare it with a value), measure (sum or average it)" in use.hint
    assert "group" not in use.hint


def test_all_reasons_at_once_and_each_once() -> None:
    found = told(
        "SELECT score, AVG(size), MAX(salary), BOOL_OR(active) "
        "FROM (SELECT score, height AS size, salary, phone, active FROM people) "
        "WHERE salary = 1 OR salary = 2 GROUP BY score HAVING COUNT(DISTINCT phone) > 1"
    )
    assert sorted(found) == [
        ("AGGREGATE", "BOOL_OR", "aggregate"),
        ("USE", "people.height", "measure"),
        ("USE", "people.phone", "count"),
        ("USE", "people.salary", "filter"),
        ("USE", "people.score", "group"),
    ]


@pytest.mark.parametrize(
    "expr",
    [
        "SUM(salary)",
        "AVG(salary / 12 + bonus)",
        "SUM(CASE WHEN age < 30 THEN salary ELSE 0 END)",
        "STDDEV_SAMP(salary)",
        "AVG(NULLIF(salary, 0))",
        "SUM(score) FILTER (WHERE county = 'x')",
        "SUM(1)",
        "COUNT(*)",
        "COUNT(id)",
        "COUNT(phone)",
        "COUNT(CASE WHEN age < 30 THEN phone END)",
        "COUNT(salary / 12)",
        "COUNT(NULLIF(county, 'x'))",
        "COUNT(salary > 10)",
        "COUNT(CAST(salary AS INTEGER))",
        "COUNT(lower(phone))",
        "COUNT(DISTINCT id)",
        "COUNT(DISTINCT doctor)",
        "COUNT(DISTINCT county)",
        "COUNT(DISTINCT height)",
        "COUNT(DISTINCT floor(age / 5))",
        "MIN(salary)",
        "MAX(salary)",
        "MEDIAN(salary)",
        "QUANTILE_CONT(salary, 0.9)",
        "CORR(salary, score)",
    ],
)
def test_aggregates_allowed(expr: str) -> None:
    assert told(f"SELECT county, {expr} FROM people GROUP BY county") == []


@pytest.mark.parametrize(
    ("expr", "code", "subject", "rule"),
    [
        ("SUM(height)", "USE", "people.height", "measure"),
        ("SUM(id)", "USE", "people.id", "measure"),
        ("SUM(length(county))", "USE", "people.county", "measure"),
        ("AVG(NULLIF(salary, 123))", "USE", "people.salary", "filter"),
        ("SUM(CASE WHEN salary = 3 THEN 1 ELSE 0 END)", "USE", "people.salary", "filter"),
        ("SUM(salary) FILTER (WHERE county = 'x' AND score > 3)", "USE", "people.score", "filter"),
        ("COUNT(CASE WHEN salary = 3 THEN 1 END)", "USE", "people.salary", "filter"),
        ("COUNT(NULLIF(salary, 3))", "USE", "people.salary", "filter"),
        ("COUNT(1 / (salary - 98765.43))", "USE", "people.salary", "filter"),
        ("COUNT(CAST(height * 1.5 AS INTEGER))", "USE", "people.height", "filter"),
        ("SUM(CAST(score > 10 AS INTEGER))", "USE", "people.score", "filter"),
        ("COUNT(score > 10)", "USE", "people.score", "filter"),
        ("COUNT(DISTINCT phone)", "USE", "people.phone", "count"),
        ("COUNT(DISTINCT salary)", "USE", "people.salary", "count"),
        ("COUNT(DISTINCT floor(salary / 1000))", "USE", "people.salary", "group"),
        ("MEDIAN(height)", "USE", "people.height", "measure"),
        ("MAX(id)", "USE", "people.id", "measure"),
        ("MIN(county)", "USE", "people.county", "measure"),
        ("REGR_SLOPE(salary, height)", "USE", "people.height", "measure"),
        ("CORR(power(salary, 2), score)", "USE", "people.salary", "measure"),
        ("COUNT(DISTINCT -id)", "AGGREGATE", "COUNT(DISTINCT)", "aggregate"),
        ("STRING_AGG(county, ',')", "AGGREGATE", "STRING_AGG", "aggregate"),
        ("BOOL_AND(active)", "AGGREGATE", "BOOL_AND", "aggregate"),
        ("BOOL_OR(active)", "AGGREGATE", "BOOL_OR", "aggregate"),
        ("first(county ORDER BY salary)", "AGGREGATE", "ARG_MIN", "aggregate"),
        ("first(county ORDER BY salary DESC)", "AGGREGATE", "ARG_MAX", "aggregate"),
    ],
)
def test_aggregates_refused(expr: str, code: str, subject: str, rule: str) -> None:
    assert told(f"SELECT county, {expr} FROM people GROUP BY county") == [(code, subject, rule)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT MIN(date_trunc('month', visit)), MEDIAN(date_trunc('year', visit)) FROM claims", []),
        ("SELECT MAX(visit) FROM claims", [("STEP", "claims.visit", "group")]),
        (
            "SELECT QUANTILE_DISC(last, 0.5) FROM (SELECT person_id, MAX(visit) AS last FROM claims GROUP BY 1) AS t",
            [("STEP", "claims.visit", "group")],
        ),
    ],
)
def test_the_middle_of_dates_shows_what_may_be_a_key(text: str, found: list[tuple[str, str, str]]) -> None:
    assert told(text) == found


HAD = "EXISTS (SELECT 1 FROM claims c WHERE c.person_id = p.id AND c.{0})"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT COUNT(*) FILTER (WHERE {had}) FROM people p", []),
        ("SELECT {had} AS h, SUM(salary) FROM people p GROUP BY h", []),
        ("SELECT SUM(CASE WHEN {had} OR active THEN salary ELSE 0 END) FROM people p", []),
        ("SELECT COUNT(*) FROM people p WHERE {had} OR active", []),
    ],
)
def test_whether_there_are_rows_may_be_used_where_a_condition_may(text: str, found: list[object]) -> None:
    assert told(text.format(had=HAD.format("diagnosis = 'x'"))) == found
    assert told(text.format(had=HAD.format("code = 'x'"))) == [("USE", "claims.code", "filter")]


def test_the_unit_is_counted_only_with_the_use_count() -> None:
    assert told("SELECT COUNT(DISTINCT id) FROM notes") == [("USE", "notes.id", "count")]


@pytest.mark.parametrize(
    "condition",
    [
        "TRUE",
        "county = 'x'",
        "county LIKE '%a' OR starts_with(county, 'b')",
        "upper(county) IN ('A', 'B')",
        "county IS NOT NULL AND id IS NULL AND score IS NULL",
        "age BETWEEN 30 AND 39",
        "floor(age / 5) * 5 = 30",
        "salary > 100 AND NOT salary >= 200",
        "100 < salary",
        "salary > bonus",
        "-(2 * salary - bonus / 3) < abs(bonus) + 1",
        "coalesce(salary, 0) > 10",
        "CAST(salary AS INTEGER) > 10",
        "CASE WHEN age > 60 THEN salary ELSE bonus END > 10",
        "CASE WHEN active THEN TRUE ELSE county = 'x' END",
        "active",
        "active = FALSE",
        "(salary > 10) = TRUE",
        "active IS TRUE",
        "county IS NOT DISTINCT FROM 'x'",
        "nullif(county, 'x') IS NULL",
        "salary > (SELECT AVG(salary) FROM people)",
        "county IN (SELECT county FROM people GROUP BY county HAVING COUNT(*) > 100)",
    ],
)
def test_conditions_allowed(condition: str) -> None:
    assert where(condition) == []


@pytest.mark.parametrize(
    ("condition", "subject"),
    [
        ("salary = 100", "people.salary"),
        ("salary <> 100", "people.salary"),
        ("salary IN (1, 2)", "people.salary"),
        ("salary * bonus > 3", "people.salary people.bonus"),
        ("1 / salary > 3", "people.salary"),
        ("round(salary) > 3", "people.salary"),
        ("power(salary, 2) > 3", "people.salary"),
        ("salary = bonus", "people.salary people.bonus"),
        ("CAST(height AS VARCHAR) > '3'", "people.height"),
        ("CASE WHEN active THEN salary END = 3", "people.salary"),
        ("age = 35", "people.age"),
        ("floor(age / 2) = 3", "people.age"),
        ("phone = 'x'", "people.phone"),
        ("phone LIKE '1%'", "people.phone"),
        ("tag = 'x'", "people.tag"),
        ("floor(height / 3) = 3", "people.height"),
        ("score > 3", "people.score"),
        ("score > 3 OR score < 1", "people.score"),
        ("id = 7", "people.id"),
        ("id > 7", "people.id"),
        ("nullif(salary, 3) IS NULL", "people.salary"),
        ("1 / (salary - 3) IS NULL", "people.salary"),
        ("CASE WHEN score > 3 THEN 1 END IS NULL", "people.score"),
        ("salary = (SELECT AVG(salary) FROM people)", "people.salary"),
        ("salary IN (SELECT AVG(salary) FROM people GROUP BY county)", "people.salary"),
    ],
)
def test_conditions_refused(condition: str, subject: str) -> None:
    assert where(condition) == [("USE", s, "filter") for s in subject.split()]


def test_dates_compare_by_ranges_and_by_their_step() -> None:
    assert where("visit >= DATE '2025-03-01' AND visit + INTERVAL 3 DAY < DATE '2025-04-01'", "claims") == []
    assert where("CAST(at AS DATE) = DATE '2025-03-01'", "claims") == []
    assert where("date_trunc('month', visit) = DATE '2025-03-01'", "claims") == []
    assert where("date_diff('day', visit, weekly) > 3", "claims") == []
    assert where("visit = DATE '2025-03-01'", "claims") == [("USE", "claims.visit", "filter")]
    assert where("daily = DATE '2025-03-01'", "claims") == []
    assert where("month(paid) = 3", "claims") == [("USE", "claims.paid", "filter")]


def test_the_hint_of_a_stepped_column_offers_its_step_too() -> None:
    (stepped,) = ask("SELECT COUNT(*) FROM people WHERE age = 35")
    assert "age >= … AND age < …, or floor(age / 5) * 5" in stepped.hint
    (measured,) = ask("SELECT COUNT(*) FROM people WHERE salary = 35")
    assert measured.hint.endswith("salary >= … AND salary < …")


JOINED = "SELECT COUNT(*) FROM people p JOIN "


@pytest.mark.parametrize(
    "rest",
    [
        "claims c ON p.id = c.person_id",
        "counties k ON k.county = p.county",
        "counties k USING (county)",
        "people q ON p.id = q.id",
        "people q ON p.id = q.id AND p.county = q.county",
        "counties k ON p.age BETWEEN k.size AND k.size + 5",
        "(VALUES ('a'), ('b')) AS v(county) ON v.county = p.county",
        "(SELECT county, COUNT(*) AS n FROM people GROUP BY county) r ON r.county = p.county AND r.n > 5",
        "(SELECT person_id u, SUM(amount) AS t FROM claims GROUP BY person_id) v ON v.u = p.id WHERE v.t = 3",
        "counties k ON k.county = p.county JOIN calendar d ON d.month = k.size",
    ],
)
def test_joins_allowed(rest: str) -> None:
    assert told(JOINED + rest) == []


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("counties k ON p.county = k.region", [("JOIN", "people.county = counties.region", "join")]),
        ("counties k ON k.region = p.county", [("JOIN", "people.county = counties.region", "join")]),
        ("counties k ON lower(p.county) = k.county", [("JOIN", "people.county = counties.county", "join")]),
        ("counties k ON p.tag = k.region", [("USE", "people.tag", "join")]),
        ("counties k ON p.id = k.size", [("JOIN", "people.id = counties.size", "join")]),
        ("counties k ON p.id = k.size + 1000", [("USE", "people.id", "filter")]),
        ("counties k ON p.salary = k.size + 1", [("JOIN", "people.salary = counties.size", "join")]),
        ("(VALUES (7)) AS v(id) ON v.id = p.id", [("USE", "people.id", "filter")]),
        ("(VALUES (7)) AS v(s) ON v.s = p.salary", [("USE", "people.salary", "filter")]),
        ("notes n ON n.id = p.id", [("JOIN", "notes.id = people.id", "join")]),
        (
            "claims c ON p.id = c.person_id AND p.code = c.code",
            [("JOIN", "people.code = claims.code", "join")],
        ),
        ("people q ON p.id = q.id AND p.salary = q.salary", [("USE", "people.salary", "filter")]),
    ],
)
def test_joins_refused(rest: str, expected: list[tuple[str, str, str]]) -> None:
    found = told(JOINED + rest)
    assert [(c, set(s.split(" = ")), r) for c, s, r in found] == [
        (c, set(s.split(" = ")), r) for c, s, r in expected
    ]


def test_joins_without_the_column_use() -> None:
    found = told(JOINED + "claims c ON p.id = c.person_id AND p.county = c.diagnosis AND p.salary = c.amount")
    assert ("USE", "people.salary", "join") in found
    assert ("USE", "claims.amount", "join") in found
    assert sum(1 for code, _, _ in found if code == "JOIN") == 2


def test_a_comma_join_and_a_semi_join_are_joins_too() -> None:
    assert told("SELECT COUNT(*) FROM people p, counties k WHERE p.county = k.region")[0][0] == "JOIN"
    assert told("SELECT COUNT(*) FROM people WHERE county IN (SELECT region FROM counties)")[0][0] == "JOIN"
    assert told("SELECT COUNT(*) FROM people WHERE county IN (SELECT county FROM counties)") == []
    assert told("SELECT COUNT(*) FROM people WHERE id IN (SELECT person_id FROM claims)") == []
    assert told("SELECT COUNT(*) FROM people WHERE id IN (SELECT id FROM notes)")[0][0] == "JOIN"


def test_a_public_column_tied_to_a_protected_one_is_shown_as_that_one() -> None:
    tied = "SELECT {}, COUNT(*) FROM claims c JOIN calendar d ON d.day = c.visit GROUP BY 1"
    assert told(tied.format("d.month")) == []
    assert told(tied.format("date_trunc('month', d.day)")) == []
    assert told(tied.format("d.day")) == [("STEP", "claims.visit", "group")]
    coded = "SELECT k.code, COUNT(*) FROM people p JOIN counties k ON k.code = p.code GROUP BY 1"
    assert told(coded) == [("USE", "people.code", "group")]
    named = "SELECT k.who, COUNT(*) FROM people p JOIN counties k ON k.who = p.id GROUP BY 1"
    assert told(named) == [("USE", "people.id", "group")]
    both = (
        "SELECT k.code, COUNT(*) FROM people p JOIN claims c ON c.person_id = p.id "
        "JOIN counties k ON k.county = p.county AND k.code = p.code AND k.code = c.code GROUP BY 1"
    )
    assert {r for r in told(both) if r[0] == "USE"} == {
        ("USE", "people.code", "group"),
        ("USE", "claims.code", "group"),
    }


def test_values_derived_within_a_unit() -> None:
    v = "WITH v AS (SELECT person_id, COUNT(*) AS n, SUM(amount) AS t, MAX(visit) AS last, "
    v += "MIN(amount) AS low, BOOL_OR(amount > 5) AS big, STRING_AGG(diagnosis, ',') AS list "
    v += "FROM claims GROUP BY 1) "
    assert told(v + "SELECT n, COUNT(*) FROM v GROUP BY n") == []
    assert told(v + "SELECT big, list, COUNT(*) FROM v GROUP BY 1, 2") == []
    assert told(v + "SELECT AVG(t), SUM(n), AVG(low) FROM v WHERE t = 3 AND big") == []
    assert told(v + "SELECT CASE WHEN t < 3 THEN 'a' ELSE 'b' END AS k, COUNT(*) FROM v GROUP BY 1") == []
    (key,) = ask(v + "SELECT t, COUNT(*) FROM v GROUP BY t")
    assert (key.code, key.rule, key.column) == (Code.USE, "group", "")
    assert "CASE WHEN" in key.hint
    # MIN and MAX pass a stored value on, and its column's rules with it.
    assert told(v + "SELECT low, COUNT(*) FROM v GROUP BY 1") == [("USE", "claims.amount", "group")]
    assert told(v + "SELECT last, COUNT(*) FROM v GROUP BY 1") == [("STEP", "claims.visit", "group")]
    assert told(v + "SELECT date_trunc('month', last), COUNT(*) FROM v GROUP BY 1") == []
    assert told(v + "SELECT COUNT(*) FROM v WHERE low = 3") == [("USE", "claims.amount", "filter")]


def test_what_is_aggregated_within_a_unit_is_checked_there() -> None:
    def inner(agg: str) -> list[tuple[str, str, str]]:
        return told(
            f"SELECT COUNT(*) FROM (SELECT id, {agg} AS x FROM people GROUP BY id) WHERE x IS NOT NULL"
        )

    assert inner("AVG(height)") == [("USE", "people.height", "measure")]
    assert inner("MEDIAN(salary)") == []
    assert inner("COUNT(NULLIF(salary, 3))") == [("USE", "people.salary", "filter")]
    assert inner("COUNT(*) FILTER (WHERE phone = '1')") == [("USE", "people.phone", "filter")]
    assert inner("BOOL_AND(score > 3)") == [("USE", "people.score", "filter")]
    assert inner("STRING_AGG(phone, ',')") == [("USE", "people.phone", "group")]
    assert inner("first(county ORDER BY salary)") == []
    assert inner("first(county ORDER BY score)") == [("USE", "people.score", "group")]


def test_windows_within_a_unit() -> None:
    def ranked(win: str, key: str = "x") -> list[tuple[str, str, str]]:
        return told(
            f"SELECT {key} AS k, COUNT(*) FROM (SELECT person_id, {win} OVER "
            "(PARTITION BY person_id ORDER BY visit) AS x FROM claims) GROUP BY 1"
        )

    assert ranked("ROW_NUMBER()") == []
    assert ranked("COUNT(amount)") == []
    assert ranked("LAG(diagnosis)") == []
    assert ranked("LAG(visit, 1)") == [("STEP", "claims.visit", "group")]
    assert ranked("MAX(amount)", "x > 3") == []
    assert ranked("SUM(amount)", "x > 3") == []
    assert ranked("AVG(amount)")[0][0] == "USE"
    bad = "SELECT COUNT(*) FROM (SELECT RANK() OVER w AS r FROM people WINDOW w AS "
    bad += "(PARTITION BY id, phone ORDER BY score)) WHERE r = 1"
    assert told(bad) == [("USE", "people.phone", "group"), ("USE", "people.score", "group")]


def test_distinct_rows_of_a_unit_are_keys() -> None:
    kept = "SELECT COUNT(*) FROM (SELECT DISTINCT person_id, {} AS x FROM claims) WHERE x IS NOT NULL"
    assert told(kept.format("diagnosis")) == []
    assert told(kept.format("visit")) == [("STEP", "claims.visit", "group")]
    assert told("SELECT DISTINCT county FROM people") == []
    assert told("SELECT DISTINCT salary FROM people") == [("USE", "people.salary", "group")]


def test_each_branch_of_a_union_is_judged() -> None:
    both = "SELECT {} AS k, COUNT(*) FROM (SELECT id AS u, county AS x FROM people UNION ALL "
    both += "SELECT person_id, {} FROM claims) GROUP BY 1"
    assert told(both.format("x", "diagnosis")) == []
    assert told(both.format("x", "strftime(visit, '%Y-%m')")) == []
    assert told(both.format("x", "code")) == [("USE", "claims.code", "group")]
    assert told(both.format("1", "code")) == []
    tied = (
        "SELECT k.code, COUNT(*) FROM (SELECT id, code FROM people UNION ALL SELECT person_id, code "
        "FROM claims) u JOIN counties k ON k.code = u.code GROUP BY 1"
    )
    assert {s for c, s, _ in told(tied) if c == "USE"} == {"people.code", "claims.code"}


def test_branches_do_not_multiply_for_ever() -> None:
    branches = " UNION ALL ".join(["SELECT id, county FROM people"] * 65)
    (many,) = ask(f"SELECT county, COUNT(*) FROM ({branches}) GROUP BY 1")
    assert many.code is Code.SET_OPERATION
    nine = " UNION ALL ".join(["SELECT id, county FROM people"] * 9)
    product = f"SELECT COUNT(*) FROM ({nine}) a JOIN ({nine}) b ON a.id = b.id"
    assert [r.code for r in ask(product)] == [Code.SET_OPERATION]


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving bounds expressions already; tracing must hold without."""
    monkeypatch.setattr(growth, "MOST_EXPRESSION", 10**9)
    monkeypatch.setattr(growth, "MOST_PARTS", 10**9)
    monkeypatch.setattr(growth, "MOST_DEPTH", 10**9)


@pytest.mark.usefixtures("unbounded")
def test_traced_expressions_do_not_grow_for_ever() -> None:
    text = "SELECT id, salary AS s FROM people"
    for _ in range(14):
        text = f"SELECT id, s + s AS s FROM ({text})"
    found = authorize(resolve(parse(f"SELECT SUM(s) FROM ({text})"), CATALOGUE), CATALOGUE)
    assert [r.code for r in found] == [Code.TEXT_NESTING]


@pytest.mark.usefixtures("unbounded")
def test_traced_expressions_do_not_deepen_for_ever() -> None:
    steps = ["c0 AS (SELECT id, salary AS s FROM people)"]
    steps += [f"c{i + 1} AS (SELECT id, s{'+1' * 30} AS s FROM c{i})" for i in range(40)]
    relation = resolve(parse(f"WITH {', '.join(steps)} SELECT SUM(s) FROM c40"), CATALOGUE)
    assert [r.code for r in authorize(relation, CATALOGUE)] == [Code.TEXT_NESTING]


def test_a_private_answer_is_refused_by_its_column_names() -> None:
    (raw,) = ask("SELECT county, salary AS pay FROM people WHERE age > 30")
    assert (raw.code, raw.subject) == (Code.RAW_OUTPUT, "county, pay")
    assert "GROUP BY" in raw.hint


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT region, MAX(size), MEDIAN(size) FROM counties WHERE code = 'x' GROUP BY 1 ORDER BY 2 LIMIT 3",
        "SELECT DISTINCT a.region FROM counties a JOIN counties b ON a.size = b.size",
        "SELECT county FROM counties EXCEPT SELECT region FROM counties",
        "SELECT MAX(s), MIN(s) FROM (SELECT county, AVG(salary) AS s FROM people GROUP BY 1) WHERE s <> 3",
        "SELECT county, n, RANK() OVER (ORDER BY n) FROM (SELECT county, COUNT(*) n FROM people GROUP BY 1)",
        "SELECT k.region FROM (SELECT county, SUM(1) FROM people GROUP BY 1) JOIN counties k USING (county)",
        "SELECT region, SUM(size), COUNT(*) FROM people LEFT JOIN counties USING (county) GROUP BY region",
        "WITH v AS (SELECT id FROM people WHERE age > 30) SELECT COUNT(*) FROM v a JOIN v b ON a.id = b.id",
    ],
)
def test_public_rows_are_free(sql: str) -> None:
    assert told(sql) == []


def test_a_shared_relation_is_judged_once() -> None:
    people = scan(PEOPLE)
    release = aggregate(people, [("salary", Col(3))], [("n", Agg("count_star"))])
    assert [r.subject for r in authorize(_twice(release), CATALOGUE)] == ["people.salary"]


def _twice(relation: Relation) -> Relation:
    return set_op("union", True, relation, relation)


def test_nodes_built_by_hand() -> None:
    people = scan(PEOPLE)
    numbered = window(people, [("n", Win("count_star", (), (Col(0),)))])
    counted = aggregate(
        numbered, [("n", Col(len(people.fields)))], [("all", Agg("count", Literal(1, Kind.INTEGER)))]
    )
    assert authorize(counted, CATALOGUE) == ()
    private = distinct(scan(FIRMS))
    assert [r.code for r in authorize(private, CATALOGUE)] == [Code.RAW_OUTPUT]
