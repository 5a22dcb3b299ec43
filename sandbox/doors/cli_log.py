"""Commands on the log: log (with its saved views) and monitor."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Final

import typer

from sandbox.doors import filters, log_screens, wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    gateway_of,
    group,
    terminal_of,
)
from sandbox.doors.ports import Gateway
from sandbox.doors.terminal import Terminal
from sandbox.model import Person, Words
from sandbox.monitor.catalogue import MISSING, RULES
from sandbox.store.audit import Event
from sandbox.store.search import LogFilter, Page

monitor = group("monitor", "Rules over the log, and their alerts.  日志监测规则与告警。")

PATIENCE: Final = 200
"""Pages that a search may take before it says where it stopped: seconds, at worst."""


class Action(StrEnum):
    """What to do instead of reading a page."""

    SHOW = "show"
    SAVE = "save"
    VIEWS = "views"
    DROP = "drop"


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    command(app, "log")(log)
    app.add_typer(monitor)


def log(
    action: Annotated[
        Action | None, typer.Argument(help="show SEQ, save NAME, views, drop NAME. 动作")
    ] = None,
    target: Annotated[str, typer.Argument(help="An entry's number, or a view's name. 序号或视图名")] = "",
    *,
    view: Annotated[str | None, typer.Option("--view", help="Filters saved under this name. 视图")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Save or drop for everybody. 共享")] = False,
    person: Annotated[str | None, typer.Option("--person", help="Asked by. 人员")] = None,
    organisation: Annotated[
        str | None, typer.Option("--organisation", help="Their organisation. 单位")
    ] = None,
    grant: Annotated[str | None, typer.Option("--grant", help="Under this grant. 授权")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Of this dataset. 数据集")] = None,
    decision: Annotated[str | None, typer.Option("--decision", help="Decided so. 决定")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Refused with, as DS-304. 拒绝代码")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Kind of entry, as outcome. 记录类型")] = None,
    least: Annotated[str | None, typer.Option("--least", help="Cost at least, in nano. 费用下限")] = None,
    most: Annotated[str | None, typer.Option("--most", help="Cost at most, in nano. 费用上限")] = None,
    since: Annotated[str | None, typer.Option("--since", help="From this time on (ISO 8601). 起")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this time. 止")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Found in the query text. 查询文本包含")] = None,
    after: Annotated[str | None, typer.Option("--after", help="Older than this cursor. 更早")] = None,
    before: Annotated[str | None, typer.Option("--before", help="Newer than this cursor. 更新")] = None,
    limit: Annotated[str | None, typer.Option("--limit", help="Entries a page, 1 to 1000. 每页条数")] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Read the audit log, newest first.  查看审计日志。"""
    told = {"person": person, "organisation": organisation, "grant": grant, "dataset": dataset}
    told |= {"decision": decision, "code": code, "kind": kind, "least": least, "most": most}
    told |= {"since": since, "until": until, "text": text, "after": after, "before": before, "limit": limit}
    given = {key: value for key, value in told.items() if value is not None}
    wanted = filters.log_filter(given)
    if (action in (None, Action.VIEWS)) == bool(target):
        raise typer.BadParameter("show takes a number, save and drop take a name")
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, who):
        match action:
            case None:
                if view is not None:
                    wanted = filters.log_filter({**gateway.logbook.view(who, view).filters, **given})
                _show_page(terminal, _filled(gateway, who, wanted))
            case Action.SHOW:
                found = gateway.logbook.entry(who, filters.number("show", target))
                terminal.json(wire.entry(found)) if as_json else log_screens.entry(terminal, found)
            case Action.SAVE:
                gateway.logbook.save(who, target, given, shared=shared)
                _show_views(terminal, gateway, who)
            case Action.DROP:
                gateway.logbook.drop(who, target, shared=shared)
                _show_views(terminal, gateway, who)
            case Action.VIEWS:
                _show_views(terminal, gateway, who)


@command(monitor, "rules")
def rules(as_json: JsonOption = False, lang: LangOption = None) -> None:
    """List the rules.  列出规则。"""
    terminal = terminal_of(lang, as_json)
    if as_json:
        terminal.json({"rules": [wire.rule(rule) for rule in (*RULES, MISSING)]})
        return
    for rule in (*RULES, MISSING):
        terminal.line(f"{rule.name}  {rule.severity}  {rule.subject}  {rule.window}", "bold")
        terminal.lines([rule.what, rule.do])


@command(monitor, "run")
def run(
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Judge what is new in the log; the service does so by itself.  立即检查新日志。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, who):
        raised = gateway.monitor(who)
    if as_json:
        terminal.json({"raised": list(raised)})
    else:
        terminal.lines([Words(f"新增告警 {len(raised)} 条", f"alerts raised: {len(raised)}")])


@command(monitor, "alerts")
def alerts(
    after: Annotated[str | None, typer.Option("--after", help="Older than this cursor. 更早")] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show the alerts, newest first, and what to do.  查看告警与处置建议。"""
    terminal = terminal_of(lang, as_json)
    wanted = replace(filters.log_filter({} if after is None else {"after": after}), kind=Event.ALERT)
    with gateway_of(home, name) as (gateway, who):
        page = _filled(gateway, who, wanted)
    if as_json:
        terminal.json(wire.page(page))
    else:
        for found in page.entries:
            log_screens.alert(terminal, found)


def _filled(gateway: Gateway, who: Person, wanted: LogFilter) -> Page:
    """A page and, where it was cut short for time, those after it, until it is full."""
    page = gateway.log(who, wanted)
    for _ in range(PATIENCE):
        newer = wanted.before is not None
        cursor = page.previous if newer else page.next
        if cursor is None or len(page.entries) >= wanted.limit:
            break
        rest = replace(wanted, limit=wanted.limit - len(page.entries))
        more = gateway.log(who, replace(rest, before=cursor) if newer else replace(rest, after=cursor))
        if newer:
            page = Page(more.entries + page.entries, page.next, more.previous)
        else:
            page = Page(page.entries + more.entries, more.next, page.previous)
    return page


def _show_page(terminal: Terminal, page: Page) -> None:
    if terminal.as_json:
        terminal.json(wire.page(page))
    else:
        log_screens.log(terminal, page)


def _show_views(terminal: Terminal, gateway: Gateway, who: Person) -> None:
    found = gateway.logbook.views(who)
    if terminal.as_json:
        terminal.json(wire.views(found))
    else:
        log_screens.views(terminal, found)
