"""What to write for a function that is not on the allow list: by its name, in English and Chinese.

A refusal that only says no costs an analyst an hour; each advice here is an expression that is answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from sqlglot import exp

Advice = tuple[str, str]

_KEYS: Final = "GROUP BY the column with COUNT(*)"
_KEYS_ZH: Final = "请按该列 GROUP BY 并用 COUNT(*)"
_TOP: Final = "COUNT(*) with GROUP BY the column, then ORDER BY the count DESC LIMIT 1"
_TOP_ZH: Final = "请按该列 GROUP BY 并用 COUNT(*)，再 ORDER BY 计数 DESC LIMIT 1"
_EDGES: Final = "GROUP BY the column too, or take MIN or MAX"
_WHETHER: Final = "COUNT(*) FILTER (WHERE …)"
_BANDS: Final = "GROUP BY floor(x / 10)"
_ABOVE: Final = "-SUM(p * ln(p))"
_MEDIAN: Final = "quantile_cont(x, 0.5)"
_LOG: Final = "exp(AVG(ln(x)))"
_POWERS: Final = "x, x * x and x * x * x"
_TEXTS: Final = ("LIKE", "ILIKE", "starts_with", "ends_with", "contains")
_PIECES: Final = ("replace", "substring", "split_part", "translate")
_TABLE: Final = "a table of the catalogue, or constants in VALUES"
_TABLE_ZH: Final = "请使用目录中的表，或 VALUES 中的常量"
_DAY: Final = "DATE '2026-01-31'"

_ADVICE: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "string_agg listagg group_concat list array_agg",
        f"{_KEYS}: the values themselves never leave",
        _KEYS_ZH,
    ),
    ("arg_max arg_min argmax argmin max_by min_by", _KEYS, _KEYS_ZH),
    ("mode", _TOP, _TOP_ZH),
    ("any_value", _EDGES, "请把该列也列入 GROUP BY，或取 MIN、MAX"),
    ("bool_and bool_or", f"use {_WHETHER}", f"请使用 {_WHETHER}"),
    ("histogram", f"COUNT(*) with {_BANDS}", f"请用 COUNT(*) 与 {_BANDS}"),
    (
        "entropy",
        f"COUNT(*) with GROUP BY, then {_ABOVE} above it",
        f"请用 COUNT(*) 与 GROUP BY，再在其上计算 {_ABOVE}",
    ),
    ("approx_count_distinct approx_distinct", "COUNT(DISTINCT x)", "请使用 COUNT(DISTINCT x)"),
    (
        "approx_quantile reservoir_quantile mad percentile",
        f"{_MEDIAN}, or another fraction",
        f"请使用 {_MEDIAN}",
    ),
    (
        "product geomean geometric_mean",
        f"{_LOG}, with x bounded from below",
        f"请使用 {_LOG}，并限定 x 的下界",
    ),
    (
        "kurtosis kurtosis_pop skewness",
        f"AVG of {_POWERS}, then compute above it",
        f"请对 {_POWERS} 求 AVG 再计算",
    ),
    ("favg fsum sumkahan kahan_sum sum_no_overflow", "SUM or AVG", "请使用 SUM 或 AVG"),
    (
        "regexp_matches regexp_full_match regexp_like similar_to",
        " or ".join(_TEXTS),
        f"请使用 {'、'.join(_TEXTS)}",
    ),
    (
        "regexp_replace regexp_extract regexp_split_to_array string_split split str_split",
        " or ".join(_PIECES),
        f"请使用 {'、'.join(_PIECES)}",
    ),
    (
        "md5 sha1 sha256 sha2 hash",
        "COUNT(DISTINCT x): values do not leave coded either",
        "请使用 COUNT(DISTINCT x)：编码后的值同样不出域",
    ),
    (
        "random rand uuid gen_random_uuid setseed",
        "leave chance out: what noise is due is added for you",
        "请去掉随机函数：应有的噪声由系统添加",
    ),
    (
        "now today current_date current_timestamp current_time localtime localtimestamp",
        f"write the day or moment out: {_DAY}",
        f"请写出日期或时刻：{_DAY}",
    ),
    ("unnest explode range generate_series", _TABLE, _TABLE_ZH),
    (
        "read_csv read_csv_auto read_parquet parquet_scan read_json read_text read_blob glob",
        _TABLE,
        _TABLE_ZH,
    ),
)

INSTEAD: Final[dict[str, Advice]] = {
    name: (english, chinese) for names, english, chinese in _ADVICE for name in names.split()
}
ANOTHER_WAY: Final[Advice] = ("write it another way, or see the SQL reference", "请改写或参阅 SQL 参考")

MOST: Final = 40
"""Characters of a name that are compared, and that a function's may have."""
_NAME: Final = re.compile(rf"\w{{1,{MOST}}}")


def advice(name: str) -> Advice:
    """What to write in place of a function of this name."""
    return INSTEAD.get(name.lower(), ANOTHER_WAY)


def nearest(name: str, known: Iterable[str]) -> Advice:
    """The names that may have been meant, out of those open to the grant; empty where none is close."""
    folded = {other.lower(): other for other in known}
    meant = get_close_matches(name.lower()[:MOST], [k for k in folded if k != name.lower()], n=3)
    listed = ", ".join(folded[other] for other in meant)
    return (f"did you mean {listed}?", f"是否指 {listed}？") if meant else ("", "")


def spelt(node: exp.Expr, text: str) -> str:
    """A function's name as the query has it, or the parser's own where that cannot be told."""
    start, end = node.meta.get("start"), node.meta.get("end")
    if isinstance(start, int) and isinstance(end, int) and _NAME.fullmatch(text, start, end + 1):
        return text[start : end + 1].lower()
    return node.sql_names()[0].lower() if isinstance(node, exp.Func) else type(node).__name__.upper()
