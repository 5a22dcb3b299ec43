"""Exact mode over a grid equals plain SQL over the rows of surviving cells, whatever cells survive."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pytest

from sandbox.catalogue import Catalogue, Column, Grid, Kind, Range, Table, Unit, Use
from sandbox.errors import Code, Refusal
from sandbox.privacy.exact import cube_table, over_cubes
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.relation import walk
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify

EVERY = frozenset(Use)
CELLS = ("city", "sector", "month")
USAGE = Table(
    "d",
    "usage",
    (
        Column("uscc", Kind.INTEGER, frozenset({Use.COUNT, Use.JOIN})),
        Column("city", Kind.STRING, EVERY, per_unit=True),
        Column("sector", Kind.STRING, EVERY, per_unit=True),
        Column("month", Kind.INTEGER, EVERY, range=Range(Fraction(1), Fraction(3))),
        Column("kwh", Kind.INTEGER, EVERY),
        Column("note", Kind.STRING, frozenset({Use.GROUP})),
    ),
    Unit("enterprise", "d/enterprise", "uscc"),
    grid=Grid(CELLS, 3, Fraction(15), 0, ()),
)
OPEN = Table("d", "usage", USAGE.columns)
AREAS = Table(
    "d",
    "area",
    (Column("city", Kind.STRING, EVERY, unique=True), Column("region", Kind.STRING, EVERY)),
    extent=3,
)
TAGS = Table("d", "tag", (Column("city", Kind.STRING, EVERY), Column("tag", Kind.STRING, EVERY)), extent=4)
PRIVATE, PUBLIC = Catalogue((USAGE, AREAS, TAGS)), Catalogue((OPEN, AREAS, TAGS))
Row = tuple[Any, ...]


def database(random: Random) -> duckdb.DuckDBPyConnection:
    """Rows of the surviving cells, and the cube of the same cells."""
    rows: list[Row] = []
    for unit in range(random.randint(1, 12)):
        city, sector = random.choice(("t", "d", None)), random.choice(("s", "c"))
        rows += [
            (unit, city, sector, random.randint(1, 3), random.choice((0, 5, -7, 100, None)), "n")
            for _ in range(random.randint(1, 4))
        ]
    alive = {row[1:4] for row in rows if random.random() < 0.7}
    rows = [row for row in rows if row[1:4] in alive]
    cells: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        cells[row[1:4]].append(row)
    cube = [
        (
            *key,
            len(own),
            len({r[0] for r in own}),
            sum(r[4] or 0 for r in own),
            sum(r[4] is not None for r in own),
        )
        for key, own in cells.items()
    ]
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA d")
    connection.execute(
        "CREATE TABLE d.usage (uscc BIGINT, city VARCHAR, sector VARCHAR, month BIGINT, kwh BIGINT, note VARCHAR)"
    )
    names = ", ".join(
        f'"{c.name}" {"VARCHAR" if c.kind is Kind.STRING else "BIGINT"}' for c in cube_table(USAGE).columns
    )
    connection.execute(f'CREATE TABLE d."usage#cube" ({names})')
    for name, found in (("usage", rows), ("usage#cube", cube)):
        for row in found:
            connection.execute(f'INSERT INTO d."{name}" VALUES ({", ".join("?" for _ in row)})', row)
    connection.execute(
        "CREATE TABLE d.area AS SELECT * FROM (VALUES ('t', 'n'), ('d', 's'), ('x', 'n')) AS t(city, region)"
    )
    connection.execute(
        "CREATE TABLE d.tag AS SELECT * FROM (VALUES ('t', 'p'), ('t', 'q'), ('d', 'p'), (NULL, 'p')) AS t(city, tag)"
    )
    return connection


def random_query(random: Random) -> str:
    pick = random.choice
    join = pick(("", "", " JOIN area AS a ON a.city = u.city", " LEFT JOIN area AS a ON u.city = a.city", " JOIN tag AS t ON t.city = u.city",
                 " LEFT JOIN tag AS t ON t.city = u.city AND t.tag = 'p'"))  # fmt: skip
    extra = {"a": ["a.region"], "t": ["t.tag"]}.get(join.split(" AS ")[1][0] if join else "", [])
    condition = pick(
        (
            "u.month > 1",
            "u.city = 't'",
            "u.city IS NULL",
            "u.sector <> 'c' AND u.month < 3",
            *(f"{e} IS NOT NULL" for e in extra),
        )
    )
    value = pick(("u.kwh", "1", "-3", f"CASE WHEN {condition} THEN u.kwh END", f"CASE WHEN {condition} THEN u.kwh ELSE 0 END",
                  f"CASE WHEN {condition} THEN 1 ELSE 0 END", f"CASE WHEN {condition} THEN 1 END"))  # fmt: skip
    keys = list(
        dict.fromkeys(
            pick(("u.city", "u.sector", "u.month", "u.month > 1", "coalesce(u.city, '-')", *extra))
            for _ in range(random.randint(0, 3))
        )
    )
    inner = pick(
        (
            "COUNT(*)",
            "COUNT(u.kwh)",
            "COUNT(u.city)",
            f"SUM({value})",
            f"AVG({value})",
            "COUNT(DISTINCT u.uscc)",
        )
    )
    aggs = [
        inner + (f" FILTER (WHERE {condition})" if random.random() < 0.3 else ""),
        pick(("COUNT(*)", f"AVG({value})")),
    ]
    where = pick(("", "", f" WHERE {condition}", " WHERE u.month = 2", " WHERE u.city IN (SELECT x.city FROM area AS x)",
                  " WHERE NOT EXISTS (SELECT 1 FROM area AS x WHERE x.city = u.city)"))  # fmt: skip
    shown = ", ".join(f"{e} AS x{i}" for i, e in enumerate([*keys, *aggs]))
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    return f"SELECT {shown} FROM usage AS u{join}{where}{group}"


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and b is not None:
        return math.isclose(a, float(b), rel_tol=1e-12)
    return bool(a == b)


@pytest.mark.parametrize("seed", range(4))
def test_answers_from_the_cube_are_those_from_the_rows(seed: int) -> None:
    random, outcomes = Random(seed), Counter[str]()
    for _ in range(12):
        connection = database(random)
        for _ in range(12):
            text = random_query(random)
            try:
                exact = over_cubes(simplify(resolve(parse(text), PRIVATE)))
            except Refusal as refusal:
                outcomes[refusal.reasons[0].code.name] += 1
                continue
            assert all(node.privacy is None for node in walk(exact))
            answers = [
                connection.execute(compile_relation(r)).fetchall()
                for r in (exact, simplify(resolve(parse(text), PUBLIC)))
            ]
            one, two = (sorted(rows, key=repr) for rows in answers)
            assert len(one) == len(two), text
            assert all(
                alike(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
            ), (text, one, two)
            outcomes["answered"] += 1
    assert outcomes["answered"] > 60, outcomes


OFF_GRID = (
    "SELECT COUNT(*) FROM usage WHERE kwh > 3",
    "SELECT note, COUNT(*) FROM usage GROUP BY note",
    "SELECT kwh, COUNT(*) FROM usage GROUP BY kwh",
    "SELECT COUNT(*) FROM usage WHERE uscc = 3",
    "SELECT SUM(kwh * kwh) FROM usage",
    "SELECT SUM(kwh + month) FROM usage",
    "SELECT SUM(CASE WHEN kwh > 3 THEN 1 ELSE 0 END) FROM usage",
    "SELECT SUM(CASE WHEN city = 't' THEN kwh ELSE 1 END) FROM usage",
    "SELECT COUNT(note) FROM usage",
    "SELECT COUNT(*) FILTER (WHERE kwh > 3) FROM usage",
    "SELECT COUNT(DISTINCT uscc) FROM usage",
    "SELECT u.month, COUNT(DISTINCT u.uscc) FROM usage AS u JOIN tag AS t ON t.city = u.city GROUP BY u.month",
    "SELECT SUM(random_is_no_column) FROM (SELECT kwh + 1 AS random_is_no_column FROM usage) AS t",
    "SELECT COUNT(*) FROM usage AS a JOIN usage AS b ON a.uscc = b.uscc",
    "SELECT COUNT(*) FROM usage AS u JOIN area AS a ON a.city = u.note",
    "SELECT COUNT(*) FROM usage AS u WHERE u.note IN (SELECT a.city FROM area AS a)",
    "SELECT COUNT(*) FROM usage AS u WHERE u.kwh IN (SELECT a.extent FROM (SELECT 1 AS extent) AS a)",
    "SELECT COUNT(*) FROM (SELECT uscc, COUNT(*) AS n FROM usage GROUP BY uscc) AS t",
    "SELECT COUNT(*) FROM (SELECT uscc, month FROM usage UNION ALL SELECT uscc, month FROM usage) AS t",
    "SELECT SUM(uscc) FROM usage",
    "SELECT SUM(2.5) FROM usage",
    "SELECT COUNT(*) FROM usage AS u WHERE u.uscc IN (SELECT a.n FROM (SELECT 1 AS n) AS a)",
)


@pytest.mark.parametrize("text", OFF_GRID)
def test_off_the_grid_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        over_cubes(simplify(resolve(parse(text), PRIVATE)))
    assert caught.value.reasons[0].code is Code.OFF_GRID


@pytest.mark.parametrize(("text", "code"), [
    ("SELECT MIN(kwh) FROM usage", Code.AGGREGATE),
    ("SELECT COUNT(DISTINCT city) FROM usage", Code.AGGREGATE),
    ("SELECT city FROM usage", Code.RAW_OUTPUT),
    ("SELECT uscc, COUNT(*) FROM usage GROUP BY uscc", Code.RAW_OUTPUT),
])  # fmt: skip
def test_other_refusals(text: str, code: Code) -> None:
    with pytest.raises(Refusal) as caught:
        over_cubes(simplify(resolve(parse(text), PRIVATE)))
    assert caught.value.reasons[0].code is code


def test_a_protected_table_without_a_grid_has_no_cube() -> None:
    with pytest.raises(Refusal) as caught:
        cube_table(Table("d", "t", (), Unit("person", "d/person", None)))
    assert caught.value.reasons[0].code is Code.OFF_GRID


def test_public_tables_pass_as_they_are() -> None:
    relation = simplify(resolve(parse("SELECT region, COUNT(*) FROM area GROUP BY region"), PRIVATE))
    assert over_cubes(relation) == relation
