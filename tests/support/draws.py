"""Repeated answers to one query with the real mechanisms, beside what it would say without noise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.catalogue import Catalogue, Column, Kind, Range, Table, Unit, Use
from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import Measure
from sandbox.privacy.faces import shown
from sandbox.privacy.margins import with_margins
from sandbox.privacy.plan import Priced, plan
from sandbox.privacy.protect import bounds, protect
from sandbox.privacy.release import Release
from sandbox.privacy.spend import spend
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import Tally, fine_bits, found_edges, tally
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.support.worlds import counted, share

EVERY = frozenset(Use)
GROUPS = ("a", "b", "c", "d", "e")
TEN_YEARS = Range(*(Fraction(dt.date(y, 1, 1).toordinal()) for y in (2015, 2025)))
VISITS = Table(
    "d",
    "visit",
    (
        Column("pid", Kind.INTEGER, EVERY),
        Column("g", Kind.STRING, EVERY, nullable=False, domain=GROUPS),
        Column("h", Kind.STRING, EVERY, nullable=False),
        Column(
            "fee",
            Kind.DECIMAL,
            EVERY,
            nullable=False,
            clip=Range(Fraction(0), Fraction(1000)),
            scale=Fraction(1, 100),
        ),
        Column("day", Kind.DATE, EVERY, nullable=False, range=TEN_YEARS),
        Column("moment", Kind.TIMESTAMP, EVERY, range=TEN_YEARS),
    ),
    Unit("person", "d/person", "pid"),
    rows=40,
)
KINDS = Table(
    "d",
    "kind",
    (
        Column("g", Kind.STRING, EVERY, unique=True),
        Column("share", Kind.DOUBLE, EVERY, range=Range(Fraction(0), Fraction(1))),
    ),
    extent=5,
)
CATALOGUE = Catalogue((VISITS, KINDS))
LOOSE = 2**50


def house(seed: int, units: int, *, skewed: bool = False) -> duckdb.DuckDBPyConnection:
    """People with visits: a few each, or with a heavy tail of both visits and fees."""
    random = Random(seed)
    rows = []
    for unit in range(units):
        count = min(int(random.paretovariate(1.3)), 40) if skewed else random.randint(1, 5)
        for _ in range(count):
            fee = min(random.paretovariate(1.5), 1000.0) if skewed else random.uniform(0, 100)
            rows.append((unit, random.choice("aabbbcdde"), random.choice("xyz"), round(fee, 2), unit))
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA d")
    connection.execute("CREATE SCHEMA released")
    connection.execute(
        "CREATE TABLE d.visit (pid BIGINT, g VARCHAR, h VARCHAR, fee DECIMAL(18, 2), _u BIGINT)"
    )
    columns = zip(*rows, strict=True)
    kinds = (pa.int64(), pa.string(), pa.string(), pa.float64(), pa.int64())
    arriving = pa.table({n: pa.array(c, k) for n, c, k in zip("pghfu", columns, kinds, strict=True)})
    connection.register("arriving", arriving)
    connection.execute("INSERT INTO d.visit SELECT * FROM arriving")
    connection.unregister("arriving")
    connection.execute("ALTER TABLE d.visit ADD COLUMN day DATE")
    connection.execute("ALTER TABLE d.visit ADD COLUMN moment TIMESTAMP")
    connection.execute(
        "UPDATE d.visit SET day = DATE '2015-01-01' + (fee * 100)::INTEGER % 3600, "
        "moment = CASE WHEN fee < 98 THEN TIMESTAMP '2020-01-01' + to_minutes((fee * 100)::INTEGER % 9000) END"
    )
    counted(connection, "visit")
    connection.execute(
        "CREATE TABLE d.kind AS SELECT * FROM (VALUES ('a', 0.1), ('b', 0.5), ('c', 1), ('d', 0), ('e', 0.25)) AS t(g, share)"
    )
    return connection


@dataclass(frozen=True, slots=True)
class Shown:
    """One output value: noisy, its half-width if stated, and without noise."""

    column: int
    value: Any
    width: float | None
    truth: Any


class Asked:
    """A query of the ``house``, planned; ``draw`` answers it afresh."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, text: str, *, pure: bool = False, epsilon: str = "1"
    ) -> None:
        self.connection, self.text = connection, text
        guard = DpGuard(Fraction(8), Fraction(8), Fraction(0) if pure else Fraction(1, 10**6), 5, 2)
        self.plan = plan(simplify(resolve(parse(text), CATALOGUE)), guard, Fraction(epsilon))
        self.laplace = self.plan.measure is Measure.PURE
        self.post, self.places = with_margins(self.plan.post)
        self.above = compile_relation(self.post)
        self._known: dict[str, pa.Table] = {}

    def draw(self) -> list[Shown]:
        """One fresh answer, row by row beside the truth about the same groups."""
        answer = self.answer()
        for priced in self.plan.priced:
            self.connection.execute(
                f'CREATE OR REPLACE TABLE released."n{priced.release.number}" AS SELECT * FROM released."r{priced.release.number}"'
            )
        # What a release reads of an earlier one is what was released: its own truth is about that question.
        for priced in self.plan.priced:
            self._find_truth(priced)
        for priced in self.plan.priced:
            number = priced.release.number
            self.connection.execute(
                f'CREATE OR REPLACE TABLE released."r{number}" AS SELECT * FROM released."t{number}"'
            )
        truth = self.connection.execute(self.above).fetchall()
        return self._beside(answer, truth)

    def answer(self) -> list[tuple[Any, ...]]:
        """One fresh answer: its rows as they are."""
        tables: dict[str, pa.Table] = {}
        for priced in self.plan.priced:
            number = priced.release.number
            tables[f"r{number}"] = shown(priced.release.face, self._drawn(priced), tables)
            share(self.connection, number, tables[f"r{number}"])
        return self.connection.execute(self.above).fetchall()

    def _beside(self, answer: Sequence[tuple[Any, ...]], truth: Sequence[tuple[Any, ...]]) -> list[Shown]:
        """Rows are matched by their exact columns."""
        width = sum(1 for f in self.plan.post.fields if not f.hidden)
        keys = [i for i in range(width) if i not in self.places]
        known = {tuple(row[k] for k in keys): row for row in truth}
        beside = []
        for row in answer:
            found = known.get(tuple(row[k] for k in keys))
            for i, place in self.places.items():
                width_ = None if place is None else row[place]
                beside.append(Shown(i, row[i], width_, None if found is None else found[i]))
        return beside

    def _tally(self, priced: Priced, release: Release) -> Tally:
        """What is found of a release, once unless it reads what was just released."""
        sql = tally_sql(release, laplace=self.laplace)
        if priced.release.depends or sql not in self._known:
            self._known[sql] = self.connection.sql(sql).to_arrow_table()
        listing = release.listing
        listed = None if listing is None else self.connection.sql(compile_relation(listing.relation))
        return tally(release, self._known[sql], None if listed is None else listed.to_arrow_table())

    def _drawn(self, priced: Priced) -> pa.Table:
        parts, found = spend(priced, self.plan.measure), self._tally(priced, priced.release)
        return protect(priced, parts, bounds(found, parts), found)

    def _find_truth(self, priced: Priced) -> None:
        """The released table with its measures as they are, unclipped, for the same groups."""
        release = priced.release
        loose = tuple(replace(m, upper=LOOSE, search=True) for m in release.measures)
        chosen = None if release.selection is None else replace(release.selection, groups=10**6)
        whole = replace(release, measures=loose, selection=chosen)
        found = self._tally(priced, whole)
        connection, number = self.connection, release.number
        columns = {f"k{i}": found.keys.column(i) for i in range(len(release.keys))}
        for j, measure in enumerate(loose):
            top = found_edges(measure)[-1]
            steps = float(measure.scale) / (1 << fine_bits(whole, top))
            columns[f"m{j}"] = pa.array([v * steps for v in found.totals(j, top)])
        connection.register("found", pa.table(columns) if columns else pa.table({"none": [None]}))
        keys, count = len(release.keys), len(loose)
        columns_ = [f"n.c{i}" for i in range(keys)]
        columns_ += [f"coalesce(t.m{j}, 0) AS c{keys + j}" for j in range(count)]
        columns_ += [f"n.c{keys + count + j}" for j in range(count)]
        same = " AND ".join(f"n.c{i} IS NOT DISTINCT FROM t.k{i}" for i in range(keys)) or "TRUE"
        connection.execute(
            f'CREATE OR REPLACE TABLE released."t{number}" AS SELECT {", ".join(columns_)} '
            f'FROM released."n{number}" AS n LEFT JOIN found AS t ON {same}'
        )
        connection.unregister("found")
