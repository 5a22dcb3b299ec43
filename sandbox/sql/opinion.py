"""The second opinion: what DuckDB's binder makes of the same text, compared with our reading.

The engine binds the user's text over an empty twin of the granted catalogue.  It must see one SELECT
over the same tables, at least the columns that we consume, and no function outside the allow list.
What runs is compiled from our tree either way; a disagreement shows that the text can be read in
two ways, and is refused and raised as an alarm.
"""

from __future__ import annotations

from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.relation import Relation, Scan, walk

OPERATORS = frozenset({"*", "-", "/", "//", "+", "%", "||", "~~", "~~*", "!~~", "!~~*", "**", "^", "@"})
SPELLINGS = frozenset(
    {
        "abs",
        "ceil",
        "ceiling",
        "char_length",
        "concat",
        "contains",
        "count_if",
        "countif",
        "date_diff",
        "date_part",
    }
    | {
        "date_trunc",
        "datediff",
        "datepart",
        "datetrunc",
        "day",
        "dayofmonth",
        "dayofweek",
        "dayofyear",
        "ends_with",
    }
    | {
        "exp",
        "floor",
        "greatest",
        "hour",
        "if",
        "ifnull",
        "instr",
        "isodow",
        "last_day",
        "lcase",
        "least",
        "left",
    }
    | {
        "len",
        "length",
        "ln",
        "log",
        "log10",
        "lower",
        "ltrim",
        "minute",
        "mod",
        "month",
        "monthname",
        "dayname",
        "nullif",
        "position",
        "pow",
    }
    | {
        "power",
        "prefix",
        "quarter",
        "replace",
        "reverse",
        "right",
        "round",
        "rtrim",
        "second",
        "sign",
        "sqrt",
    }
    | {
        "starts_with",
        "strftime",
        "strpos",
        "substr",
        "substring",
        "suffix",
        "trim",
        "trunc",
        "ucase",
        "upper",
        "week",
    }
    | {
        "weekday",
        "weekofyear",
        "year",
        "coalesce",
        "add",
        "subtract",
        "multiply",
        "divide",
        "to_days",
        "to_months",
    }
    | {"to_years", "to_hours", "to_minutes", "to_seconds", "to_weeks", "to_quarters", "decade", "century"}
    # What the engine's macro split_part stands for.
    | {"array_extract", "string_split"}
    | {"date_add", "ord", "pi", "time_bucket", "weekday"}
    | {"datesub", "date_sub", "strlen", "constant_or_null", "error_if_not_one_row"}
)
AGGREGATES = frozenset(
    {
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "count_star",
        "first",
        "arg_min",
        "arg_max",
        "group_concat",
        "listagg",
    }
    | {
        "max",
        "mean",
        "median",
        "min",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "string_agg",
        "sum",
        "sum_no_overflow",
    }
    | {
        "var_pop",
        "var_samp",
        "variance",
        "cume_dist",
        "dense_rank",
        "first_value",
        "lag",
        "last_value",
        "lead",
        "ntile",
    }
    | {"percent_rank", "rank", "row_number", "quantile_cont", "quantile_disc", "quantile", "any_value"}
    | {"corr", "covar_pop", "covar_samp"}
    | {"regr_count", "regr_intercept", "regr_r2", "regr_slope"}
)
KNOWN = OPERATORS | SPELLINGS | AGGREGATES | frozenset(FUNCTIONS)


def agrees(
    resolved: Relation,
    consumed: Relation,
    *,
    tables: frozenset[str],
    columns: frozenset[tuple[str, str]],
    functions: frozenset[str],
    foreign: frozenset[str],
) -> bool:
    """Whether the engine's reading is ours.

    ``resolved`` is the relation before unused columns were dropped, ``consumed`` after; the rest is
    what the engine found: ids of tables, (table, column) pairs, function names, scans of anything else.
    """
    ours = {n.table.id for n in walk(resolved) if isinstance(n, Scan)}
    if foreign or {t.lower() for t in tables} != {t.lower() for t in ours}:
        return False
    seen = {(t.lower(), c.lower()) for t, c in columns}
    used = {
        (n.table.id.lower(), f.source.column.name.lower())
        for n in walk(consumed)
        if isinstance(n, Scan) and len(n.fields) > 1 + (n.privacy is not None)
        for f in n.fields
        if f.source is not None and not f.hidden
    }
    return used <= seen and functions <= KNOWN
