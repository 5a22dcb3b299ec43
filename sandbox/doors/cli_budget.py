"""Commands on the ledger: budget, and the approval of a raised total."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox.doors import screens, wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    Group,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    ended,
    gateway_of,
    terminal_of,
)
from sandbox.model import Words

budget = typer.Typer(name="budget", cls=Group, help="What is spent and what is left.  查看预算。")


@budget.callback(invoke_without_command=True)
@ended
def show(
    context: typer.Context,
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show what is spent and what is left.  查看预算。"""
    if context.invoked_subcommand is not None:
        return
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.budget(person)
    if as_json:
        terminal.json(wire.balances(found))
    else:
        screens.budget(terminal, found)


@command(budget, "approve")
def approve(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="As `budget` names it. 账户")],
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Put in force what the policy raised.  批准上调的总额。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.approve(person, account)
    if as_json:
        terminal.json(wire.balance(found))
    else:
        terminal.lines([Words("已批准", "approved"), screens.remains(found)], "")
