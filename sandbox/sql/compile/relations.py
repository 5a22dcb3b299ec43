"""Relations as one DuckDB SELECT.

Output columns are ``c0, c1, …`` in field order, hidden fields included; a relation without fields
has one column ``none``.  Tables and stored columns come from the catalogue, everything else is
numbered, so no name of the user's gets in.  The same relation always gives the same text, and rows
tied in an ordering are told apart by their remaining columns, so the same text gives the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandbox.catalogue import Kind
from sandbox.sql.compile.aggregates import aggregate_text, window_text
from sandbox.sql.compile.expressions import compile_expr, quoted, render_literal, spelled
from sandbox.sql.compile.fixed import plain_zero
from sandbox.sql.compile.ordering import sort_texts
from sandbox.sql.expressions import Expr, Literal
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Field,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    Released,
    Scan,
    SemiJoin,
    SetOp,
    Values,
    Window,
    facts,
    visible,
)

JOINS = {"inner": "JOIN", "left": "LEFT JOIN", "full": "FULL JOIN"}


@dataclass(frozen=True, slots=True)
class Rows:
    """A FROM clause, how each field is spelled over it, and the conditions of its WHERE."""

    source: str
    columns: tuple[str, ...]
    where: tuple[str, ...] = ()


def compile_relation(relation: Relation) -> str:
    """The relation's rows as one SELECT over the tables of the engine."""
    match relation:
        case Values():
            return _values(relation)
        case Project(Order() as below, exprs):
            # One block, because a subselect need not keep its order.
            return _ordered(below, exprs)
        case Project(below, exprs):
            rows = _rows(below)
            return _select(rows, [compile_expr(e, facts(below), rows.columns) for e in exprs])
        case Aggregate():
            return _aggregate(relation)
        case Distinct(below):
            rows = _rows(below)
            shown = _one_zero(rows.columns, relation)
            return _select(rows, shown, "DISTINCT ")
        case Window(below, wins):
            rows = _rows(below)
            made, private = relation.fields[len(below.fields) :], relation.privacy is not None
            added = [
                window_text(w, facts(below), rows.columns, f.facts, private=private)
                for w, f in zip(wins, made, strict=True)
            ]
            return _select(rows, [*rows.columns, *added])
        case SetOp():
            return _set_op(relation)
        case Order():
            return _ordered(relation, None)
        case _:
            rows = _rows(relation)
            return _select(rows, rows.columns)


def _select(rows: Rows, columns: Sequence[str], distinct: str = "") -> str:
    named = ", ".join(f"{text} AS {_c(i)}" for i, text in enumerate(columns)) or 'NULL AS "none"'
    source = f" FROM {rows.source}" if rows.source else ""
    where = f" WHERE {' AND '.join(rows.where)}" if rows.where else ""
    return f"SELECT {distinct}{named}{source}{where}"


def _c(index: int) -> str:
    return f'"c{index}"'


def _rows(relation: Relation, alias: str = "t") -> Rows:
    match relation:
        case Scan(table, fields):
            columns = tuple(_stored(f, alias) for f in fields)
            return Rows(f'"memory".{quoted(table.dataset)}.{quoted(table.name)} AS "{alias}"', columns)
        case Released(number, fields):
            return Rows(f'"memory"."released"."r{number}" AS "{alias}"', _columns(alias, len(fields)))
        case Values(((),), ()):
            return Rows("", ())
        case Filter(below, predicate):
            rows = _rows(below, alias)
            return replace(rows, where=(*rows.where, compile_expr(predicate, facts(below), rows.columns)))
        case Join():
            return _join(relation, alias)
        case SemiJoin():
            return _semi_join(relation, alias)
        case _:
            return Rows(f'({compile_relation(relation)}) AS "{alias}"', _columns(alias, len(relation.fields)))


def _columns(alias: str, width: int) -> tuple[str, ...]:
    return tuple(f'"{alias}".{_c(i)}' for i in range(width))


def _stored(field: Field, alias: str) -> str:
    """A stored column.  The hidden unit field has no source: it is stored under its own name."""
    if field.source is None:
        return f'"{alias}".{quoted(field.name)}'
    text = f'"{alias}".{quoted(field.source.column.name)}'
    decimal = field.source.column.kind is Kind.DECIMAL and field.facts.kind is Kind.DOUBLE
    return f"CAST({text} AS DOUBLE)" if decimal else text


def _part(relation: Relation, alias: str) -> Rows:
    """Rows without conditions of their own, fit for one side of a join."""
    if isinstance(relation, Scan | Released):
        return _rows(relation, alias)
    return Rows(f'({compile_relation(relation)}) AS "{alias}"', _columns(alias, len(relation.fields)))


def _join(join: Join, alias: str) -> Rows:
    left, right = _part(join.left, f"{alias}l"), _part(join.right, f"{alias}r")
    columns = (*left.columns, *right.columns)
    on = compile_expr(join.on, (*facts(join.left), *facts(join.right)), columns)
    return Rows(f"{left.source} {JOINS[join.kind]} {right.source} ON {on}", columns)


def _semi_join(semi: SemiJoin, alias: str) -> Rows:
    left = _rows(semi.left, alias)
    right = _part(semi.right, f"{alias}s")
    on = compile_expr(semi.on, (*facts(semi.left), *facts(semi.right)), (*left.columns, *right.columns))
    test = f"{'NOT ' if semi.anti else ''}EXISTS (SELECT 1 FROM {right.source} WHERE {on})"
    return replace(left, where=(*left.where, test))


def _values(values: Values) -> str:
    if not values.fields:
        return " UNION ALL ".join('SELECT NULL AS "none"' for _ in values.rows)
    kinds = [f.facts.kind for f in values.fields]
    rows = ", ".join(
        f"({', '.join(render_literal(Literal(v, k)) for v, k in zip(row, kinds, strict=True))})"
        for row in values.rows
    )
    named = ", ".join(f"CAST({_c(i)} AS {spelled(k)}) AS {_c(i)}" for i, k in enumerate(kinds))
    header = ", ".join(_c(i) for i in range(len(kinds)))
    return f'SELECT {named} FROM (VALUES {rows}) AS "t"({header})'


def _one_zero(keys: Sequence[str], node: Relation) -> Sequence[str]:
    """Keys of private groups, in which 0.0 and -0.0 are one and the first met would speak for both."""
    if node.privacy is None:
        return keys
    return [plain_zero(text, f.facts.kind) for text, f in zip(keys, node.fields, strict=False)]


def _aggregate(node: Aggregate) -> str:
    rows, known = _rows(node.input), facts(node.input)
    keys = _one_zero([compile_expr(k, known, rows.columns) for k in node.keys], node)
    made = node.fields[len(keys) :]
    aggs = [
        aggregate_text(a, known, rows.columns, f.facts, private=node.privacy is not None)
        for a, f in zip(node.aggs, made, strict=True)
    ]
    if not keys:
        return _select(rows, aggs) if aggs else 'SELECT NULL AS "none"'
    return f"{_select(rows, [*keys, *aggs])} GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))}"


def _set_op(node: SetOp) -> str:
    sides = " ".join((node.op.upper(), "ALL")) if node.all else node.op.upper()
    return f"({_side(node.left, node)}) {sides} ({_side(node.right, node)})"


def _side(relation: Relation, node: SetOp) -> str:
    """One side's visible fields (and unit), as the kinds of the result."""
    rows, known = _rows(relation), facts(relation)
    unit = () if relation.privacy is None else (relation.privacy.unit,)
    shown = (*(i for i in visible(relation) if i not in unit), *unit)
    return _select(
        rows,
        [
            rows.columns[i]
            if known[i].kind is f.facts.kind
            else f"TRY_CAST({rows.columns[i]} AS {spelled(f.facts.kind)})"
            for i, f in zip(shown, node.fields, strict=True)
        ],
    )


def _ordered(node: Order, exprs: tuple[Expr, ...] | None) -> str:
    rows, known = _rows(node.input), facts(node.input)
    columns = rows.columns if exprs is None else [compile_expr(e, known, rows.columns) for e in exprs]
    sorts = sort_texts(node.by, known, rows.columns, ties=True)
    order = f" ORDER BY {', '.join(sorts)}" if sorts else ""
    limit = "" if node.limit is None else f" LIMIT {node.limit}"
    offset = f" OFFSET {node.offset}" if node.offset else ""
    return f"{_select(rows, columns)}{order}{limit}{offset}"
