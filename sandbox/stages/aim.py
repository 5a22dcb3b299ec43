"""Asking by accuracy: the smallest epsilon predicted to meet a wanted half-width, or why there is none.

Only public facts are used: declarations, and what has been released and is kept.  No data are looked at, so
the epsilon that is found says nothing about them.  Noise falls as the square root of what is spent (or in
proportion to it, under pure epsilon), so a kept answer to the same question tells how wide a dearer one will
be, clipping included; without one, the declared norms tell how wide its noise is at most.  A relative target
needs a magnitude, which only a kept answer gives: that of its middle cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Final

import pyarrow as pa

from sandbox.context import Context
from sandbox.errors import Code, Refusal, refuse
from sandbox.model import Within
from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import SMALLEST_EPSILON, Measure
from sandbox.privacy.explain import measured, predicted_width
from sandbox.privacy.margins import with_margins
from sandbox.privacy.plan import Plan, Priced, plan
from sandbox.sql.relation import Relation, visible
from sandbox.stages.releases import best_kept

STEP: Final = SMALLEST_EPSILON
"""Epsilons that are tried are multiples of this."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A kept release: what was paid for it, and its table."""

    nano: int
    table: pa.Table


def aim(relation: Relation, within: Within, guard: DpGuard, context: Context) -> Fraction:
    """The smallest epsilon, at most the grant's per query, that meets the target; refuses WITHIN."""
    most = int(guard.query / STEP)
    best = plan(relation, guard, most * STEP)
    kept = {p.release.identity: _known(p, context) for p in best.priced}
    reach = _reach(best, kept, within)
    if reach > within.amount:
        shown = f"{100 * reach:.3g} %" if within.relative else f"{reach:.6g}"
        raise _cannot(
            f"{shown} at epsilon {float(most * STEP):g}",
            "that is the best this grant promises in one query; ask for less, or for fewer or coarser groups",
            "这已是该授权单次查询所能保证的最高准确度；请放宽要求，或减少分组与列",
        )
    low, high = 0, most  # the target is met at ``high``, and not known to be at ``low``
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _met(relation, within, guard, kept, middle * STEP) else (middle, high)
    return high * STEP


def _met(
    relation: Relation, within: Within, guard: DpGuard, kept: dict[str, _Known | None], epsilon: Fraction
) -> bool:
    try:
        return _reach(plan(relation, guard, epsilon), kept, within) <= within.amount
    except Refusal:  # too little for so many parts
        return False


def _known(priced: Priced, context: Context) -> _Known | None:
    found = best_kept(priced, context)
    return None if found is None else _Known(*found)


def _reach(planned: Plan, kept: dict[str, _Known | None], within: Within) -> float:
    """The widest of the noisy columns' half-widths, as the target counts it."""
    _, places = with_margins(planned.post)
    shown = visible(planned.post)
    widths = [_column(planned, shown[position], position, kept, within) for position in places]
    return max(widths, default=0.0)


def _column(
    planned: Plan, index: int, position: int, kept: dict[str, _Known | None], within: Within
) -> float:
    source = measured(planned, index)
    if source is None or planned.priced[source[0]].release.face is not None:
        raise _cannot(
            f"column {position + 1} is computed from released values",
            "ask for the counts and sums themselves, or give an epsilon",
            "请直接查询计数与合计，或改用 epsilon",
        )
    priced, j = planned.priced[source[0]], source[1]
    found = kept[priced.release.identity]
    width = _width(priced, planned.measure, j, found)
    if not within.relative:
        return width
    magnitude = None if found is None else _middle(_values(priced, found, j))
    if not magnitude:
        raise _cannot(
            f"how large column {position + 1} is, is not public",
            "ask within an amount, such as 100; or ask once with a small epsilon, which makes it public",
            "请改用绝对误差（如 100），或先以较小 epsilon 查询一次，使其量级成为公开事实",
        )
    return width / magnitude


def _width(priced: Priced, measure: Measure, j: int, found: _Known | None) -> float:
    """The predicted half-width of a measure: the kept answer's where that comes back, else scaled from it."""
    declared = predicted_width(priced, measure, j)
    width = None if found is None else _middle(_widths(priced, found, j))
    if found is None or width is None:
        return declared
    if found.nano >= priced.nano:
        return width
    ratio = found.nano / priced.nano
    return min(declared, width * (ratio if measure is Measure.PURE else math.sqrt(ratio)))


def _middle(values: list[float | None]) -> float | None:
    known = [abs(v) for v in values if v is not None and math.isfinite(v)]
    return median(known) if known else None


def _values(priced: Priced, found: _Known, j: int) -> list[float | None]:
    values: list[float | None] = found.table.column(len(priced.release.keys) + j).to_pylist()
    return values


def _widths(priced: Priced, found: _Known, j: int) -> list[float | None]:
    return _values(priced, found, len(priced.release.measures) + j)


def _cannot(subject: str, hint: str, hint_zh: str) -> Refusal:
    return refuse(Code.WITHIN, subject, hint, hint_zh)
