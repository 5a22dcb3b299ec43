"""What the spec cases run over: two small public tables, and three protected ones to refuse by."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
from ruamel.yaml import YAML

from sandbox.catalogue import Catalogue, Column, KeyPath, Kind, Range, Table, Unit, Use
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.relation import Order, Project, Relation, visible
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.oracle import Oracle
from tests.small import stored

Row = tuple[Any, ...]
NEW_YEAR: Final = dt.date(2025, 1, 1).toordinal()
EVERY: Final = frozenset(Use)
FOLDER: Final = Path(__file__).parent


def column(name: str, kind: Kind, **more: Any) -> Column:
    return Column(name, kind, EVERY, **more)


def between(low: int, high: int) -> Range:
    return Range(Fraction(low), Fraction(high))


TOWNS = Table(
    "spec",
    "towns",
    (
        column("town", Kind.STRING, unique=True),
        column("region", Kind.STRING),
        column("founded", Kind.DATE),
        column("people", Kind.INTEGER, range=between(0, 1_000_000)),
        column("area", Kind.DOUBLE, range=between(0, 1000)),
        column("coastal", Kind.BOOLEAN),
    ),
    extent=4,
)
VISITS = Table(
    "spec",
    "visits",
    (
        column("town", Kind.STRING),
        column("at", Kind.TIMESTAMP),
        column("fee", Kind.DOUBLE, range=between(0, 1000)),
        column("n", Kind.INTEGER, range=between(0, 100)),
    ),
    extent=4,
)
PERSONS = Table(
    "spec",
    "persons",
    (
        column("id", Kind.INTEGER),
        column("age", Kind.INTEGER, range=between(0, 120)),
        column("town", Kind.STRING, domain=("太原", "大同", "Harbor")),
    ),
    Unit("person", "spec/person", "id"),
    rows=1,
)
CLAIMS = Table(
    "spec",
    "claims",
    (
        column("person", Kind.INTEGER),
        column("fee", Kind.DOUBLE, range=between(0, 5000), clip=between(0, 500)),
        column("day", Kind.DATE, range=between(NEW_YEAR, NEW_YEAR + 364)),
    ),
    Unit("person", "spec/person", "person"),
    rows=12,
    paths=(KeyPath("person", "persons", "id"),),
)
FIRMS = Table(
    "spec",
    "firms",
    (column("firm", Kind.INTEGER), column("town", Kind.STRING)),
    Unit("firm", "spec/firm", "firm"),
    rows=1,
)
CATALOGUE = Catalogue((TOWNS, VISITS, PERSONS, CLAIMS, FIRMS))
DATA: dict[str, list[dict[str, Any]]] = {
    TOWNS.id: [
        {
            "town": "太原",
            "region": "north",
            "founded": dt.date(2001, 1, 31),
            "people": 530,
            "area": 12.5,
            "coastal": False,
        },
        {
            "town": "大同",
            "region": "north",
            "founded": dt.date(1999, 12, 31),
            "people": 310,
            "area": None,
            "coastal": False,
        },
        {
            "town": "Harbor",
            "region": "south",
            "founded": dt.date(2024, 2, 29),
            "people": 100,
            "area": 40.25,
            "coastal": True,
        },
        {"town": " Élan ", "region": None, "founded": None, "people": None, "area": 7.0, "coastal": None},
    ],
    VISITS.id: [
        {"town": "太原", "at": dt.datetime(2025, 1, 31, 23, 59, 58), "fee": 10.5, "n": 1},
        {"town": "太原", "at": dt.datetime(2025, 3, 1), "fee": None, "n": 2},
        {"town": "Harbor", "at": dt.datetime(2025, 12, 31, 12, 30, 15), "fee": 20.0, "n": 3},
        {"town": "nowhere", "at": dt.datetime(2024, 2, 29, 6, 7, 8), "fee": 0.0, "n": None},
    ],
}


@dataclass(frozen=True, slots=True)
class Case:
    """A query over the public tables, and its whole answer."""

    topic: str
    sql: str
    en: str
    zh: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A query over protected tables: ``outcome`` is kept, released or the code that refuses it."""

    sql: str
    en: str
    zh: str
    outcome: str


def load(name: str) -> dict[str, Any]:
    """One data file of this folder."""
    with (FOLDER / name).open(encoding="utf-8") as file:
        return dict(YAML(typ="safe", pure=True).load(file))


def topics() -> dict[str, tuple[str, str]]:
    """Topics in the order of the reference, with their titles in English and Chinese."""
    return {name: (part["en"], part["zh"]) for name, part in load("allowed.yaml").items()}


def cases() -> list[Case]:
    """Everything that is allowed, by topic."""
    return [
        Case(topic, c["sql"], c["en"], c["zh"], tuple(tuple(r) for r in c["rows"]))
        for topic, part in load("allowed.yaml").items()
        for c in part["cases"]
    ]


def rules(part: str) -> list[Rule]:
    """What becomes of queries over protected tables (``protected``) or what is refused (``refused``)."""
    return [Rule(c["sql"], c["en"], c["zh"], c["outcome"]) for c in load("protected.yaml")[part]]


def read(sql: str) -> Relation:
    """The relation that a query means."""
    return resolve(parse(sql), CATALOGUE)


def ordered(relation: Relation) -> bool:
    """Whether the rows come in an order."""
    return isinstance(relation, Order) or (isinstance(relation, Project) and ordered(relation.input))


def on_engine(relation: Relation) -> list[Row]:
    """The rows that plain DuckDB gives for the compiled text."""
    return _engine().sql(compile_relation(relation)).fetchall()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA spec")
    for table in (TOWNS, VISITS):
        connection.register("arriving", stored(table, DATA[table.id]))
        connection.execute(f'CREATE TABLE spec."{table.name}" AS SELECT * FROM arriving')
        connection.unregister("arriving")
    return connection


def on_oracle(relation: Relation) -> list[Row]:
    """The rows that the naive engine gives."""
    return Oracle(DATA).run(relation)


def simple(sql: str) -> Relation:
    """As ``read``, simplified as the gateway does before it runs anything."""
    return simplify(read(sql))


def names(sql: str) -> list[str]:
    """The names of a query's columns."""
    relation = read(sql)
    return [relation.fields[i].name for i in visible(relation)]
