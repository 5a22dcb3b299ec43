"""``narrowed``: what a condition says of the columns it tests, as facts of the rows that remain.

``WHERE month <= 6`` over a column with declared values leaves six of them, so that a release by month
has six groups and not twelve.  Only conjuncts over one column with a declared domain are read; the
others say nothing here.  Pure: the values tried are declared ones, never data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sandbox.catalogue import Scalar
from sandbox.sql.expressions import Expr, columns, conjuncts
from sandbox.sql.facts import evaluate
from sandbox.sql.relation import Field


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
    left = tuple(v for v in known.domain if _holds(part, index, v))
    if not left:
        return field
    nullable = known.nullable and _holds(part, index, None)
    return replace(field, facts=replace(known, domain=left, nullable=nullable))


def _holds(part: Expr, index: int, value: Scalar) -> bool:
    row: list[Scalar] = [None] * (index + 1)
    row[index] = value
    return evaluate(part, row) is True
