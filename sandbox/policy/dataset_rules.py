"""Rules between the columns and tables of one dataset (the sources are POLICY and DESIGN 3 and 4).

- The dataset's level is at least the highest of its columns' (就高从严).
- A table is public, or has a unit; nothing in between.
- A unit's column is never a group key, a filter or a measure.
- A key path ends at a table that carries the same unit along the rest of the path, so that equality on
  a step means the same unit.
- A grid's cells are neither units nor measures, and a dataset has one grid: two over the same units
  could be played against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.catalogue import Use
from sandbox.policy import dataset_fields as f
from sandbox.policy.documents import ColumnRule, Dataset, TableRule, UnitRule
from sandbox.policy.fields import Field, Values
from sandbox.policy.mistakes import At, nearest


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table as far as it could be read.  A column of unreadable type is ``None`` in ``columns``."""

    rule: TableRule
    values: Values
    columns: Mapping[str, ColumnRule | None]
    column_values: Mapping[str, Values]

    def knows(self, name: str, at: At) -> bool:
        """Whether the column exists; if not, notes the mistake (unless no columns could be read)."""
        if name in self.columns or not self.columns:
            return name in self.columns
        expected = nearest(name, self.columns)
        at.wrong(name, expected.en, expected.zh)
        return False


@dataclass(frozen=True, slots=True)
class DatasetRead:
    """A dataset as far as it could be read."""

    rule: Dataset
    values: Values
    tables: Mapping[str, TableRead]


def check_dataset(read: DatasetRead) -> None:
    """Note everything that the dataset's columns and tables break together."""
    _check_level(read)
    for table in read.tables.values():
        _check_public(table)
        if table.rule.public:
            continue
        for unit in table.rule.units:
            _check_unit(read, table, unit)
        _check_names(table, f.PER_UNIT, table.rule.per_unit)
        _check_grid(table)
    with_grid = [t for t in read.tables.values() if t.rule.grid]
    for table in with_grid[1:]:
        found = f"a second grid beside {with_grid[0].rule.name}'s"
        table.values.at(f.GRID).wrong(found, "one grid a dataset", "一个数据集只能有一个网格")


def _check_level(read: DatasetRead) -> None:
    level = read.values.get(f.DATASET_LEVEL)
    highest = max((c.level for t in read.rule.tables for c in t.columns), default=0)
    if level is not None and level < highest:
        read.values.at(f.DATASET_LEVEL).wrong(
            str(level), f"{highest}: the highest of its columns", f"{highest}：就高从严，不低于任何列"
        )


def _check_public(table: TableRead) -> None:
    values = table.values
    if not table.rule.public:
        if not values.written(f.UNIT):
            values.at(f.UNIT).wrong("nothing", "a unit, or public: true", "隐私单元，或 public: true")
        if values.written(f.TOGETHER):
            values.at(f.TOGETHER).wrong("unique in a protected table", "a public table", "仅可用于公开表")
        return
    for columns in table.rule.unique:
        _check_names(table, f.TOGETHER, columns)
    protected_only: tuple[Field[Any], ...] = (f.UNIT, f.PER_UNIT, f.ROWS, f.GRID)
    for field in protected_only:
        if values.written(field):
            values.at(field).wrong(f"{field.name} in a public table", "a protected table", "仅可用于受保护表")


def _check_unit(read: DatasetRead, table: TableRead, unit: UnitRule) -> None:
    entry = (table.values.get(f.UNIT) or {})[unit.kind]
    if unit.path:
        _check_path(read, table, unit, entry.at)
    elif table.knows(unit.column, entry.at):
        _check_unit_use(table, unit.column)
        if unit.column in table.rule.per_unit:
            at = table.values.at(f.PER_UNIT)
            at.wrong(unit.column, "columns other than the unit", "隐私单元以外的列")


def _check_unit_use(table: TableRead, name: str) -> None:
    column = table.columns[name]
    if column is not None and column.nullable:
        table.column_values[name].at(f.NULLABLE).wrong(
            "true on the unit's column", "false", "false：隐私单元不可为空"
        )
    for use in (Use.GROUP, Use.FILTER, Use.MEASURE):
        if column is not None and use in column.use:
            table.column_values[name].at(f.USE).wrong(
                f"{use.value} on the unit's column", "join or count", "隐私单元列只能用于 join 或 count"
            )


def _check_path(read: DatasetRead, table: TableRead, unit: UnitRule, at: At) -> None:
    """The first step; the rest of the path is the next table's own declaration, checked there."""
    step = unit.path[0]
    if not table.knows(step.column, at):
        return
    target = read.tables.get(step.table)
    if target is None:
        expected = nearest(step.table, read.tables)
        at.wrong(f"table {step.table}", expected.en, expected.zh)
        return
    if not target.knows(step.key, at):
        return
    mine, theirs = table.columns[step.column], target.columns[step.key]
    if mine is not None and theirs is not None and mine.kind is not theirs.kind:
        at.wrong(f"{mine.kind.value} -> {theirs.kind.value}", "columns of one type", "两列类型须一致")
    declared = {u.kind: u for u in target.rule.units}
    entries = target.values.get(f.UNIT)
    unreadable = unit.kind not in declared and (
        target.values.written(f.UNIT) if entries is None else unit.kind in entries
    )
    if not unreadable and declared.get(unit.kind) != UnitRule(unit.kind, unit.column, unit.path[1:]):
        at.wrong(
            f"{step.table}.{unit.column}" if len(unit.path) == 1 else f"{step.table} -> …",
            f"the unit that {step.table} itself declares as {unit.kind}",
            f"须为 {step.table} 自身声明的 {unit.kind}",
        )


def _check_names(table: TableRead, field: Field[Any], names: Iterable[str]) -> None:
    for name in names:
        table.knows(name, table.values.at(field))


def _check_grid(table: TableRead) -> None:
    values, grid = table.values.get(f.GRID), table.rule.grid
    if values is None or grid is None:
        return
    unit_columns = {unit.column for unit in table.rule.units if not unit.path}
    for name in grid.cells:
        place = values.at(f.CELLS)
        if not table.knows(name, place):
            continue
        column = table.columns[name]
        if name in unit_columns or (column is not None and Use.MEASURE in column.use):
            place.wrong(name, "neither the unit nor a measure", "不能是隐私单元或度量")
    for name in {name for margin in grid.outside_totals for name in margin}.difference(grid.cells):
        values.at(f.OUTSIDE).wrong(name, "columns of the grid", "网格的列")
