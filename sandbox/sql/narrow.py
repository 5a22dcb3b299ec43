"""``narrowed``: what a condition says of the columns it tests, as facts of the rows that remain.

``WHERE month <= 6`` over a column with declared values leaves six of them, so that a release by month
has six groups and not twelve.  Only conjuncts over one column with a declared domain are read; the
others say nothing here.  Pure: the values tried are declared ones, never data.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from sandbox.catalogue import Kind, Range, Scalar
from sandbox.sql.expressions import Call, Col, Expr, Facts, Literal, columns, conjuncts
from sandbox.sql.facts import evaluate, outcomes
from sandbox.sql.relation import Field

_ORDERING: Final = frozenset({"lt", "le", "gt", "ge"})
_FEW: Final = 8
"""Domains up to this size are tried value by value."""


def narrowed(fields: Sequence[Field], predicate: Expr) -> tuple[Field, ...]:
    """The fields of rows for which ``predicate`` is true.

    A domain is never narrowed to nothing: the empty one stands for the type of NULL.
    """
    found = list(fields)
    for part in conjuncts(predicate):
        used = columns(part)
        if len(used) == 1:
            (index,) = used
            found[index] = _tested(found[index], part, index)
    return tuple(found)


def _tested(field: Field, part: Expr, index: int) -> Field:
    known = field.facts
    if known.domain is None:
        return field
    left = _between(known.domain, part, index)
    null = False  # nothing compares with NULL
    if left is None:
        left, null = _each(known, part, index)
    if not left:
        return field
    return replace(field, facts=replace(known, domain=left, nullable=null, range=_span(known, left)))


def _span(known: Facts, left: Sequence[Scalar]) -> Range:
    """The range of what is left, where values have one: parts of dates derive theirs from it."""
    if known.kind is Kind.DATE:
        days = [v.toordinal() for v in left if isinstance(v, dt.date)]
        return Range(Fraction(min(days)), Fraction(max(days)))
    if known.kind is Kind.INTEGER:
        whole = [v for v in left if isinstance(v, int)]
        return Range(Fraction(min(whole)), Fraction(max(whole)))
    return known.range


def _each(known: Facts, part: Expr, index: int) -> tuple[tuple[Scalar, ...], bool]:
    """The values for which a condition is true, in their order, and whether it is for NULL."""
    found = outcomes(part, index, known)
    domain = known.domain or ()
    left = tuple(value for value, outcome in zip(domain, found, strict=False) if outcome is True)
    return left, len(found) > len(domain) and found[-1] is True


def _between(domain: tuple[Any, ...], part: Expr, index: int) -> tuple[Scalar, ...] | None:
    """What a comparison with a constant leaves of ascending values; ``None`` if it is not of that form.

    It is then true on one side of some value and nowhere else, so few values need be tried.
    """
    if len(domain) <= _FEW or not _compares(part) or not all(a < b for a, b in pairwise(domain)):
        return None
    first, last = (_holds(part, index, domain[i]) for i in (0, -1))
    if first == last:
        return domain if first else ()
    turn = bisect_left(domain, True, key=lambda value: _holds(part, index, value) is last)
    return domain[turn:] if last else domain[:turn]


def _compares(part: Expr) -> bool:
    if not (isinstance(part, Call) and part.name in _ORDERING):
        return False
    return {type(arg) for arg in part.args} == {Col, Literal}


def _holds(part: Expr, index: int, value: Scalar) -> bool:
    row: list[Scalar] = [None] * (index + 1)
    row[index] = value
    return evaluate(part, row) is True
