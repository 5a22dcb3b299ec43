"""How declared kinds are stored, and how text or foreign values are cast to them without loss.

A cast is total: what cannot be read is NULL.  DuckDB alone would round ``1.5`` to an integer and cut a
time of day from a date, so each cast also compares the result with what was read.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from sandbox.catalogue import Kind, Scalar
from sandbox.policy.documents import ColumnRule
from sandbox.privacy.cube_sql import digits_of, identifier, steps

LARGEST = {Kind.INTEGER: 2**63 - 1, Kind.DECIMAL: 10**18 - 1}
"""Largest whole number of steps that a column of this kind can hold."""


def text(value: str) -> str:
    """A quoted SQL string."""
    return "'" + value.replace("'", "''") + "'"


def type_of(column: ColumnRule) -> str:
    """The DuckDB and Parquet type of a column."""
    if column.kind is Kind.DECIMAL:
        return f"DECIMAL(18, {digits_of(column)})"
    return {
        Kind.INTEGER: "BIGINT",
        Kind.DOUBLE: "DOUBLE",
        Kind.STRING: "VARCHAR",
        Kind.DATE: "DATE",
        Kind.TIMESTAMP: "TIMESTAMP",
        Kind.BOOLEAN: "BOOLEAN",
    }[column.kind]


def cast(column: ColumnRule, source: str) -> str:
    """``source`` (any type) as the declared kind, or NULL where it is not such a value.

    Decimals are rounded to the nearest multiple of ``scale``, half away from zero.  Days are those of the
    years 1 to 9999: beyond, some functions of the engine raise, and one stored value could stop other
    questions.
    """
    to = f"TRY_CAST({source} AS {type_of(column)})"
    match column.kind:
        case Kind.INTEGER:
            return f"CASE WHEN TRY_CAST({source} AS DECIMAL(38, 9)) = {to} THEN {to} END"
        case Kind.DOUBLE:
            return f"CASE WHEN isfinite({to}) THEN {to} END"
        case Kind.DATE:
            whole = f"TRY_CAST({source} AS TIMESTAMP) = TRY_CAST({to} AS TIMESTAMP)"
            return f"CASE WHEN year({to}) BETWEEN 1 AND 9999 AND {whole} THEN {to} END"
        case Kind.TIMESTAMP:
            return f"CASE WHEN year({to}) BETWEEN 1 AND 9999 THEN {to} END"
        case Kind.DECIMAL:
            return _to_scale(column, to)
        case _:
            return to


def _to_scale(column: ColumnRule, value: str) -> str:
    """A decimal rounded to a multiple of its scale, where that is not a power of ten."""
    digits = digits_of(column)
    step = int((column.scale or Fraction(1, 10**digits)) * 10**digits)
    if step == 1:
        return value
    whole = f"CAST({value} * CAST({10**digits} AS DECIMAL({digits + 1}, 0)) AS HUGEINT)"
    count = f"((abs({whole}) + {step // 2}) // {step} * {step} * sign({whole}))"
    one = f"CAST('{Decimal(1).scaleb(-digits):f}' AS DECIMAL({digits + 1}, {digits}))"
    return f"TRY_CAST(TRY_CAST({count} AS DECIMAL({37 - digits}, 0)) * {one} AS {type_of(column)})"


def literal(column: ColumnRule, value: Scalar) -> str:
    """A domain value as a literal of the column's type."""
    return cast(column, text(str(value) if value is not None else ""))


def outside(column: ColumnRule) -> str | None:
    """The condition under which a value lies outside the declared ``range``; ``None`` if never."""
    name = identifier(column.name)
    lo, hi = _bounds(column)
    tests = ([f"{name} < {lo}"] if lo else []) + ([f"{name} > {hi}"] if hi else [])
    return " OR ".join(tests) or None


def _bounds(column: ColumnRule) -> tuple[str | None, str | None]:
    bounds = column.range
    if column.kind.temporal:
        return _instant(column, bounds.lo, False), _instant(column, bounds.hi, True)
    if column.kind is Kind.DOUBLE:
        lo, hi = (None if b is None else f"CAST('{float(b)!r}' AS DOUBLE)" for b in (bounds.lo, bounds.hi))
        return lo, hi
    if not column.kind.numeric:
        return None, None
    digits = digits_of(column)
    lo_steps, hi_steps = steps(bounds, digits)
    return _number(column, lo_steps, digits), _number(column, hi_steps, digits)


def _number(column: ColumnRule, count: int | None, digits: int) -> str | None:
    """So many steps as a literal, held inside the type: a bound past the type's end is its end."""
    if count is None:
        return None
    most = LARGEST[column.kind]
    held = max(-most, min(most, count))
    whole, part = divmod(abs(held), 10**digits)
    point = f"{'-' if held < 0 else ''}{whole}" + (f".{part:0{digits}d}" if digits else "")
    return f"CAST('{point}' AS {type_of(column)})"


def _instant(column: ColumnRule, ordinal: Fraction | None, last: bool) -> str | None:
    """A day ordinal as a literal; as upper bound of a timestamp it takes in the whole day."""
    if ordinal is None:
        return None
    day = dt.date.fromordinal(floor(ordinal) if last else ceil(ordinal))
    if column.kind is Kind.DATE:
        return f"DATE '{day.isoformat()}'"
    return f"TIMESTAMP '{day.isoformat()} {'23:59:59.999999' if last else '00:00:00'}'"
