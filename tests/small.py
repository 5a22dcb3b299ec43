"""A small catalogue with every kind of column, and rows for it that are as awkward as rows can be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from fractions import Fraction
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
NULL = st.none()


def rows_of(unit: str, **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries(columns)
    whole = row.map(lambda r: {**r, "_u": r[unit]} if unit else r)
    return st.lists(whole, min_size=3, max_size=7) | st.lists(whole, max_size=1)


PEOPLE_ROWS = rows_of(
    "pid",
    pid=st.integers(0, 4),
    age=NULL | st.sampled_from((0, 17, 50, 100)),
    city=NULL | st.sampled_from(("太原", "大同", "a'b")),
    born=NULL | st.sampled_from(DAYS),
    member=NULL | st.booleans(),
)
VISIT_ROWS = rows_of(
    "person",
    person=st.integers(0, 4),
    fee=NULL | st.sampled_from((-10.0, 0.0, 0.25, 12.5, 1000.0)),
    code=NULL | st.sampled_from(TEXTS),
    at=NULL | st.sampled_from(MOMENTS),
    n=NULL | st.sampled_from((-1000, -1, 0, 3, 1000)),
)
PUBLIC_ROWS = rows_of(
    "",
    k=NULL | st.integers(0, 5),
    big=NULL | st.sampled_from((-(2**63), -1, 0, 2**53 + 1, 2**63 - 1)),
    w=NULL | st.sampled_from((-1e308, -1.5, 0.0, 5e-324, 1e308)),
    q=NULL | st.sampled_from(QUARTERS),
    t=NULL | st.sampled_from(TEXTS),
    day=NULL | st.sampled_from(DAYS),
    moment=NULL | st.sampled_from(MOMENTS),
    flag=NULL | st.booleans(),
)
Data = dict[str, list[dict[str, Any]]]
DATA: st.SearchStrategy[Data] = st.fixed_dictionaries(
    {
        PEOPLE.id: PEOPLE_ROWS.map(lambda rows: list({r["pid"]: r for r in rows}.values())),
        VISITS.id: VISIT_ROWS,
        PUBLIC.id: PUBLIC_ROWS,
    }
)

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
