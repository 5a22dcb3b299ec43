"""Real functions: roots, logarithms, angles and hyperbolas, and tests for what is no finite number.

Angles are in radians.  Where a function has no value (``asin(2)``, ``sin`` of an infinity) it is NULL.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.numbers import ONE, TWO, as_double, monotone, total
from sandbox.sql.functions.registry import Function, Value, any_null, checked, fixed, span

RIGHT = Fraction(15707963267948968, 10**16)
"""A little more than half of π: no computed angle is greater."""


def _real(name: str, fn: Callable[[float], float], image: Range = UNBOUNDED) -> Function:
    """A real function of any number, with values inside ``image``; NULL where it has none."""

    def evaluate(value: Value) -> Value:
        return total(fn, float(value))

    def render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
        return f"nullif(TRY({name}({as_double(args[0], facts[0], out)})), CAST('NaN' AS DOUBLE))"

    rule = checked(name, ONE, fixed(Kind.DOUBLE, True, image))
    return Function(name, 1, 1, rule, evaluate, render, family="number", example=f"{name}(fee)")


def _sinh(value: float) -> float:
    """The hyperbolic sine, which overflows on both sides."""
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _atan2_render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
    # Adding zero makes 0.0 of −0.0: the two are equal, and no function may tell them apart.
    y, x = (f"{as_double(a, f, out)} + CAST(0 AS DOUBLE)" for a, f in zip(args, facts, strict=True))
    return f"nullif(atan2({y}, {x}), CAST('NaN' AS DOUBLE))"


def _atan2(y: Value, x: Value) -> Value:
    angle = math.atan2(float(y) + 0.0, float(x) + 0.0)
    return None if math.isnan(angle) else angle


def _nature(name: str, fn: Callable[[float], bool]) -> Function:
    rule = checked(name, ONE, fixed(Kind.BOOLEAN))
    return Function(
        name,
        1,
        1,
        rule,
        lambda a: fn(float(a)),
        lambda a, f, o: f"{name}(CAST({a[0]} AS DOUBLE))",
        family="number",
        example=f"{name}(fee)",
    )


FUNCTIONS = (
    monotone("log2", math.log2, Fraction(0), strictly=True),
    monotone("cbrt", math.cbrt, None),
    monotone("degrees", math.degrees, None),
    monotone("radians", math.radians, None),
    _real("sin", math.sin, span(-1, 1)),
    _real("cos", math.cos, span(-1, 1)),
    _real("tan", math.tan),
    _real("asin", math.asin, span(-RIGHT, RIGHT)),
    _real("acos", math.acos, span(0, 2 * RIGHT)),
    _real("atan", math.atan, span(-RIGHT, RIGHT)),
    Function(
        "atan2",
        2,
        2,
        checked(
            "atan2",
            TWO,
            lambda f: Facts(
                Kind.DOUBLE,
                any_null(f) or not all(x.range.bounded for x in f),
                span(-2 * RIGHT, 2 * RIGHT),
            ),
        ),
        _atan2,
        _atan2_render,
        family="number",
        example="atan2(fee, 2)",
    ),
    _real("sinh", _sinh),
    _real("cosh", math.cosh, span(1, None)),
    _real("tanh", math.tanh, span(-1, 1)),
    _nature("isnan", math.isnan),
    _nature("isinf", math.isinf),
    _nature("isfinite", math.isfinite),
    Function(
        "bit_count",
        1,
        1,
        checked("bit_count", {0: (Kind.INTEGER,)}, fixed(Kind.INTEGER, span=span(0, 64))),
        lambda a: (a & (2**64 - 1)).bit_count(),
        lambda a, f, o: f"CAST(bit_count({a[0]}) AS BIGINT)",
        family="number",
        example="bit_count(age)",
    ),
)
