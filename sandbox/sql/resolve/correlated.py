"""Scalar subqueries that mention the enclosing query: ``x < (SELECT avg(y) FROM t WHERE t.k = outer.k)``.

They are written as what they mean: the subquery grouped by its side of the equalities, joined to the outer
rows that it is asked for.  An outer row without a partner finds NULL, or 0 for a count.

If the grouping is a release, only keys that an outer row can ask for are released, where public tables say
which these are (``listed``); no answer changes by that, since no other is ever looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.build import aggregate, join, semi_join
from sandbox.sql.expressions import Agg, Call, Col, Expr, Literal, conjunction, substitute
from sandbox.sql.facts import facts_of
from sandbox.sql.listed import listed
from sandbox.sql.relation import Relation, visible
from sandbox.sql.resolve.calls import read_aggregate
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.layers import LayerReader, aggregates_in
from sandbox.sql.resolve.reader import Reader
from sandbox.sql.resolve.scope import Scope
from sandbox.sql.resolve.tables import no_subquery

NOT_PLAIN = (
    "group", "having", "qualify", "distinct", "limit", "offset", "with_", "order", "windows",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A subquery read so far: its rows by its own conditions, and the equalities with the outer query."""

    select: exp.Select
    right: Relation
    scope: Scope
    ties: tuple[exp.Expr, ...]


def attach(relation: Relation, scope: Scope, asked: Asked) -> tuple[Relation, Expr]:
    """The relation with the subquery's groups beside it, and the subquery's value over both."""
    calls = aggregates_in(asked.select.expressions)
    if any(asked.select.args.get(k) for k in NOT_PLAIN) or len(asked.select.expressions) != 1 or not calls:
        raise _odd("aggregate without GROUP BY to one value", "请不带 GROUP BY 地聚合为一个值")
    base = Reader(Columns(asked.right, asked.scope, {}), no_subquery)
    outer = Reader(Columns(relation, scope, {}), no_subquery)
    pairs = [_pair(tie, base, outer, asked.scope) for tie in asked.ties]
    keys = list(dict.fromkeys(inner for inner, _ in pairs))
    aggs = list(dict.fromkeys(read_aggregate(node, base) for node in calls))
    named = [("", key) for key in keys], [("", agg) for agg in aggs]
    grouped = aggregate(asked.right, *named)
    if asked.right.privacy is not None and grouped.privacy is None:
        grouped = aggregate(_asked_for(relation, asked.right, pairs), *named)
    width, many = len(relation.fields), len(keys)
    on = tuple(Call("eq", (theirs, Col(width + keys.index(inner)))) for inner, theirs in pairs)
    known = {node: Col(many + aggs.index(read_aggregate(node, base))) for node in calls}
    value = LayerReader(Columns(grouped, Scope(), {}), known, base).read(_item(asked.select))
    found = [Col(width + i) for i in range(many)] + [
        _count(a, Col(width + many + i)) for i, a in enumerate(aggs)
    ]
    return join("left", relation, grouped, conjunction(on)), substitute(value, tuple(found))


def _item(select: exp.Select) -> exp.Expr:
    node: exp.Expr = select.expressions[0]
    return node.unalias()


def _count(agg: Agg, value: Expr) -> Expr:
    """A count of no rows is 0, not NULL."""
    if agg.name not in ("count", "count_star"):
        return value
    return Call("coalesce", (value, Literal(0, Kind.INTEGER)))


def _asked_for(relation: Relation, right: Relation, pairs: list[tuple[Expr, Expr]]) -> Relation:
    found = listed([theirs for _, theirs in pairs], relation)
    if found is None:
        return right
    shown = visible(found.relation)
    width = len(right.fields)
    on = tuple(Call("eq", (inner, Col(width + i))) for (inner, _), i in zip(pairs, shown, strict=True))
    return semi_join(right, found.relation, conjunction(on), anti=False)


def _pair(tie: exp.Expr, base: Reader, outer: Reader, scope: Scope) -> tuple[Expr, Expr]:
    """Both sides of an equality, the subquery's first."""
    sides = [(tie.this, tie.expression), (tie.expression, tie.this)] if isinstance(tie, exp.EQ) else []
    for inner, theirs in sides:
        if _own(inner, scope) and not _any_own(theirs, scope):
            return _alike(base.read(inner), outer.read(theirs), base, outer)
    raise _odd("tie it to the outer query by equalities: inner.key = outer.key", "请以等值条件关联外层查询")


def _alike(inner: Expr, theirs: Expr, base: Reader, outer: Reader) -> tuple[Expr, Expr]:
    """The pair itself.  Values of two kinds could be equal to several groups: each must be of one kind."""
    if facts_of(inner, base.facts()).kind is not facts_of(theirs, outer.facts()).kind:
        raise _odd("tie it by columns of one type", "关联的两列类型须一致")
    return inner, theirs


def is_own(node: exp.Column, scope: Scope) -> bool:
    """Whether the name is the subquery's; an inner name hides an outer one."""
    table = node.args.get("table")
    try:
        return scope.find(str(node.this.this), None if table is None else str(table.this)) is not None
    except Refusal:
        return True


def _own(node: exp.Expr, scope: Scope) -> bool:
    found = list(node.find_all(exp.Column))
    return bool(found) and all(is_own(c, scope) for c in found)


def _any_own(node: exp.Expr, scope: Scope) -> bool:
    found = list(node.find_all(exp.Column))
    return not found or any(is_own(c, scope) for c in found)


def _odd(hint: str, hint_zh: str) -> Refusal:
    return refuse(Code.SUBQUERY, "(SELECT …)", hint, hint_zh)
