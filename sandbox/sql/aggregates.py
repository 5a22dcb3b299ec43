"""Aggregates and window functions that the language knows, with the facts of their results.

Over private rows that are released only those in ``PROTECTED`` exist; over public rows all of
``AGGREGATES`` do.  Per-unit (private) aggregates use the expected rows of a unit only to guess a
range; compiled sums clamp to that range, so soundness never rests on the guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Agg, Facts, Win
from sandbox.sql.facts import facts_of
from sandbox.sql.functions.registry import mistyped
from sandbox.sql.moments import MOMENTS, SQUARED_BITS, step

PAIRED = frozenset(
    {"corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept", "regr_r2", "regr_count"}
)
"""Aggregates of pairs, ``arg`` the dependent and ``by`` the other: rows in which one is NULL do not count."""
QUANTILES = frozenset({"median", "quantile_cont", "quantile_disc"})
EXTREMES = frozenset({"min", "max"})
AGGREGATES = frozenset(
    {
        "count_star",
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "median",
        "var_samp",
        "var_pop",
        "stddev_samp",
        "stddev_pop",
    }
    | {"string_agg", "arg_min", "arg_max", "bool_and", "bool_or"}
    | PAIRED
    | QUANTILES
)
PROTECTED = (
    frozenset({"count_star", "count", "sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"})
    | PAIRED
    | QUANTILES
    | EXTREMES
)
WINDOWS = frozenset(
    {
        "row_number",
        "rank",
        "dense_rank",
        "percent_rank",
        "cume_dist",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
    }
    | {"sum", "avg", "min", "max", "count", "count_star"}
)
COUNTING = frozenset({"row_number", "rank", "dense_rank", "ntile", "count", "count_star"})
"""Windows whose values are numbers of rows."""
ONE = Fraction(1)
SPANS = {"corr": Range(-ONE, ONE), "regr_r2": Range(Fraction(0), ONE)}


def agg_facts(agg: Agg, inputs: Sequence[Facts], rows: int | None, *, private: bool) -> Facts:
    """Facts of an aggregate's result.  ``rows``: expected rows of a unit in one private group."""
    if agg.name == "count_star":
        return Facts(Kind.INTEGER, False, _count_range(rows, private=private), ONE)
    assert agg.arg is not None
    known = facts_of(agg.arg, inputs)
    if agg.name == "count":
        return Facts(Kind.INTEGER, False, _count_range(rows, private=private), ONE)
    if agg.name in PAIRED:
        return _pair(agg, known, inputs, rows, private=private)
    if agg.name == "quantile_disc" and not known.kind.temporal:
        _need_number(agg.name, known)
    if agg.name in MOMENTS or agg.name in ("median", "quantile_cont"):
        _need_number(agg.name, known)
        if private and agg.name in MOMENTS:
            _need_bounds(agg.name, known)
        return _number(agg.name, known, rows)
    if agg.name in ("bool_and", "bool_or") and known.kind is not Kind.BOOLEAN:
        raise mistyped((known,), agg.name, "give it a condition", "参数须为条件")
    if agg.name == "string_agg":
        if known.kind is not Kind.STRING:
            raise mistyped((known,), agg.name, "give it text", "参数须为文本")
        return Facts(known.kind, True)
    return Facts(known.kind, True, known.range, known.scale, known.domain)  # one of the values


def _pair(agg: Agg, known: Facts, inputs: Sequence[Facts], rows: int | None, *, private: bool) -> Facts:
    assert agg.by is not None
    _need_number(agg.name, known)
    _need_number(agg.name, facts_of(agg.by, inputs))
    if private:
        hint = "aggregate over units, or compute it from SUM of products"
        raise refuse(Code.AGGREGATE, f"{agg.name} of one unit", hint, "请对全体单元聚合，或由乘积之和计算")
    if agg.name == "regr_count":
        return Facts(Kind.INTEGER, False, _count_range(rows, private=private), ONE)
    return Facts(Kind.DOUBLE, True, SPANS.get(agg.name, UNBOUNDED))


def _need_number(name: str, known: Facts) -> None:
    if not known.kind.numeric:
        dated = known.kind.temporal and name == "quantile_cont"
        hint = "use quantile_disc, whose answer is one of the dates" if dated else "give it a number"
        hint_zh = "请使用 quantile_disc，其结果为其中一个日期" if dated else "参数须为数字"
        raise refuse(Code.TYPE, f"{name}({known.kind.value})", hint, hint_zh)


def _need_bounds(name: str, known: Facts) -> None:
    """One unit's values are added in steps of their range, so that no other unit's rows can move them."""
    if step(known, name) is None:
        hint = f"bound what {name} adds up: least(greatest(x, 0), 1000)"
        raise refuse(Code.NO_BOUND, name, hint, "请限定求和的取值范围")


def _count_range(rows: int | None, *, private: bool) -> Range:
    """Of one unit's rows we count as many as declared, and as many as have squares in steps of one."""
    most = 2**SQUARED_BITS if private else 2**40
    return Range(Fraction(0), Fraction(most if rows is None else min(rows, most)))


def _number(name: str, known: Facts, rows: int | None) -> Facts:
    if name in ("avg", "median", "quantile_cont"):
        return Facts(Kind.DOUBLE, True, known.range)
    if name != "sum":
        return Facts(Kind.DOUBLE, True, Range(Fraction(0), None))
    spread = UNBOUNDED
    if rows is not None and known.range.lo is not None and known.range.hi is not None:
        spread = Range(
            min(known.range.lo * rows, known.range.lo, Fraction(0)),
            max(known.range.hi * rows, known.range.hi, Fraction(0)),
        )
    return Facts(Kind.DOUBLE, True, spread, known.scale)


def win_facts(win: Win, inputs: Sequence[Facts], rows: int | None, *, private: bool) -> Facts:
    """Facts of a window function's result; ``private``: over the rows of one unit, ``rows`` at most."""
    if win.name in COUNTING:
        return Facts(Kind.INTEGER, False, _count_range(rows, private=private), ONE)
    if win.name in ("percent_rank", "cume_dist"):
        return Facts(Kind.DOUBLE, False, Range(Fraction(0), ONE))
    known = facts_of(win.args[0], inputs)
    if win.name in ("sum", "avg"):
        _need_number(win.name, known)
        if private:
            _need_bounds(win.name, known)
        return Facts(Kind.DOUBLE, True, known.range if win.name == "avg" else UNBOUNDED)
    return Facts(known.kind, True, known.range, known.scale, known.domain)
