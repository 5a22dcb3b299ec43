"""The vocabulary of grant documents: every key, what it may hold, and what it means in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from sandbox.model import Words
from sandbox.policy.dataset_fields import COLUMN_NAME, TITLE
from sandbox.policy.documents import Mode, Release
from sandbox.policy.fields import Entry, Field, MapOf, Placed, Record
from sandbox.policy.floor import FLOOR
from sandbox.policy.parts import IDENTIFIER, NAME, Choice, Const, Day, ListOf, Number, OneOrMany, Text, Whole

AN_ID: Final = Text(
    IDENTIFIER, Words("由字母、数字和 . _ - 组成的标识", "an id of letters, digits and . _ -")
)
TABLE_NAME: Final = rf"{NAME}\.{NAME}"
COLUMN_PATH: Final = Text(
    rf"{NAME}\.{NAME}\.{NAME}", Words("“数据集.表.列”", "dataset.table.column"), longest=200
)
A_DELTA: Final = Number(least=Fraction(0), most=FLOOR.delta)

# scenario: a title with an id
SCENARIO_ID: Final = Field("id", AN_ID, Words("应用场景编号", "the scenario's id"), required=True)
SCENARIO_RECORD: Final = Record((SCENARIO_ID, *TITLE.fields))

# period
FROM: Final = Field("from", Day(), Words("首日", "the first day"), required=True)
UNTIL: Final = Field("until", Day(), Words("末日（含）", "the last day, included"), required=True)
PERIOD_RECORD: Final = Record((FROM, UNTIL))

# guard
MODE: Final = Field("mode", Choice(Mode), Words("dp 或 exact", "dp or exact"), required=True)
QUERY: Final = Field(
    "query",
    Number(above=Fraction(0), most=FLOOR.query),
    Words("单次查询的 epsilon 上限", "most epsilon of one query"),
    required=True,
)
TOTAL: Final = Field(
    "total",
    Number(above=Fraction(0), most=FLOOR.grant),
    Words("整个授权的 epsilon 上限", "most epsilon of the whole grant"),
    required=True,
)
EPSILON_RECORD: Final = Record((QUERY, TOTAL))
EPSILON: Final = Field("epsilon", EPSILON_RECORD, Words("隐私预算", "the privacy budget"))
DELTA: Final = Field("delta", A_DELTA, Words("delta；0 表示纯差分隐私", "delta; 0 asks for pure epsilon"))
GROUPS: Final = Field(
    "groups",
    Whole(1, 10**6),
    Words(
        "一个主体在无声明取值域的分组中最多计入的组数",
        "most groups a unit may bring to keys without a domain",
    ),
)
UNITS: Final = Field(
    "units", Whole(FLOOR.units, 10**6), Words("一组最少的主体数", "fewest units a group key may rest on")
)
PER_DAY: Final = Field("day", Whole(1, 10**9), Words("每日查询次数", "queries a day"))
IN_ALL: Final = Field("total", Whole(1, 10**9), Words("总查询次数", "queries in all"))
QUERIES_RECORD: Final = Record((PER_DAY, IN_ALL))
QUERIES: Final = Field("queries", QUERIES_RECORD, Words("查询次数限额", "how many queries may be asked"))
GUARD_RECORD: Final = Record((MODE, EPSILON, DELTA, GROUPS, UNITS, QUERIES))

# the grant
KIND: Final = Field("kind", Const("grant"), Words("文件种类", "kind of document"), required=True)
ID: Final = Field("id", AN_ID, Words("授权编号", "the grant's id"), required=True)
TO: Final = Field("to", Text(), Words("被授权运营单位", "the authorized operator"), required=True)
SCENARIO: Final = Field("scenario", SCENARIO_RECORD, Words("应用场景", "the declared use"), required=True)
PURPOSE: Final = Field(
    "purpose", Text(), Words("用途及禁止事项", "purpose, and what is not allowed"), required=True
)
PERIOD: Final = Field("period", PERIOD_RECORD, Words("有效期", "when it is in force"), required=True)
DATA: Final[Field[Mapping[str, Entry[str | tuple[str, ...]]]]] = Field(
    "data",
    MapOf(
        TABLE_NAME,
        Words("“数据集.表”", "dataset.table"),
        OneOrMany(Const("all"), ListOf(COLUMN_NAME, least=1)),
    ),
    Words("表及其列；all 仅用于公开表", "tables and their columns; `all` for public tables only"),
    required=True,
)
JOINS: Final = Field(
    "joins",
    ListOf(Placed(ListOf(COLUMN_PATH, least=2, most=2, distinct=False)), distinct=False),
    Words("允许相等连接的列对", "pairs of columns that may be joined"),
)
GUARD: Final = Field("guard", GUARD_RECORD, Words("保护方式", "how answers are protected"), required=True)
RELEASE: Final = Field("release", Choice(Release), Words("放行方式", "who lets answers out"), required=True)
GRANT: Final = Record((KIND, ID, TO, SCENARIO, PURPOSE, PERIOD, DATA, JOINS, GUARD, RELEASE))
