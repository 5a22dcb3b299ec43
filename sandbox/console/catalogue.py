"""The catalogue: what each grant opens, and what each column may be used for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sandbox.catalogue import Column, Range, Table
from sandbox.console.locale import Locale
from sandbox.console.page import Page, get
from sandbox.console.terms import Terms
from sandbox.console.visit import Visit
from sandbox.doors import wire
from sandbox.doors.ports import GrantView
from sandbox.errors import Code, refuse
from sandbox.policy.documents import Dataset, Documents, DpGuard, Share, Why
from sandbox.policy.roles import Action

_LONGEST_LIST: Final = 12


@dataclass(frozen=True, slots=True)
class ColumnCard:
    """A column as its reader needs it.  ``why``: its own reason; ``None`` where its dataset's holds."""

    name: str
    kind: str
    level: int
    uses: tuple[str, ...]
    facts: str
    share: Share
    why: Why | None


@dataclass(frozen=True, slots=True)
class TableCard:
    """A table that a grant opens."""

    id: str
    unit: str
    extent: int | None
    grid: tuple[str, ...]
    grid_units: int
    columns: tuple[ColumnCard, ...]


@dataclass(frozen=True, slots=True)
class GrantCard:
    """A grant, the datasets behind it, and its tables."""

    view: GrantView
    datasets: tuple[Dataset, ...]
    tables: tuple[TableCard, ...]
    joins: tuple[tuple[str, ...], ...]


def catalogue(visit: Visit) -> Response:
    """All grants in short."""
    documents = visit.console.gateway.documents()
    views = visit.console.gateway.catalog(visit.person)
    cards = [_card(view, documents, visit.locale) for view in views]
    return visit.page("catalogue.html", cards=cards, today=visit.now.date())


def grant(visit: Visit) -> Response:
    """One grant, whole."""
    wanted = visit.request.path_params["id"]
    views = visit.console.gateway.catalog(visit.person)
    view = next((v for v in views if v.grant.id == wanted), None)
    if view is None:
        raise refuse(Code.GRANT_UNKNOWN, wanted[:80])
    card = _card(view, visit.console.gateway.documents(), visit.locale)
    return visit.page("grant.html", card=card, guard=guard(view, visit.locale), today=visit.now.date())


def guard(view: GrantView, say: Locale) -> tuple[tuple[str, str], ...]:
    """What protects the answers of a grant, as pairs of a name and a value."""
    found = view.grant.guard
    if isinstance(found, DpGuard):
        return (
            (say.t("单次查询上限", "At most per query"), f"ε = {wire.epsilon(found.query)}"),
            (say.t("授权总额", "Total of the grant"), f"ε = {wire.epsilon(found.total)}"),
            ("δ", say.delta(float(found.delta))),
            (say.t("每组至少主体数", "Fewest units behind a group"), say.number(found.units)),
        )
    no_limit = say.t("不限", "no limit")
    return (
        (
            say.t("每日查询", "Queries a day"),
            no_limit if found.per_day is None else say.number(found.per_day),
        ),
        (say.t("查询总数", "Queries in all"), no_limit if found.total is None else say.number(found.total)),
    )


def _card(view: GrantView, documents: Documents, say: Locale) -> GrantCard:
    ids = dict.fromkeys(table.dataset for table in view.catalogue.tables)
    datasets = tuple(d for d in documents.datasets if d.id in ids)
    by_id = {d.id: d for d in datasets}
    tables = tuple(_table(table, by_id[table.dataset], say) for table in view.catalogue.tables)
    joins = tuple(sorted(tuple(sorted(pair)) for pair in view.catalogue.joins))
    return GrantCard(view, datasets, tables, joins)


def _table(table: Table, dataset: Dataset, say: Locale) -> TableCard:
    rule = dataset.table(table.name)
    cells, units = ((), 0) if table.grid is None else (table.grid.cells, table.grid.units)
    columns = []
    for column in table.columns:
        declared = None if rule is None else rule.column(column.name)
        level = dataset.level if declared is None else declared.level
        share = dataset.share if declared is None or declared.share is None else declared.share
        why = None if declared is None else declared.why
        uses = tuple(sorted(use.value for use in column.use))
        facts = "; ".join(_facts(column, say))
        columns.append(ColumnCard(column.name, column.kind.value, level, uses, facts, share, why))
    unit = "" if table.unit is None else table.unit.kind
    return TableCard(table.id, unit, table.extent, cells, units, tuple(columns))


def _facts(column: Column, say: Locale) -> Iterator[str]:
    """What is publicly known of a column's values."""
    if column.domain is not None:
        listed = ", ".join(str(wire.scalar(v)) for v in column.domain[:_LONGEST_LIST])
        more = len(column.domain) - _LONGEST_LIST
        yield listed + (say.count(more, " … 另有 {} 项", " and {} more", " and {} more") if more > 0 else "")
    for name, bounds in (("", column.range), (say.t("截断于 ", "clamped to "), column.clip)):
        if bounds != Range():
            ends = (wire.bound(b, column) or "∞" for b in (bounds.lo, bounds.hi))
            yield f"{name}{' – '.join(ends)}"
    if column.step is not None:
        step = Terms(say)(column.step) if isinstance(column.step, str) else wire.epsilon(column.step)
        yield say.t(f"分组不细于{step}", f"no finer than {step}")


PAGES: Final[tuple[Page, ...]] = (
    get("/catalogue", Action.CATALOGUE, catalogue),
    get("/catalogue/{id}", Action.CATALOGUE, grant),
)
