"""Writes docs/sql-reference.md from the spec cases: ``python -m tests.spec.reference``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

from sandbox.catalogue import Table
from sandbox.errors import Code
from sandbox.sql import growth, parse
from sandbox.sql.aggregates import PROTECTED as PROTECTED_AGGREGATES
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.instead import INSTEAD, Advice
from sandbox.sql.resolve.grouping import MOST_SETS
from tests.spec.house import DATA, TOWNS, VISITS, Case, Row, Rule, cases, names, rules, topics

PAGE: Final = Path(__file__).parents[2] / "docs" / "sql-reference.md"

HEAD = """# The SQL of the sandbox 沙箱 SQL 参考

<!-- Written by `python -m tests.spec.reference` from tests/spec/*.yaml, which the tests run. Do not edit. -->

One SELECT at a time, over the tables of a grant. Every example below is run by the tests, on the engine and
on a second, naive one; both must give the answer that is printed. What is not on this page is refused by
name.

一次一条 SELECT，只能查询授权内的表。以下每个示例都由测试在引擎与另一套朴素实现上运行，
结果必须与此处一致。本页未列出的写法一律按名称拒绝。

Nothing raises an error because of what is in the data: a cast that fails is NULL, a division by zero is NULL,
the sum of nothing is NULL.

任何数据都不会引发错误：转换失败、除以零、无行求和均得 NULL。
"""

PROTECTED = """## Protected tables 受保护表

A protected table's rows belong to *privacy units* (persons, households, firms …). All of the above may be
used on them; what matters is whose row a result is. Rows that still belong to a unit are **kept** private and
are never shown; a **release** is protected once, by noise or the published grid, and is an ordinary public
table from there on. The examples use `persons(id, age, town)` and `claims(person, fee, day)` of persons, and
`firms(firm, town)` of firms.

受保护表的每一行都属于某个*隐私单元*（个人、家庭、企业等）。上述写法均可使用，关键在于结果行属于谁：
仍属于某单元的行**保持**受保护、不予显示；**发布**则一次性加以保护（噪声或已发布网格），
此后即普通公开表。示例表：个人的 `persons(id, age, town)`、`claims(person, fee, day)`，
企业的 `firms(firm, town)`。
"""

REFUSED = """## What is refused, and what to write instead 拒绝的写法与替代

Every refusal has a code (docs/errors.md), says what is at fault, and what would be allowed.
每次拒绝都有代码（见 docs/errors.md），并说明原因与可行写法。
"""


def page() -> str:
    """The whole reference."""
    found = cases()
    parts = [HEAD, _tables(), _contents()]
    for topic, (en, zh) in topics().items():
        parts.append(f"## {en} {zh}\n")
        parts.extend(_case(c) for c in found if c.topic == topic)
    parts.append(_functions())
    parts.append(PROTECTED)
    parts.append(_protected_aggregates())
    parts.append(_rules(rules("protected")))
    parts.append(REFUSED)
    parts.append(_rules(rules("refused")))
    parts.append(_instead())
    parts.append(_limits())
    return "\n".join(parts)


def _contents() -> str:
    return "Topics 主题: " + ", ".join(f"{en} {zh}" for en, zh in topics().values()) + ".\n"


def _tables() -> str:
    return "## The examples' tables 示例表\n\n" + "\n".join(_stored(t) for t in (TOWNS, VISITS))


def _stored(table: Table) -> str:
    rows = [tuple(row[c.name] for c in table.columns) for row in DATA[table.id]]
    return f"`{table.name}`\n\n{_grid([f'{c.name} ({c.kind.value})' for c in table.columns], rows)}"


def _case(case: Case) -> str:
    return f"{case.en} {case.zh}\n\n```sql\n{case.sql}\n```\n\n{_grid(names(case.sql), list(case.rows))}"


def _grid(header: list[str], rows: list[Row]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(v) for v in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return f"`{value}`" if isinstance(value, str) and value != value.strip() else str(value)


def _functions() -> str:
    families = sorted({f.family for f in FUNCTIONS.values()} - {"internal"})
    lines = [
        f"- {family}: " + ", ".join(f"`{f.example}`" for f in FUNCTIONS.values() if f.family == family)
        for family in families
    ]
    return "## All functions 全部函数\n\n" + "\n".join(lines) + "\n"


def _protected_aggregates() -> str:
    listed = ", ".join(f"`{name}`" for name in sorted(PROTECTED_AGGREGATES))
    return (
        f"A release knows the aggregates {listed}\n"
        "(`count` also DISTINCT; the policy says over which columns). Over released and public tables\n"
        "all do.\n\n"
        "发布可用以上聚合（`count` 可加 DISTINCT；可用列由政策规定）；已发布表与公开表上可用全部聚合。\n"
    )


def _instead() -> str:
    advised: dict[Advice, list[str]] = {}
    for name, advice in INSTEAD.items():
        advised.setdefault(advice, []).append(name)
    rows = [(", ".join(map(_sql, names)), f"{en}; {zh}") for (en, zh), names in advised.items()]
    return _grid(["not there 未提供", "instead 替代写法"], rows)


def _rules(found: list[Rule]) -> str:
    rows = [(_sql(r.sql), _outcome(r.outcome), f"{r.en} {r.zh}") for r in found]
    return _grid(["query 查询", "outcome 结果", "why 说明"], rows)


def _sql(text: str) -> str:
    visible = text.replace("\u200b", "⟨U+200B⟩").replace("|", "\\|")
    return f"`{visible}`"


def _outcome(outcome: str) -> str:
    words = {"kept": "kept 保持", "released": "released 发布"}
    return words.get(outcome) or f"{Code[outcome].id} {outcome}"


def _limits() -> str:
    limits = [
        ("characters of the text 文本字符", parse.MOST_CHARACTERS),
        ("tokens 词元", parse.MOST_TOKENS),
        ("nested brackets 括号嵌套", parse.MOST_NESTING),
        ("depth of the statement 语句深度", parse.MOST_DEPTH),
        ("parts of an expression, its CTEs written out 表达式规模（展开 CTE 后）", growth.MOST_EXPRESSION),
        ("depth of such an expression 表达式深度", growth.MOST_DEPTH),
        ("parts of all expressions together 全部表达式规模", growth.MOST_PARTS),
        ("tables, joins, filters and groupings, its CTEs written out 查询规模", growth.MOST_NODES),
        ("depth of them 查询深度", growth.MOST_LEVELS),
        ("grouping sets 分组集", MOST_SETS),
    ]
    return "## Limits 限制\n\n" + _grid(["at most 上限", "number 数量"], list(limits))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
