"""Expressions of our relation algebra: closed, frozen, positional.

A column is an index into the fields of the relation that the expression stands over, so no name of
the user's ever reaches compiled SQL.  ``facts`` derives what is publicly known of a value (type,
nullability, range, finite domain) from the fields and the function registry.

Invariant: every expression is total.  Evaluating it on any row raises nothing, in every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import assert_never

from sandbox.catalogue import UNBOUNDED, Kind, Range, Scalar


@dataclass(frozen=True, slots=True)
class Facts:
    """What is publicly known of a value: from declarations only, never from protected rows.

    ``scale`` is the exact granularity of numbers (1 for integers, 1/100 for cents), ``None`` if the
    value is a general real.  ``domain`` lists every possible non-null value, if finite and known.
    ``unit`` names the column, as ``table.column``, whose values are numbers that stand for privacy units.
    """

    kind: Kind
    nullable: bool = True
    range: Range = field(default=UNBOUNDED, hash=False)
    scale: Fraction | None = field(default=None, hash=False)
    domain: tuple[Scalar, ...] | None = field(default=None, hash=False)  # thousands of values, at times
    unit: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Col:
    """The field at ``index`` of the input relation."""

    index: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant.  Decimals are carried as ``Fraction`` with ``Kind.DECIMAL``."""

    value: Scalar | Fraction
    kind: Kind


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the registry applied to arguments."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """Searched CASE: the value of the first condition that is true, else ``default``."""

    whens: tuple[tuple[Expr, Expr], ...]
    default: Expr


@dataclass(frozen=True, slots=True)
class Cast:
    """Try-cast: a value that does not convert becomes NULL."""

    arg: Expr
    kind: Kind
    scale: Fraction | None = None


Expr = Col | Literal | Call | Case | Cast

NULL = Literal(None, Kind.STRING)
TRUE = Literal(True, Kind.BOOLEAN)


@dataclass(frozen=True, slots=True)
class Agg:
    """An aggregate of a group: ``where`` keeps rows for which it is true (FILTER).

    ``by`` orders ``arg_min``/``arg_max``, is the second column of pairs (``corr``) and the fraction of
    quantiles; ``option`` is the separator of ``string_agg``.
    """

    name: str
    arg: Expr | None = None
    where: Expr | None = None
    distinct: bool = False
    by: Expr | None = None
    option: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A window frame: ``rows`` or ``range``; bounds in rows, ``None`` unbounded, 0 current row."""

    unit: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Sort:
    """One ORDER BY item.  ``nulls_first`` is explicit so that engines cannot differ."""

    expr: Expr
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Win:
    """A window function over the rows of a relation."""

    name: str
    args: tuple[Expr, ...]
    partition: tuple[Expr, ...] = ()
    order: tuple[Sort, ...] = ()
    frame: Frame | None = None


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions, in evaluation order."""
    match expr:
        case Col() | Literal():
            return ()
        case Call(_, args):
            return args
        case Case(whens, default):
            return (*(part for when in whens for part in when), default)
        case Cast(arg):
            return (arg,)
        case _:
            assert_never(expr)


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything under it."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def columns(expr: Expr) -> frozenset[int]:
    """Indexes of all columns that the expression reads."""
    return frozenset(e.index for e in walk(expr) if isinstance(e, Col))


def rebuild(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The same node with ``change`` applied to each direct subexpression."""
    match expr:
        case Col() | Literal():
            return expr
        case Call(name, args):
            return Call(name, tuple(change(a) for a in args))
        case Case(whens, default):
            return Case(tuple((change(c), change(v)) for c, v in whens), change(default))
        case Cast(arg):
            return replace(expr, arg=change(arg))
        case _:
            assert_never(expr)


def substitute(expr: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Replace each ``Col(i)`` by ``inputs[i]``."""
    if isinstance(expr, Col):
        return inputs[expr.index]
    return rebuild(expr, lambda child: substitute(child, inputs))


def remap(expr: Expr, index: Callable[[int], int]) -> Expr:
    """Move every column to a new position."""
    if isinstance(expr, Col):
        return Col(index(expr.index))
    return rebuild(expr, lambda child: remap(child, index))


def map_agg(agg: Agg, change: Callable[[Expr], Expr]) -> Agg:
    """The aggregate with ``change`` applied to its argument and filter."""
    arg = None if agg.arg is None else change(agg.arg)
    where = None if agg.where is None else change(agg.where)
    by = None if agg.by is None else change(agg.by)
    return replace(agg, arg=arg, where=where, by=by)


def map_win(win: Win, change: Callable[[Expr], Expr]) -> Win:
    """The window function with ``change`` applied to every expression in it."""
    return replace(
        win,
        args=tuple(change(a) for a in win.args),
        partition=tuple(change(p) for p in win.partition),
        order=tuple(replace(s, expr=change(s.expr)) for s in win.order),
    )


def agg_exprs(agg: Agg) -> tuple[Expr, ...]:
    """The expressions inside an aggregate."""
    return tuple(e for e in (agg.arg, agg.where, agg.by) if e is not None)


def win_exprs(win: Win) -> tuple[Expr, ...]:
    """The expressions inside a window function."""
    return (*win.args, *win.partition, *(s.expr for s in win.order))


def conjuncts(expr: Expr) -> tuple[Expr, ...]:
    """The parts of an AND, flattened."""
    if isinstance(expr, Call) and expr.name == "and":
        return tuple(part for arg in expr.args for part in conjuncts(arg))
    return (expr,)


def conjunction(parts: tuple[Expr, ...]) -> Expr:
    """The AND of the parts; TRUE if there are none."""
    if not parts:
        return TRUE
    return parts[0] if len(parts) == 1 else Call("and", parts)
