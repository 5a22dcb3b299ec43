"""Comparison, three-valued logic and NULL handling."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import reduce

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.letters import lower
from sandbox.sql.functions.registry import TEXTS, TRUTHS, Function, Value, any_null, checked, fixed, mistyped

BOOL = fixed(Kind.BOOLEAN)


def comparable(name: str, facts: tuple[Facts, ...]) -> None:
    """Refuse to compare values of different families (no silent casts, which could fail).

    What is always NULL compares with anything.
    """
    typed = not_null(facts)
    if len({family(f.kind) for f in typed}) > 1:
        kinds = " and ".join(f.kind.value for f in typed)
        raise mistyped(typed, f"{name}: {kinds}", "CAST one side", "请对一侧使用 CAST")


def not_null(facts: tuple[Facts, ...]) -> tuple[Facts, ...]:
    """The facts that say something of a type: all but those of NULL, unless there are no others."""
    return tuple(f for f in facts if f.domain != ()) or facts


def family(kind: Kind) -> str:
    """Kinds that compare with each other."""
    if kind.numeric:
        return "number"
    return "time" if kind.temporal else kind.value


def joined(facts: tuple[Facts, ...]) -> Kind:
    """The kind that holds values of all the (comparable) arguments."""
    kinds = {f.kind for f in facts}
    if len(kinds) == 1:
        return kinds.pop()
    return Kind.DOUBLE if facts[0].kind.numeric else Kind.TIMESTAMP


def held(value: Value, kind: Kind) -> Value:
    """The value as a wider kind holds it: a date among timestamps is the start of its day."""
    if kind is Kind.TIMESTAMP and isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return float(value) if kind is Kind.DOUBLE and isinstance(value, int) else value


def hull(ranges: list[Range]) -> Range:
    """The smallest interval around all."""
    los, his = [r.lo for r in ranges], [r.hi for r in ranges]
    lo = None if any(x is None for x in los) else min(x for x in los if x is not None)
    hi = None if any(x is None for x in his) else max(x for x in his if x is not None)
    return Range(lo, hi)


def finest(scales: list[Fraction | None]) -> Fraction | None:
    """A granularity of which every scale is a multiple, if all are known."""
    known = [s for s in scales if s is not None]
    if len(known) < len(scales):
        return None
    return Fraction(math.gcd(*(s.numerator for s in known)), math.lcm(*(s.denominator for s in known)))


def union(facts: tuple[Facts, ...]) -> Facts:
    """What is known of a value that is one of the arguments."""
    domain = None
    if all(f.domain is not None for f in facts):
        domain = tuple(dict.fromkeys(held(v, joined(facts)) for f in facts for v in f.domain or ()))
    scale = finest([f.scale for f in facts]) if facts[0].kind.numeric else None
    return Facts(joined(facts), any_null(facts), hull([f.range for f in facts]), scale, domain)


def _compare(name: str, symbol: str, test: Callable[[Value, Value], bool]) -> Function:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        comparable(symbol, facts)
        return BOOL(facts)

    def evaluate(a: Value, b: Value) -> bool:
        return test(*_aligned(a, b))

    return Function(
        name,
        2,
        2,
        rule,
        evaluate,
        lambda a, f, o: f"({a[0]} {symbol} {a[1]})",
        family="compare",
        example=f"fee {symbol} 10",
    )


def _aligned(a: Value, b: Value) -> tuple[Value, Value]:
    if isinstance(a, dt.datetime) != isinstance(b, dt.datetime) and isinstance(a, dt.date):
        return held(a, Kind.TIMESTAMP), held(b, Kind.TIMESTAMP)
    if isinstance(a, float) or isinstance(b, float):
        return _rank(a), _rank(b)
    return a, b


def _rank(value: Value) -> Value:
    """NaN equals itself and is the largest number, as in the engine; so it can be grouped and sorted."""
    return (1, 0.0) if isinstance(value, float) and math.isnan(value) else (0, value)


def _less(a: Value, b: Value) -> bool:
    one, two = _aligned(a, b)
    return bool(one < two)


def _and(*values: Value) -> Value:
    if any(v is False for v in values):
        return False
    return None if any(v is None for v in values) else True


def _or(*values: Value) -> Value:
    if any(v is True for v in values):
        return True
    return None if any(v is None for v in values) else False


def _in_rule(facts: tuple[Facts, ...]) -> Facts:
    comparable("IN", facts)
    return BOOL(facts)


def _in(value: Value, *options: Value) -> Value:
    if value is None:
        return None
    if any(o is not None and _aligned(value, o)[0] == _aligned(value, o)[1] for o in options):
        return True
    return None if any(o is None for o in options) else False


def like_pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A LIKE pattern as a regular expression (no escape character)."""
    pattern = lower(pattern) if ignore_case else pattern
    parts = (".*" if ch == "%" else "." if ch == "_" else re.escape(ch) for ch in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _like(name: str, symbol: str, *, ignore_case: bool) -> Function:
    def evaluate(text: str, pattern: str) -> bool:
        read = lower(text) if ignore_case else text
        return like_pattern(pattern, ignore_case=ignore_case).fullmatch(read) is not None

    rule = checked(symbol, {0: TEXTS, 1: TEXTS}, BOOL)
    return Function(
        name,
        2,
        2,
        rule,
        evaluate,
        lambda a, f, o: f"({a[0]} {symbol} {a[1]})",
        frozenset({1}),
        family="compare",
        example=f"city {symbol} '大%'",
    )


def _same(facts: tuple[Facts, ...]) -> Facts:
    comparable("values", facts)
    return union(not_null(facts))


def _coalesce_rule(facts: tuple[Facts, ...]) -> Facts:
    known = _same(facts)
    return Facts(known.kind, all(f.nullable for f in facts), known.range, known.scale, known.domain)


def _nullif_rule(facts: tuple[Facts, ...]) -> Facts:
    comparable("NULLIF", facts)
    first = facts[0]
    return Facts(joined(not_null(facts)), True, first.range, first.scale, first.domain)


def _extreme(name: str, pick: Callable[..., Value]) -> Function:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        known = _same(facts)
        ordered = known.kind.numeric or known.kind.temporal
        spread = _extreme_range(name, facts) if ordered else UNBOUNDED
        return Facts(known.kind, all(f.nullable for f in facts), spread, known.scale)

    def evaluate(*values: Value) -> Value:
        present = [v for v in values if v is not None]
        return reduce(pick, present) if present else None

    return Function(
        name,
        2,
        8,
        rule,
        evaluate,
        lambda a, f, o: f"{name}({', '.join(a)})",
        strict=False,
        family="number",
        example=f"{name}(fee, 10)",
    )


def _extreme_range(name: str, facts: tuple[Facts, ...]) -> Range:
    """NULLs are skipped, so the result lies in the hull; a value that is never NULL bounds one side."""
    spread = hull([f.range for f in facts])
    sure = [f.range for f in facts if not f.nullable]
    if name == "greatest":
        lows = [r.lo for r in (*sure, spread) if r.lo is not None]
        return Range(max(lows) if lows else None, spread.hi)
    highs = [r.hi for r in (*sure, spread) if r.hi is not None]
    return Range(spread.lo, min(highs) if highs else None)


FUNCTIONS = (
    _compare("eq", "=", lambda a, b: a == b),
    _compare("ne", "<>", lambda a, b: a != b),
    _compare("lt", "<", lambda a, b: a < b),
    _compare("le", "<=", lambda a, b: a <= b),
    _compare("gt", ">", lambda a, b: a > b),
    _compare("ge", ">=", lambda a, b: a >= b),
    Function(
        "and",
        2,
        4096,
        checked("AND", dict.fromkeys(range(4096), TRUTHS), BOOL),
        _and,
        lambda a, f, o: "(" + " AND ".join(a) + ")",
        strict=False,
        family="logic",
        example="a AND b",
    ),
    Function(
        "or",
        2,
        4096,
        checked("OR", dict.fromkeys(range(4096), TRUTHS), BOOL),
        _or,
        lambda a, f, o: "(" + " OR ".join(a) + ")",
        strict=False,
        family="logic",
        example="a OR b",
    ),
    Function(
        "not",
        1,
        1,
        checked("NOT", {0: TRUTHS}, BOOL),
        lambda a: not a,
        lambda a, f, o: f"(NOT {a[0]})",
        family="logic",
        example="NOT a",
    ),
    Function(
        "is_null",
        1,
        1,
        fixed(Kind.BOOLEAN, nullable=False),
        lambda a: a is None,
        lambda a, f, o: f"({a[0]} IS NULL)",
        strict=False,
        family="logic",
        example="fee IS NULL",
    ),
    Function(
        "in",
        2,
        1001,
        _in_rule,
        _in,
        lambda a, f, o: f"({a[0]} IN ({', '.join(a[1:])}))",
        strict=False,
        family="compare",
        example="city IN ('太原', '大同')",
    ),
    _like("like", "LIKE", ignore_case=False),
    _like("ilike", "ILIKE", ignore_case=True),
    Function(
        "coalesce",
        1,
        8,
        _coalesce_rule,
        lambda *v: next((x for x in v if x is not None), None),
        lambda a, f, o: f"coalesce({', '.join(a)})",
        strict=False,
        family="null",
        example="coalesce(fee, 0)",
    ),
    Function(
        "nullif",
        2,
        2,
        _nullif_rule,
        lambda a, b: None if b is not None and _in(a, b) else a,
        lambda a, f, o: f"nullif({a[0]}, {a[1]})",
        strict=False,
        family="null",
        example="nullif(fee, 0)",
    ),
    _extreme("least", lambda a, b: b if _less(b, a) else a),
    _extreme("greatest", lambda a, b: b if _less(a, b) else a),
)
