"""Random cubes beside the rows that they were made of, and random questions about them."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from random import Random
from typing import Any

import duckdb

from sandbox.catalogue import Catalogue, Column, Grid, Kind, Range, Table, Unit, Use
from sandbox.privacy.exact import cube_table

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
    if keys and random.random() < 0.1:
        group, shown = f" GROUP BY ROLLUP ({', '.join(keys)})", f"{shown}, GROUPING({', '.join(keys)}) AS g"
    return f"SELECT {shown} FROM usage AS u{join}{where}{group}"


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and b is not None:
        return math.isclose(a, float(b), rel_tol=1e-12)
    return bool(a == b)
