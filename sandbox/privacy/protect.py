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
from sandbox.privacy.clipping import NEAR, Width, blended, corrected
from sandbox.privacy.plan import Priced, released_fields
from sandbox.privacy.ranks import cell_widths, rank_width
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
    """The cap in force for each measure, with what is known of what clipping at it removes.

    ``far``: the cap of its second draw, if there is one.
    """

    chosen: tuple[Cap, ...]
    far: tuple[Cap | None, ...] = ()

    @property
    def caps(self) -> tuple[int, ...]:
        """The caps alone, in steps of each measure's scale."""
        return tuple(c.value for c in self.chosen)


def bounds(found: Tally, parts: Spend) -> Bounds:
    """Choose caps from the histograms of norms, which are noised first.

    Where too few units stand out of the histogram's noise, the declared cap holds: much noise, but an
    honest interval, instead of a guess that clips everything away.
    """
    pairs = [_caps(found, parts, j) for j in range(len(found.parts))]
    return Bounds(tuple(near for near, _ in pairs), tuple(far for _, far in pairs))


def _caps(found: Tally, parts: Spend, j: int) -> tuple[Cap, Cap | None]:
    measure = found.release.measures[j]
    if not measure.search:
        return Cap(measure.upper), None
    mechanism, known = search_noise(parts, j), found_edges(measure)
    noisy = mechanism.draw(found.histograms[j])
    width_at, share = _width_at(found.release, parts, j), _share(found, parts, sum(noisy))
    if found.release.face is not None:
        width_at, share = rank_width(width_at, found.release.face.grid.cells), 1.0

    def cap(width_at: Callable[[int], float], share: float) -> Cap:
        made = choose(
            known,
            noisy,
            mechanism.half_width(),
            width_at,
            declared=measure.declared,
            share=share,
            corrected=measure.sign != 0,
            whole=found.release.bounding is not Bounding.PAIRS or parts.measure is Accounting.PURE,
        )
        return made if made.visible else Cap(expected_cap(measure))

    far = cap(_width_at(found.release, parts, j, far=True), 1.0) if parts.columns[j].far else None
    return cap(width_at, share), far


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


def _width_at(release: Release, parts: Spend, j: int, *, far: bool = False) -> Callable[[int], float]:
    """The half-width of measure ``j``'s noise as a function of its cap, in steps of its scale.

    It is proportional to the cap, but for rounding: good enough to choose by, and built once.
    """
    top = found_edges(release.measures[j])[-1]
    each = half_width(release, parts, j, top, far=far) / top
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
        if j == parts.shared:
            shared = selection_noise(parts, release).half_width()
            amounts, widths = np.array(noisy_units, dtype=np.float64), np.full(len(noisy_units), shared)
        else:
            amounts, widths = _measure(found, parts, limits, j, kept)
        values.append(shown_amounts(measure, amounts))
        # What the noise of an earlier release decided in this one's question is in no width.
        margins.append(np.full(len(widths), np.inf) if release.asks_released else widths)
    keys = found.keys.drop_columns(["none"])
    keys = keys if kept is None else keys.take(pa.array(kept, pa.int64()))
    return released_table(release, keys, values + margins)


def _measure(
    found: Tally, parts: Spend, limits: Bounds, j: int, kept: list[int] | None
) -> tuple[Floats, Floats]:
    """Noisy totals and the half-widths of their intervals: in steps of the scale, and in its own terms."""
    release, cap = found.release, limits.chosen[j]
    amounts, noise_width = _draw(found, parts, j, cap, kept)
    if release.face is not None:
        squared, cells = parts.measure is not Accounting.PURE, release.face.grid.cells
        rows = None if release.input.privacy is None else release.input.privacy.rows
        return amounts, cell_widths(amounts, cap, noise_width.whole, cells, rows=rows, squared=squared)
    sign, alone = release.measures[j].sign, not release.keys
    near = corrected(amounts, cap, noise_width, sign=sign, alone=alone)
    amounts, widths, far = near.amounts, near.widths, limits.far[j] if limits.far else None
    if far is not None:
        drawn, far_width = _draw(found, parts, j, far, kept, far=True)
        amounts, widths = blended(near, corrected(drawn, far, far_width, sign=sign, alone=alone))
    return amounts, widths * float(release.measures[j].scale) + _rounding(release, j, cap, far)


def _draw(
    found: Tally, parts: Spend, j: int, cap: Cap, kept: list[int] | None, *, far: bool = False
) -> tuple[Floats, Width]:
    """Totals at a cap with noise, in steps of the measure's scale, and how wide that noise is."""
    release, totals = found.release, found.totals(j, cap.value)
    chosen = totals if kept is None else [totals[i] for i in kept]
    drawn = noise(release, parts, j, cap.value, far=far).draw(chosen)
    width = Width(*(half_width(release, parts, j, cap.value, c, far=far) for c in (0.95, NEAR)))
    return np.array(drawn, dtype=np.float64) / (1 << fine_bits(release, cap.value)), width


def _rounding(release: Release, j: int, cap: Cap, far: Cap | None) -> float:
    """What showing whole steps may add to the error."""
    whole = not fine_bits(release, cap.value) and not cap.likely and far is None
    return 0.0 if whole else float(release.measures[j].scale) / 2


def shown_amounts(measure: Measure, amounts: Floats) -> Floats:
    """Amounts in steps of the scale as they are shown: whole steps, counts as such, sums as real numbers."""
    whole = np.rint(amounts)
    if measure.what is not What.SUM:
        return np.clip(whole, -LARGEST_COUNT, LARGEST_COUNT)
    return whole * measure.scale.numerator / measure.scale.denominator


def released_table(release: Release, keys: pa.Table, columns: list[Floats]) -> pa.Table:
    """A released table of its keys and ``columns``: the measures, then their half-widths."""
    fields = released_fields(release)
    made = [
        pa.array(c, ARROW[f.facts.kind]) for c, f in zip(columns, fields[len(release.keys) :], strict=True)
    ]
    names = [f"c{i}" for i in range(len(fields))]
    return pa.Table.from_arrays([*(c.combine_chunks() for c in keys.columns), *made], names=names)
