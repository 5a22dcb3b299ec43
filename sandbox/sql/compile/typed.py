"""``typed``: the same expression with every change of kind written out.

The language lets integers stand beside reals, dates beside timestamps and NULL beside anything.
What that means is decided here, once, for every engine: where kinds mix, the narrower value is
widened first, so ``1 = 1.5`` compares binary64 numbers, and a CASE with integer and real branches is
real.  Constants are widened while compiling.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Facts, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.functions import FUNCTIONS

ALIKE = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in", "coalesce", "nullif", "least", "greatest"})
"""Functions whose arguments are all read as one kind."""

CONNECTIVES = frozenset({"and", "or"})
"""Functions of conditions, which NULL may stand among."""


def typed(expr: Expr, inputs: Sequence[Facts]) -> Expr:
    """An equal expression in which the arguments of each call have the kinds that it computes with."""
    known = facts_of(expr, inputs)
    if known.domain == ():
        return Literal(None, _stored(known.kind))
    match expr:
        case Col():
            return expr
        case Literal(value, kind):
            return Literal(value, _stored(kind))
        case Call(name, args):
            return Call(name, _arguments(name, args, known, inputs))
        case Case(whens, default):
            return Case(
                tuple((widened(c, Kind.BOOLEAN, inputs), widened(v, known.kind, inputs)) for c, v in whens),
                widened(default, known.kind, inputs),
            )
        case _:
            return Cast(typed(expr.arg, inputs), expr.kind, expr.scale)


def _stored(kind: Kind) -> Kind:
    return Kind.DOUBLE if kind is Kind.DECIMAL else kind


def _arguments(name: str, args: tuple[Expr, ...], out: Facts, inputs: Sequence[Facts]) -> tuple[Expr, ...]:
    if name in ALIKE:
        kind = common([facts_of(a, inputs) for a in args])
        return tuple(widened(a, kind, inputs) for a in args)
    if name in CONNECTIVES:
        return tuple(widened(a, Kind.BOOLEAN, inputs) for a in args)
    constant = FUNCTIONS[name].constant if name != "clamp" else frozenset()
    real = out.kind is Kind.DOUBLE
    return tuple(
        widened(a, Kind.DOUBLE, inputs)
        if real and i not in constant and facts_of(a, inputs).kind.numeric
        else typed(a, inputs)
        for i, a in enumerate(args)
    )


def common(known: Sequence[Facts]) -> Kind:
    """The kind that holds all the values; what is always NULL fits any kind."""
    kinds = {_stored(f.kind) for f in known if f.domain != ()} or {known[0].kind}
    if len(kinds) == 1:
        return kinds.pop()
    return Kind.DOUBLE if Kind.DOUBLE in kinds else Kind.TIMESTAMP


def widened(expr: Expr, kind: Kind, inputs: Sequence[Facts]) -> Expr:
    """The typed expression as a value of ``kind``, which holds all its values."""
    known = facts_of(expr, inputs)
    if known.domain == ():
        return Literal(None, kind)
    inner = typed(expr, inputs)
    if _stored(known.kind) is kind:
        return inner
    return _constant(inner, kind) if isinstance(inner, Literal) else Cast(inner, kind)


def _constant(literal: Literal, kind: Kind) -> Literal:
    value = literal.value
    if isinstance(value, dt.date):
        return Literal(dt.datetime(value.year, value.month, value.day), kind)
    assert isinstance(value, int)
    return Literal(Fraction(value), kind)
