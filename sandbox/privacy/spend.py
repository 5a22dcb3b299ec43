"""How a release's budget is divided over its noise draws, and the mechanisms that follow.

Weights are equal over the columns that are drawn, and two thirds of a column's for selecting keys; a cap
search takes a fifth of its column's part.
Everything here depends on public facts (and on caps that were themselves found privately).
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.errors import Code, refuse
from sandbox.privacy.accounting import Measure, split
from sandbox.privacy.mechanisms import Mechanism, Noise, best_squared, calibrate
from sandbox.privacy.plan import Priced
from sandbox.privacy.release import COLUMN, SELECTION, Release
from sandbox.privacy.selection import threshold
from sandbox.privacy.tally import fine_bits

SEARCH = 1
NOISE = 4
"""A search takes a fifth: less leaves intervals wide (what the histogram does not show must be allowed for),
more costs noise.  Measured by ``bench.accuracy``; from an eighth to a third actual errors hardly differ."""


FAR = 1
NEAR = 4
"""Where there are cells, a fifth of the rest goes to a second draw at a cap that suits the largest cells."""


@dataclass(frozen=True, slots=True)
class Column:
    """One measure's part in nano: ``noise`` for its draw, ``search`` for its cap, ``far`` for a second draw.

    Zero: there is none."""

    noise: int
    search: int
    far: int = 0


@dataclass(frozen=True, slots=True)
class Spend:
    """The division of one release.  ``shared`` is the measure shown by the selection's own draw."""

    measure: Measure
    selection: int
    columns: tuple[Column, ...]
    shared: int | None


def spend(priced: Priced, measure: Measure) -> Spend:
    """Divide; refuses EPSILON where a part would be nothing."""
    release = priced.release
    shared = release.shared
    drawn = [j for j in range(len(release.measures)) if j != shared]
    weights = [COLUMN] * len(drawn) + [SELECTION] * (release.selection is not None)
    parts = list(split(priced.nano, tuple(weights))) if weights else []
    selection = parts.pop() if release.selection is not None else 0
    columns = [Column(0, 0)] * len(release.measures)
    for j, part in zip(drawn, parts, strict=True):
        searched = part * SEARCH // (SEARCH + NOISE) if release.measures[j].search else 0
        far = (part - searched) * FAR // (FAR + NEAR) if searched and _drawn_twice(release) else 0
        columns[j] = Column(part - searched - far, searched, far)
    smallest = [c.noise for j, c in enumerate(columns) if j != shared]
    smallest += [c.far for c in columns if c.search and _drawn_twice(release)]
    smallest += [c.search for j, c in enumerate(columns) if release.measures[j].search and j != shared]
    if any(part < 1 for part in smallest) or (release.selection is not None and selection < 1):
        raise refuse(
            Code.EPSILON,
            "too small for this many columns",
            "spend more, or ask for fewer columns",
            "请提高 epsilon 或减少列数",
        )
    return Spend(measure, selection, tuple(columns), shared)


def _drawn_twice(release: Release) -> bool:
    """One cap suits no cells of very different size.  A lone cell is of one size; cells of values are one."""
    return bool(release.keys) and release.face is None


def noise(release: Release, parts: Spend, j: int, cap: int, *, far: bool = False) -> Mechanism:
    """The mechanism of measure ``j`` at a cap: a unit moves the column by at most ``cap``, in fine steps.

    In the norm that the statements clip (``statements.tally_sql``): L2 under zCDP, so Gaussian; L1 under
    pure epsilon, so Laplace.  Never the other one, whatever its half-width.
    """
    kind = Noise.LAPLACE if parts.measure is Measure.PURE else Noise.GAUSSIAN
    nano = parts.columns[j].far if far else parts.columns[j].noise
    return calibrate(kind, cap << fine_bits(release, cap), nano, parts.measure)


def half_width(
    release: Release, parts: Spend, j: int, cap: int, confidence: float = 0.95, *, far: bool = False
) -> float:
    """The half-width of that noise, in steps of the measure's scale."""
    return noise(release, parts, j, cap, far=far).half_width(confidence) / (1 << fine_bits(release, cap))


def search_noise(parts: Spend, j: int) -> Mechanism:
    """The mechanism of the histogram of norms: a unit is in one bin."""
    return best_squared(parts.measure, 1, 1, parts.columns[j].search)


def selection_noise(parts: Spend, release: Release) -> Mechanism:
    """The mechanism of the unit counts that select keys: one more in at most ``groups`` groups."""
    assert release.selection is not None
    groups = release.selection.groups
    return best_squared(parts.measure, groups, groups, parts.selection)


def selection_threshold(parts: Spend, priced: Priced) -> int:
    """The count that a key must be strictly above (``selection.threshold``)."""
    chosen = priced.release.selection
    assert chosen is not None
    if priced.delta * 10**18 < 1:
        raise refuse(
            Code.EPSILON,
            "too small to select keys",
            "spend more, or group by columns with a declared domain",
            "请提高 epsilon，或按有声明取值域的列分组",
        )
    return threshold(selection_noise(parts, priced.release), chosen.groups, priced.delta, chosen.units)
