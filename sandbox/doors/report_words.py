"""A supervision report in words: titles, heads and rows, the same on the screen and on paper."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.casework.month import ZONE
from sandbox.casework.supervision import Mark, Report
from sandbox.errors import Lang
from sandbox.model import Words


@dataclass(frozen=True, slots=True)
class Section:
    """One table; ``right``: the columns of numbers; ``empty``: what stands there without rows."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int]
    empty: str


def title(report: Report) -> Words:
    """The report's name."""
    return Words(
        f"{report.operator} {report.month} 监管月报", f"Supervision report: {report.operator}, {report.month}"
    )


def sections(report: Report, lang: Lang) -> tuple[Section, ...]:
    """The report's tables, in order."""

    def t(zh: str, en: str) -> str:
        return zh if lang == "zh" else en

    def table(name: str, heads: Iterable[str], rows: Iterable[tuple[object, ...]], *right: int) -> Section:
        cells = tuple(tuple(str(cell) for cell in row) for row in rows)
        return Section(name, tuple(heads), cells, frozenset(right), t("无", "none"))

    def marks(name: str, found: Iterable[Mark]) -> Section:
        heads = (t("记录", "entry"), t("时间", "time"), t("事项", "about"), t("决定", "decision"))
        return table(name, heads, ((m.entry, _local(m.time), m.about, m.decision) for m in found), 0)

    asked = (
        t("授权", "grant"), t("执行", "begun"), t("放出", "answered"), t("拒绝", "refused"),
        t("试算", "priced"), t("取消", "cancelled"), t("费用（nano）", "cost (nano)"),
    )  # fmt: skip
    uses = (
        (u.grant or "–", u.begun, u.answered, u.refused, u.explained, u.cancelled, u.nano)
        for u in report.uses
    )
    fees = (
        t("产品", "product"), t("提供方", "provider"), t("接收方", "recipient"), t("次数", "deliveries"),
        t("单价", "price"), t("计费", "per"), t("金额", "amount"), t("币种", "unit"),
    )  # fmt: skip
    lines = (
        (x.product, x.provider, x.recipient, x.deliveries, x.price, x.per, x.amount, x.unit)
        for x in report.deliveries
    )
    return (
        table(t("查询", "Queries"), asked, uses, 1, 2, 3, 4, 5, 6),
        table(t("拒绝原因", "Refusals"), (t("代码", "code"), t("次数", "times")), report.refusals, 1),
        table(t("涉及数据", "Datasets"), (t("数据集", "dataset"), t("次数", "times")), report.datasets, 1),
        marks(t("告警", "Alerts"), report.alerts),
        marks(t("冻结与解冻", "Freezes"), report.freezes),
        marks(t("事项", "Cases"), report.cases),
        table(t("产品交付", "Deliveries"), fees, lines, 3, 4, 6),
    )


def _local(time: str) -> str:
    """A time as people in China read it."""
    return f"{dt.datetime.fromisoformat(time).astimezone(ZONE):%Y-%m-%d %H:%M:%S}"
