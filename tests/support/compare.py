"""Answers of an engine beside the oracle's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sandbox.sql import expressions
from sandbox.sql.expressions import Call
from sandbox.sql.relation import Aggregate, Order, Project, Relation, Window, walk

Row = tuple[Any, ...]


def shown(value: Any) -> str:
    """A text that is equal for values that are equal up to rounding."""
    if isinstance(value, float):
        return f"{value + 0.0:.9g}"
    return f"{type(value).__name__} {value!r}"


def alike(a: Any, b: Any) -> bool:
    """Equal, or reals that are equal up to rounding."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9)
    return type(a) is type(b) and bool(a == b)


def in_order(relation: Relation) -> bool:
    """Whether the relation says an order of its rows."""
    return isinstance(relation, Order) or (isinstance(relation, Project) and in_order(relation.input))


def hangs_on_ties(relation: Relation) -> bool:
    """Whether its rows may depend on how ties in an ordering are broken, which SQL leaves open.

    Compiled texts break them by all columns, so a rewriting that drops a column may break them otherwise.
    """
    return any(
        isinstance(node, Window)
        or (isinstance(node, Order) and (node.limit is not None or node.offset > 0))
        or (isinstance(node, Aggregate) and any(a.by is not None for a in node.aggs))
        for node in walk(relation)
    )


def clamps(relation: Relation) -> int:
    """How many values are held to their declared clips as they are aggregated."""
    aggs = [a for node in walk(relation) if isinstance(node, Aggregate) for a in node.aggs]
    parts = [part for a in aggs if a.arg is not None for part in expressions.walk(a.arg)]
    return sum(isinstance(part, Call) and part.name == "clamp" for part in parts)


def comparable(asked: Relation, rewritten: Relation) -> Relation | None:
    """The question as asked, where its rows must be those of its rewritten form; else ``None``.

    A clip holds for a value on its way into an aggregate, through subqueries too: rewriting is what finds the way.
    """
    return None if hangs_on_ties(asked) or clamps(rewritten) > clamps(asked) else asked


def difference(relation: Relation, answer: Sequence[Row], wanted: Sequence[Row]) -> str | None:
    """What is not the same in two answers to one relation."""
    if not in_order(relation):
        answer, wanted = (sorted(rows, key=lambda r: [shown(v) for v in r]) for rows in (answer, wanted))
    if len(answer) != len(wanted):
        return f"{len(answer)} rows, not {len(wanted)}"
    for got, want in zip(answer, wanted, strict=True):
        if not all(alike(a, b) for a, b in zip(got, want, strict=True)):
            return f"{got!r} is not {want!r}"
    return None
