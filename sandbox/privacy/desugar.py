"""From the aggregates of a query to the few measures that are noised, and back.

COUNT, SUM, AVG, VAR and STDDEV become sums of integers per row; the answer's columns are computed
from the noised sums afterwards, which costs nothing.  AVG = SUM / COUNT; VAR_POP = S2/n - (S1/n)^2;
VAR_SAMP = (S2 - S1^2/n) / (n - 1); never negative, and NULL where the noisy count is below 1 (or 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.privacy.release import What
from sandbox.sql.build import clamp_values
from sandbox.sql.expressions import TRUE, Agg, Call, Case, Cast, Col, Expr, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Relation, facts

ZERO = Literal(Fraction(0), Kind.DOUBLE)


@dataclass(frozen=True, slots=True)
class Base:
    """A sum to be noised: of rows, of units, or of a value, where a condition holds."""

    what: What
    value: Expr | None = None
    where: Expr | None = None


@dataclass(frozen=True, slots=True)
class Desugared:
    """The distinct sums, and for each aggregate its value over them (``Col(i)`` is ``bases[i]``)."""

    bases: tuple[Base, ...]
    outputs: tuple[Expr, ...]


def desugar(aggs: tuple[Agg, ...], input_: Relation) -> Desugared:
    """Split aggregates into sums.  Refuses what cannot be protected (AGGREGATE)."""
    bases: dict[Base, int] = {}

    def column(base: Base) -> Col:
        return Col(bases.setdefault(base, len(bases)))

    outputs = tuple(_output(agg, input_, column) for agg in aggs)
    return Desugared(tuple(bases), outputs)


def _output(agg: Agg, input_: Relation, column: Callable[[Base], Expr]) -> Expr:
    if agg.name == "count_star":
        return column(Base(What.ROWS, None, agg.where))
    assert agg.arg is not None
    if agg.name == "count" and agg.distinct:
        if not _names_unit(agg.arg, input_):
            raise refuse(Code.AGGREGATE, "COUNT(DISTINCT …)", "count the privacy unit", "请对隐私单元计数")
        return column(Base(What.UNITS, None, _present(agg, input_)))
    if agg.name == "count":
        return column(Base(What.ROWS, None, _present(agg, input_)))
    if agg.name not in ("sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"):
        raise refuse(
            Code.AGGREGATE,
            agg.name,
            "use COUNT, SUM, AVG, VAR or STDDEV",
            "请使用 COUNT、SUM、AVG、VAR 或 STDDEV",
        )
    value = clamp_values(agg.arg, input_.fields)
    if facts_of(value, facts(input_)).kind is Kind.BOOLEAN:
        raise refuse(Code.TYPE, agg.name, "give it a number", "参数须为数字")
    total = column(Base(What.SUM, value, agg.where))
    if agg.name == "sum":
        return total
    count = column(Base(What.ROWS, None, _present(agg, input_)))
    if agg.name == "avg":
        return _where_at_least(count, 1, Call("div", (total, count)))
    squares = column(Base(What.SUM, Call("mul", (_double(value), _double(value))), agg.where))
    return _spread(agg.name, total, squares, count)


def _names_unit(arg: Expr, input_: Relation) -> bool:
    scope = "" if input_.privacy is None else input_.privacy.scope
    return isinstance(arg, Col) and input_.fields[arg.index].unit_scope == scope


def _double(value: Expr) -> Expr:
    return Cast(value, Kind.DOUBLE)


def _present(agg: Agg, input_: Relation) -> Expr | None:
    """The condition under which the argument counts: FILTER, and not NULL."""
    assert agg.arg is not None
    parts = [] if agg.where is None else [agg.where]
    if facts_of(agg.arg, facts(input_)).nullable:
        parts.append(Call("not", (Call("is_null", (agg.arg,)),)))
    parts = [p for p in parts if p != TRUE]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Call("and", tuple(parts))


def _where_at_least(count: Expr, least: int, value: Expr) -> Expr:
    enough = Call("ge", (count, Literal(least, Kind.INTEGER)))
    return Case(((enough, value),), Cast(Literal(None, Kind.STRING), Kind.DOUBLE))


def _spread(name: str, total: Expr, squares: Expr, count: Expr) -> Expr:
    mean = Call("div", (total, count))
    if name.endswith("pop"):
        variance: Expr = Call("sub", (Call("div", (squares, count)), Call("mul", (mean, mean))))
        least = 1
    else:
        off = Call("sub", (squares, Call("mul", (mean, total))))
        variance, least = Call("div", (off, Call("sub", (count, Literal(1, Kind.INTEGER))))), 2
    floored = Call("greatest", (variance, ZERO))
    return _where_at_least(count, least, Call("sqrt", (floored,)) if name.startswith("stddev") else floored)
