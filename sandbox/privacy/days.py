"""Dates as whole days, and moments as whole seconds, since the beginning of year 1: what a grid can cut.

Half-widths of both are in days.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.sql.expressions import Call, Expr, Facts, Literal

DAY: Final = 86_400
_FIRST: Final = dt.date(1, 1, 1)
_EPOCH: Final = (dt.date(1970, 1, 1) - _FIRST).days


def counted(value: Expr, known: Facts) -> tuple[Expr, Facts]:
    """A date or moment as a whole number, with its range; a number as it is."""
    if not known.kind.temporal:
        return value, known
    unit = "day" if known.kind is Kind.DATE else "second"
    since = Call("date_diff", (Literal(unit, Kind.STRING), Literal(_FIRST, Kind.DATE), value))
    return since, Facts(Kind.INTEGER, known.nullable, _numbers(known), Fraction(1))


def _numbers(known: Facts) -> Range:
    """A range of days (``date.toordinal``, of which the last is whole) in the numbers counted here."""
    low, high = known.range.lo, known.range.hi
    if low is None or high is None:
        return UNBOUNDED
    if known.kind is Kind.DATE:
        return Range(low - 1, high - 1)
    return Range(Fraction((low // 1 - 1) * DAY), Fraction(high // 1 * DAY - 1))


def times(numbers: npt.NDArray[np.int64], kind: Kind, missing: npt.NDArray[np.bool_]) -> pa.Array:
    """The dates or moments that these numbers count."""
    if kind is Kind.DATE:
        return pa.array((numbers - _EPOCH).astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())
    micros = (numbers - _EPOCH * DAY) * 10**6
    return pa.array(micros, pa.int64(), mask=missing).cast(pa.timestamp("us"))


def in_days(kind: Kind) -> float:
    """How many days one of these numbers is; of plain numbers, one."""
    return 1 / DAY if kind is Kind.TIMESTAMP else 1.0


def spelled(number: Fraction, kind: Kind) -> str:
    """The date or moment that a number counts, for people."""
    days, seconds = divmod(int(number), DAY if kind is Kind.TIMESTAMP else 1)
    day = _FIRST + dt.timedelta(days=days)
    return str(day) if kind is Kind.DATE else f"{day} {dt.timedelta(seconds=seconds)}"
