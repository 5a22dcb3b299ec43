"""The values of an answer as text: exact for machines, rounded to their margin for people.

Invariants: machine forms lose no digit; a margin shown to people is rounded up, never down; text from
data is shown without control or formatting characters.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from sandbox.catalogue import Kind
from sandbox.model import Answer

Value = bool | int | float | Decimal | str | dt.date | dt.datetime | None
NONE: Final = "–"
"""How people see NULL."""

_WIDE: Final = Context(prec=120)


def columns_of(answer: Answer) -> list[list[Value]]:
    """The answer's values, column by column.  Wide integers arrive as decimals and become integers."""
    found: list[list[Value]] = [column.to_pylist() for column in answer.table.columns]
    for i, column in enumerate(answer.columns):
        if column.kind is Kind.INTEGER:
            found[i] = [int(v) if isinstance(v, Decimal) else v for v in found[i]]
    return found


def margins_of(answer: Answer) -> list[list[float | None]]:
    """Half-widths of 95 % intervals, column by column; ``None`` where none is known."""
    found: list[list[float | None]] = [column.to_pylist() for column in answer.margins.columns]
    return [[m if m is not None and math.isfinite(m) else None for m in column] for column in found]


def exact(value: Value) -> str:
    """The whole value as text, as CSV holds it; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def json_text(value: Value) -> str:
    """The whole value as JSON text.  Decimals are numbers with every digit; NaN and infinities are null."""
    if isinstance(value, bool | int | Decimal):
        return exact(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "null"
    return repr(value) if isinstance(value, float) else json.dumps(exact(value), ensure_ascii=False)


def printable(text: str) -> str:
    """``text`` without what could steer a terminal or reverse its reading."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shown(value: Value) -> str:
    """The value for people: thousands apart, floats to six digits (to units from a million on)."""
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return printable(exact(value))
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def with_margin(value: Value, margin: float | None) -> tuple[str, str]:
    """A value and its margin for people: two significant digits of the margin, and no more of the value.

    Integers keep no decimals; margins of dates are days.  Without a margin the value stands as it is, and
    the second text is empty.
    """
    if isinstance(value, dt.date) and margin is not None:
        return shown(value), f"{math.ceil(margin)} d"
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not number or margin is None or not _finite(value):
        return shown(value), ""
    if margin <= 0:
        return shown(value), "0"
    spread = Decimal(repr(margin))
    place = spread.adjusted() - 1
    unit = Decimal((0, (1,), max(place, 0) if isinstance(value, int) else place))
    near = _decimal(value).quantize(unit, ROUND_HALF_EVEN, _WIDE)
    return f"{near + 0:,f}", f"{spread.quantize(unit, ROUND_CEILING, _WIDE):,f}"


def _finite(value: Value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _decimal(value: Value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
