"""``facts_of``: what is publicly known of an expression, derived bottom-up; and ``evaluate``.

Finite domains are derived by evaluating the expression on every combination of its columns'
domains, while there are at most ``MOST`` of them; so ``GROUP BY month(d)`` over a declared range of
dates has a declared domain too.  What is always NULL has the empty domain, and fits any kind.

Facts are asked for again and again while a query is read, simplified and compiled.  Both derivations
are remembered, so that their cost grows with an expression's size and not with its square.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import assert_never

from sandbox.catalogue import Kind, Range, Scalar
from sandbox.errors import Code, refuse
from sandbox.sql.casts import cast_facts, cast_value
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Facts, Literal, children, rebuild
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.functions.logic import comparable, held, not_null, union
from sandbox.sql.functions.registry import Value

MOST = 5000


Inputs = Sequence[Facts] | Mapping[int, Facts]
"""Facts of the columns that an expression may read, by index."""


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """The facts of one column, the same only if they are the same object: domains can be long."""

    index: int
    facts: Facts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self.index == other.index and self.facts is other.facts

    def __hash__(self) -> int:
        return hash((self.index, id(self.facts)))


Given = tuple[_Given, ...]
Computed = Literal | Call | Case | Cast


def facts_of(expr: Expr, inputs: Inputs) -> Facts:
    """Type, nullability, range and domain of ``expr`` over fields with ``inputs`` facts.

    Raises a refusal (TYPE, ARGUMENT) where the expression is not well typed.
    """
    if isinstance(expr, Col):
        return inputs[expr.index]
    return _facts_of(expr, tuple(_Given(i, inputs[i]) for i in _used(expr)))


@lru_cache(maxsize=8192)
def _used(expr: Expr) -> tuple[int, ...]:
    if isinstance(expr, Col):
        return (expr.index,)
    return tuple(sorted({index for part in children(expr) for index in _used(part)}))


@lru_cache(maxsize=8192)
def _facts_of(expr: Computed, given: Given) -> Facts:
    known = _local(expr, {g.index: g.facts for g in given})
    if known.domain is None:
        domain = _derived_domain(expr, given)
        if domain is not None:
            known = replace(known, domain=tuple(dict.fromkeys(held(v, known.kind) for v in domain)))
    return known


def _local(expr: Computed, inputs: Inputs) -> Facts:
    match expr:
        case Literal():
            return literal_facts(expr)
        case Call(name, args):
            return _call(name, args, inputs)
        case Case(whens, default):
            return _case(whens, default, inputs)
        case Cast(arg, kind, scale):
            return cast_facts(facts_of(arg, inputs), kind, scale)
        case _:
            assert_never(expr)


def _call(name: str, args: tuple[Expr, ...], inputs: Inputs) -> Facts:
    function = FUNCTIONS[name]
    if not function.low <= len(args) <= function.high:
        raise refuse(Code.ARGUMENT, name, "give it the right number of arguments", "参数个数不正确")
    _constants(name, args)
    known = tuple(facts_of(a, inputs) for a in args)
    out = function.rule(known)
    if function.strict and any(f.domain == () for f in known):
        return replace(out, nullable=True, domain=())
    return out


def _constants(name: str, args: tuple[Expr, ...]) -> None:
    for position in FUNCTIONS[name].constant:
        if position < len(args) and not isinstance(args[position], Literal):
            raise refuse(
                Code.ARGUMENT,
                name,
                f"argument {position + 1} is a constant",
                f"第 {position + 1} 个参数须为常量",
            )


def _case(whens: tuple[tuple[Expr, Expr], ...], default: Expr, inputs: Inputs) -> Facts:
    for test, _ in whens:
        condition("CASE WHEN", test, inputs)
    branches = tuple(facts_of(v, inputs) for v in (*(v for _, v in whens), default))
    comparable("CASE", branches)
    return replace(union(not_null(branches)), nullable=any(b.nullable for b in branches))


def condition(place: str, expr: Expr, inputs: Inputs) -> Expr:
    """The expression as a condition; refuses (TYPE) what is neither true nor false.

    What is always NULL becomes the NULL among conditions.
    """
    known = facts_of(expr, inputs)
    if known.domain == ():
        return Literal(None, Kind.BOOLEAN)
    if known.kind is not Kind.BOOLEAN:
        raise refuse(Code.TYPE, place, "a condition is true or false", "条件须为布尔值")
    return expr


def literal_facts(literal: Literal) -> Facts:
    """Facts of a constant.  The NULL literal has an empty domain and fits any type."""
    value = literal.value
    if value is None:
        return Facts(literal.kind, True, Range(), Fraction(1) if literal.kind.numeric else None, ())
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return Facts(literal.kind, False, _day_range(value), None, (value,))
    exact = Fraction(value)
    scale = None
    if exact.denominator == 1:
        scale = Fraction(1)
    elif 10**12 % exact.denominator == 0:
        scale = Fraction(1, exact.denominator)
    return Facts(literal.kind, False, Range(exact, exact), scale, (plain(literal),))


def _day_range(value: object) -> Range:
    if not isinstance(value, dt.date):
        return Range()
    day = Fraction(value.toordinal())
    return Range(day, day)


def plain(literal: Literal) -> Scalar:
    """The literal's value as the oracle sees it: decimals as binary64."""
    value = literal.value
    return float(value) if isinstance(value, Fraction) else value


def evaluate(expr: Expr, row: Sequence[Value]) -> Value:
    """The value of ``expr`` on one row: the oracle's meaning of every expression.  Total."""
    match expr:
        case Col(index):
            return row[index]
        case Literal():
            return plain(expr)
        case Call(name, args):
            return FUNCTIONS[name]([evaluate(a, row) for a in args])
        case Case(whens, default):
            for condition, value in whens:
                if evaluate(condition, row) is True:
                    return evaluate(value, row)
            return evaluate(default, row)
        case Cast(arg, kind, scale):
            return cast_value(evaluate(arg, row), kind, scale)
        case _:
            assert_never(expr)


def _derived_domain(expr: Expr, given: Given) -> tuple[Scalar, ...] | None:
    """Every non-null value over all combinations of the columns' domains; ``None`` if unknown."""
    total = 1
    for column in given:
        if column.facts.domain is None:
            return None
        total *= max(len(column.facts.domain) + column.facts.nullable, 1)
        if total > MOST:
            return None
    found = dict.fromkeys(_results(expr, given))
    found.pop(None, None)
    return tuple(found)


def outcomes(expr: Expr, index: int, known: Facts) -> tuple[Scalar, ...]:
    """An expression over one column with a domain: on each of its values, then on NULL if it may be."""
    return _results(expr, (_Given(index, known),))


@lru_cache(maxsize=256)
def _results(expr: Expr, given: Given) -> tuple[Scalar, ...]:
    """The value of ``expr`` on each combination of the columns' values, in one fixed order."""
    match expr:
        case Col(index):
            place = [g.index for g in given].index(index)
            return tuple(row[place] for row in itertools.product(*map(_choices, given)))
        case Literal():
            return (plain(expr),) * math.prod(len(_choices(g)) for g in given)
        case _:
            # A part's own results are known already, or serve the next expression that holds it.
            rows = zip(*(_results(part, given) for part in children(expr)), strict=True)
            if isinstance(expr, Call):
                function = FUNCTIONS[expr.name]
                return tuple(function(list(row)) for row in rows)
            node = _over_parts(expr)
            return tuple(evaluate(node, row) for row in rows)


def _choices(given: _Given) -> tuple[Scalar, ...]:
    """Every value that a column may have, NULL last."""
    domain = given.facts.domain or ()
    return (*domain, None) if given.facts.nullable else domain


def _over_parts(expr: Expr) -> Expr:
    """The node alone, its parts numbered as columns."""
    numbers = itertools.count()
    return rebuild(expr, lambda _: Col(next(numbers)))
