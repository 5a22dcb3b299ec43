"""The fixed-point form of a measure: scale, clamp and the largest cap that could be needed."""

from __future__ import annotations

from fractions import Fraction

from sandbox.errors import Code, refuse
from sandbox.privacy.desugar import Base
from sandbox.privacy.release import Bounding, Measure, What
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Relation, facts

LARGEST_CAP = 2**50
FINE_STEPS = 10**7
ONE = Fraction(1)
SMALL = 8
EXCEEDED = 2**12
"""How many times the declared norm a search looks at, ..."""
FAR = 2**38
"""... up to this, since norms over groups are summed in steps of 2^-39 of the largest (``statements``)."""


def measure(base: Base, below: Relation, bounding: Bounding, rows: int | None, groups: int | None) -> Measure:
    """The measure of one sum.

    ``rows``: most rows a unit is expected to bring (1 where that is enforced); ``groups``: number of
    declared groups.  Refuses NO_BOUND where a value has no derived bounds.
    """
    if base.what is What.SUM:
        return _sum(base, below, bounding, rows)
    most = min(_most(base, bounding, rows, groups), LARGEST_CAP)
    search = _search(base, bounding, most)
    upper = _upper(most, search)
    return Measure(base.what, base.value, base.where, Fraction(0), ONE, ONE, upper, search, most)


def _upper(declared: int, search: bool) -> int:
    """A search looks further than what is declared, and so finds where that is exceeded."""
    return max(min(declared * EXCEEDED, FAR), declared) if search else declared


def _most(base: Base, bounding: Bounding, rows: int | None, groups: int | None) -> int:
    if bounding is Bounding.ROW:
        return 1
    expected = rows if rows is not None else 2**30
    if base.what in (What.ROWS, What.DISTINCT):
        return expected
    if bounding is Bounding.UNIT:
        return 1
    return min(expected, groups) if groups is not None else expected


def _search(base: Base, bounding: Bounding, most: int) -> bool:
    # A search costs a fifth of the measure's budget; a small cap cannot repay that.
    return (
        bounding is not Bounding.ROW
        and most > SMALL
        and not (base.what is What.UNITS and bounding is Bounding.UNIT)
    )


def _sum(base: Base, below: Relation, bounding: Bounding, rows: int | None) -> Measure:
    assert base.value is not None
    known = facts_of(base.value, facts(below))
    low, high = known.range.lo, known.range.hi
    if low is None or high is None:
        hint = "the owner declares a clip or range, or you bound it: least(greatest(x, 0), 1000)"
        raise refuse(Code.NO_BOUND, "SUM / AVG", hint, "请数源单位声明 clip 或 range，或自行限定范围")
    largest = max(abs(low), abs(high), Fraction(1, 10**9))
    if largest > 10**30:
        raise refuse(
            Code.NO_BOUND, "SUM / AVG", "its bounds are too wide to be useful", "其界限过宽，无法使用"
        )
    scale = _scale(known.scale, largest, ONE if rows is None else Fraction(rows))
    expected = 1 if bounding is Bounding.ROW else (rows if rows is not None else 2**20)
    most = max(min(int(largest / scale) * expected, LARGEST_CAP), 1)
    search = bounding is not Bounding.ROW and expected > 1
    return Measure(What.SUM, base.value, base.where, low, high, scale, _upper(most, search), search, most)


def _scale(exact: Fraction | None, largest: Fraction, rows: Fraction) -> Fraction:
    """The declared granularity, coarsened (or, for general reals, chosen) so that caps stay small.

    A chosen one is a power of ten that cuts the largest value into 10^7 to 10^8 steps.
    """
    if exact is not None and largest * rows / exact < LARGEST_CAP:
        return exact
    step = ONE
    while step * FINE_STEPS * 10 <= largest:
        step *= 10
    while step * FINE_STEPS > largest:
        step /= 10
    return step
