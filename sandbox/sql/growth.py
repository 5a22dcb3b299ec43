"""How large a query would grow if every shared part were written out: counted without writing it out.

A CTE may be used many times, and an expression over it may name one column many times, so a short text
can stand for a relation of any size.  ``Growth.admit`` stands in front of every relation that a query
names: what it admits can be walked, simplified and compiled in bounded time and stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Col, Expr, agg_exprs, children, win_exprs
from sandbox.sql.relation import (
    Aggregate,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    SemiJoin,
    SetOp,
    Window,
    inputs,
)

MOST_NODES = 2_000
MOST_LEVELS = 150
MOST_PARTS = 20_000
MOST_EXPRESSION = 2_000
MOST_DEPTH = 80


@dataclass(frozen=True, slots=True)
class Size:
    """Parts of an expression, and how deep they are nested."""

    parts: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Grown:
    """A relation's size with everything written out.

    ``parts`` counts those of all its expressions; ``fields`` has the size of what each field stands for.
    """

    nodes: int
    levels: int
    parts: int
    fields: tuple[Size, ...]


class Growth:
    """Sizes of the relations of one query, each counted once."""

    def __init__(self) -> None:
        # By identity, and kept alive so that no identity is used twice.
        self._known: dict[int, tuple[Relation, Grown]] = {}

    def admit(self, relation: Relation) -> Relation:
        """The relation itself; refuses (TEXT_NESTING) one that would grow too large."""
        self._grown(relation)
        return relation

    def _grown(self, relation: Relation) -> Grown:
        found = self._known.get(id(relation))
        if found is not None:
            return found[1]
        below = [self._grown(r) for r in inputs(relation)]
        over = tuple(f for b in below for f in b.fields)
        sizes = [_size(e, over) for e in _expressions(relation)]
        grown = Grown(
            1 + sum(b.nodes for b in below),
            1 + max((b.levels for b in below), default=0),
            sum(s.parts for s in sizes) + sum(b.parts for b in below),
            _fields(relation, below, sizes),
        )
        _check(grown, sizes)
        self._known[id(relation)] = (relation, grown)
        return grown


def _check(grown: Grown, sizes: Sequence[Size]) -> None:
    counts = (
        ("relations", grown.nodes, MOST_NODES),
        ("relation depth", grown.levels, MOST_LEVELS),
        ("all expressions", grown.parts, MOST_PARTS),
        ("expression size", max((s.parts for s in sizes), default=0), MOST_EXPRESSION),
        ("expression depth", max((s.depth for s in sizes), default=0), MOST_DEPTH),
    )
    for name, count, most in counts:
        if count > most:
            raise refuse(Code.TEXT_NESTING, f"{name} > {most}")


def _size(expr: Expr, fields: Sequence[Size]) -> Size:
    if isinstance(expr, Col):
        return fields[expr.index]
    parts = [_size(e, fields) for e in children(expr)]
    return Size(1 + sum(p.parts for p in parts), 1 + max((p.depth for p in parts), default=0))


def _expressions(relation: Relation) -> tuple[Expr, ...]:
    match relation:
        case Filter():
            return (relation.predicate,)
        case Project():
            return relation.exprs
        case Join() | SemiJoin():
            return (relation.on,)
        case Aggregate():
            return (*relation.keys, *(e for a in relation.aggs for e in agg_exprs(a)))
        case Window():
            return tuple(e for w in relation.wins for e in win_exprs(w))
        case Order():
            return tuple(s.expr for s in relation.by)
        case _:
            return ()


def _fields(relation: Relation, below: Sequence[Grown], sizes: Sequence[Size]) -> tuple[Size, ...]:
    match relation:
        case Project():
            return tuple(sizes)
        case Aggregate() | SetOp():
            return (Size(),) * len(relation.fields)
        case _:
            # Fields of the inputs in order, and then those that the node computes and names anew.
            kept = tuple(f for b in below for f in b.fields)[: len(relation.fields)]
            return (*kept, *(Size(),) * (len(relation.fields) - len(kept)))
