"""Scalar expressions as DuckDB text.

Invariants: no text is evaluated that could raise.  Integer arithmetic stays BIGINT only where the
facts prove that no result leaves ±2^62 (``functions.numbers.safe``; the ranges behind them are
enforced at ingestion, and compiled sums and counts are clamped to theirs); otherwise it is binary64,
which overflows to infinity.  Casts are try-casts, divisors are never zero, logarithms stand in TRY.
Identifiers and constants are quoted here and nowhere else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sandbox.catalogue import Kind
from sandbox.sql.casts import SPELLED, cast_render
from sandbox.sql.compile.typed import typed
from sandbox.sql.expressions import Call, Case, Col, Expr, Facts, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.functions import FUNCTIONS


def compile_expr(expr: Expr, inputs: Sequence[Facts], columns: Sequence[str]) -> str:
    """The expression as DuckDB text over columns that are spelled ``columns``.

    ``inputs`` are the facts of those columns.  The result has the kind that ``facts_of`` says.
    """
    return _text(typed(expr, inputs), inputs, columns)


def _text(expr: Expr, inputs: Sequence[Facts], columns: Sequence[str]) -> str:
    match expr:
        case Col(index):
            return columns[index]
        case Literal():
            return render_literal(expr)
        case Call():
            return _call(expr, inputs, columns)
        case Case(whens, default):
            parts = [f"WHEN {_text(c, inputs, columns)} THEN {_text(v, inputs, columns)}" for c, v in whens]
            return f"(CASE {' '.join(parts)} ELSE {_text(default, inputs, columns)} END)"
        case _:
            text = _text(expr.arg, inputs, columns)
            return cast_render(text, facts_of(expr.arg, inputs), expr.kind, expr.scale)


def _call(call: Call, inputs: Sequence[Facts], columns: Sequence[str]) -> str:
    function = FUNCTIONS[call.name]
    args = [
        _bare(arg) if i in function.constant and isinstance(arg, Literal) else _text(arg, inputs, columns)
        for i, arg in enumerate(call.args)
    ]
    known = tuple(facts_of(a, inputs) for a in call.args)
    return function.render(args, known, facts_of(call, inputs))


def _bare(literal: Literal) -> str:
    """Constant parameters (digits, lengths, offsets) stay plain: DuckDB wants INTEGER for some."""
    if literal.kind is Kind.INTEGER and literal.value is not None:
        return str(literal.value)
    return render_literal(literal)


def render_literal(literal: Literal) -> str:
    """A constant, of exactly its kind: integers are BIGINT, decimals and reals DOUBLE."""
    value = literal.value
    match value:
        case None:
            return f"CAST(NULL AS {spelled(literal.kind)})"
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return text_literal(value)
        case dt.datetime():
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case dt.date():
            return f"DATE '{value.isoformat()}'"
        case int() if literal.kind is Kind.INTEGER:
            return f"CAST({value} AS BIGINT)"
        case _:
            # The shortest text that reads back as the same number.
            return f"CAST('{float(value)!r}' AS DOUBLE)"


def text_literal(text: str) -> str:
    """A string constant."""
    return "'" + text.replace("'", "''") + "'"


def spelled(kind: Kind) -> str:
    """DuckDB's type for the values of a kind; decimals are computed with as DOUBLE."""
    return SPELLED[Kind.DOUBLE if kind is Kind.DECIMAL else kind]


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'
