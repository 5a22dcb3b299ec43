"""Parameters: ``:name`` in a query's text becomes a SQL literal before it is sent.

This is convenience, not protection: the gateway judges the text that it gets.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_PIECES: Final = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | :: | (?<![\w:]):(?P<name>[^\W\d]\w*)""",
    re.VERBOSE | re.DOTALL,
)
"""What is left alone (texts, quoted names, comments, casts), or a parameter."""


def bound(sql: str, parameters: Mapping[str, object]) -> str:
    """The query with each ``:name`` replaced by its literal.  Raises ``KeyError`` for an unknown name."""

    def piece(found: re.Match[str]) -> str:
        name = found.group("name")
        return found.group() if name is None else literal(parameters[name])

    return _PIECES.sub(piece, sql)


def names(sql: str) -> tuple[str, ...]:
    """The parameters of a query, each once, in their order."""
    return tuple(dict.fromkeys(m.group("name") for m in _PIECES.finditer(sql) if m.group("name")))


def literal(value: object) -> str:
    """A value as a SQL literal.  Raises ``ValueError`` for infinity and NaN, ``TypeError`` else."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return f"{Decimal(repr(value)):f}"
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case float() | Decimal():
            raise ValueError("a parameter must be finite / 参数必须是有限的数")
        case str():
            return "'" + value.replace("'", "''") + "'"
        case dt.datetime():
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}'"
        case dt.date():
            return f"DATE '{value.isoformat()}'"
        case _:
            raise TypeError(f"no literal for {type(value).__name__} / 不支持的参数类型")
