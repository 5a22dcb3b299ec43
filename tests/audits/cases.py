"""What is audited: every mechanism as it is calibrated, and answers of the pipeline over worst-case neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import duckdb
import numpy as np

from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import Measure
from sandbox.privacy.margins import with_margins
from sandbox.privacy.mechanisms import Mechanism, Noise, best_squared, calibrate
from sandbox.sql.compile import compile_relation
from tests.audits.arena import Arena, Rows, Scene, group, mechanism_of, ratio, released
from tests.audits.estimate import Claim, Loss, Seen

Sampler = Callable[[int], tuple[Seen, Seen]]
LARGEST: Final = 10**9
"""What a worst-case unit holds: far beyond every clip."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Made ready: what is claimed, and how to get so many answers with the unit and without it."""

    claim: Claim
    sample: Sampler


@dataclass(frozen=True, slots=True)
class Case:
    """A named audit; ``start`` makes it ready, which may take databases.

    ``fewer``: so many times fewer answers are drawn: 10 where each costs milliseconds, 100 where it reads databases.
    """

    name: str
    start: Callable[[], Audit]
    fewer: int = 1


def cases() -> list[Case]:
    """All of them."""
    return [*MECHANISMS, *SCENES]


def drawn(mechanism: Mechanism, measure: Measure, loss: Loss, shift: int, places: int = 1) -> Audit:
    """One mechanism on its worst neighbours: every one of ``places`` coordinates moved by ``shift``."""
    scale = float(mechanism.scale)

    def seen(count: int, centre: int) -> Seen:
        shown = np.array(mechanism.draw([centre] * (count * places)), dtype=np.float64)
        one, other = np.full(len(shown), float(shift)), np.zeros(len(shown))
        scores = ratio(mechanism.noise, scale, shown, one, other).reshape(count, places).sum(axis=1)
        return Seen(scores, np.zeros(count, dtype=np.int64))

    claim = Claim(loss, float(mechanism.cost_in(measure)))
    return Audit(claim, lambda count: (seen(count, shift), seen(count, 0)))


def mechanism(noise: Noise, sensitivity: int, nano: int, measure: Measure) -> Case:
    loss = Loss.PURE if measure is Measure.PURE else Loss.GAUSSIAN if noise is Noise.GAUSSIAN else Loss.ZCDP
    if loss is Loss.GAUSSIAN and sensitivity**2 * 10**9 < 2 * nano * 100:
        loss = Loss.ZCDP  # below scale 10 the trade-off function of continuous noise does not quite hold

    def start() -> Audit:
        return drawn(calibrate(noise, sensitivity, nano, measure), measure, loss, sensitivity)

    name = f"discrete {noise}, {measure}, sensitivity {sensitivity:,}, {nano / 10**9:g}"
    return Case(name, start)


def counts(groups: int, nano: int) -> Case:
    """The noise of selection: a unit counted in several groups."""

    def start() -> Audit:
        made = best_squared(Measure.ZCDP, groups, groups, nano)
        return drawn(made, Measure.ZCDP, Loss.ZCDP, 1, groups)

    return Case(f"noise of selection, {groups} groups, {nano / 10**9:g}", start)


def histogram(nano: int) -> Case:
    """The histogram of norms from which caps are chosen: a unit is in one of its bins."""

    def start() -> Audit:
        return drawn(best_squared(Measure.ZCDP, 1, 1, nano), Measure.ZCDP, Loss.ZCDP, 1)

    return Case(f"noise of a histogram of norms, {nano / 10**9:g}", start)


MECHANISMS: Final = (
    mechanism(Noise.LAPLACE, 1, 10**9, Measure.PURE),
    mechanism(Noise.LAPLACE, 1, 2 * 10**9, Measure.PURE),
    mechanism(Noise.LAPLACE, 12_345, 5 * 10**8, Measure.PURE),
    mechanism(Noise.LAPLACE, 1, 5 * 10**8, Measure.ZCDP),
    mechanism(Noise.GAUSSIAN, 1, 5 * 10**8, Measure.ZCDP),
    mechanism(Noise.GAUSSIAN, 1, 10**6, Measure.ZCDP),
    mechanism(Noise.GAUSSIAN, 12_345, 2 * 10**8, Measure.ZCDP),
    mechanism(Noise.GAUSSIAN, 2**50, 10**9, Measure.ZCDP),
    histogram(10**8),
    counts(1, 5 * 10**8),
    counts(12, 5 * 10**8),
)

ZCDP: Final = DpGuard(Fraction(8), Fraction(8), Fraction(1, 10**6), 12, 2)
PURE: Final = DpGuard(Fraction(2), Fraction(2), Fraction(0), 12, 2)
SELECTING: Final = DpGuard(Fraction(1, 2), Fraction(1, 2), Fraction(1, 5), 4, 1)
"""A delta so large that what it allows can be seen in 100 thousand answers."""
ALONE: Final = replace(SELECTING, groups=1)


def person(unit: int, key: str, income: float) -> Rows:
    return {"person": [(unit, key, key, income, unit)]}


def visits(unit: int, keys: list[str], each: int, fee: float) -> Rows:
    """``each`` visits in each of the groups."""
    made = [(unit, i, key, key, keys[0], fee, unit) for i in range(each) for key in keys]
    return {"visit": made}


def newcomer(block: int) -> int:
    return 10**6 + block


def both(*parts: Rows) -> Rows:
    return {name: [row for part in parts for row in part.get(name, [])] for name in ("person", "visit")}


def few(block: int) -> Rows:
    """Two people in a block, of one visit each."""
    pairs = [(2 * block + i, 5.0 * i) for i in (1, 2)]
    return both(*(both(person(u, group(block), x), visits(u, [group(block)], 1, x)) for u, x in pairs))


def crowd(count: int, place: int = 0) -> Callable[[int], Rows]:
    """So many people in every group of a block: near a selection's threshold."""
    return lambda block: both(
        *(
            both(person(block * count + i + 1, group(block), 1.0), visits(block * count + i + 1, [group(block, p) for p in range(place + 1)], 1, 1.0))
            for i in range(count)
        )
    )  # fmt: skip


def wealthy(poor: int, others: int) -> Callable[[int], Rows]:
    """A crowd, and so many who have what the unit in question has: as many as may just be seen."""
    busier = busy(1)

    def rows(block: int) -> Rows:
        return both(crowd(poor)(block), *(moved(busier(block), 10**9 * (i + 1)) for i in range(others)))

    return rows


def moved(rows: Rows, by: int) -> Rows:
    """The same rows of another unit."""
    return {name: [(row[0] + by, *row[1:-1], row[-1] + by) for row in found] for name, found in rows.items()}


def rich(block: int) -> Rows:
    return person(newcomer(block), group(block), LARGEST)


def busy(places: int, each: int = 60) -> Callable[[int], Rows]:
    """A unit with many visits of a huge fee in each of some groups, and a row of its own."""
    return lambda block: both(
        rich(block), visits(newcomer(block), [group(block, p) for p in range(places)], each, LARGEST)
    )


def stranger(groups: int) -> Callable[[int], Rows]:
    """A unit alone in groups that nobody else is in."""
    return lambda block: both(
        person(newcomer(block), group(block), 1.0),
        visits(newcomer(block), [group(block, p) for p in range(groups)], 1, 1.0),
    )


def nobody(block: int) -> Rows:
    return {}


ONE: Final = Fraction(8)
TWO: Final = Fraction(2)
HALF: Final = Fraction(1, 2)
ROWS: Final = "SELECT g, COUNT(*) AS n, SUM(income) AS s FROM person GROUP BY g"
SUMS: Final = "SELECT g, SUM(income) AS s, SUM(500 - income) AS t FROM person GROUP BY g"
SELF: Final = "SELECT home, COUNT(*) AS n, SUM(fee) AS s FROM visit GROUP BY home"
FEES: Final = "SELECT home, SUM(fee) AS s, SUM(500 - fee) AS t FROM visit GROUP BY home"
PAIRS: Final = "SELECT g, COUNT(*) AS n, SUM(fee) AS s FROM visit GROUP BY g"
TIED: Final = "SELECT v.g AS g, COUNT(*) AS n, SUM(p.income) AS s FROM person AS p JOIN visit AS v ON p.pid = v.pid GROUP BY v.g"
VALUES: Final = "SELECT g, COUNT(DISTINCT vid) AS d FROM visit GROUP BY g"
FANNED: Final = (
    "SELECT p.g AS g, SUM(p.income) AS s FROM person AS p JOIN kind AS k ON p.g = k.g GROUP BY p.g"
)
TWICE: Final = f"SELECT a.g, a.s, a.t, b.u FROM ({SUMS}) AS a JOIN (SELECT g, SUM(income * 2) AS u FROM person WHERE income > 500 GROUP BY g) AS b ON a.g = b.g"
WHOLE: Final = "SELECT COUNT(*) AS n, SUM(fee) AS s FROM visit"
OPEN: Final = "SELECT h, COUNT(*) AS n, SUM(fee) AS s FROM visit GROUP BY h"
SHARED: Final = "SELECT h, COUNT(DISTINCT pid) AS u, SUM(income) AS s FROM person GROUP BY h"
KEYS: Final = "SELECT h, COUNT(*) AS n FROM visit GROUP BY h"
SPREAD: Final = "SELECT g, AVG(income) AS a, VAR_POP(income) AS v FROM person GROUP BY g"
MIDDLE: Final = "SELECT MEDIAN(income) AS m FROM person"
ABOVE: Final = "SELECT COUNT(*) AS n FROM person WHERE income > (SELECT SUM(income) / 100 FROM person)"
CAPS: Final = (16, 200_000)
"""For counts of rows and sums of cents, below what the busy bring."""
CENTS: Final = (200_000, 200_000)
SMOOTH: Final = 10
"""From this scale on the trade-off function of continuous Gaussian noise holds to a part in 1200."""


def scene_claim(arena: Arena) -> Claim:
    """What is claimed of an answer; where caps are given, without the parts that would find them."""
    nano = sum(p.nano for p in arena.plan.priced)
    if arena.scene.caps:
        nano -= sum(c.search + c.far for parts in arena.spends for c in parts.columns)
    delta = sum(float(p.delta) for p in arena.plan.priced if p.release.selection is not None)
    return Claim(_loss(arena, delta), nano / 10**9, delta)


def _loss(arena: Arena, delta: float) -> Loss:
    if arena.plan.measure is Measure.PURE:
        return Loss.PURE
    releases = [p.release for p in arena.plan.priced]
    searched = not arena.scene.caps and any(m.search for r in releases for m in r.measures)
    if searched or delta:
        return Loss.ZCDP
    scales = [
        mechanism_of(p, parts, j, cap).scale
        for p, parts, drawn in zip(arena.plan.priced, arena.spends, arena.first(), strict=True)
        for j, cap in enumerate(drawn.limits.caps)
    ]
    return Loss.GAUSSIAN if min(scales) >= SMOOTH else Loss.ZCDP


def run(scene: Scene) -> Callable[[], Audit]:
    """An audit of the released tables of a scene."""

    def start() -> Audit:
        arena = Arena(scene)
        return Audit(scene_claim(arena), lambda count: sampled(arena, count))

    return start


def sampled(arena: Arena, count: int) -> tuple[Seen, Seen]:
    releases = -(-count // arena.scene.blocks)
    return arena.seen(True, releases), arena.seen(False, releases)


def appearing(scene: Scene) -> Callable[[], Audit]:
    """An audit of the delta: how often a key appears that is one unit's alone."""

    def start() -> Audit:
        arena = Arena(scene)
        claim = Claim(Loss.DELTA, sum(float(p.delta) for p in arena.plan.priced))

        def sample(count: int) -> tuple[Seen, Seen]:
            return tuple(Seen((s.tag > 0).astype(np.float64), s.tag * 0) for s in sampled(arena, count))  # type: ignore[return-value]  # two in, two out

        return Audit(claim, sample)

    return start


def averages(scene: Scene) -> Callable[[], Audit]:
    """An audit of what is computed above a release: the first column after the key, and whether it is NULL."""

    def start() -> Audit:
        arena = Arena(scene)
        above = compile_relation(with_margins(arena.plan.post)[0])
        connection = duckdb.connect()

        def seen(present: bool, releases: int) -> Seen:
            found = np.array([row for _ in range(releases) for row in shown(present)], dtype=np.float64)
            return Seen(np.nan_to_num(found), np.isnan(found).astype(np.int64))

        def shown(present: bool) -> Iterator[float | None]:
            for number, drawn in enumerate(arena.draw(present)):
                released(connection, f"r{number}", drawn.table)
            return (row[1] for row in connection.execute(above).fetchall())

        def sample(count: int) -> tuple[Seen, Seen]:
            releases = -(-count // scene.blocks)
            return seen(True, releases), seen(False, releases)

        return Audit(scene_claim(arena), sample)

    return start


SCENES: Final = (
    Case("counts of rows, zCDP", run(Scene(ROWS, ZCDP, ONE, few, rich))),
    Case("counts of rows, pure", run(Scene(ROWS, PURE, TWO, few, rich))),
    Case("sums of rows, zCDP", run(Scene(SUMS, ZCDP, ONE, few, rich))),
    Case("a unit in one group, at a cap, zCDP", run(Scene(FEES, ZCDP, ONE, few, busy(1), caps=CENTS))),
    Case("a unit in one group, at a cap, pure", run(Scene(SELF, PURE, TWO, few, busy(1), caps=CAPS))),
    Case("a unit in four groups, at a cap, zCDP", run(Scene(PAIRS, ZCDP, ONE, few, busy(4), 250, 4, CAPS))),
    Case("a unit in four groups, at a cap, pure", run(Scene(PAIRS, PURE, TWO, few, busy(4), 250, 4, CAPS))),
    Case("two protected tables joined, zCDP", run(Scene(TIED, ZCDP, ONE, few, busy(4), 250, 4, CAPS))),
    Case("fan-out by a public table, zCDP", run(Scene(FANNED, ZCDP, ONE, few, rich, caps=CENTS[:1]))),
    Case("distinct values of a unit, at a cap, zCDP", run(Scene(VALUES, ZCDP, ONE, few, busy(2), 250, 2, CAPS[:1]))),
    Case("distinct values of a unit, at a cap, pure", run(Scene(VALUES, PURE, TWO, few, busy(1), caps=CAPS[:1]))),
    Case("two releases in one query, zCDP", run(Scene(TWICE, ZCDP, ONE, few, rich))),
    Case("two releases in one query, pure", run(Scene(TWICE, PURE, TWO, few, rich))),
    Case("AVG above the release, zCDP", averages(Scene(SPREAD, ZCDP, ONE, few, rich))),
    Case("MEDIAN, which zooms in by what it saw, zCDP", run(Scene(MIDDLE, ZCDP, ONE, crowd(40), rich, 1)), fewer=100),
    Case("MEDIAN, which zooms in by what it saw, pure", run(Scene(MIDDLE, PURE, TWO, crowd(40), rich, 1)), fewer=100),
    Case("a threshold that is an earlier answer, zCDP", run(Scene(ABOVE, ZCDP, ONE, few, rich, 1)), fewer=100),
    Case("a threshold that is an earlier answer, pure", run(Scene(ABOVE, PURE, TWO, few, rich, 1)), fewer=100),
    Case("selection: a key of one unit", appearing(Scene(KEYS, ALONE, HALF, nobody, stranger(1), caps=(1,)))),
    Case("selection: ten keys of one unit", appearing(Scene(KEYS, SELECTING, HALF, nobody, stranger(10), 100, 10, (1,)))),
    Case("selection: one unit more in four groups", run(Scene(OPEN, ZCDP, ONE, crowd(24, 3), busy(4), 200, 4, CAPS))),
    Case("selection and its count, one draw", run(Scene(SHARED, ZCDP, ONE, crowd(6), rich))),
    Case("caps found, two draws, zCDP", run(Scene(PAIRS, ZCDP, ONE, wealthy(200, 12), busy(3), 1, 3)), fewer=10),
    Case("caps found, then released, zCDP", run(Scene(WHOLE, ZCDP, ONE, wealthy(200, 12), busy(1), 1)), fewer=10),
    Case("caps found, then released, pure", run(Scene(WHOLE, PURE, TWO, wealthy(500, 45), busy(1), 1)), fewer=10),
)  # fmt: skip
