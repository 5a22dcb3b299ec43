"""``resolve``: a whole query to a relation."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.catalogue import Catalogue
from sandbox.errors import Code, refuse
from sandbox.sql.build import project, set_op
from sandbox.sql.expressions import Col, Sort
from sandbox.sql.growth import Growth
from sandbox.sql.relation import Relation, visible
from sandbox.sql.resolve.literals import whole
from sandbox.sql.resolve.scope import fold, scope_of
from sandbox.sql.resolve.select import limited, read_select
from sandbox.sql.resolve.tables import Place


def resolve(tree: exp.Query, catalogue: Catalogue) -> Relation:
    """The relation that ``tree`` means over ``catalogue``; refuses what it cannot mean (1xx–4xx)."""
    return _query(tree, Place(catalogue, {}, Growth(), _query))


def _query(node: exp.Expr, place: Place) -> Relation:
    place = _with(node, place)
    return place.growth.admit(_read(node, place))


def _read(node: exp.Expr, place: Place) -> Relation:
    match node:
        case exp.Select():
            return read_select(node, place)
        case exp.SetOperation():
            return _set_operation(node, place)
        case exp.Subquery():
            return _reordered(node, place.resolve(node.this))
        case _:
            raise refuse(Code.CONSTRUCT, node.key.upper(), "use SELECT", "请使用 SELECT")


def _with(node: exp.Expr, place: Place) -> Place:
    """The place with the CTEs of the query's WITH clause; each sees those before it."""
    clause = node.args.get("with_")
    for cte in () if clause is None else clause.expressions:
        relation = _query(cte.this, place)
        alias = cte.args["alias"]
        names = [str(c.this) for c in alias.columns]
        if names:
            scope = scope_of(relation, "", names)
            relation = project(relation, [(n.name, Col(n.index)) for n in scope.names])
        place = replace(place, ctes={**place.ctes, fold(str(alias.this.this)): relation})
    return place


OPERATIONS: dict[type[exp.Expr], str] = {exp.Union: "union", exp.Except: "except", exp.Intersect: "intersect"}


def _set_operation(node: exp.SetOperation, place: Place) -> Relation:
    left, right = place.resolve(node.this), place.resolve(node.expression)
    keep_all = not node.args.get("distinct")
    return _reordered(node, set_op(OPERATIONS[type(node)], keep_all, left, right))


def _reordered(node: exp.Expr, relation: Relation) -> Relation:
    """ORDER BY and LIMIT around a whole query: by output names or positions."""
    clause = node.args.get("order")
    sorts: list[Sort] = []
    for item in () if clause is None else clause.expressions:
        ordered = item if isinstance(item, exp.Ordered) else exp.Ordered(this=item)
        index = _output_index(ordered.this, relation)
        sorts.append(Sort(Col(index), bool(ordered.args.get("desc")), bool(ordered.args.get("nulls_first"))))
    return limited(relation, tuple(sorts), node)


def _output_index(node: exp.Expr, relation: Relation) -> int:
    shown = visible(relation)
    position = whole(node, len(shown))
    if position:
        return shown[position - 1]
    if isinstance(node, exp.Column):
        found = scope_of(relation, "").find(node.name)
        if found is not None:
            return found
    raise refuse(Code.UNKNOWN_COLUMN, node.name[:40] if isinstance(node, exp.Column) else "ORDER BY")
