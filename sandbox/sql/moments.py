"""The granularity in which one unit's values are summed: see ``compile.fixed`` for why."""

from __future__ import annotations

from fractions import Fraction

from sandbox.sql.expressions import Facts

SPREADS = frozenset({"stddev_samp", "stddev_pop"})
SQUARED = frozenset({"var_samp", "var_pop"}) | SPREADS
MOMENTS = frozenset({"sum", "avg"}) | SQUARED
LINEAR_BITS = 60
"""Values of sums and means have so many bits: 2^67 of them add up in 128."""
SQUARED_BITS = 32
"""Values of variances: count * sum of squares of 2^31 of them has 126."""
WIDEST = Fraction(10) ** 30


def step(known: Facts, name: str) -> Fraction | None:
    """The step of the values of ``name(x)``: declared, or a power of two; ``None`` if x has no bounds.

    Whole numbers are summed as they are, whatever their range.
    """
    low, high = known.range.lo, known.range.hi
    if name not in SQUARED and known.scale == 1 and known.kind.value == "integer":
        return known.scale
    if low is None or high is None:
        return None
    largest = max(abs(low), abs(high))
    bits = SQUARED_BITS if name in SQUARED else LINEAR_BITS
    if known.scale is not None and largest <= known.scale * 2**bits:
        return known.scale
    return _power(largest / 2**bits) if largest <= WIDEST else None


def _power(least: Fraction) -> Fraction:
    """The smallest power of two that is at least ``least``."""
    exponent = least.numerator.bit_length() - least.denominator.bit_length() - 1
    while Fraction(2) ** exponent < least:
        exponent += 1
    return Fraction(2) ** exponent
