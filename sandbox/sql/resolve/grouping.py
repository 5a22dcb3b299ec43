"""GROUP BY: keys by expression, name, alias or position; ALL; ROLLUP, CUBE and GROUPING SETS.

Grouping sets are the union of plain groupings, with NULL for the keys that a set leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from sqlglot import exp

from sandbox.errors import Code, refuse
from sandbox.sql.build import aggregate, project, set_op
from sandbox.sql.expressions import Agg, Cast, Col, Expr, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.layers import aggregates_in, nodes_in
from sandbox.sql.resolve.literals import whole
from sandbox.sql.resolve.reader import Reader

MOST_SETS = 16
SETS = (exp.Rollup, exp.Cube, exp.GroupingSets)
Key = tuple[str, Expr]


@dataclass(frozen=True, slots=True)
class Item:
    """One SELECT item: its output name and syntax, or a column that ``*`` stood for."""

    name: str
    node: exp.Expr | None
    column: int = -1


def ordinal(node: exp.Literal, items: Sequence[Item]) -> Item:
    """The SELECT item at a position that GROUP BY or ORDER BY names."""
    position = whole(node, len(items))
    if not position:
        raise refuse(Code.GROUPING, str(node.this)[:10])
    return items[position - 1]


def keys_of(group: exp.Expr | None, items: Sequence[Item], base: Reader) -> list[Key]:
    """Every key that the clause names, each once; constants group nothing and are left out."""
    if group is None:
        return []
    if group.args.get("all"):
        return _unique([_item_key(i, base) for i in items if _plain(i)])
    sets = [node for members in _sets(group) for node in members]
    return _unique([_key(n, items, base) for n in (*_outside_sets(group), *sets)])


def grouped(
    group: exp.Expr | None,
    relation: Relation,
    items: Sequence[Item],
    aggs: Sequence[Agg],
    base: Reader,
) -> tuple[Relation, list[Key]]:
    """The grouped relation, its fields the keys and then the aggregates; and the keys."""
    keys = keys_of(group, items, base)
    named = [("", a) for a in aggs]
    sets = [] if group is None else _sets(group)
    if group is None or not sets:
        return aggregate(relation, keys, named), keys
    if relation.privacy is not None and aggregate(relation, keys, []).privacy is not None:
        raise refuse(
            Code.CONSTRUCT,
            "GROUPING SETS",
            "with the privacy unit among the keys, GROUP BY them plainly",
            "分组键含隐私单元时请使用普通 GROUP BY",
        )
    plain = {_key(n, items, base)[1] for n in _outside_sets(group)}
    parts = []
    for members in sets:
        wanted = plain | {_key(n, items, base)[1] for n in members}
        part = aggregate(relation, [k for k in keys if k[1] in wanted], named)
        parts.append(_padded(part, keys, wanted, base))
    return reduce(lambda one, two: set_op("union", True, one, two), parts), keys


def _plain(item: Item) -> bool:
    """Whether GROUP BY ALL groups by the item: it holds no aggregate and no window."""
    return item.node is None or not (aggregates_in([item.node]) or nodes_in([item.node], (exp.Window,)))


def _unique(keys: Sequence[Key]) -> list[Key]:
    seen: dict[Expr, str] = {}
    for name, key in keys:
        if not isinstance(key, Literal):
            seen.setdefault(key, name)
    return [(name, key) for key, name in seen.items()]


def _item_key(item: Item, base: Reader) -> Key:
    return item.name, Col(item.column) if item.node is None else base.read(item.node)


def _key(node: exp.Expr, items: Sequence[Item], base: Reader) -> Key:
    if isinstance(node, exp.Literal) and not node.args.get("is_string"):
        return _item_key(ordinal(node, items), base)
    return (node.name if isinstance(node, exp.Column) else ""), base.read(node)


def _outside_sets(group: exp.Expr) -> list[exp.Expr]:
    return [n for e in group.expressions if not isinstance(e, SETS) for n in _members(e)]


def _sets(group: exp.Expr) -> list[list[exp.Expr]]:
    """The sets of key nodes that the one ROLLUP, CUBE or GROUPING SETS clause stands for, if any."""
    clauses = [n for n in group.expressions if isinstance(n, SETS)]
    if not clauses:
        return []
    sets = _members_of(clauses[0])
    if len(clauses) > 1 or not 1 <= len(sets) <= MOST_SETS:
        raise refuse(
            Code.CONSTRUCT,
            "GROUPING SETS",
            f"use one clause of at most {MOST_SETS} sets",
            f"请只用一个子句，且不超过 {MOST_SETS} 个分组集",
        )
    return sets


def _members_of(clause: exp.Expr) -> list[list[exp.Expr]]:
    parts = [_members(e) for e in clause.expressions]
    if isinstance(clause, exp.GroupingSets):
        return parts
    if isinstance(clause, exp.Rollup):
        return [[n for p in parts[:end] for n in p] for end in range(len(parts), -1, -1)]
    if 2 ** len(parts) > MOST_SETS:
        return []
    masks = range(2 ** len(parts) - 1, -1, -1)
    return [[n for i, p in enumerate(parts) if mask >> i & 1 for n in p] for mask in masks]


def _members(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    return [node.this] if isinstance(node, exp.Paren) else [node]


def _padded(part: Relation, keys: Sequence[Key], wanted: set[Expr], base: Reader) -> Relation:
    """One grouping set with NULL for the keys it leaves out."""
    exprs: list[Key] = []
    position = 0
    for name, key in keys:
        if key in wanted:
            exprs.append((name, Col(position)))
            position += 1
        else:
            null = Cast(Literal(None, facts_of(key, base.facts()).kind), facts_of(key, base.facts()).kind)
            exprs.append((name, null))
    exprs.extend(("", Col(i)) for i in range(position, len(part.fields)))
    return project(part, exprs)
