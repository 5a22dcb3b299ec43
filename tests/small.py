"""A small catalogue with every kind of column, and rows for it that are as awkward as rows can be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from sandbox.catalogue import Catalogue, Column, KeyPath, Kind, Range, Table, Unit, Use

EVERY = frozenset(Use)
UNIT = Unit("person", "d/person", "pid")


def column(name: str, kind: Kind, **more: Any) -> Column:
    return Column(name, kind, EVERY, **more)


def between(low: int, high: int) -> Range:
    return Range(Fraction(low), Fraction(high))


PEOPLE = Table(
    "d",
    "people",
    (
        column("pid", Kind.INTEGER, unique=True),
        column("age", Kind.INTEGER, range=between(0, 100), clip=between(0, 90)),
        column("city", Kind.STRING, domain=("太原", "大同", "a'b")),
        column("born", Kind.DATE),
        column("member", Kind.BOOLEAN),
    ),
    UNIT,
    rows=1,
)
VISITS = Table(
    "d",
    "visits",
    (
        column("person", Kind.INTEGER),
        column("fee", Kind.DECIMAL, range=between(-10, 1000), clip=between(0, 500), scale=Fraction(1, 100)),
        column("code", Kind.STRING),
        column("at", Kind.TIMESTAMP),
        column("n", Kind.INTEGER, range=between(-1000, 1000)),
    ),
    Unit("person", "d/person", "person"),
    rows=3,
    paths=(KeyPath("person", "people", "pid"),),
)
PUBLIC = Table(
    "d",
    "rates",
    (
        column("k", Kind.INTEGER, range=between(0, 5)),
        column("big", Kind.INTEGER),
        column("w", Kind.DOUBLE),
        column("q", Kind.DOUBLE, range=between(-100, 100)),
        column("t", Kind.STRING),
        column("day", Kind.DATE),
        column("moment", Kind.TIMESTAMP),
        column("flag", Kind.BOOLEAN),
    ),
    extent=10,
)
TABLES = (PEOPLE, VISITS, PUBLIC)
CATALOGUE = Catalogue(TABLES, frozenset({frozenset({"d.people.pid", "d.visits.person"})}))

TEXTS = ("", "a", "A", "a'b", "太原", "大同", "%", "ß", "\u3000x", "z" * 30)
DAYS = (dt.date(1, 1, 1), dt.date(2000, 2, 29), dt.date(2025, 1, 31), dt.date(9999, 12, 31))
MOMENTS = (
    dt.datetime(1, 1, 1),
    dt.datetime(2025, 1, 31),
    dt.datetime(2025, 1, 31, 23, 59, 59, 999999),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
)
QUARTERS = (-10.0, -0.0, 0.25, 2.5, 100.0)
FEW = (0, 1, 2, 3, 4)
Data = dict[str, list[dict[str, Any]]]
POOLS: dict[str, dict[str, tuple[Any, ...]]] = {
    PEOPLE.id: {
        "pid": FEW,
        "age": (None, 0, 17, 50, 100),
        "city": (None, "太原", "大同", "a'b"),
        "born": (None, *DAYS),
        "member": (None, False, True),
    },
    VISITS.id: {
        "person": FEW,
        "fee": (None, -10.0, 0.0, 0.25, 12.5, 1000.0),
        "code": (None, *TEXTS),
        "at": (None, *MOMENTS),
        "n": (None, -1000, -1, 0, 3, 1000),
    },
    PUBLIC.id: {
        "k": (None, *FEW, 5),
        "big": (None, -(2**63), -1, 0, 2**53 + 1, 2**63 - 1),
        "w": (None, -1e308, -1.5, 0.0, 5e-324, 1e308),
        "q": (None, *QUARTERS),
        "t": (None, *TEXTS),
        "day": (None, *DAYS),
        "moment": (None, *MOMENTS),
        "flag": (None, False, True),
    },
}
"""The values that columns may have."""


def whole(table: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as stored: with the unit's column, and each person once."""
    if table == PUBLIC.id:
        return list(rows)
    unit = "pid" if table == PEOPLE.id else "person"
    carried = [{**r, "_u": r[unit]} for r in rows]
    return list({r[unit]: r for r in carried}.values()) if table == PEOPLE.id else carried


def _rows(table: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({n: st.sampled_from(pool) for n, pool in POOLS[table].items()})
    some = st.lists(row, min_size=3, max_size=7) | st.lists(row, max_size=1)
    return some.map(lambda rows: whole(table, rows))


DATA: st.SearchStrategy[Data] = st.fixed_dictionaries({table: _rows(table) for table in POOLS})


def random_data(random: Random) -> Data:
    """The same without Hypothesis."""

    def rows(table: str) -> list[dict[str, Any]]:
        count = random.choice((0, 1, 3, 4, 5, 7))
        return whole(
            table, [{n: random.choice(pool) for n, pool in POOLS[table].items()} for _ in range(count)]
        )

    return {table: rows(table) for table in POOLS}


ARROW = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.DECIMAL: pa.decimal128(18, 2),
    Kind.DOUBLE: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}


def stored(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows as a snapshot stores them."""
    columns = {
        c.name: pa.array(
            [r[c.name] for r in rows], pa.float64() if c.kind is Kind.DECIMAL else ARROW[c.kind]
        ).cast(ARROW[c.kind])
        for c in table.columns
    }
    if table.unit is not None:
        columns["_u"] = pa.array([r["_u"] for r in rows], pa.int64())
    return pa.table(columns)
