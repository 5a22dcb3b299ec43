"""Aggregates and window functions as text.

Sums of integers are exact (HUGEINT) and then widened.  Per-unit sums and counts are clamped to the
range that their facts promise: that range rests on a declared number of rows, which nothing enforces.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.catalogue import Kind
from sandbox.sql.aggregates import COUNTING
from sandbox.sql.compile.expressions import compile_expr, render_literal, text_literal
from sandbox.sql.compile.fixed import moment_text, plain_zero
from sandbox.sql.compile.ordering import sort_texts
from sandbox.sql.expressions import Agg, Expr, Facts, Frame, Literal, Sort, Win
from sandbox.sql.facts import facts_of
from sandbox.sql.moments import MOMENTS

RANKS = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"})
"""Window functions that see the whole partition, whatever the frame."""
PEERS = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})
"""Window functions for which rows tied in the order are the same."""


def aggregate_text(
    agg: Agg, inputs: Sequence[Facts], columns: Sequence[str], out: Facts, *, private: bool
) -> str:
    """One aggregate over columns spelled ``columns``; ``out``: the facts of its result."""
    arg = "" if agg.arg is None else compile_expr(agg.arg, inputs, columns)
    conditions = [] if agg.where is None else [compile_expr(agg.where, inputs, columns)]
    if agg.name in ("arg_min", "arg_max"):
        text = _extreme(agg, inputs, columns, conditions)
        return plain_zero(text, out.kind) if private else text
    kept = _filter(conditions)
    match agg.name:
        case "count_star":
            text = f"count(*){kept}"
        case "string_agg":
            order = _order([Sort(agg.arg)] if agg.arg is not None else [], inputs, columns)
            return f"string_agg({arg}, {text_literal(agg.option)}{order}){kept}"
        case name if agg.by is not None:
            # A pair of columns, or a column and a fraction: the real numbers that binary64 holds of them.
            by = compile_expr(agg.by, inputs, columns)
            text = f"{name}({arg if name == 'quantile_disc' else _real(arg)}, {_real(by)}){kept}"
            # What is undefined is NULL here, and NaN in the engine.
            text = f"nullif({text}, CAST('NaN' AS DOUBLE))" if name in ("corr", "regr_slope") else text
        case name if private and agg.arg is not None and name in MOMENTS:
            return _clamped(name, moment_text(name, arg, facts_of(agg.arg, inputs), kept), out)
        case "sum" if _integer(agg.arg, inputs):
            text = f"CAST(sum({arg}){kept} AS DOUBLE)"
        case name:
            text = f"{name}({'DISTINCT ' if agg.distinct else ''}{arg}){kept}"
    return plain_zero(_clamped(agg.name, text, out), out.kind) if private else text


def _real(text: str) -> str:
    return f"CAST({text} AS DOUBLE)"


def _filter(conditions: list[str]) -> str:
    return f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""


def _integer(arg: Expr | None, inputs: Sequence[Facts]) -> bool:
    return arg is not None and facts_of(arg, inputs).kind is Kind.INTEGER


def _clamped(name: str, text: str, out: Facts) -> str:
    if name not in ("sum", "count", "count_star") or out.range.lo is None or out.range.hi is None:
        return text
    if name != "sum":
        return _at_most(text, out)
    low, high = (render_literal(Literal(b, Kind.DOUBLE)) for b in (out.range.lo, out.range.hi))
    # least and greatest skip NULL: the sum of no values stays NULL.
    return f"(CASE WHEN {text} IS NOT NULL THEN least(greatest({text}, {low}), {high}) END)"


def _at_most(count: str, out: Facts) -> str:
    assert out.range.hi is not None  # a count's
    return f"least({count}, {render_literal(Literal(int(out.range.hi), Kind.INTEGER))})"


def _extreme(agg: Agg, inputs: Sequence[Facts], columns: Sequence[str], conditions: list[str]) -> str:
    """``arg_min``/``arg_max``: rows where either part is NULL do not count; ties go to the least value."""
    assert agg.arg is not None
    assert agg.by is not None
    arg, by = compile_expr(agg.arg, inputs, columns), compile_expr(agg.by, inputs, columns)
    order = _order([Sort(agg.by, agg.name == "arg_max"), Sort(agg.arg)], inputs, columns)
    kept = _filter([*conditions, f"{arg} IS NOT NULL", f"{by} IS NOT NULL"])
    return f"first({arg}{order}){kept}"


def _order(by: list[Sort], inputs: Sequence[Facts], columns: Sequence[str]) -> str:
    items = sort_texts(by, inputs, columns, ties=False)
    return f" ORDER BY {', '.join(items)}" if items else ""


def window_text(
    win: Win, inputs: Sequence[Facts], columns: Sequence[str], out: Facts, *, private: bool
) -> str:
    """One window function over columns spelled ``columns``; ``private``: over the rows of one unit."""
    over = f" OVER ({_shape(win, inputs, columns)})"
    if private and win.name in MOMENTS:
        arg = compile_expr(win.args[0], inputs, columns)
        return moment_text(win.name, arg, facts_of(win.args[0], inputs), over)
    integer_sum = win.name == "sum" and _integer(win.args[0], inputs)
    text = f"{_window_call(win, inputs, columns)}{over}"
    if private and win.name in COUNTING:
        return _at_most(text, out)
    if private:
        return plain_zero(text, out.kind)
    return f"CAST({text} AS DOUBLE)" if integer_sum else text


def _window_call(win: Win, inputs: Sequence[Facts], columns: Sequence[str]) -> str:
    if win.name == "count_star":
        return "count(*)"
    args = [
        str(a.value)
        if isinstance(a, Literal) and (i or win.name == "ntile")
        else compile_expr(a, inputs, columns)
        for i, a in enumerate(win.args)
    ]
    return f"{win.name}({', '.join(args)})"


def _shape(win: Win, inputs: Sequence[Facts], columns: Sequence[str]) -> str:
    parts = []
    if win.partition:
        parts.append("PARTITION BY " + ", ".join(compile_expr(p, inputs, columns) for p in win.partition))
    frame = None if win.name in RANKS else win.frame
    # With a RANGE frame tied rows are in the frame together, so nothing may tell them apart.
    ties = win.name not in PEERS and (win.name in RANKS or (frame is not None and frame.unit == "rows"))
    sorts = sort_texts(win.order, inputs, columns, ties=ties)
    if sorts:
        parts.append("ORDER BY " + ", ".join(sorts))
    if frame is not None:
        parts.append(_frame(frame))
    return " ".join(parts)


def _frame(frame: Frame) -> str:
    start, end = frame.start, frame.end
    if start is not None and end is not None and start > end:
        start, end = 2, 1  # an empty frame, spelled in the one way that DuckDB accepts
    edges = (
        "UNBOUNDED PRECEDING" if start is None else _edge(start),
        "UNBOUNDED FOLLOWING" if end is None else _edge(end),
    )
    return f"{frame.unit.upper()} BETWEEN {edges[0]} AND {edges[1]}"


def _edge(rows: int) -> str:
    if rows == 0:
        return "CURRENT ROW"
    return f"{abs(rows)} {'PRECEDING' if rows < 0 else 'FOLLOWING'}"
