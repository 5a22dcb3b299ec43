"""``python -m bench.accuracy [RUNS [ONLY]]``: errors and intervals of counts whose caps are found privately.

Norms of many shapes, from 300 to a million units, in one cell, in cells that are functions of the unit and in
cells that a unit's rows cross, at several epsilons and under both accountings.  Data are drawn afresh in each
run, and go through the same code as a query's: histogram, cap, noise, correction, interval.  A line per case:
how often the interval held the truth (95 % is claimed), the median half-width and the median error relative
to the truth, and the error of plain noise at the best cap that one could have declared knowing the data.  The
last line is one JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.catalogue import Catalogue, Column, Kind, Table, Unit, Use
from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import Measure
from sandbox.privacy.plan import Priced, plan
from sandbox.privacy.protect import bounds, protect
from sandbox.privacy.release import Bounding, Release
from sandbox.privacy.spend import noise, spend
from sandbox.privacy.statements import UNIT_LENGTH
from sandbox.privacy.tally import Part, Tally, fine_bits, found_edges
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify

Ints = npt.NDArray[np.int64]
Rng = np.random.Generator


def _whole(values: npt.NDArray[Any]) -> Ints:
    whole: Ints = np.maximum(1, np.round(np.minimum(values, 2**30))).astype(np.int64)
    return whole


SHAPES: Final[dict[str, Callable[[Rng, int], Ints]]] = {
    "constant": lambda rng, n: np.full(n, 12),
    "bounded": lambda rng, n: rng.integers(1, 41, n),
    "poisson": lambda rng, n: np.maximum(1, rng.poisson(8, n)),
    "geometric": lambda rng, n: rng.geometric(0.1, n),
    "log-normal": lambda rng, n: _whole(rng.lognormal(2, 1, n)),
    "zipf 2.5": lambda rng, n: _whole(rng.zipf(2.5, n)),
    "zipf rank": lambda rng, n: _whole(n * 10 * _ranks(n, 0.6)),
    "pareto 3": lambda rng, n: _whole(5 * (1 + rng.pareto(3, n))),
    "pareto 2": lambda rng, n: _whole(5 * (1 + rng.pareto(2, n))),
    "pareto 1.5": lambda rng, n: _whole(5 * (1 + rng.pareto(1.5, n))),
}


def _ranks(n: int, exponent: float) -> npt.NDArray[np.float64]:
    weights = np.arange(1, n + 1.0) ** -exponent
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True, slots=True)
class Case:
    """``form``: ``total`` (no keys), ``unit`` (keys are functions of the unit) or ``pairs``.

    ``rows``: what the owner declares, if anything; it need not be true."""

    shape: str
    units: int
    form: str
    cells: int
    epsilon: str
    pure: bool = False
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One case over its runs.  Medians are over cells with rows, relative to their truth."""

    case: Case
    covered: float
    worst: float
    stated: float
    width: float
    error: float
    best: float


def cases() -> Iterator[Case]:
    """The whole suite."""
    for shape in SHAPES:
        for units in (300, 3_000, 30_000, 300_000):
            for form, cells in (("total", 1), ("unit", 12), ("unit", 200), ("pairs", 12)):
                for epsilon, pure in (("1", False), ("0.2", False), ("1", True)):
                    yield Case(shape, units, form, cells, epsilon, pure)
        yield Case(shape, 30_000, "unit", 12, "1", rows=10)
        yield Case(shape, 30_000, "unit", 12, "1", rows=64)
        yield Case(shape, 1_000_000, "total", 1, "1")
        yield Case(shape, 1_000_000, "unit", 12, "1")


def released(case: Case) -> tuple[Priced, Measure]:
    """COUNT(*) over the case's table, planned as any query is."""
    every = frozenset(Use)
    domain = tuple(range(case.cells))
    table = Table(
        "d",
        "visit",
        (
            Column("pid", Kind.INTEGER, every, nullable=False),
            Column("g", Kind.INTEGER, every, nullable=False, domain=domain, per_unit=case.form == "unit"),
        ),
        Unit("person", "d/person", "pid"),
        rows=case.rows,
    )
    delta = Fraction(0) if case.pure else Fraction(1, 10**6)
    keys = "" if case.form == "total" else "GROUP BY g"
    select = "" if case.form == "total" else "g, "
    relation = simplify(resolve(parse(f"SELECT {select}COUNT(*) FROM visit {keys}"), Catalogue((table,))))
    made = plan(relation, DpGuard(Fraction(20), Fraction(20), delta, 4, 10), Fraction(case.epsilon))
    return made.priced[0], made.measure


def counted(release: Release, case: Case, norms: Ints, rng: Rng) -> tuple[Tally, Ints]:
    """What the engine would find of these units, and the true totals."""
    units = np.arange(len(norms))
    if case.form == "pairs":
        rows = np.repeat(units, norms)
        cell = rng.choice(case.cells, len(rows), p=_ranks(case.cells, 1.0))
        pair, amounts = np.unique(rows * case.cells + cell, return_counts=True)
        owner, group = pair // case.cells, pair % case.cells
        squares = np.bincount(owner, amounts if case.pure else amounts**2, len(norms))
        length = squares if case.pure else np.sqrt(squares)
    else:
        owner, amounts, length = units, norms, norms.astype(float)
        # Cells differ in size, and in how large their units are: the first ones have the larger.
        order = np.argsort(np.argsort(norms + rng.random(len(norms)))) / len(norms)
        drawn = np.clip(rng.random(len(norms)) - 0.2 * (order - 0.5), 0, 0.999999)
        group = np.searchsorted(np.cumsum(_ranks(case.cells, 1.0)), drawn).clip(0, case.cells - 1)
    edges = np.array(found_edges(release.measures[0]))
    place = np.searchsorted(edges, np.ceil(length))
    whole = 1 if release.bounding is not Bounding.PAIRS else (1 << UNIT_LENGTH)
    direction = np.trunc(amounts * whole / length[owner]).astype(np.int64)
    part = _part(group, place[owner], amounts, direction, len(edges) + 1)
    histogram = np.bincount(place, minlength=len(edges) + 1)
    truth = np.bincount(group, amounts, case.cells).astype(np.int64)
    keys = {"k0": pa.array(range(case.cells), pa.int64())} if release.keys else {}
    table = pa.table({**keys, "none": pa.nulls(case.cells)})
    tally = Tally(release, table, np.zeros(case.cells, np.int64), (part,), (tuple(map(int, histogram)),))
    return tally, truth


def _part(group: Ints, place: Ints, x: Ints, y: Ints, bins: int) -> Part:
    number, inverse = np.unique(group * bins + place, return_inverse=True)
    sums = [np.bincount(inverse, v).astype(np.int64) for v in (x, y)]
    return Part(number // bins, number % bins, sums[0], sums[1])


def measure(case: Case, runs: int, seed: int = 1) -> Line:
    """Answer a case ``runs`` times."""
    priced, kind = released(case)
    release, parts, rng = priced.release, spend(priced, kind), np.random.default_rng(seed)
    held: list[Any] = []
    widths: list[float] = []
    errors: list[float] = []
    best: list[float] = []
    for _ in range(runs):
        tally, truth = counted(release, case, SHAPES[case.shape](rng, case.units), rng)
        answer = protect(priced, parts, bounds(tally, parts), tally)
        value, width = (answer.column(len(release.keys) + i).to_numpy() for i in (0, 1))
        error = np.abs(value - truth)
        held.append(np.where(np.isfinite(width), error <= width, True))
        some = truth > 0
        widths += list(width[some] / truth[some])
        errors += list(error[some] / truth[some])
        best.append(_best(tally, release, parts, truth))
    cells = np.array(held)
    return Line(
        case,
        float(cells.mean()),
        float(cells.mean(axis=0).min()),
        float(np.isfinite(widths).mean()),
        median(widths),
        median(errors),
        median(best),
    )


def _best(tally: Tally, release: Release, parts: Any, truth: Ints) -> float:
    """The least median error, over cells, of noise and clipping at any one cap, all knowing."""
    some, found = truth > 0, []
    for cap in found_edges(release.measures[0]):
        fine = 1 << fine_bits(release, cap)
        lost = truth - np.array(tally.totals(0, cap)) / fine
        deviation = float(noise(release, parts, 0, cap).scale) / fine
        found.append(float(np.median(np.hypot(lost, deviation * 0.6745)[some] / truth[some])))
    return min(found)


def main() -> None:
    """Measure, print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    found = []
    for case in cases():
        kind = "pure" if case.pure else "zcdp"
        name = f"{case.shape:11} {case.units:>8} {case.form:>6} {case.cells:>4} {case.epsilon:>4} {kind}"
        name += f" {case.rows or '-':>3}"
        if only not in name:
            continue
        line = measure(case, runs)
        found.append(line)
        percents = (line.covered, line.worst, line.width, line.error, line.best)
        figures = " ".join(f"{100 * x:9.3f}" for x in percents)
        print(name, figures, flush=True)
    covered = [x.covered for x in found]
    print(
        json.dumps(
            {
                "cases": len(found),
                "runs": runs,
                "covered": round(float(np.mean(covered)), 4),
                "least_covered": round(min(covered), 4),
                "below_90": sum(c < 0.9 for c in covered),
                "width_over_error": round(median(x.width / max(x.error, 1e-12) for x in found), 3),
                "error_over_best": round(median(x.error / max(x.best, 1e-12) for x in found), 3),
                "lines": [asdict(x) for x in found],
            }
        )
    )


if __name__ == "__main__":
    main()
