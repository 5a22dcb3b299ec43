"""ORDER BY as text, with ties broken so that an order is total up to equal rows."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.sql.compile.expressions import compile_expr
from sandbox.sql.expressions import Facts, Literal, Sort


def sort_texts(
    by: Sequence[Sort], inputs: Sequence[Facts], columns: Sequence[str], *, ties: bool
) -> list[str]:
    """The items of an ORDER BY; with ``ties``, rows still equal are ordered by all their columns.

    Sorting by a constant does nothing (and DuckDB refuses some constants): such items are left out.
    """
    items: dict[str, str] = {}
    for sort in by:
        if not isinstance(sort.expr, Literal):
            text = compile_expr(sort.expr, inputs, columns)
            nulls = "FIRST" if sort.nulls_first else "LAST"
            items.setdefault(text, f"{text} {'DESC' if sort.descending else 'ASC'} NULLS {nulls}")
    for column in columns if ties else ():
        items.setdefault(column, f"{column} ASC NULLS LAST")
    return list(items.values())
