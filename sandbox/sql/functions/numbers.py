"""Arithmetic.  Integers stay exact while their derived range is safe; everything else is binary64."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.logic import finest
from sandbox.sql.functions.registry import (
    NUMBERS,
    SAFE_INTEGER,
    TRUTHS,
    Function,
    Rule,
    Value,
    any_null,
    checked,
    kinds_must,
)

TWO = {0: NUMBERS, 1: NUMBERS}
ONE = {0: NUMBERS}


def interval(op: Callable[[Fraction, Fraction], Fraction], a: Range, b: Range) -> Range:
    """Interval arithmetic by corners, for operations monotone in each argument."""
    if a.lo is None or a.hi is None or b.lo is None or b.hi is None:
        return UNBOUNDED
    corners = [op(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    return Range(min(corners), max(corners))


def safe(facts: tuple[Facts, ...], spread: Range) -> bool:
    """Whether BIGINT arithmetic cannot overflow."""
    size = spread.magnitude
    return all(f.kind is Kind.INTEGER for f in facts) and size is not None and size < SAFE_INTEGER


def _linear(symbol: str, op: Callable[[Fraction, Fraction], Fraction]) -> Rule:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        kinds_must(symbol, facts, TWO)
        spread = interval(op, facts[0].range, facts[1].range)
        kind = Kind.INTEGER if safe(facts, spread) else Kind.DOUBLE
        return Facts(kind, any_null(facts), spread, _scale(symbol, facts))

    return rule


def _scale(symbol: str, facts: tuple[Facts, ...]) -> Fraction | None:
    if symbol != "*":
        return finest([f.scale for f in facts])
    a, b = facts[0].scale, facts[1].scale
    return None if a is None or b is None else a * b


def _binary(name: str, symbol: str, op: Callable[[Value, Value], Value]) -> Function:
    def evaluate(a: Value, b: Value) -> Value:
        result = op(a, b)
        # What BIGINT could not hold is binary64 (``safe``): whole numbers do not grow without end.
        return float(result) if isinstance(result, int) and abs(result) >= SAFE_INTEGER else result

    def render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
        left, right = (as_double(a, f, out) for a, f in zip(args, facts, strict=True))
        return f"({left} {symbol} {right})"

    return Function(
        name, 2, 2, _linear(symbol, op), evaluate, render, family="number", example=f"fee {symbol} 2"
    )


def as_double(text: str, facts: Facts, out: Facts) -> str:
    """The argument, widened to binary64 where the result is."""
    widen = out.kind is Kind.DOUBLE and facts.kind is Kind.INTEGER
    return f"CAST({text} AS DOUBLE)" if widen else text


def _div_rule(facts: tuple[Facts, ...]) -> Facts:
    kinds_must("/", facts, TWO)
    divisor = facts[1]
    not_zero(divisor, "/")
    spread = UNBOUNDED
    if divisor.range.bounded and not _holds_zero(divisor.range):
        spread = interval(lambda x, y: x / y, facts[0].range, divisor.range)
    nullable = any_null(facts) or _holds_zero(divisor.range)
    return Facts(Kind.DOUBLE, nullable, spread)


def not_zero(divisor: Facts, symbol: str) -> None:
    """Refuse a divisor that is always zero."""
    if divisor.range.lo == 0 and divisor.range.hi == 0:
        raise refuse(
            Code.ARGUMENT, f"{symbol} 0", "divide by something that is not always zero", "除数不能恒为零"
        )


def _holds_zero(spread: Range) -> bool:
    return (spread.lo is None or spread.lo <= 0) and (spread.hi is None or spread.hi >= 0)


def _div(a: Value, b: Value) -> Value:
    return None if b == 0 else float(a) / float(b)


def _trunc_div(a: Value, b: Value) -> Value:
    quotient = abs(a) // abs(b)
    return quotient if (a >= 0) == (b >= 0) else -quotient


def _constant_divisor(symbol: str) -> Rule:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        kinds_must(symbol, facts, {0: (Kind.INTEGER,), 1: (Kind.INTEGER,)})
        not_zero(facts[1], symbol)
        low = facts[1].range.lo
        if low is None or low < 1:
            raise refuse(Code.ARGUMENT, symbol, "the divisor is a positive constant", "除数须为正的常数")
        step = facts[1].range.magnitude
        spread = facts[0].range
        if symbol == "//":
            divisor = facts[1].range
            out = interval(lambda x, y: Fraction(_trunc_div(math.floor(x), math.floor(y))), spread, divisor)
            return Facts(Kind.INTEGER, any_null(facts), out, Fraction(1))
        bound = None if step is None else step - 1
        out = (
            UNBOUNDED
            if bound is None
            else Range(-bound if spread.lo is None or spread.lo < 0 else Fraction(0), bound)
        )
        return Facts(Kind.INTEGER, any_null(facts), out, Fraction(1))

    return rule


def _mod(a: Value, b: Value) -> Value:
    return int(math.fmod(a, b)) if abs(a) < 2**53 else a - b * _trunc_div(a, b)


def _abs_rule(facts: tuple[Facts, ...]) -> Facts:
    kinds_must("abs", facts, ONE)
    spread = facts[0].range
    out = Range(Fraction(0))
    if spread.lo is not None and spread.hi is not None:
        lo = Fraction(0) if _holds_zero(spread) else min(abs(spread.lo), abs(spread.hi))
        out = Range(lo, spread.magnitude)
    kind = facts[0].kind if safe(facts, out) else Kind.DOUBLE
    return Facts(kind, facts[0].nullable, out, facts[0].scale)


def _neg_rule(facts: tuple[Facts, ...]) -> Facts:
    kinds_must("-", facts, ONE)
    spread = facts[0].range
    out = Range(None if spread.hi is None else -spread.hi, None if spread.lo is None else -spread.lo)
    kind = facts[0].kind if safe(facts, out) else Kind.DOUBLE
    return Facts(kind, facts[0].nullable, out, facts[0].scale)


def _whole(name: str, snap: Callable[[Fraction], int]) -> Rule:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        kinds_must(name, facts, ONE)
        spread = facts[0].range
        lo = None if spread.lo is None else Fraction(snap(spread.lo))
        hi = None if spread.hi is None else Fraction(snap(spread.hi))
        return Facts(Kind.DOUBLE, facts[0].nullable, Range(lo, hi), Fraction(1))

    return rule


def _round_rule(facts: tuple[Facts, ...]) -> Facts:
    kinds_must("round", facts, {0: NUMBERS, 1: (Kind.INTEGER,)})
    digits = 0
    if len(facts) == 2:
        domain = facts[1].domain
        if domain is None or len(domain) != 1 or not isinstance(domain[0], int) or abs(domain[0]) > 12:
            raise refuse(
                Code.ARGUMENT,
                "round",
                "give it a constant number of digits from -12 to 12",
                "小数位数须为 -12 到 12 的常数",
            )
        digits = domain[0]
    step = Fraction(10) ** -digits
    spread = facts[0].range
    lo = None if spread.lo is None else spread.lo - step
    hi = None if spread.hi is None else spread.hi + step
    return Facts(Kind.DOUBLE, facts[0].nullable, Range(lo, hi), step)


def round_half_away(value: float, digits: int = 0) -> float:
    """Round half away from zero, as the engine does on binary64 (its overflows included)."""
    factor = 10.0 ** abs(digits)
    rounded = _nearest(value / factor) * factor if digits < 0 else _nearest(value * factor) / factor
    return rounded if math.isfinite(rounded) else value


def _nearest(value: float) -> float:
    if not math.isfinite(value):
        return value
    whole = math.floor(abs(value))
    return math.copysign(whole + (abs(value) - whole >= 0.5), value)


def monotone(
    name: str, fn: Callable[[float], float], lowest: Fraction | None, *, strictly: bool = False
) -> Function:
    """A monotone real function; refused where its argument could leave the function's domain."""

    def rule(facts: tuple[Facts, ...]) -> Facts:
        kinds_must(name, facts, ONE)
        spread = facts[0].range
        if lowest is not None and (
            spread.lo is None or spread.lo < lowest or (strictly and spread.lo == lowest)
        ):
            least = 1 if strictly else 0
            raise refuse(
                Code.ARGUMENT,
                name,
                f"its argument could be outside the function's domain; use greatest(x, {least})",
                f"参数可能超出函数定义域，请使用 greatest(x, {least})",
            )
        return Facts(Kind.DOUBLE, facts[0].nullable, _image(fn, spread))

    def evaluate(value: Value) -> Value:
        return total(fn, float(value))

    def render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
        # Rounding may take an argument just outside the domain that its exact range stays in.
        inner = as_double(args[0], facts[0], out)
        return f"nullif({name}({f'nullif({inner}, 0)' if strictly else inner}), CAST('NaN' AS DOUBLE))"

    return Function(name, 1, 1, rule, evaluate, render, family="number", example=f"{name}(greatest(fee, 1))")


def total(fn: Callable[[float], float], value: float) -> float | None:
    """``fn(value)``, infinite on overflow, NULL outside the domain."""
    try:
        result = fn(value)
    except OverflowError:
        return math.inf
    except ValueError:
        return None
    return None if math.isnan(result) else result


def _image(fn: Callable[[float], float], spread: Range) -> Range:
    if spread.lo is None or spread.hi is None:
        return UNBOUNDED
    ends = [total(fn, float(spread.lo)), total(fn, float(spread.hi))]
    if any(e is None or not math.isfinite(e) for e in ends):
        return UNBOUNDED
    # Widened by a relative 1e-9: the engine's last digits may differ from ours.
    lo, hi = (Fraction(e or 0.0) for e in ends)
    return Range(lo - abs(lo) / 10**9, hi + abs(hi) / 10**9)


def _power_rule(facts: tuple[Facts, ...]) -> Facts:
    kinds_must("power", facts, TWO)
    domain = facts[1].domain
    exponent = domain[0] if domain is not None and len(domain) == 1 else None
    if not isinstance(exponent, int) or exponent not in (1, 2, 3, 4):
        raise refuse(
            Code.ARGUMENT, "power", "the exponent is a constant 1, 2, 3 or 4", "指数须为常数 1、2、3 或 4"
        )
    spread = facts[0].range
    if spread.lo is None or spread.hi is None:
        return Facts(Kind.DOUBLE, any_null(facts))
    corners = [spread.lo**exponent, spread.hi**exponent]
    lo = Fraction(0) if exponent % 2 == 0 and _holds_zero(spread) else min(corners)
    return Facts(Kind.DOUBLE, any_null(facts), Range(lo, max(corners)))


def _power(a: Value, b: Value) -> Value:
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.copysign(math.inf, a) if b % 2 else math.inf


def _within(value: Fraction, lo: Fraction | None, hi: Fraction | None) -> Fraction:
    value = value if lo is None else max(value, lo)
    return value if hi is None else min(value, hi)


def _clamp_rule(facts: tuple[Facts, ...]) -> Facts:
    lo, hi = facts[1].range.lo, facts[2].range.hi
    own = facts[0].range
    low = lo if own.lo is None else _within(own.lo, lo, hi)
    high = hi if own.hi is None else _within(own.hi, lo, hi)
    return Facts(facts[0].kind, facts[0].nullable, Range(low, high), facts[0].scale)


def _clamp_render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
    # least and greatest skip NULL, so a NULL value would become a bound: keep it NULL.
    low, high = (as_double(a, f, out) for a, f in zip(args[1:], facts[1:], strict=True))
    return f"(CASE WHEN {args[0]} IS NULL THEN NULL ELSE least(greatest({args[0]}, {low}), {high}) END)"


def _flag_rule(facts: tuple[Facts, ...]) -> Facts:
    return Facts(Kind.INTEGER, facts[0].nullable, Range(Fraction(0), Fraction(1)), Fraction(1), (0, 1))


FUNCTIONS = (
    _binary("add", "+", lambda a, b: a + b),
    _binary("sub", "-", lambda a, b: a - b),
    _binary("mul", "*", lambda a, b: a * b),
    Function(
        "div",
        2,
        2,
        _div_rule,
        _div,
        lambda a, f, o: f"(CAST({a[0]} AS DOUBLE) / nullif(CAST({a[1]} AS DOUBLE), 0))",
        family="number",
        example="fee / 12",
    ),
    Function(
        "idiv",
        2,
        2,
        _constant_divisor("//"),
        _trunc_div,
        lambda a, f, o: f"({a[0]} // {a[1]})",
        frozenset({1}),
        family="number",
        example="age // 5",
    ),
    Function(
        "mod",
        2,
        2,
        _constant_divisor("%"),
        _mod,
        lambda a, f, o: f"({a[0]} % {a[1]})",
        frozenset({1}),
        family="number",
        example="age % 10",
    ),
    Function(
        "neg",
        1,
        1,
        _neg_rule,
        lambda a: -a,
        lambda a, f, o: f"(-{as_double(a[0], f[0], o)})",
        family="number",
        example="-fee",
    ),
    Function(
        "abs",
        1,
        1,
        _abs_rule,
        abs,
        lambda a, f, o: f"abs({as_double(a[0], f[0], o)})",
        family="number",
        example="abs(fee - 10)",
    ),
    Function(
        "round",
        1,
        2,
        _round_rule,
        lambda a, n=0: round_half_away(float(a), n),
        lambda a, f, o: f"round({', '.join([as_double(a[0], f[0], o), *a[1:]])})",
        frozenset({1}),
        family="number",
        example="round(fee, 1)",
    ),
    Function(
        "floor",
        1,
        1,
        _whole("floor", math.floor),
        lambda a: float(math.floor(a)) if math.isfinite(a) else a,
        lambda a, f, o: f"floor({as_double(a[0], f[0], o)})",
        family="number",
        example="floor(fee)",
    ),
    Function(
        "ceil",
        1,
        1,
        _whole("ceil", math.ceil),
        lambda a: float(math.ceil(a)) if math.isfinite(a) else a,
        lambda a, f, o: f"ceil({as_double(a[0], f[0], o)})",
        family="number",
        example="ceil(fee)",
    ),
    Function(
        "trunc",
        1,
        1,
        _whole("trunc", math.trunc),
        lambda a: float(math.trunc(a)) if math.isfinite(a) else a,
        lambda a, f, o: f"trunc({as_double(a[0], f[0], o)})",
        family="number",
        example="trunc(fee)",
    ),
    Function(
        "sign",
        1,
        1,
        checked(
            "sign",
            ONE,
            lambda f: Facts(
                Kind.INTEGER, f[0].nullable, Range(Fraction(-1), Fraction(1)), Fraction(1), (-1, 0, 1)
            ),
        ),
        lambda a: (a > 0) - (a < 0),
        lambda a, f, o: f"CAST(sign({a[0]}) AS BIGINT)",
        family="number",
        example="sign(fee - 10)",
    ),
    monotone("sqrt", math.sqrt, Fraction(0)),
    monotone("ln", math.log, Fraction(0), strictly=True),
    monotone("log10", math.log10, Fraction(0), strictly=True),
    monotone("exp", math.exp, None),
    Function(
        "power",
        2,
        2,
        _power_rule,
        _power,
        lambda a, f, o: f"power(CAST({a[0]} AS DOUBLE), {a[1]})",
        frozenset({1}),
        family="number",
        example="power(fee, 2)",
    ),
    Function(
        "clamp",
        3,
        3,
        checked("clamp", dict.fromkeys(range(3), NUMBERS), _clamp_rule),
        lambda v, lo, hi: hi if math.isnan(v) else min(max(v, lo), hi),
        _clamp_render,
        frozenset({1, 2}),
        family="internal",
    ),
    Function(
        "flag",
        1,
        1,
        checked("flag", {0: TRUTHS}, _flag_rule),
        int,
        lambda a, f, o: f"CAST({a[0]} AS BIGINT)",
        family="internal",
    ),
)
