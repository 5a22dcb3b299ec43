"""Rows that noise chose out of more: how much wider their intervals are.

A row chosen by a noisy value keeps its own interval, widened: the largest of many noisy values is likely one
whose noise was large.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.privacy.widths import Margin, is_noisy
from sandbox.sql.expressions import Call, Col, Expr, Facts, Literal, Win
from sandbox.sql.relation import Field, Filter, Order, Project, Relation, Window

LN20 = Fraction(2995732, 1000000)
"""ln(1 / 0.05)."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A relation whose noisy fields have margin fields beside them.

    ``alone``: no noise stands in two rows, so sums over rows add in quadrature.  ``chosen``: noise decided
    which rows these are, so nothing computed over all of them has an interval."""

    relation: Relation
    margins: dict[int, Margin]
    alone: bool
    chosen: bool = False


def chooses(relation: Filter | Order, margins: dict[int, Margin]) -> bool:
    """Whether a noisy value decides which rows are kept."""
    if isinstance(relation, Filter):
        return is_noisy((relation.predicate,), margins)
    return (relation.limit is not None or relation.offset > 0) and is_noisy(
        [s.expr for s in relation.by], margins
    )


def widened(relation: Filter | Order, below: Carried) -> Carried:
    """Rows that noise chose out of more: each interval is widened so that of those shown 95 % still hold.

    With R of N rows shown, each stands at 1 - 0.05 R / N (Benjamini and Yekutieli 2005, theorem 1).  For a
    Laplace error that is 1 + ln(N / R) / ln 20 times the half-width at 95 %, and less for a normal one.
    """
    width = len(below.relation.fields)
    counted, every = _counted(below.relation), Col(width)
    if isinstance(relation, Filter):
        kept = _counted(replace(relation, input=counted, fields=counted.fields))
        scaled = _scaled(kept, below, _wider(every, Col(width + 1)))
        return Carried(scaled, below.margins, below.alone, True)
    shown: Expr = Call("greatest", (Call("sub", (every, _whole(relation.offset))), _whole(1)))
    if relation.limit is not None:
        shown = Call("greatest", (Call("least", (every, _whole(relation.limit))), _whole(1)))
    scaled = _scaled(counted, below, _wider(every, shown))
    return Carried(replace(relation, input=scaled, fields=scaled.fields), below.margins, below.alone, True)


def _whole(value: int) -> Expr:
    return Literal(value, Kind.INTEGER)


def _real(value: int) -> Expr:
    return Literal(Fraction(value), Kind.DOUBLE)


def _counted(relation: Relation) -> Window:
    """The relation with the number of its rows beside each."""
    count = Field("", Facts(Kind.INTEGER, False), hidden=True)
    return Window(relation, (Win("count_star", ()),), (*relation.fields, count), None)


def _wider(every: Expr, shown: Expr) -> Expr:
    """How many times wider intervals of ``shown`` out of ``every`` rows are."""
    odds = Call("greatest", (Call("div", (every, shown)), _real(1)))
    return Call("add", (_real(1), Call("div", (Call("ln", (odds,)), Literal(LN20, Kind.DOUBLE)))))


def _scaled(relation: Relation, below: Carried, factor: Expr) -> Relation:
    """The fields of ``below`` again, half-widths times the factor."""
    places = {m.column for m in below.margins.values()}
    exprs = tuple(
        Call("mul", (Col(i), factor)) if i in places else Col(i) for i in range(len(below.relation.fields))
    )
    return Project(relation, exprs, below.relation.fields, None)
