"""Rules between a grant and the datasets it names.

- It names tables and columns that exist, may be shared, and have at least one use.
- ``all`` is for public tables: else a column added later would be opened by nobody's decision.
- A join is listed on granted columns of one type with use ``join`` on both sides.
- Exact mode needs a published grid on every protected table of the grant.
- Important data (重要数据) takes two people to release, except exact answers over a published grid:
  these were approved together with the grid, and no answer can say more than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.catalogue import Use
from sandbox.policy import grant_fields as f
from sandbox.policy.documents import ColumnRule, Dataset, ExactGuard, Release, Share, TableRule
from sandbox.policy.grant_reader import GrantRead
from sandbox.policy.mistakes import At, nearest


@dataclass(frozen=True, slots=True)
class Known:
    """The datasets a grant may name.

    ``broken``: ids of documents with mistakes of their own.  ``complete``: whether every file could be
    read; if not, an unknown dataset is not held against the grant.
    """

    datasets: Mapping[str, Dataset]
    broken: frozenset[str] = frozenset()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Named:
    """A table that the grant names."""

    dataset: Dataset
    table: TableRule
    columns: tuple[str, ...] | None


def check_grant(read: GrantRead, known: Known) -> None:
    """Note everything that the grant breaks together with its datasets."""
    named: dict[str, _Named] = {}
    skipped: set[str] = set()
    entries = read.values.get(f.DATA) or {}
    for table_id, columns in read.rule.data:
        found = _find(table_id, known, entries[table_id].at)
        if found is None:
            skipped.add(table_id)
            continue
        named[table_id] = _Named(*found, columns)
        _check_columns(named[table_id], read, entries[table_id].at)
    skipped |= {name for name, entry in entries.items() if entry.value is None}
    _check_joins(read, named, skipped)
    if read.guarded:
        _check_guard(read, named)


def _find(table_id: str, known: Known, at: At) -> tuple[Dataset, TableRule] | None:
    dataset_id, _, name = table_id.partition(".")
    dataset = known.datasets.get(dataset_id)
    if dataset is None:
        if known.complete and dataset_id not in known.broken:
            expected = nearest(dataset_id, known.datasets)
            at.wrong(f"dataset {dataset_id}", expected.en, expected.zh)
        return None
    table = dataset.table(name)
    if table is None:
        expected = nearest(name, (t.name for t in dataset.tables))
        at.wrong(f"table {name}", expected.en, expected.zh)
        return None
    return dataset, table


def _check_columns(named: _Named, read: GrantRead, at: At) -> None:
    if named.columns is None:
        if not named.table.public:
            at.wrong("all", "the columns one by one: the table is protected", "受保护表须逐列列出")
        if named.dataset.share is Share.NONE:
            at.wrong("all", "no column: share is none", "不予共享，不得授权")
        return
    for name in named.columns:
        column = named.table.column(name)
        if column is None:
            expected = nearest(name, (c.name for c in named.table.columns))
            at.wrong(name, expected.en, expected.zh)
        else:
            _check_column(column, named.dataset, at)


def _check_column(column: ColumnRule, dataset: Dataset, at: At) -> None:
    if (column.share or dataset.share) is Share.NONE:
        at.wrong(column.name, "a column that may be shared: its share is none", "该列不予共享，不得授权")
    elif not column.use:
        at.wrong(column.name, "a column that has a use: its use is []", "该列用途为空，不得授权")


def _check_joins(read: GrantRead, named: Mapping[str, _Named], skipped: set[str]) -> None:
    """A side in a table that is not granted, or was a mistake already, is not looked at twice."""
    for entry in read.values.get(f.JOINS) or ():
        place = entry.at
        sides = [_joined(path, named, skipped, place) for path in entry.value or ()]
        kinds = {side.kind for side in sides if side is not None}
        if len(kinds) > 1:
            said = " = ".join(sorted(kind.value for kind in kinds))
            place.wrong(said, "columns of one type", "两列类型须一致")


def _joined(path: str, named: Mapping[str, _Named], skipped: set[str], at: At) -> ColumnRule | None:
    table_id, _, name = path.rpartition(".")
    if table_id in skipped:
        return None
    found = named.get(table_id)
    granted = found is not None and (found.columns is None or name in found.columns)
    column = found.table.column(name) if found is not None else None
    if found is None or not granted or column is None:
        at.wrong(path, "a column that `data` grants", "data 中已授权的列")
        return None
    if Use.JOIN not in column.use:
        at.wrong(path, "a column with use join", "用途含 join 的列")
    return column


def _check_guard(read: GrantRead, named: Mapping[str, _Named]) -> None:
    exact = isinstance(read.rule.guard, ExactGuard)
    for table_id, found in named.items():
        if exact and not found.table.public and found.table.grid is None:
            read.values.at(f.GUARD).wrong(
                f"exact over {table_id}",
                "mode: dp, or a grid on this table",
                "使用 mode: dp，或为该表发布网格",
            )
    important = any(found.dataset.important for found in named.values())
    if important and not exact and read.values.get(f.RELEASE) not in (None, Release.TWO_PERSON):
        read.values.at(f.RELEASE).wrong(
            read.rule.release.value,
            "two-person: the data are important (重要数据)",
            "two-person：重要数据须双人放行",
        )
