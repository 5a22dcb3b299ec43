"""What the study questions run over: a practice register and a census sample, each person the unit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import duckdb
from ruamel.yaml import YAML

from sandbox.catalogue import Catalogue, Column, KeyPath, Kind, Range, Table, Unit, Use
from sandbox.policy.documents import DpGuard
from sandbox.privacy.plan import Plan, plan
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.oracle import Oracle, Row
from tests.property.fuzz import Releases
from tests.support import worlds

FOLDER: Final = Path(__file__).parent
EVERY: Final = frozenset(Use)
GUARD: Final = DpGuard(Fraction(1), Fraction(8), Fraction(1, 10**6), 12, 2)
SQL_TYPES: Final = worlds.SQL_TYPES | {Kind.DOUBLE: "DOUBLE"}


def column(name: str, kind: Kind, **more: Any) -> Column:
    return Column(name, kind, EVERY, **more)


def between(low: int, high: int) -> Range:
    return Range(Fraction(low), Fraction(high))


def days(first: str, last: str) -> Range:
    low, high = (dt.date.fromisoformat(day).toordinal() for day in (first, last))
    return between(low, high)


def unit(key: str = "pid") -> Unit:
    return Unit("person", "s/person", key)


def about(name: str, rows: int, *columns: Column) -> Table:
    """A table about patients, of which each has so many rows at most."""
    path = () if name in ("patients", "census") else (KeyPath("pid", "s.patients", "pid"),)
    return Table("s", name, (column("pid", Kind.INTEGER), *columns), unit(), rows=rows, paths=path)


SEEN: Final = days("2024-01-01", "2025-12-31")
TABLES: Final = (
    about(
        "patients",
        1,
        column("sex", Kind.STRING, domain=("F", "M", "U")),
        column("born", Kind.DATE, range=days("1920-01-01", "2025-12-31")),
        column("died", Kind.DATE, range=SEEN),
        column("practice", Kind.INTEGER),
    ),
    about(
        "registrations",
        3,
        column("practice", Kind.INTEGER),
        column("started", Kind.DATE, range=days("1990-01-01", "2025-12-31")),
        column("ended", Kind.DATE, range=days("1990-01-01", "2025-12-31")),
    ),
    about(
        "events",
        12,
        column("day", Kind.DATE, range=SEEN),
        column("code", Kind.STRING, domain=("asthma", "bmi", "diabetes", "hba1c", "stroke")),
        column("value", Kind.DOUBLE, range=between(0, 300), clip=between(0, 300)),
    ),
    about(
        "medications",
        12,
        column("day", Kind.DATE, range=SEEN),
        column("drug", Kind.STRING, domain=("aspirin", "insulin", "metformin", "salbutamol")),
    ),
    about(
        "admissions",
        4,
        column("admitted", Kind.DATE, range=SEEN),
        column("discharged", Kind.DATE, range=SEEN),
        column("ward", Kind.STRING, domain=("children", "general", "stroke")),
        column("emergency", Kind.BOOLEAN),
    ),
    Table(
        "s",
        "practices",
        (
            column("practice", Kind.INTEGER, unique=True),
            column("region", Kind.STRING),
            column("partners", Kind.INTEGER, range=between(0, 50)),
        ),
        extent=4,
    ),
    about(
        "census",
        1,
        column("age", Kind.INTEGER, range=between(0, 100)),
        column("sex", Kind.INTEGER, domain=(0, 1)),
        column("educ", Kind.INTEGER, domain=tuple(range(1, 17))),
        column("race", Kind.INTEGER, domain=tuple(range(1, 7))),
        column("income", Kind.INTEGER, range=between(0, 500_000)),
        column("married", Kind.BOOLEAN),
    ),
)
CATALOGUE: Final = Catalogue(TABLES)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in words and in SQL, and the table that it comes to before any noise.

    ``groups``: how the last release gets its groups: ``one`` (no keys), ``listed`` (declared domains or public
    tables) or ``selected`` (by their noisy counts).  ``columns`` are counted in releases: how many a plan makes.
    """

    topic: str
    asks: str
    sql: str
    rows: tuple[Row, ...]
    groups: str
    releases: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A question that cannot be answered as it stands: the code that says so, and what can be asked instead."""

    asks: str
    sql: str
    code: str
    instead: str


def _load(name: str) -> Any:
    with (FOLDER / name).open(encoding="utf-8") as file:
        return YAML(typ="safe", pure=True).load(file)


def questions() -> Iterator[Question]:
    """Everything that is answered, by topic."""
    for topic, cases in _load("questions.yaml").items():
        for case in cases:
            rows = tuple(tuple(row) for row in case["rows"])
            yield Question(topic, case["asks"], case["sql"], rows, case["groups"], case.get("releases", 1))


def refused() -> list[Refused]:
    """What is refused, and what may be asked instead."""
    return [Refused(**case) for case in _load("refused.yaml")]


def read(sql: str) -> Relation:
    """The relation that a query means."""
    return simplify(resolve(parse(sql), CATALOGUE))


def planned(sql: str) -> Plan:
    """The plan of a query at epsilon 1."""
    return plan(read(sql), GUARD, Fraction(1))


@cache
def database() -> duckdb.DuckDBPyConnection:
    """The tables as a snapshot holds them, units and ordinals too; bare names find them as well."""
    connection = duckdb.connect()
    for words in ("SET threads = 1", "SET TimeZone = 'UTC'", "CREATE SCHEMA s", "CREATE SCHEMA released"):
        connection.execute(words)
    written = _load("tables.yaml")
    for table in TABLES:
        _create(connection, table, written[table.name])
    connection.execute("SET search_path = 's'")
    return connection


def _create(connection: duckdb.DuckDBPyConnection, table: Table, rows: list[list[Any]]) -> None:
    typed = ", ".join(f'"{c.name}" {SQL_TYPES[c.kind]}' for c in table.columns)
    connection.execute(f'CREATE TABLE s."{table.name}" ({typed})')
    marks = ", ".join("?" for _ in table.columns)
    connection.executemany(f'INSERT INTO s."{table.name}" VALUES ({marks})', rows)
    if table.unit is None:
        return
    own = "OVER (PARTITION BY pid)"
    connection.execute(
        f'CREATE OR REPLACE TABLE s."{table.name}" AS SELECT *, pid AS _u, row_number() {own} - 1 AS _u_ord, '
        f'count(*) {own} AS _u_n FROM s."{table.name}"'
    )


def rows_of(table: Table) -> list[dict[str, Any]]:
    """A table's rows for the naive engine."""
    found: list[dict[str, Any]] = (
        database().sql(f'SELECT * FROM s."{table.name}"').to_arrow_table().to_pylist()
    )
    return found


def oracle() -> Oracle:
    """The naive engine over the tables."""
    return Oracle({table.id: rows_of(table) for table in TABLES})


class Study(Releases):
    """The studies' questions through tally and protection: sums before noise, and what stands above."""

    name = "studies"

    def __init__(self) -> None:
        self.random = Random(20_251_123)
        self.connection = database()
        self.tables = {table.id: rows_of(table) for table in TABLES}

    def plan(self, text: str) -> Plan:
        return planned(text)
