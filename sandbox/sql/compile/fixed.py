"""Sums of one unit's values that no other unit's rows can move.

Binary64 addition is not associative, so DuckDB's sum of reals depends on how rows fall into chunks and
threads, which the rows of *other* units decide.  A last bit is enough to flip ``HAVING sum(x) > 10`` for
everybody, and then one unit moves all others.  Per-unit sums and moments are therefore sums of integers:
values in steps of a power of two, or of their declared granularity, added exactly in 128 bits.

For the same reason zero has one sign wherever one row speaks for several that are equal.
"""

from __future__ import annotations

from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.sql.expressions import Facts
from sandbox.sql.moments import SPREADS, step

POSITIVE_ZERO = "CAST('0.0' AS DOUBLE)"


def plain_zero(text: str, kind: Kind) -> str:
    """The same value, with -0.0 as 0.0: the two are equal, and which is met first is chance."""
    return f"({text} + {POSITIVE_ZERO})" if kind is Kind.DOUBLE else text


def moment_text(name: str, arg: str, known: Facts, after: str) -> str:
    """``sum``, ``avg``, ``var_*`` or ``stddev_*`` of one unit's values; ``after``: FILTER or OVER."""
    unit = step(known, name)
    assert unit is not None, "refused when the aggregate was built"
    q = _steps(arg, known, unit)
    total = f"sum({q}){after}"
    if name == "sum":
        return _times(f"CAST({total} AS DOUBLE)", unit)
    count = f"count({q}){after}"
    if name == "avg":
        return _times(f"CAST({total} AS DOUBLE) / {count}", unit)
    squares = f"sum(CAST({q} AS HUGEINT) * {q}){after}"
    # count * squares - total^2, exactly: the values have 32 bits, so 2^31 rows fit in 128.
    off = f"CAST(CAST({count} AS HUGEINT) * {squares} - {total} * {total} AS DOUBLE)"
    least = 1 if name.endswith("pop") else 2
    below = f"CAST({count} AS DOUBLE) * CAST({count} - {least - 1} AS DOUBLE)"
    variance = f"CASE WHEN {count} >= {least} THEN {_times(f'{off} / ({below})', unit * unit)} END"
    return f"sqrt({variance})" if name in SPREADS else f"({variance})"


def _steps(arg: str, known: Facts, unit: Fraction) -> str:
    if known.kind is Kind.INTEGER and unit == 1:
        return arg
    value = f"CAST({arg} AS DOUBLE)" if known.kind is Kind.INTEGER else arg
    return f"TRY_CAST(round({_times(value, 1 / unit)}) AS BIGINT)"


def _times(text: str, factor: Fraction) -> str:
    """The product, by a division where that rounds once only (1/100)."""
    if factor == 1:
        return text
    if factor.numerator == 1:
        return f"({text}) / {_double(factor.denominator)}"
    if factor.denominator == 1:
        return f"({text}) * {_double(factor.numerator)}"
    return f"({text}) * {_double(factor.numerator)} / {_double(factor.denominator)}"


def _double(value: int) -> str:
    return f"CAST('{float(value)!r}' AS DOUBLE)"
