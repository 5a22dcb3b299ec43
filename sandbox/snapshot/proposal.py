"""A dataset document as a proposal: what stands in it is safe to load, what data suggest stands in comments.

A bound, a domain or a key that was read from data is not public until a person declares it: so each is a line
behind ``# confirm 待确认``, which that person takes the mark from, or deletes.  No column has a use.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.policy.documents import Title
from sandbox.policy.load import Source, read
from sandbox.policy.mistakes import refusal
from sandbox.snapshot.profile import ColumnProfile, TableProfile, Value

MARK = "# confirm 待确认: "


@dataclass(frozen=True, slots=True)
class Heading:
    """What data cannot say: id, title, owner (数源单位) and classification path."""

    id: str
    title: Title
    owner: str
    class_path: str


def propose(heading: Heading, tables: Iterable[TableProfile]) -> str:
    """YAML text of a dataset document that loads as it is, closed, with proposals as comments.

    Raises ``Refusal`` where the names of tables or columns cannot stand in a document.
    """
    found = tuple(tables)
    text = "\n".join(_lines(heading, found)) + "\n"
    checked = read([Source("draft", text)])
    if checked.mistakes:
        raise refusal(checked.mistakes)
    if not checked.documents.datasets:
        raise refuse(Code.DOCUMENT, heading.id, "name tables that have columns", "请给出含有列的表")
    return text


def _lines(heading: Heading, tables: tuple[TableProfile, ...]) -> Iterator[str]:
    yield "kind: dataset"
    yield f"id: {_text(heading.id)}"
    yield f"title: {{zh: {_text(heading.title.zh)}, en: {_text(heading.title.en)}}}"
    yield f"owner: {_text(heading.owner)}"
    yield f"class: {_text(heading.class_path)}"
    yield "level: 4 " + MARK + "the highest of its columns 就高从严"
    yield "share: none"
    yield (
        "why: {reason: " + _text("待定级 not yet graded") + ", basis: " + _text("待填写 to be written") + "}"
    )
    yield "snapshot: monthly"
    yield "tables:"
    for table in tables:
        yield from _table(table)


def _table(table: TableProfile) -> Iterator[str]:
    yield f"  {_text(_bare(table.name))}:  # {table.rows} rows 行, {table.malformed} malformed 残行"
    units = [c for c in table.columns if c.finding and c.finding.detector.unit]
    # A unit is what protects: the likeliest stands as declared; without one the table cannot be loaded as
    # protected, so the first key, else the first column, stands for a person to correct.
    first = units[0].name if units else (table.keys or tuple(c.name for c in table.columns))[0]
    kind = units[0].finding.detector.unit if units and units[0].finding else "person"
    yield f"    unit: {{{kind}: {_text(first)}}}  {MARK}whose data these are 数据主体"
    if table.keys:
        yield f"    # keys 候选键: {', '.join(_text(k) for k in table.keys)}"
    yield "    columns:"
    for column in table.columns:
        yield from _column(column, table.rows)


def _column(column: ColumnProfile, rows: int) -> Iterator[str]:
    level = column.finding.detector.level if column.finding else 3
    parts = [f"type: {column.kind.value}", f"level: {level}", "use: []"]
    if column.finding:
        reason = f"疑似{column.finding.detector.words.zh} looks like a {column.finding.detector.words.en}"
        parts += ["share: none", f"why: {{reason: {_text(reason)}, basis: {_text('待填写 to be written')}}}"]
    yield f"      {_text(column.name)}: {{{', '.join(parts)}}}"
    if column.finding:
        yield f"        # {column.finding.detector.name}: confidence 置信度 {column.finding.confidence:.2f}"
        return
    yield f"        # {column.distinct} different 不同值, {column.nulls} missing 缺失, of 共 {rows}"
    yield from (f"        {MARK}{line}" for line in _facts(column))


def _facts(column: ColumnProfile) -> Iterator[str]:
    """Declarations that the data would bear out."""
    if column.nulls:
        yield "nullable: true"
    if column.kind is Kind.DECIMAL:
        yield f"scale: {Decimal(1).scaleb(-column.digits):f}"
    if column.kind in (Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE, Kind.DATE, Kind.TIMESTAMP):
        if column.low is not None and column.high is not None:
            yield f"range: [{_value(column.low)}, {_value(column.high)}]"
    elif column.values:
        yield f"domain: [{', '.join(_value(v) for v in column.values)}]"


def _value(value: Value) -> str:
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        _text(value) if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else str(value)
    )


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _text(text: str) -> str:
    """A double-quoted YAML scalar; JSON's escapes are YAML's."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
