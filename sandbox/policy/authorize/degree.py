"""How steeply a summand may grow in protected values.

A sum of high powers, of an exponential or of a reciprocal is decided by its largest (or smallest) row: what
it says of everybody else is lost in the noise, so whoever asks for it asks for that row.  Sums may be of
degree two at most (means, variances, products of two measures), arguments of variances of degree one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from sandbox.errors import Reason
from sandbox.policy.authorize import reasons
from sandbox.policy.authorize.atoms import Role, Site
from sandbox.sql.expressions import Call, Case, Col, Expr, Literal, children, columns
from sandbox.sql.facts import facts_of

STEEP = 99
"""The degree of what grows faster than any power that we would allow."""
STEADY = 2
"""A factor whose largest value is at most so many times its smallest does not count."""


def moderate(expr: Expr, site: Site, most: int) -> Iterator[Reason]:
    """Why a summand grows too steeply, if it does."""
    if degree(expr, site) > most:
        first = next(site.atoms[i] for i in sorted(columns(expr)) if site.atoms[i].role is not Role.PUBLIC)
        yield reasons.steep(first)


def _factors(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Call("mul", args):
            return tuple(factor for arg in args for factor in _factors(arg))
        case _:
            return (expr,)


def _ratio(expr: Expr, site: Site) -> Fraction | None:
    """How many times the smallest value the largest is, by declared ranges; ``None``: any number."""
    known = facts_of(expr, {i: site.atoms[i].facts for i in columns(expr)})
    low, high = known.range.lo, known.range.hi
    return None if low is None or high is None or low <= 0 else high / low


def _product(factors: tuple[Expr, ...], site: Site) -> int:
    """Factors that hardly vary (a discount's 1 - d, a tax's 1 + t) let no row stand out, while all of them
    together vary little."""
    ratios = {factor: _ratio(factor, site) for factor in factors}
    steady = [r for factor in factors if (r := ratios[factor]) is not None and r <= STEADY]
    free = math.prod(steady) <= STEADY
    return sum(
        degree(f, site) for f in factors if not (free and (r := ratios[f]) is not None and r <= STEADY)
    )


def degree(expr: Expr, site: Site) -> int:
    """The degree of an expression as a polynomial in protected values; conditions count as constants."""
    match expr:
        case Literal():
            return 0
        case Col(index):
            return 0 if site.atoms[index].role is Role.PUBLIC else 1
        case Case(whens, default):
            return max(degree(value, site) for value in (*(v for _, v in whens), default))
        case Call("mul"):
            return _product(_factors(expr), site)
        case Call("power", (base, Literal(exponent))) if isinstance(exponent, int):
            return degree(base, site) * exponent
        case Call("div", (value, divisor)):
            return degree(value, site) if degree(divisor, site) == 0 else STEEP
        case Call("exp", (value,)):
            return 0 if degree(value, site) == 0 else STEEP
        case _:
            return max((degree(part, site) for part in children(expr)), default=0)
