"""The vocabulary of source documents: where a dataset's tables are read from, and by which connector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.model import Words
from sandbox.policy.dataset_fields import A_NAME, TITLE
from sandbox.policy.fields import Entry, Field, MapOf, Record, Values
from sandbox.policy.grant_fields import AN_ID, TABLE_NAME
from sandbox.policy.mistakes import At
from sandbox.policy.parts import NAME, Const, ListOf, OneOrMany, Part, Schema, Text, Whole
from sandbox.policy.tree import Leaf, Node

REFERENCE: Final = r"(env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*)"
CONDITION: Final = r"[^\s<>=]+ (=|<>|<|<=|>|>=) \S.*"
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")

SECRET_WORDS: Final = ("pass", "secret", "token", "credential", "key")
"""An option whose name holds one of these is a secret, hence a reference."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A connector's setting: a text, a number or a flag as it is written, kept as text."""

    def read(self, node: Node, at: At) -> str | None:
        if isinstance(node, Leaf) and Text().fits(node.text):
            return node.text
        at.wrong("something else", "a text or a number", "文本或数字")  # not quoted: perhaps a secret
        return None

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


_SOURCE_NAME: Final = Text("", Words("数据源中的名称", "a name as the source has it"), longest=200)
TABLE: Final = Field("table", _SOURCE_NAME, Words("数据源中的表", "the table in the source"), required=True)
COLUMNS: Final = Field(
    "columns",
    MapOf(NAME, A_NAME, _SOURCE_NAME),
    Words("名称不同的列：数据集列名 -> 数据源列名", "columns named otherwise: the dataset's, the source's"),
)
WHERE: Final = Field(
    "where",
    ListOf(
        Text(
            CONDITION, Words("“列 比较符 值”，如 day >= 2024-01-01", "`column op value`: day >= 2024-01-01")
        ),
        least=1,
        most=20,
    ),
    Words("只读取满足全部条件的行", "only rows that meet every condition are read"),
)
_COLUMN: Final = Text(NAME, A_NAME)
SINCE: Final = Field(
    "since",
    _COLUMN,
    Words("只增不减的列（日期、时间或数）", "a column that only grows: a day, a moment or a number"),
    required=True,
)
KEY: Final = Field(
    "key",
    ListOf(_COLUMN, least=1, most=20),
    Words(
        "主键列：新读的行替换同键的旧行；不写则只追加",
        "a row replaces that of its key; without, rows are added",
    ),
)
OVERLAP: Final = Field(
    "overlap",
    Whole(0, 10**9),
    Words("再读最新值之前的天数（或步数）", "days (steps) before the newest that are read again"),
)
LOAD_RECORD: Final = Record((SINCE, KEY, OVERLAP))
LOAD: Final = Field(
    "load", LOAD_RECORD, Words("增量导入", "read only what is new, on top of what was read before")
)
TABLE_RECORD: Final = Record((TABLE, COLUMNS, WHERE, LOAD))

KIND: Final = Field("kind", Const("source"), Words("文件种类", "kind of document"), required=True)
ID: Final = Field("id", AN_ID, Words("数据源标识", "the source's id"), required=True)
SOURCE_TITLE: Final = Field("title", TITLE, Words("名称", "its title in both languages"))
CONNECTOR: Final = Field(
    "connector",
    Text(r"[a-z][a-z0-9_]*", Words("连接器名称，如 postgresql、csv", "a connector, as in postgresql or csv")),
    Words("连接器", "the kind of source"),
    required=True,
)
OPTIONS: Final = Field(
    "options",
    MapOf(NAME, A_NAME, Setting()),
    Words(
        "连接器的设置；密钥只写引用（env:变量名 或 file:路径）",
        "the connector's settings; secrets by reference only (env:NAME or file:PATH)",
    ),
    required=True,
)
_PLACE: Final[Part[str | Values]] = OneOrMany(_SOURCE_NAME, TABLE_RECORD)
TABLES: Final[Field[Mapping[str, Entry[str | Values]]]] = Field(
    "tables",
    MapOf(TABLE_NAME, Words("“数据集.表”", "dataset.table"), _PLACE),
    Words(
        "它供给的表：“数据集.表”-> 数据源中的表", "the tables that it feeds: dataset.table, and the source's"
    ),
)
SOURCE: Final = Record((KIND, ID, SOURCE_TITLE, CONNECTOR, OPTIONS, TABLES))


def number(text: str) -> bool:
    """Whether a condition's value compares as a number."""
    return _NUMBER.fullmatch(text) is not None
