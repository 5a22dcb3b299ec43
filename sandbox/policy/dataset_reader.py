"""A dataset document, from its tree to a frozen ``Dataset``.

Rules that one column can break stand in ``column_reader``; rules between columns and tables in
``dataset_rules``.  A document with any mistake yields no dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from sandbox.catalogue import Grid, KeyPath
from sandbox.policy import dataset_fields as f
from sandbox.policy.canonical import fingerprint
from sandbox.policy.column_reader import read_column, why_of
from sandbox.policy.dataset_rules import DatasetRead, TableRead, check_dataset
from sandbox.policy.documents import Budget, ColumnRule, Dataset, Expect, Keep, Share, TableRule, UnitRule
from sandbox.policy.fields import Entry, Values
from sandbox.policy.mistakes import At
from sandbox.policy.tree import Fields, plain


def read_dataset(node: Fields, at: At) -> Dataset | None:
    """The dataset, or ``None`` if anything in the document is a mistake (all are noted)."""
    before = len(at.mistakes)
    values = f.DATASET.values(node, at)
    tables = _tables(values)
    dataset = Dataset(
        id=values.get(f.ID) or "",
        title=f.title_of(values.get(f.DATASET_TITLE)),
        owner=values.get(f.OWNER) or "",
        class_path=tuple(part.strip() for part in (values.get(f.CLASS) or "").split("/")),
        level=values.get(f.DATASET_LEVEL) or f.HIGHEST_LEVEL,
        important=values.get(f.IMPORTANT) or False,
        share=values.get(f.DATASET_SHARE) or Share.NONE,
        why=why_of(values, f.DATASET_SHARE),
        snapshot=str(values.get(f.SNAPSHOT) or ""),
        tables=tuple(t.rule for t in tables.values()),
        budget=_budget(values.get(f.BUDGET)),
        hash=fingerprint(plain(node)),
        keep=_keep(values.get(f.KEEP)),
    )
    check_dataset(DatasetRead(dataset, values, tables))
    return dataset if len(at.mistakes) == before else None


def _budget(values: Values | None) -> Budget | None:
    if values is None:
        return None
    return Budget(values.get(f.EPSILON_CAP) or Fraction(0), values.get(f.DELTA_CAP) or Fraction(0))


def _keep(values: Values | None) -> Keep | None:
    if values is None:
        return None
    return Keep(values.get(f.KEPT) or 0, values.get(f.KEPT_DAYS) or 0)


def _tables(values: Values) -> dict[str, TableRead]:
    entries: Mapping[str, Entry[Values]] = values.get(f.TABLES) or {}
    return {name: _table(name, entry.value) for name, entry in entries.items() if entry.value is not None}


def _table(name: str, values: Values) -> TableRead:
    public = values.get(f.PUBLIC) or False
    entries: Mapping[str, Entry[Values]] = values.get(f.COLUMNS) or {}
    columns: dict[str, ColumnRule | None] = {}
    for column, entry in entries.items():
        columns[column] = read_column(column, entry.value, public) if entry.value else None
    rule = TableRule(
        name=name,
        columns=tuple(c for c in columns.values() if c is not None),
        public=public,
        units=_units(values),
        per_unit=values.get(f.PER_UNIT) or (),
        rows=values.get(f.ROWS),
        grid=_grid(values.get(f.GRID)),
        unique=values.get(f.TOGETHER) or (),
        expect=_expect(values.get(f.EXPECT), columns),
    )
    places = {column: entry.value for column, entry in entries.items() if entry.value is not None}
    return TableRead(rule, values, columns, places)


def _expect(values: Values | None, columns: Mapping[str, ColumnRule | None]) -> Expect | None:
    if values is None:
        return None
    fresh = values.get(f.FRESH)
    name = (fresh.get(f.FRESH_COLUMN) if fresh else None) or ""
    found = columns.get(name)
    if fresh and name and not (found and found.kind.temporal):
        fresh.at(f.FRESH_COLUMN).wrong(name, "a column of dates or timestamps", "日期或时间列")
    days = (fresh.get(f.FRESH_DAYS) if fresh else None) or 0
    return Expect(values.get(f.CHANGE), values.get(f.LEFT_OUT), name, days)


def _units(values: Values) -> tuple[UnitRule, ...]:
    entries = values.get(f.UNIT) or {}
    rules = (_unit(kind, entry) for kind, entry in entries.items())
    return tuple(rule for rule in rules if rule is not None)


def _unit(kind: str, entry: Entry[str | tuple[str, ...]]) -> UnitRule | None:
    """A direct column, or steps ``column -> table.key`` and ``table.column`` at the end."""
    if entry.value is None or isinstance(entry.value, str):
        return UnitRule(kind, entry.value) if entry.value else None
    *steps, end = entry.value
    path: list[KeyPath] = []
    for index, step in enumerate(steps, start=1):
        start, arrow, target = step.partition("->")
        came_from, _, column = start.strip().rpartition(".")
        here = path[-1].table if path else ""
        if not arrow or (came_from and came_from != here):
            entry.at.item(index, entry.at.line).wrong(step, "column -> table.key", "列 -> 表.键")
            return None
        table, _, key = target.strip().partition(".")
        path.append(KeyPath(column, table, key))
    table, _, column = end.partition(".")
    if "->" in end or table != path[-1].table or not column:
        expected = f"{path[-1].table}.column"
        entry.at.item(len(entry.value), entry.at.line).wrong(end, expected, expected)
        return None
    return UnitRule(kind, column, tuple(path))


def _grid(values: Values | None) -> Grid | None:
    if values is None:
        return None
    return Grid(
        cells=values.get(f.CELLS) or (),
        units=values.get(f.UNITS) or 0,
        dominance=values.get(f.DOMINANCE) or Fraction(0),
        round=values.get(f.ROUND) or 1,
        outside_totals=values.get(f.OUTSIDE) or (),
    )
