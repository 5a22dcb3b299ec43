"""Views: every field of a private relation as an expression over atoms.

Projections, keys of per-unit groupings, MIN/MAX and LAG pass values on, so what a query does with them
above is judged as if it did it to the stored column: where a column is *consumed* decides.  A UNION ALL
has one view for each branch, and what stands above must be allowed over all of them.

Invariant: tracing ends.  A query whose traced expressions grow past ``MOST_NODES`` or ``MOST_DEPTH``, or
whose branches multiply past ``MOST_VIEWS``, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.errors import Code, refuse
from sandbox.policy.authorize.atoms import Atom, Role
from sandbox.sql.expressions import Agg, Col, Expr, Win, children, substitute
from sandbox.sql.relation import (
    Aggregate,
    Field,
    Join,
    Project,
    Relation,
    Scan,
    SemiJoin,
    SetOp,
    Window,
    inputs,
)

MOST_NODES = 4_000
MOST_DEPTH = 250
MOST_VIEWS = 64
CARRIERS = frozenset({"min", "max", "arg_min", "arg_max", "lag", "lead", "first_value", "last_value"})
COUNTERS = frozenset({"count", "count_star", "row_number", "rank", "dense_rank", "ntile"})

View = tuple[Expr, ...]


def over(expr: Expr, view: View) -> Expr:
    """The expression rewritten over atoms; refused where that grows too large or too deep."""
    traced = substitute(expr, view)
    # By hand, not by recursion: a chain of CTEs nests deeper than any one text may.
    waiting, nodes = [(traced, 1)], 0
    while waiting:
        part, depth = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES or depth > MOST_DEPTH:
            raise refuse(Code.TEXT_NESTING, "an expression grows too large")
        waiting.extend((child, depth + 1) for child in children(part))
    return traced


class Tracer:
    """Views of relations, each computed once.  ``atoms`` grows as relations are traced."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        # Keyed by identity: equal scans of a self-join are different rows.  The relation is kept beside
        # its views so that no identity is used twice.
        self._known: dict[int, tuple[Relation, tuple[View, ...]]] = {}

    def views(self, relation: Relation) -> tuple[View, ...]:
        """The ways in which each field of the relation comes from atoms."""
        known = self._known.get(id(relation))
        if known is None:
            known = self._known[id(relation)] = (relation, self._trace(relation))
        return known[1]

    def beside(self, left: Relation, right: Relation) -> tuple[View, ...]:
        """The views of both relations' fields, the left's first."""
        lefts, rights = self.views(left), self.views(right)
        if len(lefts) * len(rights) > MOST_VIEWS:
            raise self._branches()
        return tuple((*one, *two) for one in lefts for two in rights)

    def _trace(self, relation: Relation) -> tuple[View, ...]:
        if relation.privacy is None:
            return (tuple(self._atom(_public(field)) for field in relation.fields),)
        match relation:
            case Scan():
                return (tuple(self._atom(_stored(field)) for field in relation.fields),)
            case Project():
                return tuple(
                    tuple(over(expr, view) for expr in relation.exprs) for view in self.views(relation.input)
                )
            case Join():
                return self.beside(relation.left, relation.right)
            case SemiJoin():
                return self.views(relation.left)
            case Aggregate():
                return tuple(self._grouped(relation, view) for view in self.views(relation.input))
            case Window():
                return tuple(
                    (*view, *self._made(relation.wins, relation.fields[len(view) :], view))
                    for view in self.views(relation.input)
                )
            case SetOp():
                branches = (*self.views(relation.left), *self.views(relation.right))
                if len(branches) > MOST_VIEWS:
                    raise self._branches()
                return branches
            case _:
                (below,) = inputs(relation)
                return self.views(below)

    def _grouped(self, node: Aggregate, view: View) -> View:
        keys = tuple(over(key, view) for key in node.keys)
        return (*keys, *self._made(node.aggs, node.fields[len(keys) :], view))

    def _made(self, makers: Sequence[Agg | Win], fields: Sequence[Field], view: View) -> View:
        return tuple(self._value(maker, field, view) for maker, field in zip(makers, fields, strict=True))

    def _value(self, maker: Agg | Win, field: Field, view: View) -> Expr:
        arg = carried(maker)
        if arg is not None:
            return over(arg, view)
        role = Role.COUNT if maker.name in COUNTERS else Role.DERIVED
        return self._atom(Atom(role, field.facts.kind))

    def _atom(self, atom: Atom) -> Col:
        self.atoms.append(atom)
        return Col(len(self.atoms) - 1)

    @staticmethod
    def _branches() -> Exception:
        hint, hint_zh = "aggregate each branch first, then combine", "请先分别聚合各分支，再合并"
        return refuse(Code.SET_OPERATION, "UNION ALL", hint, hint_zh)


def carried(maker: Agg | Win) -> Expr | None:
    """The value that an aggregate or window function passes on unchanged, if it does."""
    if maker.name not in CARRIERS:
        return None
    return maker.arg if isinstance(maker, Agg) else maker.args[0]


def _public(field: Field) -> Atom:
    source = field.source
    shown = source if source is not None and source.table.public else None
    return Atom(Role.PUBLIC, field.facts.kind, shown)


def _stored(field: Field) -> Atom:
    role = Role.UNIT if field.unit_scope else Role.STORED
    return Atom(role, field.facts.kind, field.source, field.unit_scope, field.hidden)
