"""Row by row: filters, computed columns, and values clamped to what is declared of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.sql.build.leaves import UNIT_COLUMN
from sandbox.sql.expressions import TRUE, Call, Case, Cast, Col, Expr, Literal, columns
from sandbox.sql.facts import condition, facts_of
from sandbox.sql.narrow import narrowed
from sandbox.sql.relation import Field, Filter, Project, Relation, facts

VALUE_CALLS = frozenset(
    {
        "add",
        "sub",
        "mul",
        "div",
        "idiv",
        "mod",
        "neg",
        "abs",
        "round",
        "floor",
        "ceil",
        "trunc",
        "sign",
        "power",
    }
    | {"sqrt", "ln", "log10", "exp", "least", "greatest", "coalesce", "nullif"}
)


def filter_(input_: Relation, predicate: Expr) -> Relation:
    """Keep the rows for which the predicate is true."""
    if predicate == TRUE:
        return input_
    predicate = condition("WHERE", predicate, facts(input_))
    return Filter(input_, predicate, narrowed(input_.fields, predicate), input_.privacy)


def project(input_: Relation, named: Sequence[tuple[str, Expr]]) -> Relation:
    """Compute columns; a private relation's unit field is carried along, hidden."""
    fields = [computed(input_, name, expr) for name, expr in named]
    exprs = [expr for _, expr in named]
    privacy = input_.privacy
    if privacy is not None:
        fields.append(replace(input_.fields[privacy.unit], name=UNIT_COLUMN, hidden=True))
        exprs.append(Col(privacy.unit))
        privacy = replace(privacy, unit=len(exprs) - 1)
    return Project(input_, tuple(exprs), tuple(fields), privacy)


def computed(input_: Relation, name: str, expr: Expr) -> Field:
    """The field of a computed column; a column taken as it is keeps its origin, clip and unit."""
    if isinstance(expr, Col):
        return replace(input_.fields[expr.index], name=name, hidden=False)
    known = facts_of(expr, facts(input_))
    per_unit = input_.privacy is not None and all(input_.fields[i].per_unit for i in columns(expr))
    return Field(name, known, per_unit=per_unit)


def clamp_values(expr: Expr, fields: tuple[Field, ...]) -> Expr:
    """Clamp the columns whose *values* flow out of ``expr`` (not those only compared)."""
    match expr:
        case Col(index):
            clip = fields[index].clip
            if clip is None or clip.lo is None or clip.hi is None or not fields[index].facts.kind.numeric:
                return expr
            return Call("clamp", (expr, bound(clip.lo, fields[index]), bound(clip.hi, fields[index])))
        case Case(whens, default):
            return Case(tuple((c, clamp_values(v, fields)) for c, v in whens), clamp_values(default, fields))
        case Call(name, args) if name in VALUE_CALLS:
            return Call(name, tuple(clamp_values(a, fields) for a in args))
        case Cast():
            return replace(expr, arg=clamp_values(expr.arg, fields))
        case _:
            return expr


def bound(value: Fraction, field: Field) -> Literal:
    """A clip bound as a literal of the field's kind (integers outward)."""
    if field.facts.kind is Kind.INTEGER:
        return Literal(int(value // 1), Kind.INTEGER)
    return Literal(value, Kind.DOUBLE)
