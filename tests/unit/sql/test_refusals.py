"""What cannot be read, resolved or typed is refused: by the right code, with a hint in both languages."""

from __future__ import annotations

import pytest
from sqlglot import exp

from sandbox.errors import Code, Refusal
from sandbox.sql.resolve.query import resolve
from tests.spec.house import CATALOGUE, read, simple

CASES = """
names
UNKNOWN_COLUMN      SELECT v.nothing FROM visits v
UNKNOWN_COLUMN      SELECT town FROM towns t WHERE towns.town = 'a'
UNKNOWN_COLUMN      SELECT town FROM towns JOIN visits USING (people)
UNKNOWN_COLUMN      (SELECT town FROM towns) ORDER BY people
UNKNOWN_COLUMN      (SELECT town FROM towns) ORDER BY 1 + 1
UNKNOWN_COLUMN      (SELECT town FROM towns) ORDER BY 2
UNKNOWN_TABLE       SELECT 1 AS x FROM other.towns
UNKNOWN_TABLE       SELECT 1 AS x FROM cat.spec.towns
UNKNOWN_TABLE       WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS x) SELECT * FROM a
AMBIGUOUS           SELECT b AS a, a AS b FROM (SELECT 1 AS c) AS t
AMBIGUOUS           SELECT t.x FROM (SELECT 1 AS x, 2 AS x) AS t
SYNTAX              SELECT towns.spec.* FROM towns
CONSTRUCT           SELECT sum(towns.*) AS s FROM towns
CONSTRUCT           SELECT a FROM towns AS t(a)
SYNTAX              WITH t(a, b) AS (SELECT town FROM towns) SELECT a FROM t
grouping
GROUPING            SELECT town FROM towns HAVING town = 'a'
GROUPING            SELECT *, count(*) AS n FROM towns GROUP BY town
GROUPING            SELECT t.region, count(*) AS n FROM towns t GROUP BY town
GROUPING            SELECT town, count(*) AS n FROM towns GROUP BY 3
GROUPING            SELECT town, count(*) AS n FROM towns GROUP BY 0.5
GROUPING            SELECT town FROM towns ORDER BY 2
CONSTRUCT           SELECT count(*) AS n FROM towns GROUP BY sum(people)
CONSTRUCT           SELECT sum(count(*)) AS n FROM towns
CONSTRUCT           SELECT count(*) AS n FROM towns GROUP BY CUBE (town, region, founded, people, area)
CONSTRUCT           SELECT count(*) AS n FROM towns GROUP BY ROLLUP (town), ROLLUP (region)
CONSTRUCT           SELECT town, count(*) AS n FROM towns GROUP BY town WITH ROLLUP
CONSTRUCT           SELECT id, count(*) AS n FROM persons GROUP BY ROLLUP (id)
FUNCTION            SELECT count(*) AS n FROM towns GROUP BY GROUPING SETS (ROLLUP (town), region)
GROUPING            SELECT grouping(region) AS g, count(*) AS n FROM towns GROUP BY ROLLUP (town)
GROUPING            SELECT grouping(town) AS g, count(*) AS n FROM towns
GROUPING            SELECT town, grouping(town) AS g, count(*) AS n FROM towns GROUP BY ALL
UNKNOWN_COLUMN      SELECT town AS x, grouping(x) AS g FROM towns GROUP BY ROLLUP (town)
CONSTRUCT           SELECT grouping(town) AS g FROM towns
CONSTRUCT           SELECT sum(grouping(town)) AS g FROM towns GROUP BY town
CONSTRUCT           SELECT count(*) AS n FROM towns WHERE grouping(town) = 0 GROUP BY town
CONSTRUCT           SELECT grouping(town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town, town) AS g FROM towns GROUP BY town
SYNTAX              SELECT grouping() AS g, count(*) AS n FROM towns GROUP BY ROLLUP (town)
CONSTRUCT           SELECT DISTINCT town FROM towns ORDER BY people
CONSTRUCT           SELECT town FROM towns LIMIT 1 + 1
CONSTRUCT           SELECT town FROM towns LIMIT '²'
SUBQUERY            SELECT (SELECT max(n) FROM visits) AS m, town FROM towns WHERE people > m
CONSTRUCT           SELECT town FROM towns LIMIT 5 PERCENT
aggregates and windows
TYPE                SELECT sum(town) AS s FROM towns
TYPE                SELECT quantile_cont(founded, 0.5) AS s FROM towns
TYPE                SELECT quantile_disc(town, 0.5) AS s FROM towns
TYPE                SELECT bool_and(people) AS s FROM towns
TYPE                SELECT string_agg(people, ',') AS s FROM towns
TYPE                SELECT sum(town) OVER () AS s FROM towns
TYPE                SELECT count(*) FILTER (WHERE people) AS s FROM towns
CONSTRUCT           SELECT sum(DISTINCT people) AS s FROM towns
CONSTRUCT           SELECT count(DISTINCT town, region) AS s FROM towns
ARGUMENT            SELECT string_agg(town, region) AS s FROM towns
ARGUMENT            SELECT string_agg(town, '--') AS s FROM towns
CONSTRUCT           SELECT string_agg(town, ',' ORDER BY people) AS s FROM towns
CONSTRUCT           SELECT first(town) AS s FROM towns
SUBQUERY            SELECT sum((SELECT max(n) FROM visits)) AS s FROM towns
CONSTRUCT           SELECT town FROM towns WHERE row_number() OVER () = 1
CONSTRUCT           SELECT sum(people) OVER w AS s FROM towns
FUNCTION            SELECT median(people) OVER () AS s FROM towns
FUNCTION            SELECT upper(town) OVER () AS s FROM towns
FUNCTION            SELECT count(DISTINCT town) OVER () AS s FROM towns
ARGUMENT            SELECT ntile(people) OVER () AS s FROM towns
ARGUMENT            SELECT ntile(0) OVER () AS s FROM towns
ARGUMENT            SELECT lag(people, people) OVER () AS s FROM towns
ARGUMENT            SELECT ntile() OVER () AS s FROM towns
CONSTRUCT           SELECT sum(people) OVER (ORDER BY town GROUPS 1 PRECEDING) AS s FROM towns
CONSTRUCT           SELECT sum(people) OVER (ORDER BY people RANGE 1 PRECEDING) AS s FROM towns
CONSTRUCT           SELECT sum(people) OVER (ORDER BY people ROWS people PRECEDING) AS s FROM towns
joins and subqueries
CONSTRUCT           SELECT town FROM towns POSITIONAL JOIN visits
CONSTRUCT           SELECT town FROM towns RIGHT SEMI JOIN visits USING (town)
FUNCTION            SELECT 1 AS x FROM upper('a')
FUNCTION            SELECT x FROM unnest([1, 2]) AS t(x)
FUNCTION            SELECT x FROM generate_series(3) AS t(x)
CONSTRUCT           SELECT 1 AS x FROM (towns)
TYPE                SELECT 1 AS x FROM towns t JOIN visits v ON t.people
SUBQUERY            SELECT 1 AS x FROM towns t JOIN visits v ON t.people = (SELECT max(n) FROM visits)
SUBQUERY            SELECT 1 AS x FROM towns t JOIN visits v ON t.people IN (SELECT n FROM visits)
SUBQUERY            SELECT town FROM towns WHERE town IN (SELECT town, n FROM visits)
SUBQUERY            SELECT town FROM towns WHERE EXISTS (SELECT count(*) FROM visits GROUP BY n)
SUBQUERY            SELECT town FROM towns WHERE coastal OR EXISTS (SELECT 1 FROM visits GROUP BY n)
SUBQUERY            SELECT town, EXISTS (SELECT 1 FROM visits v WHERE v.n < people) AS x FROM towns
SUBQUERY            SELECT town, people IN (SELECT n FROM visits) AS x FROM towns
SUBQUERY            SELECT town, people IN (SELECT n, town FROM visits) AS x FROM towns
SUBQUERY            SELECT count(*) AS n FROM towns HAVING EXISTS (SELECT 1 FROM visits)
SUBQUERY            SELECT t.town FROM towns t JOIN visits v ON EXISTS (SELECT 1 FROM visits w)
SUBQUERY            SELECT t.town FROM towns t JOIN visits v ON t.people IN (SELECT n FROM visits w)
SUBQUERY            SELECT town, EXISTS (SELECT 1 FROM persons p WHERE p.town = t.town) AS x FROM towns t
SUBQUERY            SELECT town, EXISTS (SELECT 1 FROM persons p) AS x FROM towns t
UNIT_JOIN           SELECT id, EXISTS (SELECT 1 FROM persons q WHERE q.age = p.age) AS x FROM persons p
UNIT_JOIN           SELECT id, EXISTS (SELECT 1 FROM claims) AS x FROM persons p
UNIT_KINDS          SELECT count_if(EXISTS (SELECT 1 FROM firms f WHERE f.town = p.town)) AS x FROM persons p
UNIT_JOIN           SELECT id FROM persons WHERE age IN (SELECT fee FROM claims)
AMBIGUOUS           SELECT town FROM towns t WHERE EXISTS (SELECT 1 FROM visits v, visits w WHERE n = people)
UNKNOWN_COLUMN      SELECT town FROM towns t WHERE EXISTS (SELECT 1 FROM visits v WHERE v.town = t.nothing)
UNIT_KINDS          SELECT id FROM persons WHERE EXISTS (SELECT 1 FROM firms WHERE firm = id)
TYPE                SELECT town FROM towns UNION SELECT town, n FROM visits
TYPE                SELECT town FROM towns UNION SELECT n FROM visits
SET_OPERATION       SELECT id FROM persons UNION ALL SELECT people FROM towns
SET_OPERATION       SELECT id FROM persons UNION ALL SELECT firm FROM firms
SET_OPERATION       SELECT id FROM persons UNION SELECT person FROM claims
CROSS_UNIT          SELECT id FROM persons ORDER BY id OFFSET 3
values
CONSTRUCT           SELECT * FROM (VALUES (1), (2, 3)) AS t(a)
CONSTRUCT           SELECT * FROM (VALUES (nullif(1, 1))) AS t(a)
UNKNOWN_COLUMN      SELECT * FROM (VALUES (people)) AS t(a)
TYPE                SELECT * FROM (VALUES (1), ('a')) AS t(a)
literals and types
LITERAL             SELECT 1e99 AS x
LITERAL             SELECT 0.00000000000000000000000000000000000000000001 AS x
LITERAL             SELECT 1e AS x
LITERAL             SELECT 1e999999999 AS x
LITERAL             SELECT 0e-999999999 AS x
LITERAL             SELECT 0x1F
LITERAL             SELECT 1d FROM towns
LITERAL             SELECT CAST(1 AS DECIMAL(9, '²')) AS x
LITERAL             SELECT founded + INTERVAL '²' DAY AS x FROM towns
LITERAL             SELECT DATE '2025-1-31' AS x
LITERAL             SELECT TIMESTAMP 'noon' AS x
LITERAL             SELECT CAST('1' AS INTEGER) AS x
LITERAL             SELECT CAST(1 AS DECIMAL(20, 13)) AS x
CONSTRUCT           SELECT CAST(1 AS BLOB) AS x
CONSTRUCT           SELECT CAST(people AS INTEGER[]) AS x FROM towns
LITERAL             SELECT founded + INTERVAL people DAY AS x FROM towns
LITERAL             SELECT founded + INTERVAL 1 CENTURY AS x FROM towns
LITERAL             SELECT town FROM towns WHERE founded = 'yesterday'
TYPE                SELECT CAST(founded AS BOOLEAN) AS x FROM towns
TYPE                SELECT town FROM towns WHERE people = 'a'
TYPE                SELECT town FROM towns WHERE people
TYPE                SELECT town FROM towns WHERE people IN (1, 'a')
TYPE                SELECT CASE WHEN coastal THEN 1 ELSE 'a' END AS x FROM towns
TYPE                SELECT coalesce(people, town) AS x FROM towns
TYPE                SELECT greatest(people, town) AS x FROM towns
TYPE                SELECT upper(people) AS x FROM towns
TYPE                SELECT year(people) AS x FROM towns
TYPE                SELECT town LIKE 1 AS x FROM towns
TYPE                SELECT -town AS x FROM towns
TYPE                SELECT NOT people AS x FROM towns
arguments
ARGUMENT            SELECT people / 0 AS x FROM towns
ARGUMENT            SELECT people // 0 AS x FROM towns
ARGUMENT            SELECT people % -3 AS x FROM towns
ARGUMENT            SELECT round(area, 20) AS x FROM towns
ARGUMENT            SELECT round(area, people) AS x FROM towns
ARGUMENT            SELECT power(area, 0.5) AS x FROM towns
ARGUMENT            SELECT sqrt(area - 1) AS x FROM towns
ARGUMENT            SELECT ln(area) AS x FROM towns
ARGUMENT            SELECT left(town, people) AS x FROM towns
ARGUMENT            SELECT left(town, '1') AS x FROM towns
ARGUMENT            SELECT substr(town, 0) AS x FROM towns
ARGUMENT            SELECT town LIKE region AS x FROM towns
SYNTAX              SELECT mod(people) AS x FROM towns
ARGUMENT            SELECT suffix(town) AS x FROM towns
ARGUMENT            SELECT extract(epoch FROM founded) AS x FROM towns
ARGUMENT            SELECT date_trunc('century', founded) AS x FROM towns
ARGUMENT            SELECT date_trunc(town, founded) AS x FROM towns
ARGUMENT            SELECT date_trunc(upper('day'), founded) AS x FROM towns
ARGUMENT            SELECT replace(town, 'a') AS x FROM towns
ARGUMENT            SELECT date_diff('week', founded, founded) AS x FROM towns
ARGUMENT            SELECT strftime(founded, '%c') AS x FROM towns
ARGUMENT            SELECT strftime(founded, town) AS x FROM towns
ARGUMENT            SELECT founded + INTERVAL 999999 DAY AS x FROM towns
ARGUMENT            SELECT concat(town, town, town, town, town, town, town, town, town) AS x FROM towns
FUNCTION            SELECT log(3, people) AS x FROM towns
FUNCTION            SELECT date_part(town, founded) AS x FROM towns
FUNCTION            SELECT sha256(town) AS x FROM towns
CONSTRUCT           SELECT people IN (area) AS x FROM towns
CONSTRUCT           SELECT people IS area AS x FROM towns
text and statements
SYNTAX              SELECT FROM WHERE
SYNTAX              SELECT ((1) AS x
NOT_SELECT          VALUES (1)
NOT_SELECT          INSERT INTO towns VALUES (1)
NOT_SELECT          PRAGMA database_list
SEVERAL_STATEMENTS  SELECT 1 AS x;; SELECT 2 AS x
CONSTRUCT           SELECT $1 AS x
CONSTRUCT           SELECT ? AS x
CONSTRUCT           SELECT 'a' /* and */ 'b' AS x
FUNCTION            SELECT [1, 2] AS x
CONSTRUCT           SELECT town FROM towns USING SAMPLE 3
CONSTRUCT           SELECT DISTINCT ON (region) town FROM towns
CONSTRUCT           SELECT town FROM towns t LEFT JOIN LATERAL (SELECT 1) AS l ON true
NOT_SELECT          PIVOT towns ON region USING sum(people)
""".strip().splitlines()
ROWS = [line.split(None, 1) for line in CASES if "  " in line]


@pytest.mark.parametrize(("code", "sql"), ROWS, ids=[sql for _, sql in ROWS])
def test_it_is_refused_with_a_useful_hint(code: str, sql: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(sql)
    assert caught.value.code.name == code
    for reason in caught.value.reasons:
        assert reason.what("en").strip() and reason.what("zh").strip()
        assert reason.now("en").strip() and reason.now("zh").strip()


def test_every_reason_is_given_at_once() -> None:
    with pytest.raises(Refusal) as caught:
        read("SELECT sha256(town) AS a, [1] AS b, md5(town) AS c FROM towns TABLESAMPLE 10 PERCENT")
    assert len(caught.value.reasons) >= 3


@pytest.mark.parametrize(
    "sql",
    [
        "WITH c0 AS (SELECT people AS x FROM towns){} SELECT sum(x) AS s FROM c40",
        "WITH c0 AS (SELECT people AS x FROM towns){} SELECT x FROM c40 WHERE x > 3 ORDER BY x",
    ],
)
@pytest.mark.parametrize(
    "step",
    [
        "SELECT x{} AS x FROM {{}}".format(" + 1" * 30),
        "SELECT x + x AS x FROM {}",
        "SELECT CASE WHEN x > 1 THEN x ELSE x END AS x FROM {}",
        "SELECT a.x FROM {0} AS a JOIN {0} AS b ON a.x = b.x",
        "SELECT x FROM {0} UNION ALL SELECT x FROM {0}",
        "SELECT x FROM {0} WHERE x IN (SELECT x FROM {0})",
        "SELECT x FROM {0} ORDER BY x LIMIT 9",
    ],
)
def test_what_grows_with_every_cte_is_refused_at_once(sql: str, step: str) -> None:
    steps = "".join(f", c{i} AS ({step.format(f'c{i - 1}')})" for i in range(1, 41))
    text = sql.format(steps)
    if "LIMIT" in step:
        assert simple(text).fields
        return
    with pytest.raises(Refusal) as caught:
        simple(text)
    assert caught.value.code is Code.TEXT_NESTING


def test_a_tree_that_is_no_query_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        resolve(exp.Subquery(this=exp.Values(expressions=[])), CATALOGUE)
    assert caught.value.code is Code.CONSTRUCT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT " + "1," * 20_000, "TEXT_TOO_LONG"),
        ("SELECT " + "1" * 5000 + " AS x", "LITERAL"),
        ("", "SYNTAX"),
        (" \n\t ", "SYNTAX"),
        ("SELECT " + "(" * 61 + "1" + ")" * 61, "TEXT_NESTING"),
        ("SELECT " + "[" * 61, "TEXT_NESTING"),
        ("SELECT " + ", ".join("1" * 3000), "TEXT_NESTING"),
        ("SELECT " + " + ".join(["people"] * 200) + " AS x FROM towns", "TEXT_NESTING"),
        ("SELECT 1 AS x\x00", "TEXT_CHARACTER"),
        ("SELECT 1 AS x\x1b", "TEXT_CHARACTER"),
        ("SELECT 1 AS x\x85", "TEXT_CHARACTER"),
        ("SELECT 1\u00a0AS x", "TEXT_CHARACTER"),
        ("SELECT '\u200b' AS x", "TEXT_CHARACTER"),
        ("SELECT '\u202e' AS x", "TEXT_CHARACTER"),
        ("SELECT 1 AS x -- \u2028", "TEXT_CHARACTER"),
        ("SELECT 1 AS х", "TEXT_CHARACTER"),  # Cyrillic
        ("SELECT 1 AS ｘ", "TEXT_CHARACTER"),
        ("SELECT 1 AS \uf900", "TEXT_CHARACTER"),
        ("SELECT \ud800", "TEXT_CHARACTER"),
    ],
)
def test_texts_that_no_parser_should_see(text: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(text)
    assert caught.value.code.name == code


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 AS x -- it's \" fine (((",
        "SELECT 1 AS x /* ' ; \" ((( */",
        "SELECT 1 AS x;",
        "SELECT\r\n1 AS x -- a\r",
        "SELECT '--' AS x, '/*' AS y, '*/' AS z, 'a''b' AS q, '$' AS d",
        'SELECT 1 AS "a""b", 2 AS "城 市"',
        "SELECT 1 AS 城市",
        "SELECT 'х \u3000 é ½' AS x",
    ],
)
def test_texts_that_are_odd_and_fine(text: str) -> None:
    assert read(text).fields
