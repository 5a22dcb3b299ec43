"""A document laid out as comparable facts, for ``diff``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sandbox.catalogue import Grid, Range
from sandbox.model import Words
from sandbox.policy.documents import ColumnRule, Dataset, DpGuard, Grant, Release, Share, TableRule, UnitRule
from sandbox.policy.floor import budget_in_force
from sandbox.policy.parts import decimal

Rank = Fraction | float | None
UNLIMITED: Final = float("inf")
POLICY: Final = Words("政策", "the policy")
_SHARES: Final = {Share.NONE: 0.0, Share.CONDITIONAL: 1.0, Share.UNCONDITIONAL: 2.0}
_RELEASES: Final = {Release.TWO_PERSON: 0.0, Release.REVIEW: 1.0, Release.AUTO: 2.0}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact about one subject: ``items`` (more is more open), or ``text`` with a ``rank``.

    A higher rank is more open; without a rank a change neither opens nor closes.
    """

    subject: Words
    label: Words
    items: tuple[str, ...] = ()
    text: str = ""
    rank: Rank = None


@dataclass(frozen=True, slots=True)
class _About:
    """Makes the facts of one subject."""

    subject: Words

    def items(self, zh: str, en: str, items: Iterable[str]) -> Fact:
        return Fact(self.subject, Words(zh, en), items=tuple(items))

    def value(self, zh: str, en: str, text: str, rank: Rank = None) -> Fact:
        return Fact(self.subject, Words(zh, en), text=text or "–", rank=rank)


def document_facts(datasets: Iterable[Dataset], grants: Iterable[Grant]) -> Iterator[Fact]:
    """The facts of all documents, datasets first."""
    about = _About(POLICY)
    datasets, grants = tuple(datasets), tuple(grants)
    yield about.items("数据集", "dataset", (d.id for d in datasets))
    yield about.items("授权", "grant", (g.id for g in grants))
    for dataset in datasets:
        yield from _dataset(dataset)
    for grant in grants:
        yield from _grant(grant)


def _dataset(dataset: Dataset) -> Iterator[Fact]:
    about = _About(Words(f"数据集 {dataset.id}", f"dataset {dataset.id}"))
    budget = budget_in_force(dataset)
    yield about.value("名称", "title", f"{dataset.title.zh} / {dataset.title.en}")
    yield about.value("数源单位", "owner", dataset.owner)
    yield about.value("分类", "class", "/".join(dataset.class_path))
    yield about.value("级别", "level", str(dataset.level), -Fraction(dataset.level))
    yield about.value("重要数据标记", "mark as important", _yes(dataset.important), -float(dataset.important))
    yield about.value("共享属性", "share", dataset.share.value, _SHARES[dataset.share])
    yield about.value(
        "共享理由", "reason", f"{dataset.why.reason} / {dataset.why.basis}" if dataset.why else ""
    )
    yield about.value("快照周期", "snapshot period", dataset.snapshot)
    yield about.value("epsilon 总上限", "epsilon over all grants", decimal(budget.epsilon), budget.epsilon)
    yield about.value("delta", "delta", decimal(budget.delta), budget.delta)
    yield about.items("表", "table", (t.name for t in dataset.tables))
    for table in dataset.tables:
        yield from _table(dataset, table)


def _table(dataset: Dataset, table: TableRule) -> Iterator[Fact]:
    name = f"{dataset.id}.{table.name}"
    about = _About(Words(f"表 {name}", f"table {name}"))
    yield about.value("整表公开", "being public", _yes(table.public), float(table.public))
    yield about.value("隐私单元", "unit", "; ".join(_unit(u) for u in table.units))
    yield about.value("由主体决定的列", "per_unit", ", ".join(table.per_unit))
    yield about.value("预期行数", "rows", "" if table.rows is None else str(table.rows))
    yield about.value("合起来唯一的列", "unique columns", "; ".join(", ".join(key) for key in table.unique))
    yield from _grid(about, table.grid)
    yield about.items("列", "column", (c.name for c in table.columns))
    for column in table.columns:
        yield from _column(f"{name}.{column.name}", column, dataset)


def _grid(about: _About, grid: Grid | None) -> Iterator[Fact]:
    if grid is None:
        yield about.items("网格列", "grid cell column", ())
        return
    yield about.items("网格列", "grid cell column", grid.cells)
    yield about.value("每格最少主体数", "fewest units behind a cell", str(grid.units), -Fraction(grid.units))
    yield about.value("p% 规则的 p", "p of the p%-rule", decimal(grid.dominance), -grid.dominance)
    yield about.value("取整单位", "rounding", str(grid.round), -Fraction(grid.round))
    margins = "; ".join(", ".join(margin) for margin in grid.outside_totals)
    yield about.value("别处公布合计的边际", "outside totals", margins)


def _column(name: str, column: ColumnRule, dataset: Dataset) -> Iterator[Fact]:
    about = _About(Words(f"列 {name}", f"column {name}"))
    share = column.share or dataset.share
    day = column.kind.temporal
    yield about.value("类型", "type", column.kind.value)
    yield about.value("级别", "level", str(column.level), -Fraction(column.level))
    own = column.share.value if column.share else "(as its dataset)"
    yield about.value("共享属性", "share", own, _SHARES[share])
    yield about.items("用途", "use", sorted(use.value for use in column.use))
    yield about.value("可为空", "being nullable", _yes(column.nullable))
    yield about.value("取值唯一", "being unique", _yes(column.unique))
    yield about.items("取值", "domain value", (str(v) for v in column.domain or ()))
    yield about.value("取值范围", "range", _range(column.range, day))
    yield about.value("截断区间", "clip", _range(column.clip, day))
    yield about.value("定点粒度", "scale", decimal(column.scale) if column.scale else "")
    step = column.step
    yield about.value("分组粒度", "step", decimal(step) if isinstance(step, Fraction) else step or "")


def _grant(grant: Grant) -> Iterator[Fact]:
    about = _About(Words(f"授权 {grant.id}", f"grant {grant.id}"))
    title = grant.scenario.title
    yield about.value("被授权单位", "operator", grant.to)
    yield about.value("应用场景", "scenario", f"{grant.scenario.id} {title.zh} / {title.en}")
    yield about.value("用途", "purpose", grant.purpose)
    yield about.value("首日", "first day", grant.start.isoformat(), -Fraction(grant.start.toordinal()))
    yield about.value("末日", "last day", grant.until.isoformat(), Fraction(grant.until.toordinal()))
    yield about.items("列", "column", _granted(grant))
    yield about.items("连接", "join", sorted(" = ".join(sorted(pair)) for pair in grant.joins))
    yield about.value("放行方式", "release", grant.release.value, _RELEASES[grant.release])
    yield about.value("保护方式", "mode", grant.mode.value)
    if isinstance(grant.guard, DpGuard):
        yield from _dp(about, grant.guard)
    else:
        yield _quota(about, Words("每日查询次数", "queries a day"), grant.guard.per_day)
        yield _quota(about, Words("总查询次数", "queries in all"), grant.guard.total)


def _dp(about: _About, guard: DpGuard) -> Iterator[Fact]:
    yield about.value("单次 epsilon", "epsilon of one query", decimal(guard.query), guard.query)
    yield about.value("总 epsilon", "epsilon in all", decimal(guard.total), guard.total)
    yield about.value("delta", "delta", decimal(guard.delta), guard.delta)
    yield about.value("每主体组数", "groups a unit may bring", str(guard.groups))
    yield about.value("每组最少主体数", "fewest units of a group", str(guard.units), -Fraction(guard.units))


def _quota(about: _About, label: Words, count: int | None) -> Fact:
    rank = UNLIMITED if count is None else Fraction(count)
    return Fact(about.subject, label, text="–" if count is None else str(count), rank=rank)


def _granted(grant: Grant) -> Iterator[str]:
    for table, columns in grant.data:
        yield from (f"{table}.{column}" for column in (("*",) if columns is None else columns))


def _yes(flag: bool) -> str:
    return "true" if flag else "false"


def _unit(unit: UnitRule) -> str:
    steps = [f"{step.column} -> {step.table}.{step.key}" for step in unit.path]
    end = f"{unit.path[-1].table}.{unit.column}" if unit.path else unit.column
    return f"{unit.kind}: {', '.join([*steps, end])}"


def _range(range_: Range, day: bool) -> str:
    if range_.lo is None or range_.hi is None:
        return ""
    lo, hi = (
        dt.date.fromordinal(int(bound)).isoformat() if day else decimal(bound)
        for bound in (range_.lo, range_.hi)
    )
    return f"[{lo}, {hi}]"
