"""The vocabulary of dataset documents: every key, what it may hold, and what it means in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Final

from sandbox.catalogue import Kind, Use
from sandbox.model import Words
from sandbox.policy.documents import Share, Title
from sandbox.policy.fields import Entry, Field, MapOf, Record, Values
from sandbox.policy.floor import FLOOR
from sandbox.policy.mistakes import At
from sandbox.policy.parts import (
    NAME,
    Choice,
    Const,
    Flag,
    ListOf,
    Number,
    OneOrMany,
    Scalars,
    Schema,
    Text,
    Whole,
    shown,
)
from sandbox.policy.tree import Leaf, Node

LARGEST_DOMAIN: Final = 10_000
HIGHEST_LEVEL: Final = 4
CORE_WORDS: Final = frozenset({"核心", "核心数据", "core"})
A_NAME: Final = Words(
    "名称：以字母或汉字开头，由字母、汉字、数字、下划线组成",
    "a name of letters, digits and _, a letter first",
)
COLUMN_NAME: Final = Text(NAME, A_NAME)
KEY_STEP: Final = r"[^\W\d_]\w*(\.[^\W\d_]\w*)?( *-> *[^\W\d_]\w*\.[^\W\d_]\w*)?"


class Refresh(StrEnum):
    """How often a new snapshot is published."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class Step(StrEnum):
    """Calendar steps a key may be held to, from fine to coarse."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Level:
    """A grade from 1 to 4.  Anything above, or core data by name, is never loaded."""

    def read(self, node: Node, at: At) -> int | None:
        value = node.value if isinstance(node, Leaf) else None
        if value in CORE_WORDS or (isinstance(value, Fraction) and value > HIGHEST_LEVEL):
            at.wrong(shown(node), "1 – 4: core data may not enter", "1 – 4：核心数据不得进入本系统")
            return None
        return Whole(1, HIGHEST_LEVEL).read(node, at)

    def schema(self) -> Schema:
        return Whole(1, HIGHEST_LEVEL).schema()


class NotCore:
    """``core`` may be written, but only as false."""

    def read(self, node: Node, at: At) -> bool | None:
        core = Flag().read(node, at)
        if core:
            at.wrong("true", "false: core data may not enter", "false：核心数据不得进入本系统")
        return core

    def schema(self) -> Schema:
        return {"const": False}


class StepPart:
    """A band width, or a calendar word."""

    def read(self, node: Node, at: At) -> Fraction | str | None:
        if isinstance(node, Leaf) and isinstance(node.value, Fraction):
            return Number(above=Fraction(0)).read(node, at)
        step = Choice(Step).read(node, at)
        return step.value if step else None

    def schema(self) -> Schema:
        return {"anyOf": [Number(above=Fraction(0)).schema(), Choice(Step).schema()]}


_ZH = Field("zh", Text(), Words("中文名称", "the Chinese name"), required=True)
_EN = Field("en", Text(), Words("英文名称", "the English name"), required=True)
TITLE: Final = Record((_ZH, _EN))


def title_of(values: Values | None) -> Title:
    """A title; empty where it could not be read (then already noted)."""
    if values is None:
        return Title("", "")
    return Title(values.get(_ZH) or "", values.get(_EN) or "")


REASON: Final = Field("reason", Text(), Words("理由", "the reason"), required=True)
BASIS: Final = Field("basis", Text(), Words("法律依据", "the legal basis"), required=True)
WHY_RECORD: Final = Record((REASON, BASIS))

CORE: Final = Field(
    "core", NotCore(), Words("核心数据，只能为 false", "core data: only false may stand here")
)
SHARE: Final = Field(
    "share",
    Choice(Share),
    Words("共享属性：无条件、有条件、不予共享", "sharing: unconditional, conditional or none"),
)
WHY: Final = Field(
    "why",
    WHY_RECORD,
    Words("有条件或不予共享的理由和依据", "reason and legal basis of conditional or withheld sharing"),
)

# one column
TYPE: Final = Field("type", Choice(Kind), Words("值类型", "the type of its values"), required=True)
LEVEL: Final = Field("level", Level(), Words("数据级别 1–4", "grade, 1 to 4"))
USE: Final = Field(
    "use",
    ListOf(Choice(Use)),
    Words("允许的用途；[] 表示永不使用", "what it may be used for; [] means never"),
)
NULLABLE: Final = Field(
    "nullable",
    Flag(),
    Words("是否允许空值；否则空值行进入隔离区", "whether it may be null; else such rows are quarantined"),
)
UNIQUE: Final = Field(
    "unique", Flag(), Words("公开表中取值是否唯一", "in a public table: no two rows share a value")
)
DOMAIN: Final = Field(
    "domain", Scalars(1, LARGEST_DOMAIN), Words("公开的有限取值域", "its finite values, declared public")
)
RANGE: Final = Field(
    "range", Scalars(2, 2), Words("公开的取值范围 [下限, 上限]", "its bounds, declared public: [low, high]")
)
CLIP: Final = Field(
    "clip", Scalars(2, 2), Words("度量的截断区间 [下限, 上限]", "where a measure is clamped: [low, high]")
)
SCALE: Final = Field(
    "scale",
    Number(above=Fraction(0)),
    Words(
        "定点数粒度：整数或整数的倒数",
        "granularity of fixed-point sums: a whole number or one over a whole number",
    ),
)
STEP: Final[Field[Fraction | str]] = Field(
    "step", StepPart(), Words("分组键的最细粒度", "the finest step at which it may be a group key")
)
COLUMN: Final = Record(
    (TYPE, LEVEL, USE, NULLABLE, UNIQUE, DOMAIN, RANGE, CLIP, SCALE, STEP, SHARE, WHY, CORE)
)

# one table
PUBLIC: Final = Field("public", Flag(), Words("整表公开", "the whole table is open to all"))
UNIT: Final[Field[Mapping[str, Entry[str | tuple[str, ...]]]]] = Field(
    "unit",
    MapOf(
        NAME,
        Words("隐私单元种类", "kinds of privacy unit"),
        OneOrMany(
            COLUMN_NAME,
            ListOf(
                Text(
                    KEY_STEP,
                    Words(
                        "“列 -> 表.键”或末尾的“表.列”", "`column -> table.key`, or `table.column` at the end"
                    ),
                ),
                least=2,
                most=6,
            ),
        ),
    ),
    Words("必须隐藏的主体：种类及标识列或键路径", "what must stay hidden: kind, and its column or key path"),
)
PER_UNIT: Final = Field(
    "per_unit",
    ListOf(COLUMN_NAME),
    Words("由主体决定的列（导入时核验）", "columns that are functions of the unit (verified)"),
)
ROWS: Final = Field(
    "rows",
    Whole(1, 10**9),
    Words("一个主体在一组中的预期最多行数", "most rows a unit is expected to bring to one group"),
)
TOGETHER: Final = Field(
    "unique",
    ListOf(ListOf(COLUMN_NAME, least=2, most=20), least=1, most=20),
    Words(
        "公开表中合起来取值唯一的列组（导入时核验）",
        "in a public table: columns in which no two rows agree, together (verified)",
    ),
)
CELLS: Final = Field(
    "cells",
    ListOf(COLUMN_NAME, least=1, most=20),
    Words("网格的列", "the columns of the grid"),
    required=True,
)
UNITS: Final = Field(
    "units",
    Whole(FLOOR.units, 10**6),
    Words("每格最少主体数", "fewest units behind a cell"),
    required=True,
)
DOMINANCE: Final = Field(
    "dominance",
    Number(least=Fraction(FLOOR.dominance), most=Fraction(100)),
    Words("p% 规则的 p", "p of the p%-rule, in percent"),
    required=True,
)
ROUND: Final = Field("round", Whole(1, 10**9), Words("取整单位", "what counts are rounded to"))
OUTSIDE: Final = Field(
    "outside_totals",
    ListOf(ListOf(COLUMN_NAME, least=0, most=20), most=100),
    Words("在别处公布合计的边际", "margins whose totals are published elsewhere"),
)
GRID_RECORD: Final = Record((CELLS, UNITS, DOMINANCE, ROUND, OUTSIDE))
GRID: Final = Field("grid", GRID_RECORD, Words("精确模式的发布网格", "the published grid of exact mode"))
COLUMNS: Final = Field("columns", MapOf(NAME, A_NAME, COLUMN), Words("列", "its columns"), required=True)
CHANGE: Final = Field(
    "change",
    Whole(0, 10_000),
    Words("读入行数较上一快照的最大变化（%）", "most change of the rows read, percent"),
)
LEFT_OUT: Final = Field(
    "quarantined", Whole(0, 100), Words("隔离行的最大占比（%）", "most rows in quarantine, percent")
)
FRESH_COLUMN: Final = Field(
    "column", COLUMN_NAME, Words("日期或时间列", "a column of days or moments"), required=True
)
FRESH_DAYS: Final = Field(
    "days", Whole(0, 36_500), Words("最新值距今的最大天数", "most days since its newest value"), required=True
)
FRESH: Final = Field("fresh", Record((FRESH_COLUMN, FRESH_DAYS)), Words("时效", "how recent the data are"))
EXPECT: Final = Field(
    "expect",
    Record((CHANGE, LEFT_OUT, FRESH)),
    Words("漂移界限；超出则不发布并告警", "bounds of drift: beyond them nothing is published"),
)
TABLE: Final = Record((PUBLIC, UNIT, PER_UNIT, ROWS, TOGETHER, GRID, EXPECT, COLUMNS))

# the dataset
KIND: Final = Field("kind", Const("dataset"), Words("文件种类", "kind of document"), required=True)
ID: Final = Field("id", Text(NAME, A_NAME), Words("数据集标识", "its name in queries"), required=True)
DATASET_TITLE: Final = Field("title", TITLE, Words("名称", "its title in both languages"), required=True)
OWNER: Final = Field("owner", Text(), Words("数源单位", "the organisation that owns the data"), required=True)
CLASS: Final = Field(
    "class",
    Text(r"[^/\s][^/]*(/[^/\s][^/]*)*", Words("以 / 分隔的分类路径", "a path with / between its parts")),
    Words("分类路径，如 能源/电力", "classification path, as in 能源/电力"),
    required=True,
)
DATASET_LEVEL: Final = Field(
    "level",
    Level(),
    Words("数据级别 1–4，不低于任何列", "grade, 1 to 4, not below any column's"),
    required=True,
)
IMPORTANT: Final = Field(
    "important", Flag(), Words("重要数据：须双人放行", "important data: release takes two people")
)
DATASET_SHARE: Final = Field(SHARE.name, SHARE.part, SHARE.words, required=True)
SNAPSHOT: Final = Field(
    "snapshot", Choice(Refresh), Words("快照周期", "how often a snapshot is published"), required=True
)
KEPT: Final = Field(
    "snapshots",
    Whole(2, 10_000),
    Words("保留最新的快照数", "so many of the newest are kept"),
    required=True,
)
KEPT_DAYS: Final = Field(
    "days", Whole(1, 36_500), Words("并保留此天数以内的快照", "and all that are younger, in days")
)
KEEP_RECORD: Final = Record((KEPT, KEPT_DAYS))
KEEP: Final = Field(
    "keep",
    KEEP_RECORD,
    Words("快照保留；不写则全部保留", "which snapshots are kept; without it, all"),
)
EPSILON_CAP: Final = Field(
    "epsilon",
    Number(above=Fraction(0), most=FLOOR.dataset),
    Words("所有授权合计的 epsilon 上限", "most epsilon over all grants"),
    required=True,
)
DELTA_CAP: Final = Field(
    "delta",
    Number(least=Fraction(0), most=FLOOR.delta),
    Words("delta 上限", "the delta it is stated at"),
    required=True,
)
BUDGET_RECORD: Final = Record((EPSILON_CAP, DELTA_CAP))
BUDGET: Final = Field(
    "budget", BUDGET_RECORD, Words("所有授权合计的隐私预算", "the privacy budget over all grants")
)
TABLES: Final = Field("tables", MapOf(NAME, A_NAME, TABLE), Words("表", "its tables"), required=True)
DATASET: Final = Record(
    (
        *(KIND, ID, DATASET_TITLE, OWNER, CLASS, DATASET_LEVEL, IMPORTANT, CORE),
        *(DATASET_SHARE, WHY, SNAPSHOT, KEEP, BUDGET, TABLES),
    )
)
