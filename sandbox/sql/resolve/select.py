"""One SELECT, clause by clause: FROM, WHERE, GROUP BY, HAVING, windows, QUALIFY, SELECT, DISTINCT,
ORDER BY, LIMIT; each clause is one step, in the order in which SQL evaluates them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.build import aggregate, distinct, filter_, order, project, set_op, window
from sandbox.sql.expressions import Agg, Cast, Col, Expr, Literal, Sort
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.layers import (
    LayerReader,
    aggregates_in,
    nodes_in,
    read_aggregate,
    read_sort,
    read_window,
)
from sandbox.sql.resolve.predicates import apply_where, attach_scalars, split
from sandbox.sql.resolve.reader import Reader
from sandbox.sql.resolve.scope import Scope, fold
from sandbox.sql.resolve.tables import Place, read_from

MOST_SETS = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One SELECT item: its output name and syntax, or a column that ``*`` stood for."""

    name: str
    node: exp.Expr | None
    column: int = -1


@dataclass(frozen=True, slots=True)
class Layer:
    """What SELECT, HAVING and ORDER BY are read over."""

    relation: Relation
    reader: LayerReader


def read_select(select: exp.Select, place: Place) -> Relation:
    """The relation that a SELECT means."""
    where = split(select.args.get("where"))
    relation, scope = read_from(select, place, where)
    items = _items(select, scope)
    aliases = {fold(i.name): i.node for i in items if i.node is not None and _aliased(i)}
    relation = apply_where(relation, scope, where, place, aliases)
    layer = _grouped(select, relation, scope, items, aliases, place)
    having = select.args.get("having")
    if having is not None:
        layer = _filtered(layer, having.this)
    layer = _windowed(select, layer, items)
    qualify = select.args.get("qualify")
    if qualify is not None:
        layer = _filtered(layer, qualify.this)
    return _output(select, layer, items)


def _aliased(item: Item) -> bool:
    return item.node is not None and not (
        isinstance(item.node, exp.Column) and fold(item.node.name) == fold(item.name)
    )


def _items(select: exp.Select, scope: Scope) -> list[Item]:
    items: list[Item] = []
    for node in select.expressions:
        star = _star(node)
        if star is not None:
            items.extend(Item(n.name, None, n.index) for n in scope.shown(star or None))
        elif isinstance(node, exp.Alias):
            items.append(Item(str(node.args["alias"].this), node.this))
        else:
            items.append(Item(_label(node), node))
    if not items:
        raise refuse(Code.SYNTAX, "SELECT")
    return items


def _star(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Star):
        return ""
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        table = node.args.get("table")
        return "" if table is None else str(table.this)
    return None


def _label(node: exp.Expr) -> str:
    """What an unnamed column is called: the column's name, or its text, shortened.  Display only."""
    return node.name if isinstance(node, exp.Column) else node.sql(dialect="duckdb", comments=False)[:60]


def _roots(select: exp.Select, items: list[Item]) -> list[exp.Expr]:
    """Everything that is read above the grouping."""
    clauses = [select.args.get(k) for k in ("having", "qualify", "order")]
    return [*(i.node for i in items if i.node is not None), *(c for c in clauses if c is not None)]


def _grouped(
    select: exp.Select,
    relation: Relation,
    scope: Scope,
    items: list[Item],
    aliases: dict[str, exp.Expr],
    place: Place,
) -> Layer:
    roots = _roots(select, items)
    calls = aggregates_in(roots)
    group = select.args.get("group")
    base = Reader(Columns(relation, scope, aliases), _no_scalar)
    if group is None and not calls:
        if select.args.get("having") is not None:
            raise refuse(Code.GROUPING, "HAVING")
        relation, known = attach_scalars(relation, roots, place)
        return Layer(relation, LayerReader(Columns(relation, scope, aliases), known))
    keys = _keys(group, items, base, calls)
    aggs = [("", read_aggregate(node, base)) for node in calls]
    unique = list(dict.fromkeys(a for _, a in aggs))
    grouped = _sets(group, relation, keys, [("", a) for a in unique], base)
    known = {node: len(keys) + unique.index(agg) for node, (_, agg) in zip(calls, aggs, strict=True)}
    grouped, scalars = attach_scalars(grouped, roots, place)
    reader = LayerReader(Columns(grouped, scope, aliases), {**known, **scalars}, base, [e for _, e in keys])
    return Layer(grouped, reader)


def _no_scalar(node: exp.Expr) -> Expr:
    raise refuse(
        Code.SUBQUERY, "(SELECT …)", "use it beside aggregates, not inside them", "请放在聚合函数之外"
    )


def _keys(
    group: exp.Expr | None, items: list[Item], base: Reader, calls: list[exp.Expr]
) -> list[tuple[str, Expr]]:
    if group is None:
        return []
    if group.args.get("all"):
        nodes = [
            i
            for i in items
            if i.node is None or (not aggregates_in([i.node]) and not isinstance(i.node, exp.Window))
        ]
        return _unique([_item_key(i, base) for i in nodes])
    nodes = [*group.expressions, *(n for s in _set_nodes(group) for part in s for n in part)]
    return _unique(
        [_key(n, items, base) for n in nodes if not isinstance(n, exp.Rollup | exp.Cube | exp.GroupingSets)]
    )


def _unique(keys: list[tuple[str, Expr]]) -> list[tuple[str, Expr]]:
    seen: dict[Expr, str] = {}
    for name, key in keys:
        if not isinstance(key, Literal):
            seen.setdefault(key, name)
    return [(name, key) for key, name in seen.items()]


def _item_key(item: Item, base: Reader) -> tuple[str, Expr]:
    return item.name, Col(item.column) if item.node is None else base.read(item.node)


def _key(node: exp.Expr, items: list[Item], base: Reader) -> tuple[str, Expr]:
    if isinstance(node, exp.Literal) and not node.args.get("is_string"):
        return _item_key(_ordinal(node, items), base)
    return (node.name if isinstance(node, exp.Column) else ""), base.read(node)


def _ordinal(node: exp.Literal, items: list[Item]) -> Item:
    text = str(node.this)
    if not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= len(items):
        raise refuse(Code.GROUPING, text[:10])
    return items[int(text) - 1]


def _set_nodes(group: exp.Expr) -> list[list[list[exp.Expr]]]:
    """For each ROLLUP, CUBE or GROUPING SETS clause: the sets of key nodes it stands for."""
    clauses: list[list[list[exp.Expr]]] = []
    nodes = [
        *(group.args.get("rollup") or ()),
        *(group.args.get("cube") or ()),
        *(group.args.get("grouping_sets") or ()),
    ]
    nodes += [n for n in group.expressions if isinstance(n, exp.Rollup | exp.Cube | exp.GroupingSets)]
    for node in nodes:
        parts = [_members(e) for e in node.expressions]
        if isinstance(node, exp.Rollup):
            clauses.append([[n for p in parts[:end] for n in p] for end in range(len(parts), -1, -1)])
        elif isinstance(node, exp.Cube):
            masks = range(2 ** len(parts) - 1, -1, -1) if len(parts) <= 4 else ()
            clauses.append([[n for i, p in enumerate(parts) if mask >> i & 1 for n in p] for mask in masks])
        else:
            clauses.append(parts)
    return clauses


def _members(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    return [node.this] if isinstance(node, exp.Paren) else [node]


def _sets(
    group: exp.Expr | None,
    relation: Relation,
    keys: list[tuple[str, Expr]],
    aggs: list[tuple[str, Agg]],
    base: Reader,
) -> Relation:
    clauses = [] if group is None else _set_nodes(group)
    if not clauses:
        return aggregate(relation, keys, aggs)
    if (
        len(clauses) > 1
        or not 1 <= len(clauses[0]) <= MOST_SETS
        or (relation.privacy is not None
        and _unit_kept(relation, keys))
    ):
        raise refuse(
            Code.CONSTRUCT,
            "GROUPING SETS",
            f"use one clause of at most {MOST_SETS} sets",
            f"最多 {MOST_SETS} 个分组集",
        )
    plain = (
        [
            e
            for _, e in _unique(
                [
                    _key(n, [], base)
                    for n in group.expressions
                    if not isinstance(n, exp.Rollup | exp.Cube | exp.GroupingSets)
                ]
            )
        ]
        if group is not None
        else []
    )
    result: Relation | None = None
    for members in clauses[0]:
        wanted = {*plain, *(_key(n, [], base)[1] for n in members)}
        part = _padded(
            aggregate(relation, [k for k in keys if k[1] in wanted], aggs), keys, wanted, len(aggs), base
        )
        result = part if result is None else set_op("union", True, result, part)
    assert result is not None
    return result


def _unit_kept(relation: Relation, keys: list[tuple[str, Expr]]) -> bool:
    return aggregate(relation, keys, []).privacy is not None


def _padded(
    part: Relation, keys: list[tuple[str, Expr]], wanted: set[Expr], aggs: int, base: Reader
) -> Relation:
    """One grouping set with NULL for the keys it leaves out."""
    position = 0
    exprs: list[tuple[str, Expr]] = []
    for name, key in keys:
        if key in wanted:
            exprs.append((name, Col(position)))
            position += 1
        else:
            exprs.append((name, _null_like(key, base)))
    exprs.extend(("", Col(position + i)) for i in range(aggs))
    return project(part, exprs)


def _null_like(key: Expr, base: Reader) -> Expr:
    kind = facts_of(key, base.facts()).kind
    return Cast(Literal(None, Kind.STRING), kind)


def _filtered(layer: Layer, node: exp.Expr) -> Layer:
    relation = filter_(layer.relation, layer.reader.read(node))
    layer.reader.columns.relation = relation
    return Layer(relation, layer.reader)


def _windowed(select: exp.Select, layer: Layer, items: list[Item]) -> Layer:
    clauses = [select.args.get(k) for k in ("qualify", "order")]
    roots = [*(i.node for i in items if i.node is not None), *(c for c in clauses if c is not None)]
    nodes = nodes_in(roots, (exp.Window,))
    if not nodes:
        return layer
    named = {str(w.this.this).lower(): w for w in select.args.get("windows") or ()}
    wins = [("", read_window(n, layer.reader, named)) for n in nodes if isinstance(n, exp.Window)]
    width = len(layer.relation.fields)
    relation = window(layer.relation, wins)
    reader = layer.reader
    known = {**reader.known, **{node: width + i for i, node in enumerate(nodes)}}
    columns = Columns(relation, reader.columns.scope, reader.columns.aliases)
    return Layer(relation, LayerReader(columns, known, reader.base, list(reader.keys)))


def _output(select: exp.Select, layer: Layer, items: list[Item]) -> Relation:
    reader = layer.reader
    exprs = [(i.name, _item(i, reader)) for i in items]
    clause = select.args.get("order")
    sorts = [] if clause is None else _sorts(clause, items, [e for _, e in exprs], reader)
    unique = select.args.get("distinct") is not None
    extra = [s.expr for s in sorts if s.expr not in [e for _, e in exprs]]
    if unique and extra:
        raise refuse(Code.CONSTRUCT, "DISTINCT … ORDER BY", "order by selected columns", "请按所选列排序")
    shaped = project(layer.relation, [*exprs, *((f"order{i}", e) for i, e in enumerate(extra))])
    if unique:
        shaped = distinct(shaped)
    positions = [e for _, e in exprs] + extra
    by = tuple(Sort(Col(positions.index(s.expr)), s.descending, s.nulls_first) for s in sorts)
    shaped = limited(shaped, by, select)
    return shaped if not extra else project(shaped, [(n, Col(i)) for i, (n, _) in enumerate(exprs)])


def _item(item: Item, reader: LayerReader) -> Expr:
    if item.node is not None:
        return reader.read(item.node)
    if reader.base is None:
        return Col(item.column)
    key = reader.keys.get(Col(item.column))
    if key is None:
        raise refuse(Code.GROUPING, item.name)
    return Col(key)


def _sorts(clause: exp.Expr, items: list[Item], exprs: list[Expr], reader: LayerReader) -> list[Sort]:
    sorts: list[Sort] = []
    aliases = {fold(i.name): i.node for i in items if i.node is not None and _aliased(i)}
    columns = Columns(reader.columns.relation, reader.columns.scope, aliases, alias_first=True)
    above = LayerReader(columns, reader.known, reader.base, list(reader.keys))
    for node in clause.expressions:
        inner = node.this if isinstance(node, exp.Ordered) else node
        flags = (
            (bool(node.args.get("desc")), bool(node.args.get("nulls_first")))
            if isinstance(node, exp.Ordered)
            else (False, False)
        )
        if isinstance(inner, exp.Var) and fold(inner.name) == "all":
            sorts.extend(Sort(e, *flags) for e in exprs)
        elif isinstance(inner, exp.Literal) and not inner.args.get("is_string"):
            sorts.append(Sort(exprs[items.index(_ordinal(inner, items))], *flags))
        else:
            sorts.append(read_sort(node, above))
    return sorts


def limited(relation: Relation, by: tuple[Sort, ...], node: exp.Expr) -> Relation:
    """Apply ORDER BY and LIMIT / OFFSET / FETCH."""
    limit, offset = _count(node.args.get("limit")), _count(node.args.get("offset"))
    if not by and limit is None and not offset:
        return relation
    return order(relation, by, limit, offset or 0)


def _count(node: exp.Expr | None) -> int | None:
    if node is None:
        return None
    value = node.args.get("count") if isinstance(node, exp.Fetch) else node.expression
    text = str(value.this) if isinstance(value, exp.Literal) else ""
    if not text.isdigit() or len(text) > 9:
        raise refuse(Code.CONSTRUCT, "LIMIT", "use a constant number", "请使用常数")
    return int(text)
