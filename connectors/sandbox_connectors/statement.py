"""The one SELECT that connectors send: names and values quoted, conditions pushed down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sandbox_connectors.interface import Condition, Value


def name(text: str) -> str:
    """A name in double quotes, as the SQL standard has it."""
    return '"' + text.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """A value as a quoted text, which every server reads as the compared column's type."""
    return "'" + str(value).replace("'", "''") + "'"


def select(
    relation: str,
    columns: Sequence[str],
    conditions: Sequence[Condition],
    *,
    named: Callable[[str], str] = name,
    valued: Callable[[Value], str] = literal,
) -> str:
    """``SELECT columns FROM relation WHERE …``; ``columns`` and ``relation`` are SQL already."""
    tests = " AND ".join(f"{named(c.column)} {c.op.value} {valued(c.value)}" for c in conditions)
    shown = ", ".join(columns) or "1"
    return f"SELECT {shown} FROM {relation}" + (f" WHERE {tests}" if tests else "")


def every(where: Sequence[Condition], since: Condition | None) -> tuple[Condition, ...]:
    """All conditions."""
    return (*where, since) if since else tuple(where)
