"""The allow list of syntax: node classes of sqlglot, and for each the arguments that may be set.

What is not in ``ALLOWED`` is refused by name, so a construct that a later sqlglot learns to parse is
refused until somebody adds it here and to ``resolve``.
"""

from __future__ import annotations

from sqlglot import exp

from sandbox.errors import Code, Reason, Refusal
from sandbox.sql.instead import ANOTHER_WAY, advice, spelt

_THIS = frozenset({"this"})
_TWO = frozenset({"this", "expression"})
_MANY = frozenset({"this", "expressions"})

STRUCTURE: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset(
        {
            "with_",
            "expressions",
            "distinct",
            "from_",
            "joins",
            "where",
            "group",
            "having",
            "qualify",
            "windows",
        }
        | {"order", "limit", "offset"}
    ),
    exp.Union: frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    exp.Except: frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    exp.Intersect: frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    exp.Subquery: frozenset({"this", "alias", "order", "limit", "offset", "with_"}),
    exp.With: frozenset({"expressions"}),
    exp.CTE: frozenset({"this", "alias"}),
    exp.From: _THIS,
    exp.Table: frozenset({"this", "db", "catalog", "alias"}),
    exp.TableAlias: frozenset({"this", "columns"}),
    exp.Join: frozenset({"this", "on", "side", "kind", "using"}),
    exp.Values: frozenset({"expressions", "alias"}),
    exp.Where: _THIS,
    exp.Group: frozenset({"expressions", "all"}),
    exp.Rollup: frozenset({"expressions"}),
    exp.Cube: frozenset({"expressions"}),
    exp.GroupingSets: frozenset({"expressions"}),
    exp.Having: _THIS,
    exp.Qualify: _THIS,
    exp.Order: _MANY,
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.Limit: frozenset({"expression"}),
    exp.Offset: frozenset({"expression"}),
    exp.Fetch: frozenset({"count", "direction", "limit_options"}),
    exp.LimitOptions: frozenset({"rows"}),
    exp.Window: frozenset({"this", "partition_by", "order", "spec", "over", "alias"}),
    exp.WindowSpec: frozenset({"kind", "start", "start_side", "end", "end_side"}),
    exp.Distinct: frozenset({"expressions"}),
    exp.Filter: _TWO,
    exp.Tuple: frozenset({"expressions"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Paren: _THIS,
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Column: frozenset({"this", "table", "db"}),
    exp.Star: frozenset(),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Boolean: _THIS,
    exp.Null: frozenset(),
    exp.Var: _THIS,
    exp.DataType: frozenset({"this", "expressions", "nested"}),
    exp.DataTypeParam: _THIS,
    exp.Interval: frozenset({"this", "unit"}),
    exp.Case: frozenset({"this", "ifs", "default"}),
    exp.If: frozenset({"this", "true", "false"}),
    exp.In: frozenset({"this", "expressions", "query"}),
    exp.Exists: _THIS,
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Is: _TWO,
    exp.Not: _THIS,
    exp.Neg: _THIS,
    exp.Cast: frozenset({"this", "to"}),
    exp.TryCast: frozenset({"this", "to", "safe"}),
}

OPERATORS: dict[type[exp.Expr], str] = {
    exp.And: "and",
    exp.Or: "or",
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
    exp.Add: "add",
    exp.Sub: "sub",
    exp.Mul: "mul",
    exp.Div: "div",
    exp.IntDiv: "idiv",
    exp.Mod: "mod",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.DPipe: "join_text",
    exp.Nullif: "nullif",
    exp.Pow: "power",
    exp.Left: "left",
    exp.Right: "right",
    exp.StartsWith: "starts_with",
    exp.EndsWith: "ends_with",
    exp.Contains: "contains",
    exp.Atan2: "atan2",
}
"""Nodes with ``this`` and ``expression`` that are one call of ours."""

UNARY: dict[type[exp.Expr], str] = {
    exp.Abs: "abs",
    exp.Floor: "floor",
    exp.Ceil: "ceil",
    exp.Trunc: "trunc",
    exp.Sign: "sign",
    exp.Sqrt: "sqrt",
    exp.Ln: "ln",
    exp.Exp: "exp",
    exp.Lower: "lower",
    exp.Upper: "upper",
    exp.Length: "length",
    exp.Reverse: "reverse",
    exp.Year: "year",
    exp.Quarter: "quarter",
    exp.Month: "month",
    exp.Week: "week",
    exp.Day: "day",
    exp.DayOfMonth: "day",
    exp.DayOfYear: "dayofyear",
    exp.DayOfWeek: "dayofweek",
    exp.DayOfWeekIso: "isodow",
    exp.Hour: "hour",
    exp.Minute: "minute",
    exp.Second: "second",
    exp.LastDay: "last_day",
    exp.WeekOfYear: "week",
    exp.TimeToUnix: "epoch",
    exp.Cbrt: "cbrt",
    exp.Degrees: "degrees",
    exp.Radians: "radians",
    exp.Sin: "sin",
    exp.Cos: "cos",
    exp.Tan: "tan",
    exp.Asin: "asin",
    exp.Acos: "acos",
    exp.Atan: "atan",
    exp.Sinh: "sinh",
    exp.Cosh: "cosh",
    exp.Tanh: "tanh",
    exp.IsNan: "isnan",
    exp.IsInf: "isinf",
    exp.Ascii: "ascii",
    exp.Unicode: "unicode",
    exp.BitLength: "bit_length",
}

SEVERAL: dict[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.SplitPart: ("split_part", ("this", "delimiter", "part_index")),
    exp.Translate: ("translate", ("this", "from_", "to")),
    exp.DateFromParts: ("make_date", ("year", "month", "day")),
}
"""Nodes with several named arguments that are one call of ours."""

AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Min: "min",
    exp.Max: "max",
    exp.Median: "median",
    exp.VariancePop: "var_pop",
    exp.Variance: "var_samp",
    exp.StddevSamp: "stddev_samp",
    exp.Stddev: "stddev_samp",
    exp.StddevPop: "stddev_pop",
    exp.First: "first",
    exp.LogicalAnd: "bool_and",
    exp.LogicalOr: "bool_or",
}

PAIRED: dict[type[exp.Expr], str] = {
    exp.Corr: "corr",
    exp.CovarPop: "covar_pop",
    exp.CovarSamp: "covar_samp",
    exp.RegrSlope: "regr_slope",
    exp.RegrIntercept: "regr_intercept",
    exp.RegrR2: "regr_r2",
    exp.RegrCount: "regr_count",
}
"""Aggregates of two columns, the dependent one first."""

QUANTILES: dict[type[exp.Expr], str] = {
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
    exp.Quantile: "quantile_disc",
}
"""Aggregates of a column and a fraction, which ``WITHIN GROUP`` spells the other way round."""

ANY_AGGREGATE: tuple[type[exp.Expr], ...] = (
    *AGGREGATES,
    *PAIRED,
    *QUANTILES,
    exp.WithinGroup,
    exp.Count,
    exp.CountIf,
    exp.GroupConcat,
)

MARKS: tuple[type[exp.Expr], ...] = (exp.Grouping, exp.GroupingId)
"""Calls that say which grouping set a row belongs to."""

RANKS: dict[type[exp.Expr], str] = {
    exp.RowNumber: "row_number",
    exp.Rank: "rank",
    exp.DenseRank: "dense_rank",
    exp.PercentRank: "percent_rank",
    exp.CumeDist: "cume_dist",
    exp.Ntile: "ntile",
    exp.Lag: "lag",
    exp.Lead: "lead",
    exp.FirstValue: "first_value",
    exp.LastValue: "last_value",
}

ALLOWED: dict[type[exp.Expr], frozenset[str]] = {
    **STRUCTURE,
    **dict.fromkeys(OPERATORS, _TWO | {"safe"}),
    **dict.fromkeys((exp.Like, exp.ILike), _TWO | {"negate"}),
    **dict.fromkeys(UNARY, _THIS),
    **{node: frozenset(keys) for node, (_, keys) in SEVERAL.items()},
    exp.Pi: frozenset(),
    exp.Pad: frozenset({"this", "expression", "fill_pattern", "is_left"}),
    exp.ConcatWs: frozenset({"expressions", "safe", "coalesce"}),
    exp.DateAdd: _TWO,
    exp.DateBin: _TWO,
    **dict.fromkeys(AGGREGATES, _THIS),
    **dict.fromkeys((*PAIRED, *QUANTILES, exp.WithinGroup), _TWO),
    exp.Quantile: frozenset({"this", "quantile"}),
    **dict.fromkeys(RANKS, _THIS | {"offset"}),
    **dict.fromkeys(MARKS, frozenset({"expressions"})),
    exp.Count: frozenset({"this", "big_int"}),
    exp.CountIf: _THIS,
    exp.GroupConcat: frozenset({"this", "separator"}),
    exp.Round: frozenset({"this", "decimals"}),
    exp.Log: _TWO,
    exp.Coalesce: _MANY,
    exp.Greatest: _MANY | {"ignore_nulls"},
    exp.Least: _MANY | {"ignore_nulls"},
    exp.Concat: frozenset({"expressions", "safe", "coalesce"}),
    exp.Substring: frozenset({"this", "start", "length"}),
    exp.Replace: frozenset({"this", "expression", "replacement"}),
    exp.Trim: frozenset({"this", "position"}),
    exp.StrPosition: frozenset({"this", "substr"}),
    exp.TimeToStr: frozenset({"this", "format"}),
    exp.TimestampTrunc: frozenset({"this", "unit"}),
    exp.DateTrunc: frozenset({"this", "unit"}),
    exp.Extract: _TWO,
    exp.DateDiff: frozenset({"this", "expression", "unit", "date_part_boundary"}),
    exp.NullSafeNEQ: _TWO,
    exp.NullSafeEQ: _TWO,
    exp.Monthname: _THIS,
    exp.Dayname: _THIS,
    exp.Anonymous: _MANY,
}

HINTS: dict[str, tuple[str, str]] = {
    "TableSample": ("sampling adds nothing here; leave it out", "抽样无意义，请去掉"),
    "Pivot": ("use SUM(CASE WHEN …)", "请使用 SUM(CASE WHEN …)"),
    "Lateral": ("write a join", "请改写为连接"),
    "Star": ("name the columns", "请写出列名"),
    "Window": ("write the window out", "请完整写出窗口"),
}


def check_syntax(tree: exp.Expr, text: str) -> None:
    """Refuse, naming each one as the text spells it, every node or argument outside the allow list."""
    found: dict[str, Reason] = {}
    for node in tree.walk():
        for name in _outside(node):
            if isinstance(node, exp.Func) and "." not in name:
                called = spelt(node, text)
                found.setdefault(called, Reason(Code.FUNCTION, called, *advice(called)))
            else:
                hint = HINTS.get(type(node).__name__, ANOTHER_WAY)
                found.setdefault(name, Reason(Code.CONSTRUCT, name, *hint))
    if found:
        raise Refusal(*list(found.values())[:10])


def _outside(node: exp.Expr) -> list[str]:
    if isinstance(node, exp.IgnoreNulls) and isinstance(node.this, exp.AnyValue):
        return []  # the parser's own addition to any_value, which is refused itself
    allowed = ALLOWED.get(type(node))
    label = type(node).__name__.upper()
    if allowed is None:
        return [label]
    return [
        f"{label}.{key}"
        for key, value in node.args.items()
        if key not in allowed and value not in (None, False, [])
    ]
