"""Commands on cases and products: open, list, show, do; list, get, statement; and the public register."""

from __future__ import annotations

import csv as files
import io
from pathlib import Path
from typing import Annotated

import typer

from sandbox.casework.products import Line
from sandbox.casework.register import as_csv
from sandbox.casework.register import as_json as as_register
from sandbox.casework.supervision import as_json as report_json
from sandbox.doors import cases, forms, screens, wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    gateway_of,
    group,
    read_text,
    terminal_of,
    write_bytes,
)
from sandbox.doors.report_pdf import as_pdf
from sandbox.doors.report_words import sections, title
from sandbox.doors.terminal import Terminal
from sandbox.model import Refused, Words
from sandbox.policy.parts import decimal
from sandbox.policy.workflow.states import STATES, VERBS, Kind, State, Verb
from sandbox.store.cases import Case

case = group("case", "Documents on their way into force, and incidents.  事项：文件的审批与事件处置。")
product = group("product", "Products, deliveries and fees.  数据产品、交付与费用。")

NoteOption = Annotated[str, typer.Option("--note", help="A sentence on it. 说明")]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV on stdout. 输出 CSV")]
IdArgument = Annotated[int, typer.Argument(metavar="ID", min=0, help="As `case list` names it. 编号")]


def register(app: typer.Typer) -> None:
    """Put these commands into the command line."""
    app.add_typer(case)
    app.add_typer(product)
    command(app, "register")(show_register)
    command(app, "supervision")(show_supervision)


@command(case, "open")
def open_case(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=f"{', '.join(Kind)}. 类别")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The document's text. 文件")],
    note: NoteOption = "",
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Open a case.  立案。"""
    terminal, text = terminal_of(lang, as_json), read_text(file)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.casework.open(person, kind, text, note)
        told = cases.whole(gateway.casework, person, found.id)
    _show(terminal, found, told)


@command(case, "list")
def list_cases(
    *,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only of this kind. 类别")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only in this state. 状态")] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """List the cases that you may see.  列出事项。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.casework.cases(person, kind, state)
    if as_json:
        terminal.json({"cases": [cases.case(one) for one in found]})
        return
    heads = ("id", "kind", "document", "state", "organisation", "author", "time")
    rows = (
        [
            str(c.id),
            c.kind.value,
            c.document,
            terminal.say(STATES[c.state]),
            c.organisation,
            c.author,
            f"{c.time:%Y-%m-%d %H:%M}",
        ]
        for c in found
    )
    terminal.table(heads, rows)


@command(case, "show")
def show_case(
    id: IdArgument,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show a case: its text, its hash, its steps.  查看事项。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.casework.case(person, id)
        steps = gateway.casework.steps(person, id)
        told = cases.whole(gateway.casework, person, id)
    if not as_json:
        terminal.line(found.text)
        terminal.lines(
            [
                Words(
                    f"{s.time:%Y-%m-%d %H:%M} {s.organisation} {s.person} {VERBS[s.verb].zh} {s.note}",
                    f"{s.time:%Y-%m-%d %H:%M} {s.organisation} {s.person} {VERBS[s.verb].en} {s.note}",
                )
                for s in steps
            ]
        )
    _show(terminal, found, told)


@command(case, "do")
def do(
    id: IdArgument,
    verb: Annotated[Verb, typer.Argument(metavar="VERB", help="As `case show` offers it. 操作")],
    *,
    hash: Annotated[str, typer.Option("--hash", help="Of the text that you read. 所审阅文本的哈希")] = "",
    file: Annotated[Path | None, typer.Option("--file", help="The new text. 新文本")] = None,
    note: NoteOption = "",
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Take a step.  办理。"""
    terminal = terminal_of(lang, as_json)
    text = "" if file is None else read_text(file)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.casework.act(person, id, verb, hash=hash, text=text, note=note)
        told = cases.whole(gateway.casework, person, id)
    _show(terminal, found, told)


@command(product, "list")
def list_products(
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """List the products that you make or may have.  列出产品。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.products.list(person)
    if as_json:
        terminal.json({"products": [cases.product(one) for one in found]})
        return
    heads = ("id", "title", "parameters", "schedule", "to", "fee")
    rows = (
        [
            p.id,
            terminal.say(Words(p.title.zh, p.title.en)),
            " ".join(f"{parameter}:{kind}" for parameter, kind in p.parameters),
            p.schedule,
            " ".join(p.to),
            f"{decimal(p.fee.price)} {p.fee.unit} / {p.fee.per}",
        ]
        for p in found
    )
    terminal.table(heads, rows)


@command(product, "get")
def get(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `product list` names it. 产品编号")],
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter. 参数")
    ] = None,
    csv: CsvOption = False,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Have a product delivered.  获取产品。"""
    parameters = [text.partition("=") for text in given or []]
    if len({key for key, _, _ in parameters}) != len(parameters) or not all(p[1] for p in parameters):
        raise typer.BadParameter("give each parameter once, as NAME=VALUE")
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.products.deliver(person, id, {key: value for key, _, value in parameters})
    if isinstance(found, Refused):
        raise typer.Exit(terminal.refused(found.reasons, found.request))
    if as_json:
        terminal.raw(wire.answer_text(found) + "\n")
    elif csv:
        terminal.raw(forms.csv(found))
    else:
        screens.answer(terminal, found, [])


@command(product, "statement")
def statement(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-11. 月份")],
    csv: CsvOption = False,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show what was delivered in a month, and the fees.  月度对账单。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.products.statement(person, month)
    heads = ("recipient", "provider", "product", "deliveries", "price", "per", "amount", "unit")
    if as_json:
        terminal.json(cases.statement(month, found))
    elif csv:
        out = io.StringIO()
        files.writer(out).writerows([heads, *map(_cells, found)])
        terminal.raw(out.getvalue())
    else:
        terminal.table(heads, map(_cells, found))


def show_register(
    *,
    csv: CsvOption = False,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show the public register of grants and products.  公开登记册。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, _):
        rows = gateway.register()
    if as_json:
        terminal.raw(as_register(rows) + "\n")
    elif csv:
        terminal.raw(as_csv(rows))
    else:
        title = "title_zh" if "zh" in terminal.spoken else "title_en"
        heads = ("kind", "id", "state", "since", "organisation", "title", "until", "mode")
        days = ({**row, "since": row["since"][:10], "title": row[title]} for row in rows)
        terminal.table(heads, ([row[head] for head in heads] for row in days))


def show_supervision(
    operator: Annotated[str, typer.Argument(metavar="OPERATOR", help="An organisation. 运营单位")],
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-11. 月份")],
    pdf: Annotated[Path | None, typer.Option("--pdf", help="Write it here as PDF. 写成 PDF")] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Report on an operator's month, from the log alone.  监管月报。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.supervision(person, operator, month)
    spoken = terminal.spoken[0]
    if pdf is not None:
        write_bytes(pdf, as_pdf(found, spoken))
    if as_json:
        terminal.raw(report_json(found) + "\n")
    elif pdf is None:
        terminal.line(title(found).text(spoken))
        for section in sections(found, spoken):
            terminal.line(f"\n{section.title}" + ("" if section.rows else f": {section.empty}"))
            if section.rows:
                terminal.table(section.heads, section.rows, section.right)


def _cells(found: Line) -> list[str]:
    about = [found.recipient, found.provider, found.product, str(found.deliveries)]
    return [*about, found.price, found.per, found.amount, found.unit]


def _show(terminal: Terminal, found: Case, told: wire.Json) -> None:
    if terminal.as_json:
        terminal.json(told)
        return
    may = " ".join(str(verb) for verb in told["may"]) if isinstance(told["may"], list) else ""
    state = STATES[found.state]
    terminal.lines(
        [
            Words(f"事项 {found.id}：{state.zh}", f"case {found.id}: {state.en}"),
            Words(f"哈希 {found.hash}", f"hash {found.hash}"),
            Words(f"您可以：{may or '–'}", f"you may: {may or '–'}"),
        ],
        "",
    )
