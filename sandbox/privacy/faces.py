"""What a released histogram says: the cells to look into next, and quantiles with their intervals.

A column's quantile is found in noisy counts by cell of its declared range (``grid``).  Write D(i) for the
number of rows up to cell i less the share asked for of all rows, which is negative below the quantile and
not negative from its cell on.  Of its noise, cells up to i bear (1 - share) each and cells beyond bear share,
so its half-width H(i) is theirs in quadrature.  The cell read off is the number of cells with D(i) < 0:
noise that makes D cross zero several times is averaged.  The interval reaches from the first cell with
D(i) >= -H(i) to the last with D(i - 1) <= H(i - 1): the true cell fulfils both with 95 % or more, for its
own D is off by at most H.  Within a cell values are taken to lie evenly, and the interval has all of it.

Where cells hold several values, a second release looks into the cells in which the quantile may lie, at
``WIDER`` times H: it counts their rows by even parts (``Zoom`` to ``Read``), and D goes on from where they
begin.

A minimum is where the count from below stands out of its noise (twice H); what lies below are too few rows
to be told, and there is no interval.  Likewise a maximum.

All here is post-processing of released tables: privacy does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.catalogue import Kind
from sandbox.privacy.days import in_days, times
from sandbox.privacy.grid import Floats, Grid
from sandbox.sql.expressions import Facts
from sandbox.sql.relation import Field

Ints = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]

CLEAR = 2.0
"""An extreme stands where counts stand out by so many half-widths of their noise."""
WIDER = 1.5
"""What is looked into reaches so many half-widths to either side: some three standard deviations."""
SMALLEST = 1e-300
UNKNOWN = 1e15
"""Stands for a half-width that is not known: wider than any count."""
ZOOMED = ("part", "low", "high", "rate", "start", "width")


@dataclass(frozen=True, slots=True)
class Point:
    """What is asked of a histogram: the value at ``share``, which at 0 and 1 of an ``extreme`` is one of few.

    ``kind``: of the answer.  ``rounded``: the answer is a value that can occur.
    """

    share: Fraction
    extreme: bool
    kind: Kind
    rounded: bool

    @property
    def clear(self) -> float:
        """How many half-widths the count must stand out by, from below or from above."""
        if not self.extreme:
            return 0.0
        return CLEAR if self.share == 0 else -CLEAR


@dataclass(frozen=True, slots=True)
class Zoom:
    """For each point, the part of the range to look into: ``ZOOMED`` columns after the keys."""

    grid: Grid
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """For each point its value and half-width.

    ``source``: the release whose ``Zoom`` named the part, ``first`` that one's identity, and ``index`` the
    point among its own; ``None``: the histogram is of cells of single values."""

    grid: Grid
    points: tuple[Point, ...]
    source: int | None = None
    index: int = 0
    first: str = ""


Face = Zoom | Read
"""What the public table of a histogram release shows in its stead."""


def face_fields(face: Face, keys: tuple[Field, ...]) -> tuple[Field, ...]:
    """Fields of the table that is shown; ``keys``: those of the release."""
    real = Facts(Kind.DOUBLE, True)
    if isinstance(face, Zoom):
        whole = Facts(Kind.INTEGER, False)
        columns = (whole, *(real for _ in ZOOMED[1:]))
        return (*keys[:-1], *(Field("", known) for _ in face.points for known in columns))
    values = tuple(Field("", Facts(p.kind, True)) for p in face.points)
    kept = keys[:-1] if face.source is None else keys[:-2]
    return (*kept, *values, *(Field("", real, hidden=True) for _ in face.points))


def shown(face: Face | None, raw: pa.Table, tables: Mapping[str, pa.Table]) -> pa.Table:
    """The public table of a release, from its noisy one.  ``tables``: those shown before, by name."""
    if face is None:
        return raw
    if isinstance(face, Zoom):
        return _zoomed(face, raw)
    return _single(face, raw) if face.source is None else _read(face, raw, tables[f"r{face.source}"])


@dataclass(frozen=True, slots=True)
class _Ranks:
    """By group and cell: D, and H, of one point."""

    off: Floats
    width: Floats

    @property
    def known(self) -> Truths:
        """Whether the noise is known at all."""
        return np.asarray(self.width.max(axis=1, initial=0.0) < UNKNOWN / 2)

    def cell(self, clear: float) -> Ints:
        """The cell in which the point lies."""
        reached = clear * self.width + np.sign(clear) / 2  # an extreme has a row at least
        return np.asarray(np.minimum((self.off < reached).sum(axis=1), self.off.shape[1] - 1))

    def first(self, by: float) -> Ints:
        """The first cell in which it may lie, if D may be off by so many half-widths."""
        reached = self.off >= by * self.width - 1
        found: Ints = np.where(reached.any(axis=1), reached.argmax(axis=1), self.off.shape[1] - 1)
        return found

    def last(self, by: float) -> Ints:
        """The last cell in which it may lie: the one after the last whose count is not clearly enough."""
        open_, count = self.off <= by * self.width + 1, self.off.shape[1]
        after = np.minimum(count - open_[:, ::-1].argmax(axis=1), count - 1)
        found: Ints = np.where(open_.any(axis=1), after, 0)
        return found


def _counts(raw: pa.Table) -> tuple[list[pa.ChunkedArray], Floats, Floats]:
    """The keys but the cell, counts by group and cell, and the squares of their half-widths."""
    *keys, cell, count, width = raw.columns
    cells = int(np.max(cell.to_numpy(), initial=-1)) + 1
    if not cells:
        return keys, np.zeros((0, 1)), np.zeros((0, 1))
    counts = count.to_numpy().astype(np.float64).reshape(-1, cells)
    widths = np.minimum(width.to_numpy(), UNKNOWN).astype(np.float64).reshape(-1, cells)
    first = pa.array(np.arange(len(counts)) * cells)
    return [k.take(first) for k in keys], counts, np.square(widths)


def _ranks(point: Point, counts: Floats, squares: Floats) -> _Ranks:
    below, share = np.cumsum(counts, axis=1), float(point.share)
    known = np.cumsum(squares, axis=1)
    width = (1 - share) ** 2 * known + share**2 * (known[:, -1:] - known)
    return _Ranks(below - share * below[:, -1:], np.sqrt(np.maximum(width, 0)))


def _some(point: Point, counts: Floats, squares: Floats) -> Truths:
    """Whether there are rows; for an extreme, whether they stand out of the noise."""
    least = CLEAR * np.sqrt(squares.sum(axis=1)) if point.extreme else 1.0
    found: Truths = counts.sum(axis=1) >= np.maximum(least, 1.0)
    return found


def _zoomed(face: Zoom, raw: pa.Table) -> pa.Table:
    keys, counts, squares = _counts(raw)
    borders, columns = face.grid.borders(), list[pa.Array]()
    groups = np.arange(len(counts))
    for point in face.points:
        ranks = _ranks(point, counts, squares)
        one, two = ranks.first(point.clear - WIDER), ranks.last(point.clear + WIDER)
        two = np.maximum(one, two)
        low, high = borders[one], borders[two + 1]
        # What stands before the part that is looked into; before all, the share of all rows is missing.
        share, before = float(point.share), np.maximum(one - 1, 0)
        start = np.where(one > 0, ranks.off[groups, before], -share * counts.sum(axis=1))
        width = np.where(one > 0, ranks.width[groups, before], share * np.sqrt(squares.sum(axis=1)))
        rate = face.grid.finer(low, high) / np.maximum(high - low, SMALLEST)
        # Where there is nothing to look for no row is looked at: none is above NaN.
        some = _some(point, counts, squares)
        low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
        columns += [pa.array(one * face.grid.cells + two), *map(pa.array, (low, high, rate, start, width))]
    return _beside(keys, columns)


@dataclass(frozen=True, slots=True)
class _Found:
    """By group: the value, the least and greatest that it may be; whether it, and an interval, are known."""

    value: Floats
    least: Floats
    most: Floats
    some: Truths
    stated: Truths

    def column(self, point: Point) -> pa.Array:
        """The values: NULL where noise says that there are no rows."""
        value = np.where(self.some, self.value, 0.0)
        if point.kind is Kind.DOUBLE:
            return pa.array(value, pa.float64(), mask=~self.some)
        whole = np.rint(value).astype(np.int64)
        if point.kind.temporal:
            return times(whole, point.kind, ~self.some)
        return pa.array(whole, pa.int64(), mask=~self.some)

    def width(self, point: Point) -> pa.Array:
        """Half-widths, infinite where there is no interval; of dates and moments in days."""
        width = np.maximum(np.maximum(self.value - self.least, self.most - self.value), 0.0)
        width = width * in_days(point.kind)
        return pa.array(np.where(self.some & self.stated & (not point.extreme), width, np.inf), pa.float64())


def _single(face: Read, raw: pa.Table) -> pa.Table:
    keys, counts, squares = _counts(raw)
    found: dict[Point, _Found] = {}
    for point in face.points:
        ranks = _ranks(point, counts, squares)
        cells = (ranks.cell(point.clear), ranks.first(point.clear - 1), ranks.last(point.clear + 1))
        value, least, most = (_at(face.grid, c) for c in cells)
        found[point] = _Found(value, least, most, _some(point, counts, squares), ranks.known)
    return _table(keys, found)


def _at(grid: Grid, cell: Ints) -> Floats:
    place: Floats = float(grid.low) + cell.astype(np.float64) * float(grid.step or 1)
    return grid.nearest(place)


def _read(face: Read, raw: pa.Table, zoomed: pa.Table) -> pa.Table:
    """Values within the parts looked into.

    Where a kept histogram is of another part than the one now named: its middle, and all of it as interval.
    """
    (point,), grid = face.points, face.grid
    named, counts, squares = _counts(raw if zoomed.num_rows else raw.slice(0, 0))
    *keys, parts_named = named
    rows, same = _matched(keys, parts_named, zoomed, face)
    first = len(keys) + face.index * len(ZOOMED)
    low, high, rate, start, width = (
        zoomed.column(first + i).to_numpy().astype(np.float64)[rows] for i in range(1, len(ZOOMED))
    )
    some = ~np.isnan(low) & (rows >= 0)
    low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
    below, known = np.cumsum(counts, axis=1), np.cumsum(squares, axis=1)
    ranks = _Ranks(start[:, None] + below, np.sqrt(width[:, None] ** 2 + known))
    parts = np.maximum(np.rint((high - low) * rate), 1).astype(np.int64)
    size = (high - low) / parts
    inside, one, two = (
        np.minimum(c, parts - 1)
        for c in (ranks.cell(point.clear), ranks.first(point.clear - 1), ranks.last(point.clear + 1))
    )
    value = _within(grid, point, ranks, counts, inside, low, size)
    lower, upper = grid.first(low + one * size), grid.last(low + (two + 1) * size)
    others = (grid.nearest((low + high) / 2), grid.first(low), grid.last(high))
    value, lower, upper = (np.where(same, a, b) for a, b in zip((value, lower, upper), others, strict=True))
    return _table(keys, {point: _Found(value, lower, upper, some, ranks.known)})


def _within(
    grid: Grid, point: Point, ranks: _Ranks, counts: Floats, inside: Ints, low: Floats, size: Floats
) -> Floats:
    """The value in part ``inside`` of a cell, by how far into its rows the point lies."""
    groups = np.arange(len(inside))
    least, most = grid.first(low + inside * size), grid.last(low + (inside + 1) * size)
    held = counts[groups, inside] if len(inside) else np.zeros(0)
    missing = point.clear * ranks.width[groups, inside] - (ranks.off[groups, inside] - held)
    part = np.where(held > 0, np.clip(missing / np.maximum(held, 1e-9), 0, 1), 0.5)
    value = least + part * np.maximum(most - least, 0)
    return grid.nearest(value) if point.rounded else value


def _matched(
    keys: list[pa.ChunkedArray], cells: pa.ChunkedArray, zoomed: pa.Table, face: Read
) -> tuple[Ints, Truths]:
    """The row of ``zoomed`` of each group (-1: none), and whether the part is the one named there."""
    width = len(keys)
    named = list(zip(*(zoomed.column(i).to_pylist() for i in range(width)), strict=True)) if width else [()]
    place = {key: i for i, key in enumerate(named)}
    asked = list(zip(*(k.to_pylist() for k in keys), strict=True)) if width else [()] * len(cells)
    rows = np.array([place.get(key, -1) for key in asked], dtype=np.int64)
    looked = zoomed.column(width + face.index * len(ZOOMED)).to_numpy()
    found = looked[rows] == cells.to_numpy() if len(rows) else np.zeros(0, dtype=np.bool_)
    return rows, found & (rows >= 0)


def _table(keys: list[pa.ChunkedArray], found: dict[Point, _Found]) -> pa.Table:
    values = [f.column(point) for point, f in found.items()]
    return _beside(keys, values + [f.width(point) for point, f in found.items()])


def _beside(keys: list[pa.ChunkedArray], columns: list[pa.Array]) -> pa.Table:
    made = [*(k.combine_chunks() for k in keys), *columns]
    return pa.Table.from_arrays(made, names=[f"c{i}" for i in range(len(made))])
