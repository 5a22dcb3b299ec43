"""Reading the calls that a layer computes: aggregates, window functions with their frames, ORDER BY items."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Agg, Call, Expr, Frame, Literal, Sort, Win
from sandbox.sql.facts import facts_of
from sandbox.sql.resolve.layers import is_aggregate
from sandbox.sql.resolve.literals import whole
from sandbox.sql.resolve.reader import Reader
from sandbox.sql.syntax import AGGREGATES, PAIRED, QUANTILES, RANKS


def read_aggregate(node: exp.Expr, base: Reader) -> Agg:
    """One aggregate call over the rows below the grouping."""
    where = None
    if isinstance(node, exp.Filter):
        condition = node.expression
        where = base.read(condition.this if isinstance(condition, exp.Where) else condition)
        node = node.this
    if isinstance(node, exp.CountIf):
        condition_ = base.read(node.this)
        kept = condition_ if where is None else Call("and", (where, condition_))
        return Agg("count_star", None, kept)
    if isinstance(node, exp.Count):
        return _count(node, base, where)
    if isinstance(node, exp.GroupConcat):
        return _listed(node, base, where)
    if isinstance(node, exp.First):
        return _first(node, base, where)
    if isinstance(node, (*QUANTILES, exp.WithinGroup)):
        return _quantile(node, base, where)
    if isinstance(node, tuple(PAIRED)):
        return Agg(PAIRED[type(node)], base.read(node.this), where, by=base.read(node.expression))
    name = AGGREGATES[type(node)]
    if isinstance(node.this, exp.Distinct) and name in ("min", "max"):
        return Agg(name, base.read(node.this.expressions[0]), where)
    if isinstance(node.this, exp.Distinct | exp.Order):
        raise refuse(Code.CONSTRUCT, f"{name}(DISTINCT / ORDER BY …)", "leave it out", "请去掉")
    argument = base.read(node.this)
    if name == "median" and facts_of(argument, base.facts()).kind.temporal:
        # Half way between two dates is none: of two in the middle, the earlier.
        return Agg("quantile_disc", argument, where, by=Literal(Fraction(1, 2), Kind.DOUBLE))
    return Agg(name, argument, where)


def _count(node: exp.Count, base: Reader, where: Expr | None) -> Agg:
    argument = node.this
    if argument is None or isinstance(argument, exp.Star):
        return Agg("count_star", None, where)
    if isinstance(argument, exp.Distinct):
        if len(argument.expressions) != 1:
            raise refuse(Code.CONSTRUCT, "COUNT(DISTINCT a, b)", "count one column", "请只对一列计数")
        return Agg("count", base.read(argument.expressions[0]), where, distinct=True)
    inner = base.read(argument)
    if isinstance(inner, Literal) and inner.value is not None:
        return Agg("count_star", None, where)
    return Agg("count", inner, where)


def _quantile(node: exp.Expr, base: Reader, where: Expr | None) -> Agg:
    """``quantile_cont(x, p)``, or ``percentile_cont(p) WITHIN GROUP (ORDER BY x)``."""
    if isinstance(node, exp.WithinGroup):
        name, (sort, *more) = QUANTILES.get(type(node.this), ""), node.expression.expressions
        if not name or more or node.this.args.get("expression") is not None:
            raise refuse(
                Code.CONSTRUCT, "WITHIN GROUP", "write percentile_cont(0.5) WITHIN GROUP (ORDER BY x)"
            )
        share = _share(base.read(node.this.this))
        if sort.args.get("desc"):
            if name == "quantile_disc":
                raise refuse(Code.CONSTRUCT, "WITHIN GROUP (… DESC)", "order ascending", "请按升序排列")
            share = 1 - share
        return Agg(name, base.read(sort.this), where, by=Literal(share, Kind.DOUBLE))
    fraction = node.args.get("quantile", node.args.get("expression"))
    if fraction is None:
        raise refuse(Code.ARGUMENT, "quantile", "name a column and a fraction", "须给出列与分位")
    share = _share(base.read(fraction))
    return Agg(QUANTILES[type(node)], base.read(node.this), where, by=Literal(share, Kind.DOUBLE))


def _share(expr: Expr) -> Fraction:
    value = expr.value if isinstance(expr, Literal) else None
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or not 0 <= value <= 1:
        hint = "give one constant fraction between 0 and 1"
        raise refuse(Code.ARGUMENT, "quantile", hint, "分位须为 0 与 1 之间的一个常数")
    return Fraction(value)


def _listed(node: exp.GroupConcat, base: Reader, where: Expr | None) -> Agg:
    argument, order = _ordered(node.this, base)
    separator = node.args.get("separator")
    if separator is not None and not (isinstance(separator, exp.Literal) and separator.args.get("is_string")):
        raise refuse(Code.ARGUMENT, "string_agg", "the separator is a constant", "分隔符须为常量")
    if order and order[0].expr != argument:
        raise refuse(
            Code.CONSTRUCT, "string_agg(… ORDER BY …)", "order by the listed column", "请按所列的列排序"
        )
    text = "," if separator is None else str(separator.this)
    return _string_agg(argument, text, where)


def _string_agg(argument: Expr, separator: str, where: Expr | None) -> Agg:
    if separator not in (",", ", ", ";", "; ", "、", "，", "|", " "):
        raise refuse(Code.ARGUMENT, "string_agg", "separate with , or ; or |", "分隔符请用 , ; |")
    return Agg("string_agg", argument, where, option=separator)


def _first(node: exp.First, base: Reader, where: Expr | None) -> Agg:
    argument, order = _ordered(node.this, base)
    if not order:
        raise refuse(Code.CONSTRUCT, "first()", "say ORDER BY inside it", "请在其中写明 ORDER BY")
    return Agg("arg_max" if order[0].descending else "arg_min", argument, where, by=order[0].expr)


def _ordered(node: exp.Expr, base: Reader) -> tuple[Expr, tuple[Sort, ...]]:
    if not isinstance(node, exp.Order):
        return base.read(node), ()
    return base.read(node.this), tuple(read_sort(o, base) for o in node.expressions)


def read_sort(node: exp.Expr, reader: Reader) -> Sort:
    """One ORDER BY item; NULLs come last unless said otherwise, as in the engine."""
    assert isinstance(node, exp.Ordered)
    return Sort(reader.read(node.this), bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def read_window(node: exp.Window, reader: Reader, named: Mapping[str, exp.Window]) -> Win:
    """One window function; a named window is looked up by its alias."""
    shape = node
    if node.args.get("alias") is not None:
        shape = named.get(str(node.args["alias"].this).lower(), node)
        if shape is node:
            raise refuse(Code.CONSTRUCT, "OVER name", "name it in WINDOW", "请在 WINDOW 子句中命名")
    function = node.this
    name, args = _window_call(function, reader)
    partition = tuple(reader.read(p) for p in shape.args.get("partition_by") or ())
    order_node = shape.args.get("order")
    order = () if order_node is None else tuple(read_sort(o, reader) for o in order_node.expressions)
    spec = shape.args.get("spec")
    return Win(name, args, partition, order, None if spec is None else _frame(spec))


def _window_call(function: exp.Expr, reader: Reader) -> tuple[str, tuple[Expr, ...]]:
    rank = RANKS.get(type(function))
    if rank is not None:
        args = [] if function.this is None else [reader.read(function.this)]
        offset = function.args.get("offset")
        if offset is not None:
            args.append(_constant_offset(reader.read(offset)))
        if rank in ("ntile", "lag", "lead", "first_value", "last_value") and not args:
            raise refuse(Code.ARGUMENT, rank, "give it the right number of arguments", "参数个数不正确")
        if rank == "ntile":
            args = [_constant_offset(args[0], least=1)]
        return rank, tuple(args)
    agg = read_aggregate(function, reader) if is_aggregate(function) else None
    if (
        agg is None
        or agg.distinct
        or agg.where is not None
        or agg.name not in ("sum", "avg", "min", "max", "count", "count_star")
    ):
        raise refuse(Code.FUNCTION, f"{function.key.upper()} OVER")
    return agg.name, () if agg.arg is None else (agg.arg,)


def _constant_offset(expr: Expr, least: int = 0) -> Expr:
    if not isinstance(expr, Literal) or not isinstance(expr.value, int) or not least <= expr.value <= 10_000:
        raise refuse(Code.ARGUMENT, "OVER", "give it a constant number", "请使用常数")
    return expr


def _frame(spec: exp.WindowSpec) -> Frame:
    unit = str(spec.args.get("kind") or "ROWS").upper()
    if unit not in ("ROWS", "RANGE"):
        raise refuse(Code.CONSTRUCT, unit, "use ROWS", "请使用 ROWS")
    start = _edge(spec.args.get("start"), str(spec.args.get("start_side") or ""))
    end = _edge(spec.args.get("end") or "CURRENT ROW", str(spec.args.get("end_side") or ""))
    if unit == "RANGE" and (start not in (None, 0) or end not in (None, 0)):
        raise refuse(Code.CONSTRUCT, "RANGE n", "use ROWS", "请使用 ROWS")
    return Frame(unit.lower(), start, end)


def _edge(bound: object, side: str) -> int | None:
    if isinstance(bound, str):
        return 0 if bound.upper() == "CURRENT ROW" else None
    rows = whole(bound, 100_000)
    if rows is not None:
        return -rows if side.upper() == "PRECEDING" else rows
    raise refuse(Code.CONSTRUCT, "OVER (… ROWS …)", "use constant bounds", "请使用常数边界")
