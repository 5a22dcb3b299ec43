"""Try-casts: what does not convert is NULL.  Only a few conversions exist, each total."""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.numbers import round_half_away
from sandbox.sql.functions.registry import Value, mistyped

ALLOWED: dict[Kind, tuple[Kind, ...]] = {
    Kind.INTEGER: (Kind.INTEGER, Kind.DOUBLE, Kind.BOOLEAN),
    Kind.DOUBLE: (Kind.INTEGER, Kind.DOUBLE, Kind.BOOLEAN),
    Kind.DECIMAL: (Kind.INTEGER, Kind.DOUBLE, Kind.BOOLEAN),
    Kind.STRING: (Kind.STRING, Kind.INTEGER, Kind.BOOLEAN, Kind.DATE),
    Kind.DATE: (Kind.DATE, Kind.TIMESTAMP),
    Kind.TIMESTAMP: (Kind.DATE, Kind.TIMESTAMP),
    Kind.BOOLEAN: (Kind.BOOLEAN,),
}
"""Target kind: the kinds that may be cast to it.  Parsing text is refused: its failures depend on data."""

LARGEST = Fraction(2**62)


def cast_facts(facts: Facts, kind: Kind, scale: Fraction | None) -> Facts:
    """Facts of a try-cast; a refusal (TYPE) where the pair is not allowed."""
    if facts.domain == ():
        return Facts(_stored(kind), True, Range(), Fraction(1) if kind.numeric else None, ())
    if facts.kind not in ALLOWED[kind]:
        raise mistyped(
            (facts,),
            f"CAST {facts.kind.value} AS {kind.value}",
            "this cast could fail on data and is not allowed",
            "此转换可能因数据而失败，不予许可",
        )
    if kind is Kind.INTEGER:
        return _integer(facts)
    if kind is Kind.DECIMAL:
        step = scale or Fraction(1)
        low = None if facts.range.lo is None else facts.range.lo - step
        high = None if facts.range.hi is None else facts.range.hi + step
        return Facts(Kind.DOUBLE, facts.nullable, Range(low, high), step)
    spread = _truth(facts) if kind.numeric or kind.temporal else UNBOUNDED
    return Facts(kind, facts.nullable, spread, facts.scale if kind.numeric else None)


def _truth(facts: Facts) -> Range:
    return Range(Fraction(0), Fraction(1)) if facts.kind is Kind.BOOLEAN else facts.range


def _integer(facts: Facts) -> Facts:
    spread = _truth(facts)
    if facts.kind is Kind.DOUBLE:
        low = None if spread.lo is None else max(Fraction(math.floor(spread.lo)), -LARGEST)
        high = None if spread.hi is None else min(Fraction(math.ceil(spread.hi)), LARGEST)
        spread = Range(low, high)
    fits = facts.kind is not Kind.DOUBLE or (spread.magnitude or LARGEST) < LARGEST
    return Facts(Kind.INTEGER, facts.nullable or not fits, spread, Fraction(1))


def _stored(kind: Kind) -> Kind:
    return Kind.DOUBLE if kind is Kind.DECIMAL else kind


def cast_value(value: Value, kind: Kind, scale: Fraction | None) -> Value:
    """The cast on one value, as the oracle sees it."""
    if value is None:
        return None
    if kind is Kind.INTEGER:
        return _to_integer(value)
    if kind in (Kind.DOUBLE, Kind.DECIMAL):
        number = float(value)
        return number if kind is Kind.DOUBLE else round_half_away(number, _digits(scale))
    if kind is Kind.STRING:
        return _to_text(value)
    if kind is Kind.DATE:
        return dt.date(value.year, value.month, value.day)
    if kind is Kind.TIMESTAMP:
        return value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
    return value


def _digits(scale: Fraction | None) -> int:
    digits, step = 0, scale or Fraction(1)
    while step < 1:
        step, digits = step * 10, digits + 1
    return digits


def _to_integer(value: Value) -> int | None:
    if isinstance(value, float):
        # The engine rounds half to even here, as Python does.
        return round(value) if math.isfinite(value) and abs(value) < 2.0**63 else None
    return int(value)


def _to_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def cast_render(text: str, facts: Facts, kind: Kind, scale: Fraction | None) -> str:
    """The cast in DuckDB."""
    if kind is Kind.DECIMAL:
        return f"round(CAST({text} AS DOUBLE), {_digits(scale)})"
    return f"TRY_CAST({text} AS {SPELLED[kind]})"


SPELLED = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.DOUBLE: "DOUBLE",
    Kind.STRING: "VARCHAR",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
}
