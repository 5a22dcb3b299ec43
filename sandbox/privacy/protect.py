"""``protect``: exact, bounded sums become a public table by noise and selection.

The only place (with ``mechanisms``) where randomness enters.  Exact values come in, are noised in one
vector draw a column, and are forgotten; nothing else leaves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sandbox.catalogue import Kind, Scalar
from sandbox.privacy.caps import Cap, choose, edges
from sandbox.privacy.plan import Priced, released_fields
from sandbox.privacy.release import Measure, Release, What
from sandbox.privacy.spend import (
    Spend,
    noise,
    search_noise,
    selection_noise,
    selection_threshold,
)

LARGEST_TOTAL = 2**61
"""Totals are clamped here before noise; clamping a sum cannot raise its sensitivity."""

LARGEST_COUNT = 2**53
"""Noisy counts are clamped here, as their facts promise (``plan.measure_facts``)."""

UNEVEN = 3.0
"""How much more of the clipping may fall on a cell than its share of the total: clipped units are large."""

ARROW = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.DECIMAL: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}

Group = tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The cap in force for each measure, and an upper estimate of what clipping at it removes."""

    caps: tuple[int, ...]
    excess: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cells:
    """Exact bounded sums by group: ``units`` (under selection) and one total a measure."""

    groups: tuple[Group, ...]
    units: tuple[int, ...]
    totals: tuple[tuple[int, ...], ...]


def searched(release: Release) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """The measures whose cap is found privately, with their histogram's edges."""
    return tuple((j, edges(m.upper)) for j, m in enumerate(release.measures) if m.search)


def bounds(release: Release, parts: Spend, counts: Mapping[tuple[int, int], int]) -> Bounds:
    """Choose caps from exact histograms ``counts[measure, bin]``, which are noised first.

    Where too few units stand out of the histogram's noise, the declared cap holds: much noise, but an
    honest interval, instead of a guess that clips everything away.
    """
    found: dict[int, Cap] = {}
    for j, bins in searched(release):
        mechanism = search_noise(parts, j)
        noisy = mechanism.draw([counts.get((j, b), 0) for b in range(len(bins))])
        found[j] = choose(bins, noisy, mechanism.half_width(), _width_at(parts, j))
    chosen = [
        found[j] if j in found and found[j].visible else Cap(measure.upper, 0.0, True)
        for j, measure in enumerate(release.measures)
    ]
    return Bounds(tuple(c.value for c in chosen), tuple(c.excess for c in chosen))


def _width_at(parts: Spend, j: int) -> Callable[[int], float]:
    """The half-width of measure ``j``'s noise as a function of its cap."""
    return lambda cap: noise(parts, j, cap).half_width()


def protect(priced: Priced, parts: Spend, limits: Bounds, cells: Cells) -> pa.Table:
    """The released table: keys, noisy measures, half-widths of their 95 % intervals.

    Without selection every declared group appears, present in the data or not; with it, only groups
    whose noisy unit count is strictly above the threshold.
    """
    release = priced.release
    if release.selection is None:
        groups, totals = _declared(release, cells)
        noisy_units: list[int] = []
    else:
        groups, totals, noisy_units = _selected(priced, parts, cells)
    columns = [list(column) for column in zip(*groups, strict=True)] if groups else [[] for _ in release.keys]
    values, margins = [], []
    for j, measure in enumerate(release.measures):
        drawn, widths = _measure(release, parts, limits, j, totals, noisy_units)
        values.append([_shown(measure, v) for v in drawn])
        margins.append(widths)
    return _table(release, columns + values + margins)


def _declared(release: Release, cells: Cells) -> tuple[list[Group], list[tuple[int, ...]]]:
    known = dict(zip(cells.groups, cells.totals, strict=True))
    domains = [k.domain or () for k in release.keys]
    groups = [tuple(g) for g in itertools.product(*domains)]
    empty = (0,) * len(release.measures)
    return groups, [known.get(g, empty) for g in groups]


def _selected(
    priced: Priced, parts: Spend, cells: Cells
) -> tuple[list[Group], list[tuple[int, ...]], list[int]]:
    mechanism = selection_noise(parts, priced.release)
    limit = selection_threshold(parts, priced)
    # Groups are put in an order of their keys before noise: the engine's order could tell something.
    order = sorted(range(len(cells.groups)), key=lambda i: _sortable(cells.groups[i]))
    noisy = mechanism.draw([_held(cells.units[i]) for i in order])
    kept = [(i, n) for i, n in zip(order, noisy, strict=True) if n > limit]
    return [cells.groups[i] for i, _ in kept], [cells.totals[i] for i, _ in kept], [n for _, n in kept]


def _sortable(group: Group) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, str(value)) for value in group)


def _measure(
    release: Release,
    parts: Spend,
    limits: Bounds,
    j: int,
    totals: Sequence[tuple[int, ...]],
    noisy_units: list[int],
) -> tuple[list[int], list[float]]:
    if j == parts.shared:
        return noisy_units, [selection_noise(parts, release).half_width()] * len(noisy_units)
    mechanism = noise(parts, j, limits.caps[j])
    drawn = mechanism.draw([_held(t[j]) for t in totals])
    scale, half = float(release.measures[j].scale), mechanism.half_width()
    lost = [limits.excess[j] * share for share in _shares(drawn, half)]
    return drawn, [(half + x) * scale + _rounding(release.measures[j]) for x in lost]


def _shares(drawn: Sequence[int], half: float) -> list[float]:
    """The most of the clipped excess that each cell is taken to bear, from noisy totals alone.

    The excess is known for the release as a whole.  A cell is allowed ``UNEVEN`` times what it would bear
    in proportion to its total, taken at the far end of its interval; and never more than all of it.
    """
    whole = sum(abs(v) for v in drawn)
    if whole == 0:
        return [1.0] * len(drawn)
    return [min(1.0, UNEVEN * (abs(v) + half) / whole) for v in drawn]


def _held(total: int) -> int:
    return max(-LARGEST_TOTAL, min(LARGEST_TOTAL, total))


def _rounding(measure: Measure) -> float:
    """What showing whole counts may add to the error."""
    return 0.5 if measure.what is not What.SUM and measure.scale != 1 else 0.0


def _shown(measure: Measure, drawn: int) -> int | float:
    exact = drawn * measure.scale
    if measure.what is What.SUM:
        return float(exact)
    return max(-LARGEST_COUNT, min(LARGEST_COUNT, round(exact)))


def _table(release: Release, columns: list[list[Scalar]] | list[list[int | float]]) -> pa.Table:
    fields = released_fields(release)
    arrays = [pa.array(c, ARROW[f.facts.kind]) for c, f in zip(columns, fields, strict=True)]
    names = [f"c{i}" for i in range(len(fields))]
    return pa.Table.from_arrays(arrays, names=names)
