"""The canonical form of a relation: equal for queries that differ only in names, order of commuting
parts, or the way they are written.  Plans and answers are keyed by its hash."""

from __future__ import annotations

import hashlib
from typing import assert_never

from sandbox.sql.expressions import Agg, Call, Case, Cast, Col, Expr, Literal, Win, conjuncts
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
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
)

COMMUTING = frozenset({"and", "or", "eq", "ne", "add", "mul"})
TURNED = {"gt": "lt", "ge": "le"}
"""``a > b`` is ``b < a``."""


def fingerprint(text: str) -> str:
    """SHA-256 of a canonical text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_expr(expr: Expr) -> str:
    """One text for all equal expressions (as far as commutation goes)."""
    match expr:
        case Col(index):
            return f"#{index}"
        case Literal(value, kind):
            return f"{kind.value}:{value!r}"
        case Call("or" | "eq" | "in") if (chosen := _choices(expr)) is not None:
            return chosen
        case Call("gt" | "ge" as name, (left, right)):
            return canonical_expr(Call(TURNED[name], (right, left)))
        case Call(name, args):
            parts = [canonical_expr(a) for a in args]
            return f"{name}({','.join(sorted(parts) if name in COMMUTING else parts)})"
        case Case(whens, default):
            branches = ";".join(f"{canonical_expr(c)}?{canonical_expr(v)}" for c, v in whens)
            return f"case({branches};{canonical_expr(default)})"
        case Cast(arg, kind, scale):
            return f"cast({canonical_expr(arg)},{kind.value},{scale})"
        case _:
            assert_never(expr)


def _choices(expr: Expr) -> str | None:
    """``x = 1``, ``x IN (2, 1)`` and ``x = 2 OR 1 = x`` as one text for what x may be; ``None`` for others.

    An alternative of any other form stands beside those of the same operand.
    """
    chosen: dict[str, set[str]] = {}
    others: set[str] = set()
    for part in _alternatives(expr):
        match part:
            case Call("eq", (Literal() as value, operand)) | Call("eq", (operand, Literal() as value)):
                chosen.setdefault(canonical_expr(operand), set()).add(canonical_expr(value))
            case Call("in", (operand, *values)):
                chosen.setdefault(canonical_expr(operand), set()).update(canonical_expr(v) for v in values)
            case _ if part is expr:
                return None
            case _:
                others.add(canonical_expr(part))
    texts = {f"in({operand};{','.join(sorted(values))})" for operand, values in chosen.items()}
    parts = sorted(texts | others)
    return parts[0] if len(parts) == 1 else f"or({','.join(parts)})"


def _alternatives(expr: Expr) -> list[Expr]:
    match expr:
        case Call("or", args):
            return [part for arg in args for part in _alternatives(arg)]
        case _:
            return [expr]


def canonical_agg(agg: Agg) -> str:
    """One text for an aggregate."""
    parts = [canonical_expr(e) if e is not None else "" for e in (agg.arg, agg.where, agg.by)]
    return f"{agg.name}/{agg.distinct}/{agg.option!r}({','.join(parts)})"


def _win(win: Win) -> str:
    args = ",".join(canonical_expr(a) for a in win.args)
    partition = ",".join(sorted(canonical_expr(p) for p in win.partition))
    order = ",".join(f"{canonical_expr(s.expr)}/{s.descending}/{s.nulls_first}" for s in win.order)
    return f"{win.name}({args};{partition};{order};{win.frame})"


def canonical(relation: Relation) -> str:
    """One text for all relations that mean the same (names play no part)."""
    match relation:
        case Scan(table, fields):
            return f"scan({table.id}:{','.join(f.source.column.name if f.source else '_u' for f in fields)})"
        case Values(rows):
            return f"values({rows!r})"
        case Released(number):
            return f"released({number})"
        case Filter():
            parts = sorted(canonical_expr(p) for p in conjuncts(relation.predicate))
            return f"filter({canonical(relation.input)};{'&'.join(parts)})"
        case Project() if relation.exprs == tuple(Col(i) for i in range(len(relation.input.fields))):
            return canonical(relation.input)
        case Project():
            return (
                f"project({canonical(relation.input)};{','.join(canonical_expr(e) for e in relation.exprs)})"
            )
        case Join():
            return f"join({relation.kind};{_sides(relation)};{_condition(relation.on)})"
        case SemiJoin():
            return f"semi({relation.anti};{_sides(relation)};{_condition(relation.on)})"
        case Aggregate():
            keys = ",".join(canonical_expr(k) for k in relation.keys)
            aggs = ",".join(canonical_agg(a) for a in relation.aggs)
            return f"aggregate({canonical(relation.input)};{keys};{aggs}{_clamps(relation)})"
        case Distinct():
            return f"distinct({canonical(relation.input)})"
        case Window():
            return f"window({canonical(relation.input)};{','.join(_win(w) for w in relation.wins)})"
        case SetOp():
            return f"{relation.op}({relation.all};{_sides(relation)})"
        case Order():
            by = ",".join(f"{canonical_expr(s.expr)}/{s.descending}/{s.nulls_first}" for s in relation.by)
            return f"order({canonical(relation.input)};{by};{relation.limit};{relation.offset})"
        case _:
            assert_never(relation)


def _clamps(relation: Aggregate) -> str:
    """Sums of one unit are clamped to their ranges, which rest on declarations: another one, another sum."""
    if relation.privacy is None:
        return ""
    ranges = [f.facts.range for f in relation.fields[len(relation.keys) :]]
    return ";" + ",".join(f"{r.lo}..{r.hi}" for r in ranges)


def _sides(relation: Join | SemiJoin | SetOp) -> str:
    return f"{canonical(relation.left)};{canonical(relation.right)}"


def _condition(on: Expr) -> str:
    return "&".join(sorted(canonical_expr(p) for p in conjuncts(on)))
