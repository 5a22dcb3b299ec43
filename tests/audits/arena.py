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
from sandbox.privacy.mechanisms import Mechanism, Noise
from sandbox.privacy.plan import Plan, Priced, plan
from sandbox.privacy.protect import Bounds, bounds, protect
from sandbox.privacy.spend import Spend, noise, selection_noise, spend
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import Tally, fine_bits, found_edges, tally
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


@dataclass(slots=True)
class Side:
    """One database: what its statements found."""

    tallies: tuple[Tally, ...]
    centres: dict[tuple[int, int, int], Floats] = field(default_factory=dict)


class Arena:
    """A scene with both databases made and read; ``draw`` answers over one of them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.plan: Plan = plan(
            simplify(resolve(parse(scene.text), catalogue(scene.blocks, scene.places))),
            scene.guard,
            scene.epsilon,
        )
        self.spends: list[Spend] = [spend(p, self.plan.measure) for p in self.plan.priced]
        self.sides = tuple(self._side(present) for present in (True, False))
        self.groups = [self._groups(i) for i in range(len(self.plan.priced))]

    def _side(self, present: bool) -> Side:
        rows: Rows = {"person": [], "visit": []}
        for block in range(self.scene.blocks):
            for part in (self.scene.others(block), self.scene.unit(block) if present else {}):
                for name, found in part.items():
                    rows[name] += found
        with database(rows, self.scene.blocks) as connection:
            laplace = self.plan.measure is Measure.PURE
            return Side(
                tuple(
                    tally(p.release, connection.sql(tally_sql(p.release, laplace=laplace)).to_arrow_table())
                    for p in self.plan.priced
                )
            )

    def _groups(self, number: int) -> dict[Any, int]:
        """All groups of a release that stand in either database, numbered."""
        keys = [side.tallies[number].keys for side in self.sides]
        names = [t.column(0).to_pylist() if t.num_columns > 1 else [None] * t.num_rows for t in keys]
        return {name: i for i, name in enumerate(dict.fromkeys(n for found in names for n in found))}

    def limits(self, number: int, side: Side) -> Bounds:
        """The caps of a release: given by the scene, or found afresh."""
        found = side.tallies[number]
        if not self.scene.caps:
            return bounds(found, self.spends[number])
        given = zip(found.release.measures, self.scene.caps, strict=True)
        return Bounds(tuple(Cap(next(e for e in found_edges(m) if e >= min(c, m.upper))) for m, c in given))

    def draw(self, present: bool) -> list[tuple[Bounds, pa.Table]]:
        """One fresh answer: the releases of the plan, with the caps that they were clipped at."""
        side, answer = self.sides[not present], []
        for number, (priced, parts) in enumerate(zip(self.plan.priced, self.spends, strict=True)):
            limits = self.limits(number, side)
            answer.append((limits, protect(priced, parts, limits, side.tallies[number])))
        return answer

    def seen(self, present: bool, releases: int) -> Seen:
        """So many answers, as scores and tags, a block each."""
        found = [self.score(self.draw(present)) for _ in range(releases)]
        return Seen(np.concatenate([s for s, _ in found]), np.concatenate([t for _, t in found]))

    def score(self, answer: Sequence[tuple[Bounds, pa.Table]]) -> tuple[Floats, Ints]:
        """By block: the log likelihood ratio of what is shown, and a number for what is discrete.

        The attacker knows both databases, the caps and the mechanisms; only not which database it was.
        """
        scores, tags = np.zeros(self.scene.blocks), np.zeros(self.scene.blocks, dtype=np.int64)
        for number, (limits, table) in enumerate(answer):
            priced, names = self.plan.priced[number], table.column(0).to_pylist()
            places = np.array(
                [self.groups[number][n] for n in names] if priced.release.keys else [0], np.int64
            )
            blocks = np.array([block_of(n) for n in names] if priced.release.keys else [0], np.int64)
            for j in range(len(priced.release.measures)):
                np.add.at(scores, blocks, self._ratio(number, j, limits, table, places))
            if priced.release.selection is not None:
                np.add.at(tags, blocks, 1)
            if not self.scene.caps and any(m.search for m in priced.release.measures):
                tags += hash(limits.caps) % 2**40 * 1000
        return scores, tags

    def _ratio(self, number: int, j: int, limits: Bounds, table: pa.Table, places: Ints) -> Floats:
        priced, parts, cap = self.plan.priced[number], self.spends[number], limits.caps[j]
        release = priced.release
        shown = table.column(len(release.keys) + j).to_numpy().astype(np.float64) / float(
            release.measures[j].scale
        )
        one, other = (self._centres(number, j, cap, side)[places] for side in self.sides)
        mechanism = mechanism_of(priced, parts, j, cap)
        scale = float(mechanism.scale) / (1 if j == parts.shared else 1 << fine_bits(release, cap))
        return ratio(mechanism.noise, scale, shown, one, other)

    def _centres(self, number: int, j: int, cap: int, side: Side) -> Floats:
        """What a measure is without noise, by number of group, in steps of its scale."""
        known = side.centres.get((number, j, cap))
        if known is None:
            found, known = side.tallies[number], np.zeros(len(self.groups[number]))
            shared = j == self.spends[number].shared
            totals = found.units if shared else found.totals(j, cap)
            fine = 1 if shared else 1 << fine_bits(found.release, cap)
            names = found.keys.column(0).to_pylist() if found.release.keys else [None]
            for name, total in zip(names, totals, strict=True):
                known[self.groups[number][name]] = int(total) / fine
            side.centres[number, j, cap] = known
        return known


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
