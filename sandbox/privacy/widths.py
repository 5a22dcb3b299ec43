"""Half-widths of expressions: how the intervals of columns add up in what is computed from them.

For independent noise, half-widths add in quadrature; where the same noise enters twice (a share of its
own total), they add linearly, which is an upper bound whatever the correlation.  Products and quotients
use the first-order formula (GUM, JCGM 100:2008, 5.1.2), products with the second-order term added; a
quotient whose denominator is not clearly away from zero has no interval.  Rounding adds a step.  Where
noise decides which of several values stands, there is none.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Literal, columns
from sandbox.sql.facts import facts_of

NO_MARGIN = Cast(Literal(None, Kind.STRING), Kind.DOUBLE)
ZERO = Literal(Fraction(0), Kind.DOUBLE)
UNKNOWN = Literal(Fraction(10) ** 30, Kind.DOUBLE)
"""Stands for a half-width that is not known while it passes through aggregates."""

Tokens = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Margin:
    """Where a column's half-width stands, and which noise it stems from.

    ``column is None``: the column is noisy but no half-width is known."""

    column: int | None
    tokens: Tokens


def is_noisy(exprs: Iterable[Expr], margins: dict[int, Margin]) -> bool:
    """Whether any of the expressions reads a noisy column."""
    return any(i in margins for e in exprs for i in columns(e))


def if_known(expr: Expr) -> Expr:
    """The half-width; NULL (no interval) where it is NaN, infinite or stands for an unknown one."""
    return Case(((Call("lt", (expr, UNKNOWN)), expr),), NO_MARGIN)


def root_of(expr: Expr) -> Expr:
    """The square root; NULL (no interval) where the square is NULL or stands for an unknown one."""
    known = Call("and", (Call("ge", (expr, ZERO)), Call("lt", (expr, UNKNOWN))))
    return Case(((known, Call("sqrt", (Call("greatest", (expr, ZERO)),))),), NO_MARGIN)


def margin_of(expr: Expr, margins: dict[int, Margin]) -> tuple[Expr | None, Tokens] | None:
    """The half-width of an expression: ``None`` without noise; ``(None, …)`` if not known."""
    tokens = frozenset(t for i in columns(expr) if i in margins for t in margins[i].tokens)
    if not any(i in margins for i in columns(expr)):
        return None
    return _width(expr, margins), tokens


def tokens_of(expr: Expr, margins: dict[int, Margin]) -> Tokens:
    """The noise that an expression holds."""
    return frozenset(t for i in columns(expr) if i in margins for t in margins[i].tokens)


def _width(expr: Expr, margins: dict[int, Margin]) -> Expr | None:
    if not any(i in margins for i in columns(expr)):
        return ZERO
    match expr:
        case Col(index):
            column = margins[index].column
            return None if column is None else Col(column)
        case Cast(arg, kind, scale) if kind.numeric:
            return _plus(_width(arg, margins), 1.0 if kind is Kind.INTEGER else float(scale or 0))
        case Case(whens, default):
            return _case(whens, default, margins)
        case Call(name, args):
            return _call(name, args, margins)
        case _:
            return None


def _case(whens: tuple[tuple[Expr, Expr], ...], default: Expr, margins: dict[int, Margin]) -> Expr | None:
    values = {v for v in (*(v for _, v in whens), default) if not _nothing(v)}
    if len(values) > 1 and is_noisy((c for c, _ in whens), margins):
        return None
    widths = [_branch(v, margins) for _, v in whens]
    last = _branch(default, margins)
    if last is None or any(w is None for w in widths):
        return None
    return Case(tuple((c, w) for (c, _), w in zip(whens, widths, strict=True) if w is not None), last)


def _branch(expr: Expr, margins: dict[int, Margin]) -> Expr | None:
    return NO_MARGIN if _nothing(expr) else _width(expr, margins)


def _nothing(expr: Expr) -> bool:
    """NULL, which no interval is about."""
    return _nothing(expr.arg) if isinstance(expr, Cast) else isinstance(expr, Literal) and expr.value is None


def _call(name: str, args: tuple[Expr, ...], margins: dict[int, Margin]) -> Expr | None:
    widths = [_width(a, margins) for a in args]
    if any(w is None for w in widths):
        return None
    w = [x for x in widths if x is not None]
    match name:
        case "add" | "sub":
            return _combine(args, w, margins)
        case "mul":
            first = _combine(args, [_times(args[1], w[0]), _times(args[0], w[1])], margins)
            return first if ZERO in w else Call("add", (first, Call("mul", (w[0], w[1]))))
        case "div":
            return _quotient(args, w, margins)
        case "neg" | "abs":
            return w[0]
        case "floor" | "ceil" | "trunc":
            return _plus(w[0], 1.0)
        case "round":
            return _plus(w[0], float(facts_of(Call("round", (ZERO, *args[1:])), ()).scale or 1))
        case "coalesce" | "greatest" | "least":
            return functools.reduce(lambda a, b: Call("add", (a, b)), w)
        case "nullif":
            return w[0]
        case "sqrt":
            # |sqrt(x) - sqrt(y)| = |x - y| / (sqrt(x) + sqrt(y)), with y at the low end of the interval.
            low = Call("sqrt", (Call("greatest", (Call("sub", (args[0], w[0])), ZERO)),))
            return Call("div", (w[0], Call("add", (Call("sqrt", (args[0],)), low))))
        case _:
            return None


def _times(factor: Expr, width: Expr) -> Expr:
    return ZERO if width == ZERO else Call("mul", (Call("abs", (factor,)), width))


def _plus(width: Expr | None, amount: float) -> Expr | None:
    if width is None or amount == 0:
        return width
    return Call("add", (width, Literal(Fraction(amount), Kind.DOUBLE)))


def _combine(args: tuple[Expr, ...], widths: list[Expr], margins: dict[int, Margin]) -> Expr:
    """Quadrature where the two sides share no noise, linear addition where they do."""
    present = [w for w in widths if w != ZERO]
    if len(present) == 1:
        return present[0]
    first, second = present
    if tokens_of(args[0], margins) & tokens_of(args[1], margins):
        return Call("add", (first, second))
    # The sum of squares is as it is; ``abs`` only shows that it has a root, and keeps NULL.
    return Call("sqrt", (Call("abs", (Call("add", (_square(first), _square(second))),)),))


def _square(width: Expr) -> Expr:
    # Not a product: a width is written out once, or nested ones would grow without end.
    return Call("power", (width, Literal(2, Kind.INTEGER)))


def _quotient(args: tuple[Expr, ...], widths: list[Expr], margins: dict[int, Margin]) -> Expr:
    """|a/b| to first order; the denominator is taken at the near end of its own interval.

    Exactly: a/b - x/y = (a - x - (b - y) a/b) / y, and y is no nearer to zero than that end.
    """
    near: Expr = Call("abs", (args[1],))
    bottom: Expr = ZERO
    if widths[1] != ZERO:
        near = Call("sub", (near, widths[1]))
        bottom = Call("mul", (Call("abs", (Call("div", args),)), widths[1]))
    clear = Call("nullif", (Call("greatest", (near, ZERO)), ZERO))
    return Call("div", (_combine(args, [widths[0], bottom], margins), clear))
