"""What the twin says of a text, against what DuckDB is known to do with it."""

from __future__ import annotations

import pytest

from sandbox.engine.twin import PlanFacts, Twin

TABLES = {
    "med.people": [("id", "BIGINT"), ("name", "VARCHAR"), ("fee", "DECIMAL(18,2)"), ("Born", "DATE")],
    "med.claim": [("id", "BIGINT"), ("fee", "DOUBLE"), ("at", "TIMESTAMP"), ("tags", "VARCHAR[]")],
    "power.claim": [("id", "BIGINT"), ("kwh", "HUGEINT")],
    "快照.表": [("列", "VARCHAR")],
}
PEOPLE = {"id", "name", "fee", "Born"}


def describe(twin: Twin, sql: str) -> PlanFacts:
    facts = twin.describe("catalogue", TABLES, sql)
    assert facts is not None
    return facts


def read(twin: Twin, sql: str) -> dict[str, set[str]]:
    """Columns read, by table."""
    facts = describe(twin, sql)
    assert facts.single_select
    assert not facts.foreign
    return {table: {column for t, column in facts.columns if t == table} for table in facts.tables}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT count(*) FROM people", set()),
        ("SELECT name FROM people", {"name"}),
        ("SELECT NAME FROM MED.PEOPLE", {"name"}),
        ('SELECT p.born FROM memory.med."People" AS p', {"Born"}),
        ("SELECT 1 FROM people WHERE fee > 1 ORDER BY name", {"fee", "name"}),
        ("SELECT people FROM people", PEOPLE),
        ("SELECT * FROM people", PEOPLE),
        ("SELECT COLUMNS(*) FROM people", PEOPLE),
        ("SELECT COLUMNS('na.*') FROM people", {"name"}),
        ("SELECT * LIKE 'n%' FROM people", {"name"}),
        ("SELECT * EXCLUDE (fee) FROM people", PEOPLE - {"fee"}),
        ("SELECT name.upper() FROM people", {"name"}),
        ("SELECT #2 FROM people", {"name"}),
        ("SELECT p.fee FROM people AS p(a, fee)", {"name"}),
        ("FROM people SELECT id", {"id"}),
        ("TABLE people", PEOPLE),
        ("SELECT id FROM people GROUP BY ALL HAVING max(fee) > 1", {"id", "fee"}),
        (
            "SELECT sum(fee) FILTER (WHERE name = 'x') OVER (PARTITION BY born ORDER BY id) FROM people",
            PEOPLE,
        ),
        ("WITH a AS (SELECT fee AS x FROM people), b AS (SELECT x FROM a) SELECT sum(x) FROM b", {"fee"}),
        ("WITH people AS (SELECT fee FROM med.people) SELECT * FROM people", {"fee"}),
        ("SELECT rowid FROM people", {"rowid"}),
        ("SELECT p.rowid + id FROM people AS p", {"rowid", "id"}),
        ("PIVOT people ON name IN ('a', 'b') USING sum(fee) GROUP BY id", {"id", "name", "fee"}),
        ("SELECT id FROM people QUALIFY row_number() OVER (ORDER BY fee) = 1", {"id", "fee"}),
        ("SELECT 1 FROM people LIMIT (SELECT max(fee)::BIGINT FROM people)", {"fee"}),
    ],
)
def test_columns_of_one_table(twin: Twin, sql: str, columns: set[str]) -> None:
    assert read(twin, sql) == {"med.people": columns}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        (
            "SELECT count(*) FROM people JOIN med.claim USING (id)",
            {"med.people": {"id"}, "med.claim": {"id"}},
        ),
        (
            "SELECT name FROM people p WHERE EXISTS (FROM med.claim c WHERE c.id = p.id AND c.fee > 1)",
            {"med.people": {"id", "name"}, "med.claim": {"id", "fee"}},
        ),
        (
            "SELECT (SELECT max(kwh) FROM power.claim q WHERE q.id = p.id) FROM people p",
            {"med.people": {"id"}, "power.claim": {"id", "kwh"}},
        ),
        (
            "SELECT fee FROM people UNION ALL SELECT kwh FROM power.claim",
            {"med.people": {"fee"}, "power.claim": {"kwh"}},
        ),
        ("SELECT x FROM med.claim, LATERAL (SELECT unnest(tags) AS x)", {"med.claim": {"tags"}}),
        ("SELECT 列 FROM 表", {"快照.表": {"列"}}),
        ("SELECT 1 AS n", {}),
        ("VALUES (1), (2)", {}),
    ],
)
def test_tables(twin: Twin, sql: str, tables: dict[str, set[str]]) -> None:
    facts = read(twin, sql)
    assert facts.keys() == tables.keys()
    assert all(columns <= facts[table] for table, columns in tables.items())


@pytest.mark.parametrize(
    ("sql", "functions"),
    [
        ("SELECT sum(fee), count(*), count(DISTINCT name) FROM people", {"sum", "count_star", "count"}),
        ("SELECT mean(fee), max(name.upper()) FROM people", {"avg", "max", "upper"}),
        (
            "SELECT rank() OVER (ORDER BY id), dense_rank() OVER (), lag(fee) OVER () FROM people",
            {"rank", "dense_rank", "lag"},
        ),
        ("SELECT sum(id) OVER () FROM people", {"sum"}),
        ("SELECT upper('constant')", {"upper"}),
        ("SELECT id + 1 FROM people WHERE name LIKE 'x%'", {"+", "~~"}),
        ("SELECT CASE WHEN id > 1 THEN CAST(name AS INT) END FROM people", set()),
    ],
)
def test_functions_are_the_bound_ones(twin: Twin, sql: str, functions: set[str]) -> None:
    assert describe(twin, sql).functions == functions


def test_operators_hold_plan_nodes_and_expressions(twin: Twin) -> None:
    sql = (
        "SELECT DISTINCT CASE WHEN id > 1 THEN a.name::INT END FROM people a JOIN people b USING (id) LIMIT 1"
    )
    facts = describe(twin, sql)
    wanted = {
        "LOGICAL_GET",
        "LOGICAL_COMPARISON_JOIN",
        "LOGICAL_DISTINCT",
        "LOGICAL_LIMIT",
        "CASE_EXPR",
        "OPERATOR_CAST",
    }
    assert wanted <= facts.operators
    assert "COMPARE_GREATERTHAN" in facts.operators


@pytest.mark.parametrize(
    ("sql", "foreign"),
    [
        ("SELECT * FROM range(3)", "range"),
        ("SELECT * FROM generate_series(1, 3), people", "generate_series"),
        ("SELECT * FROM unnest([1, 2])", "unnest"),
        ("SELECT * FROM query('SELECT fee FROM people')", "query"),
        ("SELECT * FROM query_table('people')", "query_table"),
        ("SELECT * FROM duckdb_settings()", "system.main.duckdb_settings"),
        ("SELECT * FROM duckdb_tables", "system.main.duckdb_tables"),
        ("SELECT * FROM information_schema.columns", "system.main.duckdb_columns"),
        (
            "SELECT (SELECT max(table_name) FROM information_schema.tables) FROM people",
            "system.main.duckdb_tables",
        ),
    ],
)
def test_what_is_no_table_of_the_catalogue_is_foreign(twin: Twin, sql: str, foreign: str) -> None:
    facts = describe(twin, sql)
    assert foreign in facts.foreign
    if "people" in sql:
        assert facts.tables == {"med.people"}


def test_functions_folded_before_binding_are_still_written(twin: Twin) -> None:
    facts = describe(twin, "SELECT getvariable('x'), current_setting('threads'), nullif(1, 2)")
    assert {"getvariable", "current_setting", "nullif"} <= facts.written


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("FROM (SUMMARIZE people)", "SHOW_REF"),
        ("PIVOT people ON name IN ('a') USING sum(fee)", "PIVOT"),
        ("SELECT #1 FROM people", "expression POSITIONAL_REFERENCE"),
        ("SELECT list_transform(tags, lambda x: upper(x)) FROM med.claim", "expression LAMBDA"),
        ("SELECT * FROM range(3)", "TABLE_FUNCTION"),
    ],
)
def test_odd_syntax_is_visible(twin: Twin, sql: str, kind: str) -> None:
    assert kind in describe(twin, sql).syntax


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE people",
        "",
        ";",
        "-- nothing",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT * FROM people",
        "INSERT INTO people VALUES (1, 'a', 2, NULL)",
        "WITH x AS (DELETE FROM people RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO power.claim VALUES (1, 2) RETURNING *) SELECT * FROM x",
        "WITH x AS (UPDATE people SET fee = 1 RETURNING *) SELECT * FROM x",
        "WITH x AS (COPY people TO '/tmp/x.csv') SELECT 1",
        "COPY people TO '/tmp/x.csv'",
        "CREATE TABLE t AS SELECT 1",
        "ATTACH ':memory:' AS x",
        "SET threads = 4",
        "SET VARIABLE x = 1",
        "PRAGMA database_list",
        "CALL enable_logging()",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "VACUUM",
        "PIVOT people ON name USING sum(fee)",
    ],
)
def test_what_is_not_one_select(twin: Twin, sql: str) -> None:
    assert twin.describe("catalogue", TABLES, sql) == PlanFacts(single_select=False)


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT 'unclosed",
        "SELECT nope FROM people",
        "SELECT * FROM nope",
        "SELECT * FROM claim",
        "SELECT fee FROM med.people, med.claim",
        "SELECT nope(1)",
        "SELECT name + 1 FROM people WHERE sum(id) > 1",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sqlite_scan('a', 'b')",
        "SELECT $1",
        "SELECT ?",
        "SELECT nextval('s')",
        "SELECT 1 \0; DROP TABLE people",
        "SELECT '\ud800'",
        "CONNECT 'x'",
    ],
)
def test_what_duckdb_cannot_read_or_bind_is_none(
    twin: Twin, sql: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert twin.describe("catalogue", TABLES, sql) is None
    assert capfd.readouterr() == ("", "")


def test_no_text_changes_the_twin(twin: Twin) -> None:
    before = describe(twin, "SELECT sum(fee) FROM people")
    for sql in (
        "DROP TABLE people",
        "CREATE TEMP MACRO sum(x) AS count(x)",
        "CREATE TEMP VIEW people AS SELECT 1 AS fee",
        "SET search_path = 'power'",
        "WITH x AS (DELETE FROM people RETURNING *) SELECT * FROM x",
    ):
        twin.describe("catalogue", TABLES, sql)
    assert describe(twin, "SELECT sum(fee) FROM people") == before


def test_catalogues_are_apart(twin: Twin) -> None:
    assert twin.describe("small", {"power.claim": TABLES["power.claim"]}, "SELECT name FROM people") is None
    facts = twin.describe("small", {"power.claim": TABLES["power.claim"]}, "SELECT kwh FROM claim")
    assert facts is not None and facts.tables == {"power.claim"}
    assert describe(twin, "SELECT name FROM people").tables == {"med.people"}


def test_more_catalogues_than_are_kept(twin: Twin) -> None:
    for number in (*range(20), *range(20)):
        facts = twin.describe(f"many {number}", {f"d{number}.t": [("a", "BIGINT")]}, "SELECT a FROM t")
        assert facts is not None and facts.tables == {f"d{number}.t"}


def test_a_dataset_called_main(twin: Twin) -> None:
    facts = twin.describe("main", {"main.t": [("a", "BIGINT")], "d.u": [("b", "DATE")]}, "SELECT a FROM t, u")
    assert facts is not None and facts.tables == {"main.t", "d.u"}


@pytest.mark.parametrize(
    "tables",
    [
        {"people": [("a", "BIGINT")]},
        {"d.t": []},
        {"d.t": [("a", "BIGINT); DROP TABLE x; --")]},
        {"d.t": [("a", "ENUM('x')")]},
        {"d.t": [("a", "")]},
    ],
)
def test_a_catalogue_that_cannot_be_one(twin: Twin, tables: dict[str, list[tuple[str, str]]]) -> None:
    with pytest.raises(ValueError, match="twin"):
        twin.describe("bad", tables, "SELECT 1")


def test_quotes_in_names_stay_names(twin: Twin) -> None:
    tables = {'d."; DROP SCHEMA d; --': [('a" BIGINT); --', "BIGINT")]}
    facts = twin.describe("quotes", tables, 'SELECT * FROM d."""; DROP SCHEMA d; --"')
    assert facts is not None
    assert facts.columns == {('d."; DROP SCHEMA d; --', 'a" BIGINT); --')}
