"""One SELECT, clause by clause: FROM, WHERE, GROUP BY, HAVING, windows, QUALIFY, SELECT, DISTINCT,
ORDER BY, LIMIT; each clause is one step, in the order in which SQL evaluates them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from sandbox.errors import Code, refuse
from sandbox.sql.build import distinct, filter_, order, project, window
from sandbox.sql.expressions import Col, Expr, Sort
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.calls import read_aggregate, read_sort, read_window
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.grouping import Item, grouped, ordinal, read_mark
from sandbox.sql.resolve.layers import LayerReader, aggregates_in, nodes_in, subqueries_in
from sandbox.sql.resolve.literals import whole
from sandbox.sql.resolve.predicates import apply_where, attach_scalars, attach_tests, split
from sandbox.sql.resolve.scope import Scope, fold
from sandbox.sql.resolve.tables import Place, read_from
from sandbox.sql.syntax import ANY_AGGREGATE, MARKS


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
    if group is None and not calls:
        if select.args.get("having") is not None:
            raise refuse(Code.GROUPING, "HAVING")
        relation, values = attach_scalars(relation, roots, place, scope)
        return Layer(relation, LayerReader(Columns(relation, scope, aliases), values))
    below = [*calls, *(() if group is None else (group, *(i.node for i in items if i.node is not None)))]
    relation, tests = attach_tests(relation, scope, subqueries_in(below)[0], place)
    base = LayerReader(Columns(relation, scope, aliases), tests)
    base.subquery = _no_scalar
    aggs = [read_aggregate(node, base) for node in calls]
    unique = list(dict.fromkeys(aggs))
    marks = {node: read_mark(node, group, base) for node in _marks_in(roots)}
    above, keys = grouped(group, relation, items, unique, list(marks.values()), base)
    known: dict[exp.Expr, Expr] = {
        node: Col(len(keys) + unique.index(agg)) for node, agg in zip(calls, aggs, strict=True)
    }
    known |= {node: Col(len(keys) + len(unique) + i) for i, node in enumerate(marks)}
    above, scalars = attach_scalars(above, roots, place)
    reader = LayerReader(Columns(above, scope, aliases), {**known, **scalars}, base, [e for _, e in keys])
    return Layer(above, reader)


def _marks_in(roots: list[exp.Expr]) -> list[exp.Expr]:
    """GROUPING calls of this level: not those that a subquery or an aggregate owns."""
    found = nodes_in(roots, (exp.Query, *ANY_AGGREGATE, *MARKS))
    return [n for n in found if isinstance(n, MARKS)]


def _no_scalar(node: exp.Expr) -> Expr:
    raise refuse(
        Code.SUBQUERY, "(SELECT …)", "use it beside aggregates, not inside them", "请放在聚合函数之外"
    )


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
    known = {**reader.known, **{node: Col(width + i) for i, node in enumerate(nodes)}}
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
            sorts.append(Sort(exprs[items.index(ordinal(inner, items))], *flags))
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
    rows = whole(value, 10**9)
    if rows is None:
        raise refuse(Code.CONSTRUCT, "LIMIT", "use a constant number", "请使用常数")
    return rows
