"""How steeply a summand may grow in protected values.

A sum of high powers, of an exponential or of a reciprocal is decided by its largest (or smallest) row: what
it says of everybody else is lost in the noise, so whoever asks for it asks for that row.  Sums may be of
degree two at most (means, variances, products of two measures), arguments of variances of degree one.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.errors import Reason
from sandbox.policy.authorize import reasons
from sandbox.policy.authorize.atoms import Role, Site
from sandbox.sql.expressions import Call, Case, Col, Expr, Literal, children, columns

STEEP = 99
"""The degree of what grows faster than any power that we would allow."""


def moderate(expr: Expr, site: Site, most: int) -> Iterator[Reason]:
    """Why a summand grows too steeply, if it does."""
    if degree(expr, site) > most:
        first = next(site.atoms[i] for i in sorted(columns(expr)) if site.atoms[i].role is not Role.PUBLIC)
        yield reasons.steep(first)


def degree(expr: Expr, site: Site) -> int:
    """The degree of an expression as a polynomial in protected values; conditions count as constants."""
    match expr:
        case Literal():
            return 0
        case Col(index):
            return 0 if site.atoms[index].role is Role.PUBLIC else 1
        case Case(whens, default):
            return max(degree(value, site) for value in (*(v for _, v in whens), default))
        case Call("mul", (left, right)):
            return degree(left, site) + degree(right, site)
        case Call("power", (base, Literal(exponent))) if isinstance(exponent, int):
            return degree(base, site) * exponent
        case Call("div", (value, divisor)):
            return degree(value, site) if degree(divisor, site) == 0 else STEEP
        case Call("exp", (value,)):
            return 0 if degree(value, site) == 0 else STEEP
        case _:
            return max((degree(part, site) for part in children(expr)), default=0)
