"""Compiled relations on the engine that runs them in production: one node kind after the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.catalogue import Column, Kind, Range, Table
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.sql.build import aggregate, filter_, join, project, scan, semi_join, set_op, values, window
from sandbox.sql.compile import compile_expr, compile_relation, render_literal
from sandbox.sql.expressions import (
    NULL,
    TRUE,
    Agg,
    Call,
    Case,
    Cast,
    Col,
    Expr,
    Facts,
    Frame,
    Literal,
    Sort,
    Win,
)
from sandbox.sql.parse import parse
from sandbox.sql.relation import (
    Aggregate,
    Field,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    Released,
    Values,
    facts,
)
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.oracle import Oracle
from tests.small import CATALOGUE, PEOPLE, PUBLIC, TABLES, VISITS, Data, stored

NOON = dt.datetime(2025, 1, 31, 12)
DATA: Data = {
    PEOPLE.id: [
        {"pid": 0, "age": 17, "city": "太原", "born": dt.date(2000, 2, 29), "member": True, "_u": 0},
        {"pid": 1, "age": 50, "city": "a'b", "born": None, "member": None, "_u": 1},
        {"pid": 2, "age": None, "city": "太原", "born": dt.date(1999, 1, 1), "member": False, "_u": 2},
    ],
    VISITS.id: [
        *({"person": 0, "fee": 400.25, "code": "A", "at": NOON, "n": 3, "_u": 0} for _ in range(5)),
        {"person": 1, "fee": None, "code": None, "at": None, "n": None, "_u": 1},
        {"person": 1, "fee": -5.0, "code": "b", "at": NOON, "n": -4, "_u": 1},
    ],
    PUBLIC.id: [
        {"k": 0, "big": 2**63 - 1, "w": 1e308, "q": 2.5, "t": "x", "day": None, "moment": NOON, "flag": True},
        {"k": 1, "big": 2**63 - 1, "w": 1e308, "q": 0.5, "t": "y", "day": None, "moment": NOON, "flag": True},
        {"k": 1, "big": -1, "w": None, "q": None, "t": None, "day": None, "moment": None, "flag": None},
    ],
}
RATES: list[tuple[Any, ...]] = [(0, "x"), (1, None)]
RELEASED = Released(
    7, (Field("k", Facts(Kind.INTEGER, False, scale=Fraction(1))), Field("t", Facts(Kind.STRING)))
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    folder = tmp_path_factory.mktemp("snapshot")
    files: dict[str, tuple[Path, ...]] = {}
    for table in TABLES:
        files[table.id] = (folder / f"{table.name}.parquet",)
        pq.write_table(stored(table, DATA[table.id]), files[table.id][0])
    with DuckDBEngine(files, threads=1) as made:
        yield made


def rows_of(engine: DuckDBEngine, relation: Relation) -> list[tuple[Any, ...]]:
    released = pa.table({"c0": pa.array([0, 1], pa.int64()), "c1": pa.array(["x", None], pa.string())})
    answer = engine.run(compile_relation(relation), {"r7": released})
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def check(engine: DuckDBEngine, relation: Relation) -> list[tuple[Any, ...]]:
    got, want = rows_of(engine, relation), Oracle(DATA, {7: RATES}).run(relation)
    assert sorted(got, key=repr) == sorted(want, key=repr)
    return got


QUERIES = {
    "scan and project": "SELECT pid, age FROM people",
    "decimals are read as reals": "SELECT person, fee * 2 AS f FROM visits",
    "filter": "SELECT pid FROM people WHERE city = 'a''b' AND age BETWEEN 20 AND 60",
    "inner join": "SELECT p.city, COUNT(*) FROM people p JOIN visits v ON v.person = p.pid GROUP BY 1",
    "left join": "SELECT p.pid, v.code FROM people p LEFT JOIN visits v ON v.person = p.pid",
    "full join": "SELECT a.k, b.big FROM rates a FULL JOIN rates b ON a.k = b.k + 1",
    "cross join": "SELECT COUNT(*) FROM people, rates",
    "three tables": (
        "SELECT COUNT(*) FROM people p JOIN visits v ON v.person = p.pid JOIN rates r ON r.k = v.person"
    ),
    "exists": (
        "SELECT pid FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person = p.pid AND v.n > 0)"
    ),
    "not exists": "SELECT pid FROM people p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person = p.pid)",
    "exists over a join": (
        "SELECT a.k FROM rates a JOIN rates b ON a.k = b.k WHERE EXISTS (SELECT 1 FROM rates c WHERE "
        "c.k = a.k AND c.q > b.q)"
    ),
    "in subquery": "SELECT COUNT(*) FROM people WHERE pid IN (SELECT person FROM visits)",
    "every aggregate": (
        "SELECT k, COUNT(*), COUNT(q), COUNT(DISTINCT k), SUM(q), SUM(big), AVG(q), MIN(t), "
        "MAX(moment), MEDIAN(q), VAR_SAMP(q), VAR_POP(q), STDDEV(q), STDDEV_POP(q), string_agg(t, '; "
        "' ORDER BY t), bool_and(flag), bool_or(flag) FROM rates GROUP BY k"
    ),
    "first": "SELECT first(t ORDER BY q), first(t ORDER BY q DESC), first(t ORDER BY big) FROM rates",
    "filtered aggregates": "SELECT SUM(q) FILTER (WHERE k > 0), COUNT(*) FILTER (WHERE flag) FROM rates",
    "no group": "SELECT SUM(q) FROM rates WHERE k > 100",
    "per unit": (
        "SELECT AVG(s), MAX(c) FROM (SELECT person, SUM(fee) AS s, COUNT(*) AS c FROM visits GROUP BY"
        " person) AS v"
    ),
    "distinct": "SELECT DISTINCT k FROM rates",
    "distinct units": "SELECT COUNT(*) FROM (SELECT DISTINCT person, code FROM visits) AS v",
    "windows": (
        "SELECT k, row_number() OVER (ORDER BY q DESC NULLS LAST), lag(t, 1) OVER (PARTITION BY k "
        "ORDER BY q), SUM(k) OVER (), AVG(q) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT "
        "ROW), ntile(2) OVER (ORDER BY q), rank() OVER (ORDER BY k), COUNT(*) OVER (ORDER BY k RANGE "
        "BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM rates"
    ),
    "windows of a unit": (
        "SELECT COUNT(*) FROM (SELECT row_number() OVER (PARTITION BY person ORDER BY at) AS n FROM "
        "visits) AS v WHERE n = 1"
    ),
    "union": "SELECT k, 1.5 AS x FROM rates UNION SELECT 7, 2",
    "union all of a unit": (
        "SELECT COUNT(*) FROM (SELECT person FROM visits UNION ALL SELECT pid FROM people) AS u"
    ),
    "except all": "SELECT k FROM rates EXCEPT ALL SELECT 1",
    "intersect": "SELECT day FROM rates INTERSECT SELECT NULL",
    "order and limit": "SELECT k, t FROM rates ORDER BY q DESC LIMIT 1 OFFSET 1",
    "order by a constant": "SELECT k FROM rates ORDER BY 'a' || 'b', k",
    "values": "SELECT a, b FROM (VALUES (1, 'x'), (NULL, 'it''s')) AS v(a, b)",
    "one row": "SELECT 1 AS a, NULL AS b WHERE 1 = 1",
    "grouping sets": "SELECT k, t, COUNT(*) FROM rates GROUP BY ROLLUP (k, t)",
    "marks of grouping sets": (
        "SELECT k, t, GROUPING(t, k), GROUPING_ID(k) + 1, SUM(q) FROM rates GROUP BY CUBE (k, t) HAVING GROUPING(k) = 0"
    ),
    "constant of a release": "SELECT 1 FROM (SELECT COUNT(*) AS n FROM rates) AS r",
}


@pytest.mark.parametrize("name", QUERIES)
def test_the_engine_gives_the_oracles_rows(name: str, engine: DuckDBEngine) -> None:
    relation = resolve(parse(QUERIES[name]), CATALOGUE)
    check(engine, relation)
    check(engine, simplify(relation))


READ = (
    "SELECT k, EXISTS (SELECT 1 FROM rates AS r WHERE r.k = rates.k AND r.t = 'y') AS e FROM rates",
    "SELECT COUNT(*) FROM rates AS a WHERE a.t = 'x' OR NOT EXISTS (SELECT 1 FROM rates AS b WHERE b.t = a.t)",
    "SELECT e, COUNT(*) FROM (SELECT EXISTS (SELECT 1 FROM rates AS b WHERE b.q = a.q) AS e FROM rates AS a) AS s GROUP BY e",
    "SELECT EXISTS (SELECT 1 FROM rates AS b WHERE b.t = a.t AND b.k > 0) AS e, COUNT(*) FROM rates AS a GROUP BY e",
    "SELECT SUM(CASE WHEN NOT EXISTS (SELECT 1 FROM rates WHERE k > 7) THEN k END) FROM rates",
    "SELECT COUNT(*) FILTER (WHERE EXISTS (SELECT 1 FROM rates AS b WHERE b.flag = a.flag)) FROM rates AS a",
    "SELECT k, c, c IN (SELECT COUNT(*) FROM rates GROUP BY k) AS i FROM (SELECT k, COUNT(*) AS c FROM rates GROUP BY k) AS s",
    "SELECT NOT (c IN (SELECT COUNT(*) + 1 FROM rates)) AS o FROM (SELECT k, COUNT(*) AS c FROM rates GROUP BY k) AS s",
    "SELECT CASE WHEN EXISTS (SELECT 1 FROM rates AS b WHERE b.k = a.k AND EXISTS (SELECT 1 FROM rates)) THEN 1 END FROM rates AS a",
    "SELECT k FROM rates AS a WHERE EXISTS (SELECT 1 FROM rates AS b WHERE b.q > 9) OR a.k > 0",
    "SELECT k, t, GROUPING(k), GROUPING(t, k), GROUPING_ID(k, t), COUNT(*) FROM rates GROUP BY ROLLUP (k, t)",
    "SELECT k + 1 AS x, GROUPING(k + 1) * 2 FROM rates GROUP BY CUBE (k + 1, flag)",
    "SELECT t AS x, GROUPING(x), GROUPING(t), COUNT(*) FROM rates GROUP BY GROUPING SETS ((x, flag), (flag))",
    "SELECT k AS x, flag, GROUPING(k) FROM rates GROUP BY flag, ROLLUP (1)",
    "SELECT k, GROUPING(k), COUNT(*) FROM rates GROUP BY k",
    "SELECT k, t, GROUPING(flag) FROM rates GROUP BY GROUPING SETS ((k, flag), (t), (flag), ())",
    "SELECT k, rank() OVER (PARTITION BY GROUPING(k), GROUPING(t) ORDER BY SUM(q)) FROM rates GROUP BY ROLLUP (k, t)",
)


@pytest.mark.parametrize("text", READ)
def test_texts_mean_what_the_engine_says(text: str, engine: DuckDBEngine) -> None:
    columns = {"k": "BIGINT", "q": "DOUBLE", "t": "VARCHAR", "flag": "BOOLEAN"}
    with duckdb.connect() as plain:
        plain.execute(f"CREATE TABLE rates ({', '.join(f'{c} {k}' for c, k in columns.items())})")
        plain.executemany(
            "INSERT INTO rates VALUES (?, ?, ?, ?)", [[r[c] for c in columns] for r in DATA[PUBLIC.id]]
        )
        theirs = plain.execute(text).fetchall()
    ours = rows_of(engine, simplify(resolve(parse(text), CATALOGUE)))
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)


def test_released_tables_are_read_by_number(engine: DuckDBEngine) -> None:
    assert check(engine, RELEASED) == RATES
    people, ties = scan(PEOPLE), Call("eq", (Col(0), Col(6)))
    joined = join("left", people, RELEASED, ties)
    assert len(check(engine, joined)) == 3
    assert len(check(engine, semi_join(people, filter_(RELEASED, TRUE), ties, anti=True))) == 1


def test_a_unit_s_rows_are_numbered_as_far_as_declared_and_their_squares_are_exact(
    engine: DuckDBEngine,
) -> None:
    numbered = (
        "SELECT person, row_number() OVER (PARTITION BY person ORDER BY at) AS n, COUNT(*) OVER "
        "(PARTITION BY person) AS c FROM visits"
    )
    rows = check(engine, resolve(parse(numbered), CATALOGUE))
    assert sorted(r[1:3] for r in rows if r[0] == 0) == [(1, 3), (2, 3), (3, 3), (3, 3), (3, 3)]  # rows: 3
    spread = resolve(
        parse(f"SELECT person, VAR_POP(n) AS v FROM ({numbered}) AS w GROUP BY person"), CATALOGUE
    )
    assert {r[0]: r[1] for r in check(engine, spread)}[
        0
    ] == 0.64  # not rounded to steps of what 2^40 rows would need


def test_per_unit_sums_and_counts_stay_in_the_range_of_their_facts(engine: DuckDBEngine) -> None:
    sums = aggregate(
        scan(VISITS),
        [("u", Col(0))],
        [("s", Agg("sum", Col(1))), ("n", Agg("count_star")), ("c", Agg("count", Col(2)))],
    )
    # Five visits where three are expected: 5 times 400.25 is more than 3 times 500.
    assert {r[0]: r[1:] for r in check(engine, sums)} == {0: (1500.0, 3, 3), 1: (0.0, 2, 1)}


def test_an_integer_sum_is_exact_and_then_widened(engine: DuckDBEngine) -> None:
    total = aggregate(scan(PUBLIC), [], [("s", Agg("sum", Col(1)))])
    assert check(engine, total) == [(float(2 * (2**63 - 1) - 1),)]


def test_zero_columns_still_have_rows(engine: DuckDBEngine) -> None:
    nothing: Relation = Aggregate(scan(PUBLIC), (), (), (), None)
    empty = Project(scan(PUBLIC), (), (), None)
    assert rows_of(engine, nothing) == [(None,)]
    assert len(rows_of(engine, empty)) == 3
    counted = aggregate(empty, [], [("n", Agg("count_star"))])
    assert rows_of(engine, counted) == [(3,)]
    rows = Values(((), ()), ())
    assert len(rows_of(engine, aggregate(rows, [], [("n", Agg("count_star"))]))) == 1
    both = join("inner", Values(((),), ()), scan(PUBLIC), TRUE)
    assert len(rows_of(engine, both)) == 3


def test_a_filter_over_one_row_needs_no_table(engine: DuckDBEngine) -> None:
    never = Filter(Values(((),), ()), Literal(False, Kind.BOOLEAN), (), None)
    assert rows_of(engine, project(never, [("a", Literal(1, Kind.INTEGER))])) == []


def test_constants_may_be_ordered_by_and_listed(engine: DuckDBEngine) -> None:
    constant = Literal("x", Kind.STRING)
    listed = aggregate(
        scan(PUBLIC),
        [],
        [
            ("l", Agg("string_agg", constant, option=";")),
            ("f", Agg("arg_min", constant, by=Literal(1, Kind.INTEGER))),
        ],
    )
    assert check(engine, listed) == [("x;x;x", "x")]
    ordered = Order(scan(PUBLIC), (Sort(constant), Sort(Col(0), True, True)), None, 0, scan(PUBLIC).fields)
    assert [r[0] for r in rows_of(engine, ordered)] == [1, 1, 0]


@pytest.mark.parametrize("nulls_first", [True, False])
def test_nulls_stand_where_the_order_says(engine: DuckDBEngine, nulls_first: bool) -> None:
    by = (Sort(Col(3), True, nulls_first),)
    reals = [r[3] for r in rows_of(engine, Order(scan(PUBLIC), by, None, 0, scan(PUBLIC).fields))]
    assert reals == ([None, 2.5, 0.5] if nulls_first else [2.5, 0.5, None])


def test_an_empty_frame_is_empty(engine: DuckDBEngine) -> None:
    frame = Frame("rows", 1, -1)
    win = Win("sum", (Col(3),), (), (Sort(Col(0)),), frame)
    assert {r[-1] for r in check(engine, window(scan(PUBLIC), [("s", win)]))} == {None}


def test_mixed_kinds_widen_first(engine: DuckDBEngine) -> None:
    public = scan(PUBLIC)
    big, real, moment, day = Col(1), Col(3), Col(6), Col(5)
    one, date = Literal(1, Kind.INTEGER), Literal(dt.date(2025, 1, 31), Kind.DATE)
    exprs: list[Expr] = [
        Case(((Call("is_null", (real,)), one),), real),
        Call("coalesce", (real, one)),
        Call("least", (big, real)),
        Call("eq", (moment, date)),
        Call("greatest", (moment, Cast(date, Kind.DATE))),
        Call("coalesce", (day, NULL, moment)),
        Call("add", (big, big)),
        Call("nullif", (big, Literal(Fraction(-1), Kind.DECIMAL))),
        Cast(NULL, Kind.DECIMAL),
    ]
    shaped = project(public, [(f"x{i}", e) for i, e in enumerate(exprs)])
    kinds = [f.facts.kind for f in shaped.fields]
    assert kinds[:3] == [Kind.DOUBLE] * 3 and kinds[4:7] == [Kind.TIMESTAMP, Kind.TIMESTAMP, Kind.DOUBLE]
    check(engine, shaped)


def test_both_sides_of_a_set_operation_take_the_results_kinds(engine: DuckDBEngine) -> None:
    left = project(scan(PUBLIC), [("a", Col(0)), ("b", Col(5))])
    right = values(((Literal(Fraction(1, 2), Kind.DOUBLE), Literal(NOON, Kind.TIMESTAMP)),), ["a", "b"])
    rows = check(engine, set_op("union", True, left, right))
    assert (0.5, NOON) in rows


def test_catalogue_names_are_quoted() -> None:
    table = Table('o"d', 'we"ird', (Column('sel"ect', Kind.INTEGER),))
    assert (
        compile_relation(scan(table)) == 'SELECT "t"."sel""ect" AS "c0" FROM "memory"."o""d"."we""ird" AS "t"'
    )


def test_literals() -> None:
    assert render_literal(Literal("it's", Kind.STRING)) == "'it''s'"
    assert render_literal(Literal(Fraction(1, 3), Kind.DECIMAL)) == "CAST('0.3333333333333333' AS DOUBLE)"
    assert render_literal(Literal(-5, Kind.INTEGER)) == "CAST(-5 AS BIGINT)"
    assert render_literal(Literal(5, Kind.DOUBLE)) == "CAST('5.0' AS DOUBLE)"
    assert render_literal(Literal(True, Kind.BOOLEAN)) == "TRUE"
    assert render_literal(Literal(dt.date(1, 2, 3), Kind.DATE)) == "DATE '0001-02-03'"
    assert (
        render_literal(Literal(dt.datetime(1, 2, 3, 4), Kind.TIMESTAMP)) == "TIMESTAMP '0001-02-03 04:00:00'"
    )
    assert render_literal(Literal(None, Kind.DECIMAL)) == "CAST(NULL AS DOUBLE)"


def test_nested_offsets_and_clamps_do_not_double_the_text() -> None:
    known = [Facts(Kind.DATE)]
    expr: Any = Col(0)
    for _ in range(60):
        expr = Call("add_days", (expr, Literal(1, Kind.INTEGER)))
    assert len(compile_expr(expr, known, ["x"])) < 20_000


def test_the_same_relation_gives_the_same_text() -> None:
    for text in QUERIES.values():
        first, second = (compile_relation(resolve(parse(text), CATALOGUE)) for _ in range(2))
        assert first == second


def test_simple_reads_stay_one_block() -> None:
    text = compile_relation(resolve(parse("SELECT k FROM rates WHERE q > 1"), CATALOGUE))
    assert text.count("SELECT") == 1


def test_joins_name_their_sides_apart() -> None:
    both = resolve(
        parse("SELECT a.k FROM rates a JOIN rates b ON a.k = b.k JOIN rates c ON c.k = b.k"), CATALOGUE
    )
    assert any(isinstance(r, Join) for r in (both, getattr(both, "input", None)))
    assert '"tl"."c0"' in compile_relation(both) and facts(both)[0].range == Range(Fraction(0), Fraction(5))
