"""``facts_of``: what is publicly known of an expression, derived bottom-up; and ``evaluate``.

Finite domains are derived by evaluating the expression on every combination of its columns'
domains, while there are at most ``MOST`` of them; so ``GROUP BY month(d)`` over a declared range of
dates has a declared domain too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from sandbox.catalogue import Kind, Range, Scalar
from sandbox.errors import Code, refuse
from sandbox.sql.casts import cast_facts, cast_value
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Facts, Literal, columns
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.functions.logic import comparable, held, union
from sandbox.sql.functions.registry import Value

MOST = 5000


def facts_of(expr: Expr, inputs: Sequence[Facts]) -> Facts:
    """Type, nullability, range and domain of ``expr`` over fields with ``inputs`` facts.

    Raises a refusal (TYPE, ARGUMENT) where the expression is not well typed.
    """
    known = _local(expr, inputs)
    if known.domain is None and not isinstance(expr, Col | Literal):
        domain = _enumerate(expr, inputs)
        if domain is not None:
            known = replace(known, domain=tuple(dict.fromkeys(held(v, known.kind) for v in domain)))
    return known


def _local(expr: Expr, inputs: Sequence[Facts]) -> Facts:
    match expr:
        case Col(index):
            return inputs[index]
        case Literal():
            return literal_facts(expr)
        case Call(name, args):
            function = FUNCTIONS[name]
            if not function.low <= len(args) <= function.high:
                raise refuse(Code.ARGUMENT, name, "give it the right number of arguments", "参数个数不正确")
            _constants(name, args)
            return function.rule(tuple(facts_of(a, inputs) for a in args))
        case Case(whens, default):
            return _case(whens, default, inputs)
        case Cast(arg, kind, scale):
            return cast_facts(facts_of(arg, inputs), kind, scale)


def _constants(name: str, args: tuple[Expr, ...]) -> None:
    for position in FUNCTIONS[name].constant:
        if position < len(args) and not isinstance(args[position], Literal):
            raise refuse(
                Code.ARGUMENT,
                name,
                f"argument {position + 1} is a constant",
                f"第 {position + 1} 个参数须为常量",
            )


def _case(whens: tuple[tuple[Expr, Expr], ...], default: Expr, inputs: Sequence[Facts]) -> Facts:
    for condition, _ in whens:
        if facts_of(condition, inputs).kind is not Kind.BOOLEAN:
            raise refuse(Code.TYPE, "CASE WHEN", "a condition is true or false", "条件须为布尔值")
    branches = [facts_of(v, inputs) for v in (*(v for _, v in whens), default)]
    typed = tuple(b for b in branches if b.domain != ()) or tuple(branches)
    for other in typed[1:]:
        comparable("CASE", (typed[0], other))
    return replace(union(typed), nullable=any(b.nullable for b in branches))


def literal_facts(literal: Literal) -> Facts:
    """Facts of a constant.  The NULL literal has an empty domain and fits any type."""
    value = literal.value
    if value is None:
        return Facts(literal.kind, True, Range(), Fraction(1) if literal.kind.numeric else None, ())
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return Facts(literal.kind, False, _day_range(value), None, (value,))  # type: ignore[arg-type]
    exact = Fraction(value)
    scale = None
    if exact.denominator == 1:
        scale = Fraction(1)
    elif 10**9 % exact.denominator == 0 or _decimal(exact):
        scale = Fraction(1, exact.denominator)
    return Facts(literal.kind, False, Range(exact, exact), scale, (plain(literal),))


def _decimal(value: Fraction) -> bool:
    return 10**12 % value.denominator == 0


def _day_range(value: object) -> Range:
    import datetime as dt

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


def _enumerate(expr: Expr, inputs: Sequence[Facts]) -> tuple[Scalar, ...] | None:
    used = sorted(columns(expr))
    choices: list[tuple[Scalar, ...]] = []
    total = 1
    for index in used:
        facts = inputs[index]
        if facts.domain is None:
            return None
        values = (*facts.domain, None) if facts.nullable else facts.domain
        total *= max(len(values), 1)
        if total > MOST:
            return None
        choices.append(values)
    found: dict[Scalar, None] = {}
    for combination in itertools.product(*choices):
        row: list[Scalar] = [None] * len(inputs)
        for index, value in zip(used, combination, strict=True):
            row[index] = value
        found[evaluate(expr, row)] = None
    found.pop(None, None)
    return tuple(found)
