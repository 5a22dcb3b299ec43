"""GROUP BY: keys by expression, name, alias or position; ALL; ROLLUP, CUBE and GROUPING SETS.

Grouping sets are the union of plain groupings, with NULL for the keys that a set leaves out.  GROUPING(a, b)
is a constant of each of them, one bit a key, the last one lowest: 1 where the set leaves the key out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.build import aggregate, project, set_op
from sandbox.sql.expressions import Agg, Cast, Col, Expr, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.layers import aggregates_in, nodes_in
from sandbox.sql.resolve.literals import whole
from sandbox.sql.resolve.reader import Reader

MOST_SETS = 16
MOST_MARKED = 32
"""Keys of one GROUPING call."""
SETS = (exp.Rollup, exp.Cube, exp.GroupingSets)
Key = tuple[str, Expr]
Mark = tuple[Expr, ...]
"""The keys that one GROUPING call names."""


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


def read_mark(node: exp.Expr, group: exp.Expr | None, base: Reader) -> Mark:
    """The keys that a GROUPING call names: as the clause writes them, or else not by an alias."""
    if group is not None and group.args.get("all"):
        raise refuse(Code.GROUPING, "GROUPING()", "name the keys in GROUP BY", "请在 GROUP BY 中写出分组键")
    if len(node.expressions) > MOST_MARKED:
        hint = f"name at most {MOST_MARKED} keys"
        raise refuse(Code.CONSTRUCT, "GROUPING()", hint, f"至多 {MOST_MARKED} 个键")
    written = [] if group is None else list(group.walk())
    plain = Reader(Columns(base.columns.relation, base.columns.scope, {}), base.subquery)
    return tuple((base if e in written else plain).read(e) for e in node.expressions)


def grouped(
    group: exp.Expr | None,
    relation: Relation,
    items: Sequence[Item],
    aggs: Sequence[Agg],
    marks: Sequence[Mark],
    base: Reader,
) -> tuple[Relation, list[Key]]:
    """The grouped relation, its fields the keys, then the aggregates, then the marks; and the keys."""
    keys = keys_of(group, items, base)
    _known(marks, keys)
    named = [("", a) for a in aggs]
    sets = [] if group is None else _sets(group)
    if group is None or not sets:
        plain = aggregate(relation, keys, named)
        return (_marked(plain, marks, {k for _, k in keys}) if marks else plain), keys
    if relation.privacy is not None and aggregate(relation, keys, []).privacy is not None:
        raise refuse(
            Code.CONSTRUCT,
            "GROUPING SETS",
            "with the privacy unit among the keys, GROUP BY them plainly",
            "分组键含隐私单元时请使用普通 GROUP BY",
        )
    fixed = {_key(n, items, base)[1] for n in _outside_sets(group)}
    parts = []
    for members in sets:
        wanted = fixed | {_key(n, items, base)[1] for n in members}
        part = aggregate(relation, [k for k in keys if k[1] in wanted], named)
        padded = _padded(part, keys, wanted, base)
        parts.append(_marked(padded, marks, wanted) if marks else padded)
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


def _known(marks: Sequence[Mark], keys: Sequence[Key]) -> None:
    if any(key not in [k for _, k in keys] for mark in marks for key in mark):
        hint = "name keys of GROUP BY as they are written there"
        raise refuse(Code.GROUPING, "GROUPING()", hint, "请按 GROUP BY 中的写法给出分组键")


def _marked(part: Relation, marks: Sequence[Mark], wanted: set[Expr]) -> Relation:
    """One grouping set, and after its fields the value of each mark."""
    own = [(f.name, Col(i)) for i, f in enumerate(part.fields)]
    bits = ("".join(str(int(key not in wanted)) for key in mark) for mark in marks)
    return project(part, [*own, *(("", Literal(int(b, 2), Kind.INTEGER)) for b in bits)])


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
