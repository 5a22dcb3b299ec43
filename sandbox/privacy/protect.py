"""``protect``: exact, bounded sums become a public table by noise and selection.

The only place (with ``mechanisms``) where randomness enters.  Exact values come in, are noised in one
vector draw a column, and are forgotten; nothing else leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.privacy.accounting import Measure as Accounting
from sandbox.privacy.caps import Cap, choose
from sandbox.privacy.clipping import NEAR, Width, corrected
from sandbox.privacy.plan import Priced, released_fields
from sandbox.privacy.release import Bounding, Measure, Release, What
from sandbox.privacy.spend import (
    Spend,
    half_width,
    noise,
    search_noise,
    selection_noise,
    selection_threshold,
)
from sandbox.privacy.tally import ARROW, Tally, expected_cap, fine_bits, found_edges

Floats = npt.NDArray[np.float64]

LARGEST_COUNT = 2**53
"""Noisy counts are clamped here, as their facts promise (``plan.measure_facts``)."""


ABOVE = 4.0
"""How many times the threshold's units a selected cell typically holds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The cap in force for each measure, with what is known of what clipping at it removes."""

    chosen: tuple[Cap, ...]

    @property
    def caps(self) -> tuple[int, ...]:
        """The caps alone, in steps of each measure's scale."""
        return tuple(c.value for c in self.chosen)


def bounds(found: Tally, parts: Spend) -> Bounds:
    """Choose caps from the histograms of norms, which are noised first.

    Where too few units stand out of the histogram's noise, the declared cap holds: much noise, but an
    honest interval, instead of a guess that clips everything away.
    """
    return Bounds(tuple(_cap(found, parts, j) for j in range(len(found.parts))))


def _cap(found: Tally, parts: Spend, j: int) -> Cap:
    measure = found.release.measures[j]
    if not measure.search:
        return Cap(measure.upper)
    mechanism, known = search_noise(parts, j), found_edges(measure)
    noisy = mechanism.draw(found.histograms[j])
    cap = choose(
        known,
        noisy,
        mechanism.half_width(),
        _width_at(found.release, parts, j),
        declared=measure.declared,
        share=_share(found, parts, sum(noisy)),
        corrected=measure.sign != 0,
        whole=found.release.bounding is not Bounding.PAIRS or parts.measure is Accounting.PURE,
    )
    return cap if cap.visible else Cap(expected_cap(measure))


def _share(found: Tally, parts: Spend, units: int) -> float:
    """The part of a whole that a typical cell holds, from public facts and the noisy number of units.

    Cells differ in size, often by Zipf's law, so most are small: of declared ones the average is taken, of
    selected ones one that holds ``ABOVE`` times as many units as it must.
    """
    release = found.release
    if release.selection is None:
        return 1 / max(int(found.keys.num_rows), 1)
    fewest = release.selection.units + selection_noise(parts, release).half_width()
    return min(1.0, ABOVE * fewest / max(units, 1))


def _width_at(release: Release, parts: Spend, j: int) -> Callable[[int], float]:
    """The half-width of measure ``j``'s noise as a function of its cap, in steps of its scale.

    It is proportional to the cap, but for rounding: good enough to choose by, and built once.
    """
    top = found_edges(release.measures[j])[-1]
    each = half_width(release, parts, j, top) / top
    return lambda cap: each * cap


def protect(priced: Priced, parts: Spend, limits: Bounds, found: Tally) -> pa.Table:
    """The released table: keys, noisy measures, half-widths of their 95 % intervals.

    Without selection every declared group appears, present in the data or not; with it, only groups
    whose noisy unit count is strictly above the threshold.
    """
    release, kept, noisy_units = priced.release, None, []
    if release.selection is not None:
        drawn = selection_noise(parts, release).draw(found.units.tolist())
        limit = selection_threshold(parts, priced)
        kept = [i for i, n in enumerate(drawn) if n > limit]
        noisy_units = [drawn[i] for i in kept]
    values, margins = [], []
    for j, measure in enumerate(release.measures):
        totals = found.totals(j, limits.caps[j])
        totals = totals if kept is None else [totals[i] for i in kept]
        amounts, widths = _measure(release, parts, limits, j, totals, noisy_units)
        values.append(_shown(measure, amounts))
        # What the noise of an earlier release decided in this one's question is in no width.
        margins.append(np.full(len(widths), np.inf) if release.depends else widths)
    keys = found.keys.drop_columns(["none"])
    keys = keys if kept is None else keys.take(pa.array(kept, pa.int64()))
    return _table(release, keys, values + margins)


def _measure(
    release: Release, parts: Spend, limits: Bounds, j: int, totals: list[int], noisy_units: list[int]
) -> tuple[Floats, Floats]:
    """Noisy totals and the half-widths of their intervals, in steps of the measure's scale."""
    if j == parts.shared:
        width = selection_noise(parts, release).half_width()
        return np.array(noisy_units, dtype=np.float64), np.full(len(noisy_units), width)
    cap = limits.chosen[j]
    drawn = noise(release, parts, j, cap.value).draw(totals)
    amounts = np.array(drawn, dtype=np.float64) / (1 << fine_bits(release, cap.value))
    both = Width(*(half_width(release, parts, j, cap.value, c) for c in (0.95, NEAR)))
    amounts, widths = corrected(amounts, cap, both, sign=release.measures[j].sign, alone=not release.keys)
    scale = float(release.measures[j].scale)
    return amounts, widths * scale + _rounding(release, j, cap)


def _rounding(release: Release, j: int, cap: Cap) -> float:
    """What showing whole steps may add to the error."""
    return float(release.measures[j].scale) / 2 if fine_bits(release, cap.value) or cap.likely else 0.0


def _shown(measure: Measure, amounts: Floats) -> Floats:
    """Whole steps of the scale: counts as such, sums as real numbers."""
    whole = np.rint(amounts)
    if measure.what is not What.SUM:
        return np.clip(whole, -LARGEST_COUNT, LARGEST_COUNT)
    return whole * measure.scale.numerator / measure.scale.denominator


def _table(release: Release, keys: pa.Table, columns: list[Floats]) -> pa.Table:
    fields = released_fields(release)
    made = [
        pa.array(c, ARROW[f.facts.kind]) for c, f in zip(columns, fields[len(release.keys) :], strict=True)
    ]
    names = [f"c{i}" for i in range(len(fields))]
    return pa.Table.from_arrays([*(c.combine_chunks() for c in keys.columns), *made], names=names)
