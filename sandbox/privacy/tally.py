"""``Tally``: what the engine found of a release, by group and bin of norms; and its sums bounded at any cap.

For a cap C that is an edge of the bins, units up to C count as they are and the others with C times their
direction, which is their vector scaled to norm C:

    total = sum of x over bins up to C  +  C * sum of y / 2^16 over bins beyond

Where vectors span groups, the second part is not whole: totals are then in fine steps, 2^-f of the measure's
scale with f = ``fine_bits(C)``, and C is rounded down to a multiple of 2^16 of these.  A unit's vector in
fine steps has a norm of at most C * 2^f: exact integers throughout, so the sensitivity is C * 2^f exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.catalogue import Kind
from sandbox.privacy.bins import edges, place
from sandbox.privacy.release import Bounding, Listing, Measure, Release, What
from sandbox.privacy.statements import UNIT_LENGTH, presence_measure

Ints = npt.NDArray[np.int64]

LARGEST_TOTAL = 2**61
"""Totals are clamped here before noise; clamping a sum cannot raise its sensitivity."""

FINE = 30
"""Caps that bound vectors over groups have at least so many bits, in fine steps."""

ARROW = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.DECIMAL: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}


def fine_bits(release: Release, cap: int) -> int:
    """Totals of a measure at ``cap`` are in steps of 2^-this of its scale."""
    return max(FINE - cap.bit_length(), 0) if release.bounding is Bounding.PAIRS else 0


@dataclass(frozen=True, slots=True)
class Part:
    """One measure: for each row its group's number, its bin's edge number, and ``x`` and ``y``."""

    group: Ints
    bin: Ints
    x: Ints
    y: Ints


@dataclass(frozen=True, slots=True)
class Tally:
    """``keys``: the groups, in an order of their own.  ``units``: of each, under selection.

    ``histograms[j]``: units by edge of measure j, the last beyond all edges; empty if not searched.
    """

    release: Release
    keys: pa.Table
    units: Ints
    parts: tuple[Part, ...]
    histograms: tuple[tuple[int, ...], ...]

    def totals(self, j: int, cap: int) -> list[int]:
        """The bounded totals of measure ``j`` by group, in fine steps.  ``cap``: one of its edges."""
        part, known = self.parts[j], found_edges(self.release.measures[j])
        inside = part.bin <= known.index(cap)
        fine = fine_bits(self.release, cap)
        longest = cap if self.release.bounding is not Bounding.PAIRS else (cap << fine) >> UNIT_LENGTH
        sums = _weighted(part, inside, 1 << fine, longest)
        return _added(part.group, sums, self.keys.num_rows)


def found_edges(measure: Measure) -> tuple[int, ...]:
    """The caps that a measure may have."""
    return edges(measure.upper) if measure.search else (measure.upper,)


def expected_cap(measure: Measure) -> int:
    """The cap where nothing is known but declarations: the lowest edge that holds the declared norm."""
    return next(e for e in found_edges(measure) if e >= measure.declared)


def _weighted(part: Part, inside: npt.NDArray[np.bool_], whole: int, longest: int) -> npt.NDArray[Any]:
    """Each row's amount: int64 where all of them together fit, else Python's integers."""
    x, y = np.where(inside, part.x, 0), np.where(inside, 0, part.y)
    most = sum(int(np.abs(v).max(initial=0)) * by for v, by in ((x, whole), (y, longest)))
    if most * max(len(x), 1) >= LARGEST_TOTAL:
        x, y = x.astype(object), y.astype(object)
    amounts: npt.NDArray[Any] = x * whole + y * longest
    return amounts


def _added(group: Ints, amounts: npt.NDArray[Any], count: int) -> list[int]:
    """Sums by group, clamped."""
    order = np.argsort(group, kind="stable")
    numbers, starts = np.unique(group[order], return_index=True)
    sums = np.zeros(count, dtype=amounts.dtype)
    if len(numbers):
        sums[numbers] = np.add.reduceat(amounts[order], starts)
    clamped: list[int] = np.clip(sums, -LARGEST_TOTAL, LARGEST_TOTAL).tolist()
    return clamped


def tally(release: Release, found: pa.Table, listing: pa.Table | None = None) -> Tally:
    """Read the rows of ``statements.tally_sql``.

    Without selection the groups are the declared ones, present or not; rows of others do not count.
    ``listing``: the rows of ``release.listing``, if it has one.
    """
    part = _ints(found, "p")
    about = part >= 0
    rows = found.filter(pa.array(about))
    numbers = part[about]
    columns = {name: _ints(rows, name) for name in ("b", "x", "y", "z")}
    counted = _counting(release, numbers, columns["z"])
    if release.selection is not None:
        keys, group = _present(release, rows, counted)
    elif release.listing is not None:
        assert listing is not None, "the groups of this release are listed by public tables"
        keys, group = _listed(release, release.listing, rows, listing)
    else:
        keys, group = _declared(release, rows)

    def measure_part(j: int) -> Part:
        own = (numbers == j + 1) & (group >= 0)
        places = _places(release.measures[j], columns["b"][own])
        return Part(group[own], places, columns["x"][own], columns["y"][own])

    units = np.zeros(keys.num_rows, dtype=np.int64)
    counted &= group >= 0
    np.add.at(units, group[counted], columns["z"][counted])
    count = range(len(release.measures))
    histograms = tuple(_histogram(release, j, found, part) for j in count)
    return Tally(release, keys, units, tuple(measure_part(j) for j in count), histograms)


def _counting(release: Release, part: Ints, units: Ints) -> npt.NDArray[np.bool_]:
    """The rows that say how many units are present in their group, and that some are."""
    if release.selection is None:
        return np.zeros(len(part), dtype=np.bool_)
    own = part == 0
    passing = presence_measure(release)
    if passing is not None:
        own |= part == passing + 1
    counting: npt.NDArray[np.bool_] = own & (units > 0)
    return counting


def _ints(table: pa.Table, name: str) -> Ints:
    column: Ints = table.column(name).cast(pa.int64()).to_numpy()
    return column


def _places(measure: Measure, bins: Ints) -> Ints:
    """Bin numbers of the statement as numbers of edges."""
    if not measure.search and not len(bins):
        return bins
    known = found_edges(measure)
    found, inverse = np.unique(bins, return_inverse=True)
    return np.array([place(int(k), known) for k in found], dtype=np.int64)[inverse]


def _histogram(release: Release, j: int, found: pa.Table, part: Ints) -> tuple[int, ...]:
    measure = release.measures[j]
    if not measure.search:
        return ()
    apart = release.bounding is Bounding.PAIRS or measure.what is What.DISTINCT
    own = part == (-j - 1 if apart else j + 1)
    places = _places(measure, _ints(found, "b")[own])
    counts = np.zeros(len(found_edges(measure)) + 1, dtype=np.int64)
    np.add.at(counts, places, _ints(found, "z")[own])
    return tuple(int(n) for n in counts)


def _declared(release: Release, rows: pa.Table) -> tuple[pa.Table, Ints]:
    """All combinations of declared values, and each row's number among them (-1: none of them)."""
    sizes = [len(key.domain or ()) for key in release.keys]
    count = int(np.prod(sizes, dtype=np.int64))
    number, known = np.zeros(rows.num_rows, dtype=np.int64), np.ones(rows.num_rows, dtype=np.bool_)
    columns, left = [], count
    for i, key in enumerate(release.keys):
        values = pa.array(key.domain or (), ARROW[key.facts.kind])
        places = pc.index_in(rows.column(f"k{i}").cast(values.type), values).fill_null(-1)
        at: Ints = places.to_numpy().astype(np.int64)
        known &= at >= 0
        number = number * len(values) + at
        left //= max(len(values), 1)
        columns.append(values.take(pa.array(np.arange(count) // max(left, 1) % max(len(values), 1))))
    return _keys_table(columns, count), np.where(known, number, -1)


def _listed(release: Release, said: Listing, rows: pa.Table, listing: pa.Table) -> tuple[pa.Table, Ints]:
    """Every listed combination with every one of the other keys' declared values; as ``_declared``."""
    places = said.places
    others = [i for i in range(len(release.keys)) if i not in places]
    kinds = [ARROW[k.facts.kind] for k in release.keys]
    shown = [c.cast(kinds[i]).combine_chunks() for i, c in zip(places, listing.columns, strict=True)]
    first, number = _found(shown, [rows.column(f"k{i}").cast(kinds[i]).combine_chunks() for i in places])
    columns: dict[int, pa.Array] = {i: c.take(pa.array(first)) for i, c in zip(places, shown, strict=True)}
    count, known = len(first), number >= 0
    for i in others:
        values = pa.array(release.keys[i].domain or (), kinds[i])
        at: Ints = pc.index_in(rows.column(f"k{i}").cast(kinds[i]), values).fill_null(-1).to_numpy()
        known &= at >= 0
        number = number * len(values) + at
        each = pa.array(np.repeat(np.arange(count), len(values)))
        columns = {j: c.take(each) for j, c in columns.items()}
        columns[i] = values.take(pa.array(np.tile(np.arange(len(values)), count)))
        count *= len(values)
    return _keys_table([columns[i] for i in range(len(kinds))], count), np.where(known, number, -1)


def _found(shown: list[pa.Array], asked: list[pa.Array]) -> tuple[Ints, Ints]:
    """The distinct rows of ``shown`` in the order of their values; which of them each ``asked`` row is."""
    number = np.zeros(len(shown[0]), dtype=np.int64)
    wanted = np.zeros(len(asked[0]), dtype=np.int64)
    known = np.ones(len(asked[0]), dtype=np.bool_)
    for column, other in zip(shown, asked, strict=True):
        codes, size = _codes(pa.chunked_array([column]))
        values = column.take(pa.array(np.unique(codes, return_index=True)[1]))
        at: Ints = pc.index_in(other, values).fill_null(-1).to_numpy().astype(np.int64)
        _, inverse = np.unique(codes, return_inverse=True)
        known &= at >= 0
        both = np.concatenate([number * size + inverse, wanted * size + np.where(known, at, 0)])
        _, dense = np.unique(both, return_inverse=True)
        number, wanted = dense[: len(number)], dense[len(number) :]
    found, first = np.unique(number, return_index=True)
    at = np.searchsorted(found, wanted)
    known &= (at < len(found)) & (found[np.minimum(at, len(found) - 1)] == wanted) if len(found) else False
    return first, np.where(known, at, -1)


def _present(release: Release, rows: pa.Table, counted: npt.NDArray[np.bool_]) -> tuple[pa.Table, Ints]:
    """The groups in which some unit is counted, in the order of their values, and each row's number (or -1).

    A group that units fall in, but none is counted in, must not even be drawn for: that it exists would
    hang on units for which the threshold's delta does not answer.
    """
    number = np.zeros(rows.num_rows, dtype=np.int64)
    for i, key in enumerate(release.keys):
        codes, size = _codes(rows.column(f"k{i}").cast(ARROW[key.facts.kind]))
        number = np.unique(number * size + codes, return_inverse=True)[1] if i else codes
    places = np.full(int(number.max(initial=-1)) + 1, -1, dtype=np.int64)
    places[number[counted]] = np.flatnonzero(counted)
    present = np.flatnonzero(places >= 0)
    first = places[present]
    columns = [
        rows.column(f"k{i}").cast(ARROW[key.facts.kind]).take(pa.array(first)).combine_chunks()
        for i, key in enumerate(release.keys)
    ]
    places[present] = np.arange(len(present))
    return _keys_table(columns, len(first)), places[number]


def _codes(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """Numbers in the order of the values, NULL last: the engine's order could tell something."""
    encoded = column.combine_chunks().dictionary_encode()
    values, size = encoded.dictionary, len(encoded.dictionary)
    ranks = np.empty(size + 1, dtype=np.int64)
    ranks[pc.sort_indices(values).to_numpy()] = np.arange(size)
    ranks[size] = size
    return ranks[encoded.indices.fill_null(size).to_numpy().astype(np.int64)], size + 1


def _keys_table(columns: list[Any], count: int) -> pa.Table:
    """A table that has ``count`` rows even without columns."""
    named = {f"k{i}": column for i, column in enumerate(columns)}
    return pa.table({**named, "none": pa.nulls(count)})
