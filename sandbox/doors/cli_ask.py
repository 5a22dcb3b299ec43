"""Commands that ask: query, explain, catalog, budget."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from sandbox.doors import forms, screens, wire
from sandbox.doors.asking import new_id, parse_within
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    gateway_of,
    read_text,
    terminal_of,
    utc_now,
)
from sandbox.doors.cli_budget import budget
from sandbox.doors.ports import Gateway
from sandbox.doors.terminal import Terminal
from sandbox.errors import Code, refuse
from sandbox.model import Answer, Balance, Person, Refused, Request, Within, Words
from sandbox.privacy.accounting import parse_epsilon

SqlArgument = Annotated[str | None, typer.Argument(metavar="[SQL]", help="One SELECT, or - for stdin. 查询")]
FileOption = Annotated[Path | None, typer.Option("--file", help="Read the query from a file. 从文件读取")]
GrantOption = Annotated[str, typer.Option("--grant", help="The grant to ask under. 授权编号")]
EpsilonOption = Annotated[
    str | None, typer.Option("--epsilon", help="How much to spend; the grant's default if absent. 隐私预算")
]
WithinOption = Annotated[
    str | None,
    typer.Option("--within", help="The least epsilon for this accuracy: 100 or 5%. 按准确度提问"),
]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV on stdout, margins as columns. 输出 CSV")]
ArrowOption = Annotated[
    Path | None, typer.Option("--arrow", help="Write an Arrow IPC stream. 写入 Arrow 文件")
]

ReceiptOption = Annotated[
    Path | None, typer.Option("--receipt", help="Write the receipt, which verifies offline. 写入回执")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    command(app, "query")(query)
    command(app, "explain")(explain)
    command(app, "catalog")(catalog)
    app.add_typer(budget)


def query(
    sql: SqlArgument = None,
    *,
    grant: GrantOption,
    file: FileOption = None,
    epsilon: EpsilonOption = None,
    within: WithinOption = None,
    name: AsOption = BUREAU,
    csv: CsvOption = False,
    arrow: ArrowOption = None,
    receipt: ReceiptOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Ask a question and pay for it.  提交查询。"""
    if sum((as_json, csv, arrow is not None)) > 1:
        raise typer.BadParameter("choose one of --json, --csv, --arrow")
    text, spend, aim = _sql(sql, file), _epsilon(epsilon), _within(within)
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = _asked(gateway, _request(person, grant, text, spend, aim))
        proof = found.receipt if isinstance(found, Refused) else found.proof
        if receipt is not None and proof is not None:
            _write(receipt, wire.text(wire.receipt(proof)).encode())
        if isinstance(found, Refused):
            raise typer.Exit(terminal.refused(found.reasons, found.request))
        left = [b for b in gateway.budget(person) if b.account.startswith(f"{found.grant}/")]
    if as_json:
        terminal.raw(wire.answer_text(found) + "\n")
    elif csv:
        terminal.raw(forms.csv(found))
        _beside(terminal, found)
    elif arrow is not None:
        _write(arrow, forms.arrow(found))
        _beside(terminal, found)
    else:
        screens.answer(terminal, found, _charged(found, left))


def _asked(gateway: Gateway, request: Request) -> Answer | Refused:
    """The answer; an interrupt stops the query, which then is a refusal on record like any other."""
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(gateway.query, request)
        try:
            return asked.result()
        except KeyboardInterrupt:
            gateway.cancel(request.person)
            return asked.result()


def explain(
    sql: SqlArgument = None,
    *,
    grant: GrantOption,
    file: FileOption = None,
    epsilon: EpsilonOption = None,
    within: WithinOption = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show derivation, price and predicted error; spends nothing.  查看推导、费用与预计误差。"""
    text, spend, aim = _sql(sql, file), _epsilon(epsilon), _within(within)
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.explain(_request(person, grant, text, spend, aim))
    if isinstance(found, Refused):
        raise typer.Exit(terminal.refused(found.reasons, found.request))
    if as_json:
        terminal.json(wire.explained(found))
    else:
        screens.explained(terminal, found)


def catalog(
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """List grants with their tables and columns.  列出授权与可用的表和列。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.catalog(person)
    if as_json:
        terminal.json(wire.grants(found))
    else:
        screens.catalog(terminal, found)


def _sql(sql: str | None, file: Path | None) -> str:
    if (sql is None) == (file is None):
        raise typer.BadParameter("give the query as an argument, as - for stdin, or by --file")
    if file is not None:
        return read_text(file)
    return sys.stdin.read() if sql == "-" else sql or ""


def _epsilon(text: str | None) -> Fraction | None:
    return None if text is None else parse_epsilon(text)


def _within(text: str | None) -> Within | None:
    return None if text is None else parse_within(text)


def _request(
    person: Person, grant: str, sql: str, epsilon: Fraction | None, within: Within | None
) -> Request:
    return Request(new_id(), person, grant, sql, epsilon, utc_now(), within)


def _charged(found: Answer, left: list[Balance]) -> list[Balance]:
    """The accounts to show below an answer: none where none is charged."""
    return [] if found.price is None else left


def _beside(terminal: Terminal, found: Answer) -> None:
    for words in (*found.guarantee, screens.cost(found.price)):
        terminal.aside(words)
    terminal.aside(Words(f"审计日志第 {found.receipt} 条", f"entry {found.receipt} of the audit log"))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError:
        hint = "name a file that you may write; ask again: the same answer is free"
        zh = "请给出可写的文件；重新查询同一问题免费"
        raise refuse(Code.REQUEST, "the answer cannot be written", hint, zh) from None
