"""``Grid``: the cells that a column's declared range is cut into, as SQL for rows and as numbers for readers.

Few whole steps make one cell each.  Otherwise cells are equal in a scale that is linear around zero and
logarithmic far from it, ``sign(x) ln(1 + |x| / s)``: a median of 300 in a range up to 200,000 is met with
the same relative accuracy as one of 30,000.  A cell may be cut again, evenly (``finer``).

In which cell a row at a border falls, binary64 decides; no privacy hangs on it, for a row is in one cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Call, Cast, Expr, Facts, Literal

Floats = npt.NDArray[np.float64]

MOST_SINGLE = 256
"""A range of at most so many steps has a cell for each."""
CELLS = 64
FEWEST_CELLS = 8
ONE_VALUE = 10**9
"""A range narrower than its largest value by so much is one value: its cells could not be told apart."""
DECADES = 10**5
"""The scale is linear up to this part of the largest value."""


@dataclass(frozen=True, slots=True)
class Grid:
    """``cells`` cells of ``[low, high]``; values are multiples of ``step``, if that is known.

    ``single``: a cell holds one value.
    """

    low: Fraction
    high: Fraction
    step: Fraction | None
    cells: int
    single: bool

    @property
    def near(self) -> float:
        """Up to about this value the scale is linear."""
        largest = float(max(abs(self.low), abs(self.high))) / DECADES
        return max(largest, float(self.step or 0))

    def scaled(self, value: float) -> float:
        """A value's place on the scale of cells."""
        return math.copysign(math.log1p(abs(value) / self.near), value)

    @property
    def _rate(self) -> float:
        """Cells by unit of the scale."""
        return self.cells / (self.scaled(float(self.high)) - self.scaled(float(self.low)))

    def cell(self, x: Expr) -> Expr:
        """The number of the cell of a real number: from 0, whole.  What is out of range is at the end."""
        if self.single:
            assert self.step is not None
            place: Expr = Call("add", (Call("div", (_minus(x, self.low), _real(self.step))), _real(0.5)))
        else:
            size = Call("abs", (x,)) if self.low < 0 else Call("greatest", (x, _real(0)))
            far = Call("div", (size, _real(self.near)))
            length = Call("ln", (Call("add", (_real(1), far)),))
            signed = length if self.low >= 0 else Call("mul", (Call("sign", (x,)), length))
            place = Call("mul", (_minus(signed, self.scaled(float(self.low))), _real(self._rate)))
        return _numbered(place, self.cells)

    def borders(self) -> Floats:
        """The lower borders of all cells that hold several values, and beyond the last one."""
        places = self.scaled(float(self.low)) + np.arange(self.cells + 1) / self._rate
        borders = np.sign(places) * self.near * np.expm1(np.abs(places))
        return self._between_steps(np.clip(borders, float(self.low), float(self.high)))

    def _between_steps(self, borders: Floats) -> Floats:
        """Half way between two steps, so that rounding moves no value to another cell."""
        low, high = float(self.low), float(self.high)
        if self.step is None:
            borders[-1] = high + (high - low) * 1e-9
            return borders
        step = float(self.step)
        moved = low + (np.ceil((borders - low) / step - 1e-9) - 0.5) * step
        moved[-1] = high + step / 2
        return moved

    def finer(self, low: Floats, high: Floats) -> Floats:
        """Into how many even parts cells between these borders are cut: by steps where these are few."""
        if self.step is None:
            return np.full(len(low), float(self.cells))
        return np.clip(np.rint((high - low) / float(self.step)), 1, self.cells)

    def first(self, border: Floats) -> Floats:
        """The smallest value at or above a border."""
        return border if self.step is None else self._step_at(np.ceil(self._steps(border) - 1e-6))

    def last(self, border: Floats) -> Floats:
        """The largest value below a border."""
        return border if self.step is None else self._step_at(np.floor(self._steps(border) + 1e-6))

    def nearest(self, value: Floats) -> Floats:
        """A value that can occur."""
        return value if self.step is None else self._step_at(np.rint(self._steps(value)))

    def _steps(self, value: Floats) -> Floats:
        assert self.step is not None
        return (value - float(self.low)) / float(self.step)

    def _step_at(self, count: Floats) -> Floats:
        assert self.step is not None
        low, by = self.low / self.step, self.step
        # Whole numbers of steps, then one product or quotient: cents come out as cents are written.
        whole = float(low) + count
        return whole * by.numerator / by.denominator


def grid(known: Facts, subject: str, cells: int) -> Grid:
    """The grid of a column with these facts; refuses TYPE, and NO_BOUND without a range."""
    if not known.kind.numeric:
        hint = "give it a number or a date; of texts count the values: GROUP BY x with COUNT(*)"
        hint_zh = "参数须为数字或日期；文本请用 GROUP BY 与 COUNT(*)"
        raise refuse(Code.TYPE, f"{subject}({known.kind.value})", hint, hint_zh)
    low, high = known.range.lo, known.range.hi
    if low is None or high is None or max(abs(low), abs(high)) > 10**15:
        hint = (
            "the owner declares a clip or range, or you bound it: least(greatest(x, 0), 1000), or for dates "
            "greatest(least(x, DATE '2030-12-31'), DATE '2000-01-01')"
        )
        hint_zh = "请数源单位声明 clip 或 range，或自行限定范围，例如 least(greatest(x, 0), 1000)"
        raise refuse(Code.NO_BOUND, subject, hint, hint_zh)
    step = known.scale
    if step is not None and (high - low) / step < MOST_SINGLE:
        low, high = -(-low // step) * step, high // step * step
        return Grid(low, high, step, max(int((high - low) / step), 0) + 1, True)
    if step is not None and (low / step).denominator != 1:
        step = None  # values do not lie on steps from the lower end
    if high - low <= max(abs(low), abs(high)) / ONE_VALUE:
        return Grid(low, low, Fraction(1), 1, True)
    return Grid(low, high, step, cells, False)


def cells_for(groups: int | None, most: int) -> int:
    """How many cells each of so many groups may have, within ``most`` in all: a power of two."""
    room = most // max(groups or FEWEST_CELLS, 1)
    return min(max(1 << (max(room, 1).bit_length() - 1), FEWEST_CELLS), CELLS)


def zoomed_cell(value: Expr, low: Expr, rate: Expr, cells: int) -> Expr:
    """The number of the even part of a cell in which a value lies: ``rate`` parts by unit from ``low`` on."""
    return _numbered(Call("mul", (Call("sub", (value, low)), rate)), cells)


def _numbered(place: Expr, cells: int) -> Expr:
    held = Call("least", (Call("greatest", (Call("floor", (place,)), _real(0))), _real(cells - 1)))
    return Cast(held, Kind.INTEGER)


def _minus(value: Expr, by: Fraction | float) -> Expr:
    return value if by == 0 else Call("sub", (value, _real(by)))


def _real(value: Fraction | float) -> Literal:
    return Literal(Fraction(float(value)), Kind.DOUBLE)
