"""Two databases that differ in worst-case units, and the pipeline that answers over them, draw by draw.

*Blocks.*  One answer holds many groups, and where a release treats groups independently each serves as an
answer of its own: bounded statements add up one vector per unit (soundness, lemma 1), and noise is drawn for
each group by itself.  So every block of groups gets a worst-case unit of its own; what is released of block i
over the database with all of these units has the law of what is released of it over the database with unit i
alone.  Where anything is shared between groups, as a cap found from one histogram is, there is one block, and
every draw is a release of its own.

The exact statements run once, in DuckDB; every draw runs ``bounds`` and ``protect`` afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from sandbox.catalogue import Catalogue, Column, Kind, Range, Table, Unit, Use
from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import Measure
from sandbox.privacy.caps import Cap
from sandbox.privacy.faces import shown
from sandbox.privacy.mechanisms import Mechanism, Noise
from sandbox.privacy.plan import Plan, Priced, plan
from sandbox.privacy.protect import Bounds, bounds, protect
from sandbox.privacy.spend import Spend, noise, selection_noise, spend
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import Tally, fine_bits, found_edges, tally
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.audits.estimate import Floats, Ints, Seen
from tests.support.worlds import counted

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]
EVERY: Final = frozenset(Use)
WIDTH: Final = 5
"""Digits of a block's number in the names of its groups."""


def group(block: int, place: int = 0) -> str:
    """The name of a group of a block."""
    return f"b{block:0{WIDTH}}:{place}"


def block_of(name: str) -> int:
    return int(name[1 : 1 + WIDTH])


def catalogue(blocks: int, places: int) -> Catalogue:
    """People of one row, their visits, and a public table that fans out; ``g`` has a declared domain."""
    domain = tuple(group(b, p) for b in range(blocks) for p in range(places))

    def column(name: str, kind: Kind, **more: Any) -> Column:
        return Column(name, kind, EVERY, nullable=False, **more)

    def amount(name: str) -> Column:
        return column(name, Kind.DECIMAL, clip=Range(Fraction(0), Fraction(1000)), scale=Fraction(1, 100))

    unit = Unit("person", "d/person", "pid")
    pid, g, h = column("pid", Kind.INTEGER), column("g", Kind.STRING, domain=domain), column("h", Kind.STRING)
    home = column("home", Kind.STRING, domain=domain, per_unit=True)
    return Catalogue(
        (
            Table("d", "person", (pid, g, h, amount("income")), unit, rows=1),
            Table("d", "visit", (pid, column("vid", Kind.INTEGER), g, h, home, amount("fee")), unit, rows=40),
            Table("d", "kind", (g, column("tag", Kind.STRING)), extent=blocks * FAN),
        )
    )


FAN: Final = 30
TYPES: Final = {
    "person": "pid BIGINT, g VARCHAR, h VARCHAR, income DECIMAL(18, 2), _u BIGINT",
    "visit": "pid BIGINT, vid BIGINT, g VARCHAR, h VARCHAR, home VARCHAR, fee DECIMAL(18, 2), _u BIGINT",
    "kind": "g VARCHAR, tag VARCHAR",
}


def database(rows: Mapping[str, Sequence[Row]], blocks: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 1; CREATE SCHEMA d")
    kinds = [(group(b), f"t{i}") for b in range(blocks) for i in range(FAN)]
    for name, types in TYPES.items():
        connection.execute(f"CREATE TABLE d.{name} ({types})")
        found = kinds if name == "kind" else rows.get(name, ())
        if found:
            arriving = pa.table({f"a{i}": list(c) for i, c in enumerate(zip(*found, strict=True))})
            connection.register("arriving", arriving)
            connection.execute(f"INSERT INTO d.{name} SELECT * FROM arriving")
            connection.unregister("arriving")
        if "_u " in types:
            counted(connection, name)
    return connection


@dataclass(frozen=True, slots=True)
class Scene:
    """A question, and each block's rows: of others, and of its worst-case unit, by table.

    ``caps``: amounts at which the measures are clipped, in steps of their scales (the next edge is taken);
    none: they are found privately at every draw.
    """

    text: str
    guard: DpGuard
    epsilon: Fraction
    others: Callable[[int], Rows]
    unit: Callable[[int], Rows]
    blocks: int = 500
    places: int = 1
    caps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Exact:
    """What the statements of one release found over both databases, and its groups in either, numbered."""

    sides: tuple[Tally, Tally]
    groups: dict[Row, int]
    centres: dict[tuple[int, int, int], Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One release of one answer: the caps that it was clipped at, what is shown, and what it was drawn from."""

    limits: Bounds
    table: pa.Table
    exact: Exact


class Arena:
    """A scene with both databases made and read; ``draw`` answers over one of them.

    A release whose question rests on an earlier release is read anew at every draw, over both databases: the
    attacker knows what was asked.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.plan: Plan = plan(
            simplify(resolve(parse(scene.text), catalogue(scene.blocks, scene.places))),
            scene.guard,
            scene.epsilon,
        )
        self.spends: list[Spend] = [spend(p, self.plan.measure) for p in self.plan.priced]
        laplace = self.plan.measure is Measure.PURE
        self._texts = [tally_sql(p.release, laplace=laplace) for p in self.plan.priced]
        self._databases = tuple(self._database(present) for present in (True, False))
        self._known = [None if '"released"' in text else self._read(i) for i, text in enumerate(self._texts)]

    @property
    def adaptive(self) -> bool:
        """Whether some release's question rests on an earlier one."""
        return None in self._known

    def first(self) -> list[Drawn]:
        """Some answer over the database with the units."""
        return self.draw(True)

    def _database(self, present: bool) -> duckdb.DuckDBPyConnection:
        rows: Rows = {"person": [], "visit": []}
        for block in range(self.scene.blocks):
            for part in (self.scene.others(block), self.scene.unit(block) if present else {}):
                for name, found in part.items():
                    rows[name] += found
        return database(rows, self.scene.blocks)

    def _read(self, number: int) -> Exact:
        """The exact statements of one release, over both databases."""
        release, text = self.plan.priced[number].release, self._texts[number]
        listed = None if release.listing is None else compile_relation(release.listing.relation)
        one, other = (
            tally(
                release,
                c.sql(text).to_arrow_table(),
                None if listed is None else c.sql(listed).to_arrow_table(),
            )
            for c in self._databases
        )
        names = [*self._names(number, one.keys), *self._names(number, other.keys)]
        return Exact((one, other), {name: i for i, name in enumerate(dict.fromkeys(names))})

    def _names(self, number: int, table: pa.Table) -> list[Row]:
        """The key of every row; a table begins with its keys."""
        keys = len(self.plan.priced[number].release.keys)
        columns = [column.to_pylist() for column in table.columns[:keys]]
        return list(zip(*columns, strict=True)) if keys else [()] * table.num_rows

    def _blocks(self, names: Sequence[Row]) -> Ints:
        """The block of every row; where there is one block, groups may have any name."""
        return np.array([block_of(n[0]) if self.scene.blocks > 1 else 0 for n in names], np.int64)

    def _limits(self, number: int, found: Tally) -> Bounds:
        """The caps of a release: given by the scene, or found afresh."""
        if not self.scene.caps:
            return bounds(found, self.spends[number])
        given = zip(found.release.measures, self.scene.caps, strict=False)
        return Bounds(tuple(Cap(next(e for e in found_edges(m) if e >= min(c, m.upper))) for m, c in given))

    def draw(self, present: bool) -> list[Drawn]:
        """One fresh answer: the releases of the plan, in order."""
        answer: list[Drawn] = []
        tables: dict[str, pa.Table] = {}
        for number, (priced, parts) in enumerate(zip(self.plan.priced, self.spends, strict=True)):
            exact = self._known[number] or self._read(number)
            found = exact.sides[not present]
            limits = self._limits(number, found)
            drawn = Drawn(limits, protect(priced, parts, limits, found), exact)
            answer.append(drawn)
            if self.adaptive:
                name = f"r{priced.release.number}"
                tables[name] = shown(priced.release.face, drawn.table, tables)
                for connection in self._databases:
                    released(connection, name, tables[name])
        return answer

    def seen(self, present: bool, releases: int) -> Seen:
        """So many answers, as scores and tags, a block each."""
        found = [self.score(self.draw(present)) for _ in range(releases)]
        return Seen(np.concatenate([s for s, _ in found]), np.concatenate([t for _, t in found]))

    def score(self, answer: Sequence[Drawn]) -> tuple[Floats, Ints]:
        """By block: the log likelihood ratio of what is shown, and a number for what is discrete.

        The attacker knows both databases, the caps and the mechanisms; only not which database it was.
        """
        scores, tags = np.zeros(self.scene.blocks), np.zeros(self.scene.blocks, dtype=np.int64)
        for number, drawn in enumerate(answer):
            release, names = self.plan.priced[number].release, self._names(number, drawn.table)
            places = np.array([drawn.exact.groups[n] for n in names], np.int64)
            blocks = self._blocks(names)
            for j in range(len(release.measures)):
                np.add.at(scores, blocks, self._ratio(number, j, drawn, places))
            if release.selection is not None:
                np.add.at(tags, blocks, 1)
            if not self.scene.caps and any(m.search for m in release.measures):
                tags += hash(drawn.limits.caps) % 2**40 * 1000
        return scores, tags

    def _ratio(self, number: int, j: int, drawn: Drawn, places: Ints) -> Floats:
        priced, parts, cap = self.plan.priced[number], self.spends[number], drawn.limits.caps[j]
        release = priced.release
        values = drawn.table.column(len(release.keys) + j).to_numpy().astype(np.float64)
        in_steps = values / float(release.measures[j].scale)
        one, other = (self._centres(number, j, cap, drawn.exact, side)[places] for side in (0, 1))
        mechanism = mechanism_of(priced, parts, j, cap)
        scale = float(mechanism.scale) / (1 if j == parts.shared else 1 << fine_bits(release, cap))
        return ratio(mechanism.noise, scale, in_steps, one, other)

    def _centres(self, number: int, j: int, cap: int, exact: Exact, side: int) -> Floats:
        """What a measure is without noise, by number of group, in steps of its scale."""
        known = exact.centres.get((j, cap, side))
        if known is None:
            found, known = exact.sides[side], np.zeros(len(exact.groups))
            shared = j == self.spends[number].shared
            totals = found.units if shared else found.totals(j, cap)
            fine = 1 if shared else 1 << fine_bits(found.release, cap)
            for name, total in zip(self._names(number, found.keys), totals, strict=True):
                known[exact.groups[name]] = int(total) / fine
            exact.centres[j, cap, side] = known
        return known


def released(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Put a released table where later statements read it."""
    connection.register("arriving", table)
    connection.execute(
        f'CREATE SCHEMA IF NOT EXISTS released; CREATE OR REPLACE TABLE released."{name}" AS FROM arriving'
    )
    connection.unregister("arriving")


def mechanism_of(priced: Priced, parts: Spend, j: int, cap: int) -> Mechanism:
    """The noise of a measure that is drawn by itself, or with the selection."""
    if j == parts.shared:
        return selection_noise(parts, priced.release)
    return noise(priced.release, parts, j, cap)


def ratio(kind: Noise, scale: float, shown: Floats, one: Floats, other: Floats) -> Floats:
    """The log likelihood ratio of noise around ``one`` against noise around ``other``."""
    if kind is Noise.LAPLACE:
        return (np.abs(shown - other) - np.abs(shown - one)) / scale
    return (one - other) * (shown - (one + other) / 2) / scale**2
