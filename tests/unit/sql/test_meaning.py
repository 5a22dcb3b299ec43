"""Texts that mean the same have one canonical form, and others do not; what is unused vanishes."""

from __future__ import annotations

import pytest

from sandbox.sql.canonical import canonical, fingerprint
from sandbox.sql.relation import Relation, Released, Scan, Window, inputs, walk, with_inputs
from tests.spec.house import on_engine, on_oracle, read, simple

EQUAL = [
    ("SELECT count(*) AS n FROM persons", "SELECT count(*) AS other FROM persons AS p"),
    ("SELECT count(*) AS n FROM persons", "SELECT count(1) AS n FROM persons WHERE 1 = 1"),
    ("SELECT count(*) AS n FROM persons", "SELECT count(id) AS n FROM persons"),
    (
        "SELECT count(*) AS n FROM persons",
        "WITH p AS (SELECT id, age FROM persons) SELECT count(*) AS n FROM p",
    ),
    ("SELECT count(*) AS n FROM persons", "SELECT count(*) AS n FROM (SELECT town FROM persons) AS t"),
    (
        "SELECT count_if(age > 3) AS n FROM persons",
        "SELECT count(*) FILTER (WHERE age > 3) AS n FROM persons",
    ),
    (
        "SELECT count(*) AS n FROM persons WHERE age > 3 AND town = '太原'",
        "SELECT count(*) AS n FROM persons WHERE '太原' = town AND 3 < age",
    ),
    (
        "SELECT count(*) AS n FROM persons WHERE age > 3 AND town = '太原'",
        "SELECT count(*) AS n FROM (SELECT * FROM persons WHERE age > 3) AS t WHERE town IN ('太原')",
    ),
    (
        "SELECT count(*) AS n FROM persons WHERE NOT age <> 3",
        "SELECT count(*) AS n FROM persons WHERE age = 3",
    ),
    (
        "SELECT count(*) AS n FROM persons WHERE town IN ('太原', '大同')",
        "SELECT count(*) AS n FROM persons WHERE town IN ('大同', '太原', '大同')",
    ),
    (
        "SELECT town, sum(age * 2) AS s FROM persons GROUP BY town",
        "SELECT town, sum(twice) AS s FROM (SELECT 2 * age AS twice, town FROM persons) AS t GROUP BY 1",
    ),
    (
        "SELECT count(*) AS n FROM persons p JOIN claims c ON p.id = c.person WHERE c.fee > 1",
        "SELECT count(*) AS n FROM persons p, claims c WHERE c.person = p.id AND c.fee > 1",
    ),
    (
        "SELECT town FROM towns WHERE people BETWEEN 1 AND 9",
        "SELECT town FROM towns WHERE people <= 9 AND people >= 1",
    ),
    ("SELECT town FROM towns ORDER BY people", "SELECT town FROM towns ORDER BY people ASC NULLS LAST"),
    ("SELECT 1 + 1 AS x", "SELECT 2 AS y"),
    ("SELECT CAST(people AS INTEGER) AS x FROM towns", "SELECT people AS x FROM towns"),
    ("SELECT min(DISTINCT people) AS x FROM towns", "SELECT min(people) AS x FROM towns"),
    (
        "SELECT sum(people) OVER (PARTITION BY region, town) AS s FROM towns",
        "SELECT sum(people) OVER (PARTITION BY town, region) AS s FROM towns",
    ),
    ("SELECT founded > DATE '2020-01-01' AS x FROM towns", "SELECT '2020-01-01' < founded AS x FROM towns"),
    ("SELECT extract('year' FROM founded) AS x FROM towns", "SELECT year(founded) AS x FROM towns"),
]
DIFFERENT = [
    "SELECT count(*) AS n FROM persons",
    "SELECT count(*) AS n FROM claims",
    "SELECT count(DISTINCT age) AS n FROM persons",
    "SELECT count(*) AS n FROM persons WHERE age > 3",
    "SELECT count(*) AS n FROM persons WHERE age >= 3",
    "SELECT count(*) AS n FROM persons WHERE age > 4",
    "SELECT count(*) AS n FROM persons WHERE CASE WHEN age > 3 THEN town = '太原' ELSE false END",
    "SELECT sum(age) AS n FROM persons",
    "SELECT sum(CAST(age AS DOUBLE)) AS n FROM persons",
    "SELECT town, count(*) AS n FROM persons GROUP BY town",
    "SELECT count(*) AS n FROM persons p JOIN claims c ON p.id = c.person",
    "SELECT count(*) AS n FROM persons p LEFT JOIN claims c ON p.id = c.person",
    "SELECT count(*) AS n FROM persons p WHERE EXISTS (SELECT 1 FROM claims c WHERE c.person = p.id)",
    "SELECT count(*) AS n FROM persons p WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.person = p.id)",
    "SELECT count(*) AS n FROM (SELECT person, sum(fee) AS f FROM claims GROUP BY person) AS t WHERE f > 3",
    "SELECT town FROM towns",
    "SELECT town, people FROM towns",
    "SELECT DISTINCT town FROM towns",
    "SELECT town FROM towns ORDER BY town",
    "SELECT town FROM towns ORDER BY town DESC",
    "SELECT town FROM towns ORDER BY town LIMIT 1",
    "SELECT town FROM towns UNION SELECT town FROM visits",
    "SELECT town FROM towns UNION ALL SELECT town FROM visits",
    "SELECT town FROM towns EXCEPT SELECT town FROM visits",
    "SELECT row_number() OVER (ORDER BY town) AS i FROM towns",
    "SELECT row_number() OVER (ORDER BY town DESC) AS i FROM towns",
    "SELECT sum(people) OVER (ORDER BY town ROWS 1 PRECEDING) AS i FROM towns",
    "SELECT sum(people) OVER (ORDER BY town ROWS 2 PRECEDING) AS i FROM towns",
    "SELECT string_agg(town, ',') AS s FROM towns",
    "SELECT string_agg(town, ';') AS s FROM towns",
    "SELECT * FROM (VALUES (1)) AS t(a)",
    "SELECT * FROM (VALUES (2)) AS t(a)",
]


def form(sql: str) -> str:
    return canonical(simple(sql))


@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_rewritten_queries_have_one_form(one: str, two: str) -> None:
    assert form(one) == form(two)
    assert fingerprint(form(one)) == fingerprint(form(two))


def test_different_queries_have_different_forms() -> None:
    forms = {form(sql): sql for sql in DIFFERENT}
    assert len(forms) == len(DIFFERENT)
    assert len({fingerprint(f) for f in forms}) == len(DIFFERENT)


def test_released_tables_are_told_apart_by_number() -> None:
    field = simple("SELECT 1 AS x").fields
    assert canonical(Released(0, field)) != canonical(Released(1, field))


def scans(sql: str) -> dict[str, list[str]]:
    return {n.table.name: [f.name for f in n.fields] for n in walk(simple(sql)) if isinstance(n, Scan)}


@pytest.mark.parametrize(
    ("sql", "read_"),
    [
        ("SELECT town FROM towns", {"towns": ["town"]}),
        ("SELECT count(*) AS n FROM towns", {"towns": ["town"]}),
        ("SELECT count(*) AS n FROM persons", {"persons": ["_u"]}),
        ("SELECT n FROM (SELECT people AS n, area / 2 AS a FROM towns) AS t", {"towns": ["people"]}),
        ("SELECT town FROM towns WHERE area > 3 ORDER BY people", {"towns": ["town", "people", "area"]}),
        ("SELECT avg(age) AS a FROM persons WHERE town = '太原'", {"persons": ["age", "town", "_u"]}),
        (
            "SELECT p.town, sum(fee) AS s FROM persons p JOIN claims c ON c.person = p.id GROUP BY 1",
            {"persons": ["id", "town", "_u"], "claims": ["person", "fee", "_u"]},
        ),
        (
            "SELECT town FROM towns WHERE town IN (SELECT town FROM visits WHERE n > 1)",
            {"towns": ["town"], "visits": ["town", "n"]},
        ),
        ("SELECT r FROM (SELECT town AS r, sum(area) AS s FROM towns GROUP BY 1) AS t", {"towns": ["town"]}),
        ("SELECT town FROM (SELECT *, sum(people) OVER () AS s FROM towns) AS t", {"towns": ["town"]}),
        ("SELECT a FROM (SELECT DISTINCT town AS a, area FROM towns) AS t", {"towns": ["town", "area"]}),
        ("SELECT a FROM (SELECT town AS a, people FROM towns UNION SELECT town, n FROM visits) AS t",
         {"towns": ["town", "people"], "visits": ["town", "n"]}),
    ],
)  # fmt: skip
def test_unused_columns_vanish_and_the_unit_stays(sql: str, read_: dict[str, list[str]]) -> None:
    assert scans(sql) == read_


def test_an_unused_window_is_not_computed() -> None:
    kept = simple(
        "SELECT town, i FROM (SELECT town, row_number() OVER () AS i, rank() OVER () AS r FROM towns) AS t"
    )
    (window,) = [n for n in walk(kept) if isinstance(n, Window)]
    assert [w.name for w in window.wins] == ["row_number"]
    gone = simple("SELECT town FROM (SELECT town, row_number() OVER () AS i FROM towns) AS t")
    assert not any(isinstance(n, Window) for n in walk(gone))


SAME = [
    "SELECT x + y AS z FROM (SELECT people + 1 AS x, people * 2 AS y FROM towns) AS t WHERE x > 200",
    "SELECT a FROM (SELECT * FROM (SELECT people AS a FROM towns WHERE area > 1) AS s WHERE a > 2) AS t",
    (
        "SELECT t.z, v.n FROM (SELECT town AS z, 1 AS one FROM towns) AS t LEFT JOIN"
        " (SELECT town, n + 1 AS n FROM visits) AS v ON t.z = v.town"
    ),
    (
        "SELECT t.z, t.one, v.m FROM (SELECT town AS z, 1 AS one FROM towns) AS t FULL JOIN"
        " (SELECT town, 2 AS m FROM visits) AS v ON t.z = v.town"
    ),
    (
        "SELECT t.z, v.town FROM (SELECT town AS z FROM towns) AS t FULL JOIN"
        " (SELECT town FROM visits) AS v ON t.z = v.town"
    ),
    (
        "SELECT upper(z) AS z FROM (SELECT town AS z FROM towns) AS t WHERE EXISTS"
        " (SELECT 1 FROM (SELECT town AS y FROM visits) AS v WHERE v.y = t.z)"
    ),
    "SELECT r, count(*) AS n FROM (SELECT upper(region) AS r FROM towns) AS t GROUP BY r",
    "SELECT y, rank() OVER (ORDER BY y) AS i FROM (SELECT people % 7 AS y FROM towns) AS t",
    "SELECT DISTINCT y FROM (SELECT people > 200 AS y FROM towns) AS t",
    "SELECT y FROM (SELECT people AS y FROM towns ORDER BY people LIMIT 2) AS t WHERE y > 1",
    "SELECT y FROM (SELECT town AS y FROM towns UNION ALL SELECT town FROM visits) AS t WHERE y > 'M'",
    "SELECT town FROM (SELECT town, region FROM towns) AS t WHERE NULL",
]


@pytest.mark.parametrize("sql", SAME)
def test_simplifying_changes_no_answer(sql: str) -> None:
    before, after = read(sql), simple(sql)
    assert sorted(map(repr, on_engine(before))) == sorted(map(repr, on_engine(after)))
    assert sorted(map(repr, on_oracle(before))) == sorted(map(repr, on_engine(after)))


@pytest.mark.parametrize("sql", [s for pair in EQUAL for s in pair] + DIFFERENT)
def test_simplifying_twice_is_simplifying_once_and_nodes_can_be_rebuilt(sql: str) -> None:
    relation = simple(sql)
    assert rebuilt(relation) == relation
    assert [f.name for f in relation.fields] == [f.name for f in rebuilt(relation).fields]
    assert sum(1 for _ in walk(relation)) == 1 + sum(
        sum(1 for _ in walk(below)) for below in inputs(relation)
    )


def rebuilt(relation: Relation) -> Relation:
    return with_inputs(relation, rebuilt)
