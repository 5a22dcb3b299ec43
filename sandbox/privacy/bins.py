"""Bins of norms: the same numbers in SQL and here.

Edge k is 2^(k/2) rounded up to a whole number, and a norm n > 0 falls in the first bin whose upper edge holds
it; norms beyond a measure's ``upper`` fall in ``BEYOND``.  A unit in bin k has a norm of at most ``edge(k)``,
whatever binary64 does: up to 2^20 a whole number is never as near to a power as log2 errs (|n^2 - 2^k| >= 1)
and squares of edges are exact; above, the norm is taken larger by 2^-40 of itself, which is more than log2
errs.  There a norm between 2^(k/2) and its rounding falls one bin higher, where clipping at edge k makes it
longer by at most 2^-20 of itself; below, clipping never makes a norm longer.
"""

from __future__ import annotations

import math
from bisect import bisect_left

BEYOND = -1
_EXACT = 2**20
_SLACK = 1 + 2.0**-40


def edge(k: int) -> int:
    """The upper edge of bin ``k``: 1, 2, 2, 3, 4, 6, 8, 12, ..."""
    return math.isqrt((1 << k) - 1) + 1 if k else 1


def edges(upper: int) -> tuple[int, ...]:
    """The distinct edges below ``upper``, and ``upper`` last.  ``ValueError`` if ``upper`` is below 1."""
    if upper < 1:
        raise ValueError("an upper norm is at least 1")
    powers = {edge(k) for k in range(2 * upper.bit_length() + 1)}
    return (*sorted(e for e in powers if e < upper), upper)


def place(k: int, found: tuple[int, ...]) -> int:
    """Where units of bin ``k`` stand among ``found`` edges; ``len(found)`` if beyond the last."""
    return len(found) if k == BEYOND else min(bisect_left(found, edge(k)), len(found) - 1)


def bin_sql(norm: str, upper: str, *, power: int, step_bits: int) -> str:
    """The bin of a positive whole ``norm`` (``power`` 1) or of its square (``power`` 2), as SQL.

    ``upper``: the largest that is not beyond, in the same terms.  The norm counts steps of 2^``step_bits``.
    """
    value = f"CAST({norm} AS DOUBLE)"
    slack = f"CASE WHEN {norm} > {_EXACT**power} THEN CAST('{_SLACK!r}' AS DOUBLE) ELSE 1.0 END"
    exponent = f"CAST(ceil({2 // power} * log2({value} * {slack})) AS INTEGER) + {2 * step_bits}"
    lower = f"ceil(sqrt(pow(CAST(2 AS DOUBLE), {exponent} - 1)))"
    squared = f"{value} * {value}" if power == 1 else value
    fits = f"{squared} * {4**step_bits} <= {lower} * {lower}"
    first = f"CASE WHEN {norm} > 1 AND {norm} <= {_EXACT**power} AND {fits} THEN 1 ELSE 0 END"
    return f"CASE WHEN {norm} <= {upper} THEN {exponent} - {first} ELSE {BEYOND} END"
