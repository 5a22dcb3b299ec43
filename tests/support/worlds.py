"""Random small databases, many side by side: each with all units, without one, and with only one.

``Worlds`` holds every variant of several random databases in one DuckDB, with the units of variant ``w``
numbered from ``w * STRIDE``, so that one statement, with ``unit // STRIDE`` as one more key, answers for all
of them.  ``alone`` holds one variant by itself: the same statements run there untouched.

The data keep exactly what ingestion enforces (one row where ``rows: 1``, functions of the unit, ranges,
domains, unique public columns) and nothing that is merely declared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.catalogue import Catalogue, Column, KeyPath, Kind, Range, Table, Unit, Use

STRIDE = 1000
UNITS = 5
DATABASES = 4

EVERY = frozenset(Use)
DAY = dt.date(2024, 1, 1)
Row = tuple[Any, ...]


def _column(name: str, kind: Kind, **more: Any) -> Column:
    return Column(name, kind, EVERY, **more)


def _between(low: int, high: int) -> Range:
    return Range(Fraction(low), Fraction(high))


CITIES = ("太原", "大同", "a'b")
PERSON = Unit("person", "d/person", "pid")
FEE = _column("fee", Kind.DECIMAL, range=_between(-10, 1000), clip=_between(0, 500), scale=Fraction(1, 100))

PEOPLE = Table(
    "d",
    "person",
    (
        _column("pid", Kind.INTEGER),
        _column("city", Kind.STRING, domain=CITIES),
        _column("age", Kind.INTEGER, nullable=False, range=_between(0, 100)),
        _column("vip", Kind.BOOLEAN),
        _column("score", Kind.DOUBLE),
    ),
    PERSON,
    rows=1,
)
CLAIMS = Table(
    "d",
    "claim",
    (
        _column("pid", Kind.INTEGER),
        _column("cid", Kind.STRING, nullable=False),
        _column("hosp", Kind.STRING),
        _column("region", Kind.STRING, domain=("n", "s"), per_unit=True),
        _column("icd", Kind.STRING),
        FEE,
        _column("n", Kind.INTEGER, range=_between(-1000, 1000)),
        _column("big", Kind.INTEGER),
        _column("x", Kind.DOUBLE),
        _column("day", Kind.DATE, range=Range(Fraction(DAY.toordinal()), Fraction(DAY.toordinal() + 60))),
    ),
    PERSON,
    rows=4,
)
ITEMS = Table(
    "d",
    "item",
    (
        _column("cid", Kind.STRING),
        _column("drug", Kind.STRING),
        _column("amount", Kind.DECIMAL, clip=_between(0, 50), scale=Fraction(1, 10)),
    ),
    Unit("person", "d/person", None),
    paths=(KeyPath("cid", "d.claim", "cid"),),
)
FIRMS = Table(
    "d",
    "firm",
    (
        _column("uscc", Kind.INTEGER),
        _column("sector", Kind.STRING, domain=("steel", "coal")),
        _column("kwh", Kind.DOUBLE, range=_between(0, 10_000)),
    ),
    Unit("enterprise", "d/enterprise", "uscc"),
    rows=3,
)
HOSPITALS = Table(
    "d",
    "hospital",
    (
        _column("hosp", Kind.STRING, unique=True),
        _column("grade", Kind.STRING, domain=("A", "B")),
        _column("beds", Kind.INTEGER, unique=True),
        _column("rate", Kind.DOUBLE, unique=True),
        _column("price", Kind.DECIMAL, unique=True),
    ),
    extent=4,
)
ZONES = Table("d", "zone", (_column("city", Kind.STRING), _column("zone", Kind.STRING)), extent=5)
TARIFFS = Table(
    "d",
    "tariff",
    (
        _column("city", Kind.STRING),
        _column("vip", Kind.BOOLEAN),
        _column("code", Kind.INTEGER),
        _column("price", Kind.DECIMAL, clip=_between(0, 50), scale=Fraction(1, 10)),
    ),
    extent=7,
    unique=(("city", "vip"), ("city", "code")),
)
TODAY = Table("d", "today", (_column("day", Kind.DATE, domain=(DAY,)), _column("f", Kind.INTEGER)), extent=1)

TABLES = (PEOPLE, CLAIMS, ITEMS, FIRMS, HOSPITALS, ZONES, TARIFFS, TODAY)
CATALOGUE = Catalogue(TABLES)

LARGE = (-(2**63), -(2**53), 0, 1, 2**53, 2**53 + 1, 2**63 - 1)
REALS = (-1e308, -1.5, 0.0, -0.0, 0.5, 2.0**53, 1e308, float("inf"), float("-inf"), float("nan"))
HOSPITAL_ROWS = (
    ("h1", "A", 2**53, 0.5, 2.0**53),
    ("h2", "B", 2**53 + 1, 2.0**53, 2.0**53 + 2),
    ("h3", "A", 1, -1.5, 0.5),
    ("h4", None, None, None, None),
)
TARIFF_ROWS = (
    ("太原", True, 2**53, 1.5),
    ("太原", False, 2**53 + 1, 20.0),
    ("大同", True, 2**53, 3.0),
    ("大同", False, 1, None),
    ("太原", None, None, 50.0),
    ("太原", None, None, 0.1),
    (None, True, 1, 5.0),
)
ZONE_ROWS = (("太原", "z1"), ("太原", "z2"), ("大同", "z1"), ("大同", "z1"), ("a'b", None))


def people(random: Random, unit: int) -> dict[str, list[Row]]:
    """All rows of one person, in every table."""
    region = random.choice(("n", "s", None))
    own = [] if random.random() < 0.2 else [_person(random, unit)]
    claims = [_claim(random, unit, i, region) for i in range(random.choice((0, 1, 1, 2, 3, 6)))]
    items = [
        _item(random, unit, str(random.choice(claims)[1]))
        for _ in range(random.choice((0, 1, 3)) if claims else 0)
    ]
    return {"person": own, "claim": claims, "item": items}


def _person(random: Random, unit: int) -> Row:
    city = random.choice((*CITIES, None))
    return (
        unit,
        city,
        random.randint(0, 100),
        random.choice((True, False, None)),
        random.choice((*REALS, None)),
        unit,
    )


def _claim(random: Random, unit: int, number: int, region: str | None) -> Row:
    return (
        unit,
        f"{unit}-{number}",
        random.choice(("h1", "h2", "h3", "h9", None)),
        region,
        random.choice(("I", "J", "K", None)),
        random.choice((-10.0, 0.0, 0.25, 12.5, 99.99, 1000.0, None)),
        random.choice((-1000, -1, 0, 3, 1000, None)),
        random.choice((*LARGE, None)),
        random.choice((*REALS, None)),
        random.choice((DAY, DAY + dt.timedelta(days=random.randint(0, 60)), None)),
        unit,
    )


def _item(random: Random, unit: int, claim: str) -> Row:
    return (claim, random.choice(("p", "q", None)), random.choice((-5.0, 0.1, 20.0, 1e9, None)), unit)


def firms(random: Random, unit: int) -> dict[str, list[Row]]:
    """All rows of one enterprise."""
    count = random.choice((0, 1, 2, 5))
    return {
        "firm": [
            (unit, random.choice(("steel", "coal", None)), random.choice((0.0, 5000.0, 1e4, None)), unit)
            for _ in range(count)
        ]
    }


Units = dict[int, dict[str, list[Row]]]
"""The rows of each unit, by table."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One database: number ``base``, all its units (``gone`` and ``only`` None), without one, or with one."""

    base: int
    gone: int | None = None
    only: int | None = None

    def holds(self, unit: int) -> bool:
        """Whether the unit's rows are in."""
        return unit != self.gone and self.only in (None, unit)


def variants() -> tuple[Variant, ...]:
    """All variants, in the order of their numbers."""
    found = []
    for base in range(DATABASES):
        found += [
            Variant(base),
            *(Variant(base, gone=u) for u in range(UNITS)),
            *(Variant(base, only=u) for u in range(UNITS)),
        ]
    return tuple(found)


VARIANTS = variants()
NUMBERS = {v: i for i, v in enumerate(VARIANTS)}


class Worlds:
    """All variants of several random databases.  ``run`` asks all together; ``alone`` one at a time."""

    def __init__(self, random: Random) -> None:
        self.bases = [
            {u: {**people(random, u), **firms(random, u)} for u in range(UNITS)} for _ in range(DATABASES)
        ]
        self._together = filled(
            (units, i, VARIANTS[i]) for i, units in ((i, self.bases[v.base]) for i, v in enumerate(VARIANTS))
        )
        self._alone: dict[Variant, duckdb.DuckDBPyConnection] = {}

    def run(self, sql: str, variant: Variant | None = None) -> list[Row]:
        """The statement's rows, over all variants together or over one alone."""
        return self.connection(variant).execute(sql).fetchall()

    def table(self, sql: str, variant: Variant | None = None) -> pa.Table:
        """The same as an Arrow table."""
        return self.connection(variant).sql(sql).to_arrow_table()

    def connection(self, variant: Variant | None = None) -> duckdb.DuckDBPyConnection:
        """The database that holds all variants, or one alone."""
        if variant is None:
            return self._together
        if variant not in self._alone:
            self._alone[variant] = filled([(self.bases[variant.base], 0, variant)])
        return self._alone[variant]

    def share(self, number: int, table: pa.Table) -> None:
        """Make a released table public to later statements, everywhere."""
        for variant in (None, *VARIANTS):
            if variant is None or variant in self._alone:
                share(self.connection(variant), number, table)

    def close(self) -> None:
        """Forget everything."""
        for connection in (self._together, *self._alone.values()):
            connection.close()


def share(connection: duckdb.DuckDBPyConnection, number: int, table: pa.Table) -> None:
    """A released table, as the engine offers it to later statements."""
    connection.register("arriving", table)
    connection.execute(f'CREATE OR REPLACE TABLE released."r{number}" AS SELECT * FROM arriving')
    connection.unregister("arriving")


SQL_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.DECIMAL: "DECIMAL(18, 2)",
    Kind.DOUBLE: "DOUBLE",
    Kind.STRING: "VARCHAR",
    Kind.DATE: "DATE",
}


def filled(parts: Iterable[tuple[Units, int, Variant]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for setting in ("threads = 1", "TimeZone = 'UTC'"):
        connection.execute(f"SET {setting}")
    connection.execute("PRAGMA disable_optimizer")  # small data: planning would cost more than it saves
    connection.execute("CREATE SCHEMA d")
    connection.execute("CREATE SCHEMA released")
    rows: dict[str, list[Row]] = {t.name: [] for t in TABLES}
    for units, number, variant in parts:
        for name, row in _placed(units, number, variant):
            rows[name].append(row)
    rows |= {
        "hospital": list(HOSPITAL_ROWS),
        "zone": list(ZONE_ROWS),
        "tariff": list(TARIFF_ROWS),
        "today": [(DAY, 1)],
    }
    for table in TABLES:
        _create(connection, table, rows[table.name])
        if table.unit is not None:
            counted(connection, table.name)
    return connection


def counted(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Give a protected table's rows their place among their unit's rows, and those their number."""
    known = connection.execute(f'DESCRIBE d."{table}"').fetchall()
    columns = ", ".join(f'"{name}"' for name, *_ in known if name not in ("_u_ord", "_u_n"))
    own = "OVER (PARTITION BY _u)"
    connection.execute(
        f'CREATE OR REPLACE TABLE d."{table}" AS SELECT {columns}, row_number() {own} - 1 AS _u_ord, '
        f'count(*) {own} AS _u_n FROM d."{table}"'
    )


def _placed(units: Units, number: int, variant: Variant) -> Iterator[tuple[str, Row]]:
    """A variant's rows with its units renumbered: the last column, and wherever the unit is visible."""
    for unit, tables in units.items():
        if not variant.holds(unit):
            continue
        for name, rows in tables.items():
            first = name in ("person", "claim", "firm")
            for row in rows:
                moved = number * STRIDE + unit
                yield name, ((moved, *row[1:-1], moved) if first else (*row[:-1], moved))


def _create(connection: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Row]) -> None:
    columns = [(c.name, SQL_TYPES[c.kind]) for c in table.columns]
    columns += [("_u", "BIGINT")] if table.unit else []
    typed = ", ".join(f'"{n}" {t}' for n, t in columns)
    connection.execute(f'CREATE TABLE d."{table.name}" ({typed})')
    if rows:
        marks = ", ".join("(" + ", ".join("?" for _ in columns) + ")" for _ in rows)
        connection.execute(f'INSERT INTO d."{table.name}" VALUES {marks}', [v for r in rows for v in r])


def stored_as(table: Table, **changes: Any) -> Table:
    """The table with other declared facts."""
    return replace(table, **changes)
