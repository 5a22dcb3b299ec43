"""Commands on people and their tokens: add, token, list.  The bureau's alone."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    find_home,
    group,
    office,
    terminal_of,
    utc_now,
)
from sandbox.doors.terminal import Terminal
from sandbox.errors import Code, refuse
from sandbox.model import Person, Words
from sandbox.policy.roles import Action
from sandbox.store.accounts import ROLES
from sandbox.store.audit import Event

people = group("people", "People and their tokens.  人员与令牌。")


PersonArgument = Annotated[str, typer.Argument(metavar="PERSON", help="Account name. 账户名")]
DaysOption = Annotated[
    int | None, typer.Option("--days", min=1, max=3650, help="Days until it expires. 有效天数")
]


@command(people, "add")
def add_person(
    person: PersonArgument,
    *,
    role: Annotated[str, typer.Option("--role", help=f"{', '.join(ROLES)}. 角色")],
    organisation: Annotated[str, typer.Option("--organisation", help="As grants name it. 所属单位")],
    days: DaysOption = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Add a person and print a token, once.  添加人员并签发令牌。"""
    if role not in ROLES or not person or not organisation:
        raise typer.BadParameter(f"a person has a name, an organisation and a role of {', '.join(ROLES)}")
    terminal, someone = terminal_of(lang, as_json), Person(person, role, organisation)
    with office(find_home(home), name) as found:
        found.only(Action.MANAGE_PEOPLE)
        if any(p.name == person for p in found.accounts.people()):
            raise refuse(Code.DUPLICATE, f"person {person}")
        with found.database.write():
            token = found.accounts.issue(someone, "add", utc_now(), _expiry(days))
            found.note(Event.ACCOUNT, added=person, role=role, of=organisation)
    show_token(terminal, someone, token)


@command(people, "token")
def issue_token(
    person: PersonArgument,
    *,
    label: Annotated[str, typer.Option("--label", help="What it is for. 用途标签")] = "cli",
    days: DaysOption = None,
    revoke: Annotated[
        str | None, typer.Option("--revoke", metavar="ID", help="End this token instead. 吊销")
    ] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Issue another token for a person, or revoke one.  签发或吊销令牌。"""
    terminal = terminal_of(lang, as_json)
    with office(find_home(home), name) as found:
        found.only(Action.MANAGE_PEOPLE)
        someone = next((p for p in found.accounts.people() if p.name == person), None)
        if someone is None:
            raise refuse(Code.NOT_FOUND, f"person {person}")
        if revoke is not None:
            if revoke not in {t.id for t in found.accounts.tokens(person) if t.revoked is None}:
                raise refuse(Code.NOT_FOUND, f"token {revoke}")
            with found.database.write():
                found.accounts.revoke(revoke, utc_now())
                found.note(Event.ACCOUNT, revoked=revoke, person=person)
            token = ""
        else:
            with found.database.write():
                token = found.accounts.issue(someone, label, utc_now(), _expiry(days))
                found.note(Event.ACCOUNT, token_for=person, label=label)
    if token:
        show_token(terminal, someone, token)
    elif as_json:
        terminal.json({"person": person, "revoked": revoke})
    else:
        terminal.lines([Words(f"已吊销 {revoke}", f"revoked {revoke}")], "")


@command(people, "list")
def list_people(
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """List people and their tokens, without secrets.  列出人员与令牌。"""
    terminal = terminal_of(lang, as_json)
    with office(find_home(home), name) as found:
        found.only(Action.PEOPLE)
        everyone = [(p, found.accounts.tokens(p.name)) for p in found.accounts.people()]
    if as_json:
        rows = [
            {
                "name": p.name,
                "role": p.role,
                "organisation": p.organisation,
                "tokens": [
                    {
                        "id": t.id,
                        "label": t.label,
                        "issued": t.issued.isoformat(),
                        "expires": t.expires.isoformat() if t.expires else None,
                        "revoked": t.revoked.isoformat() if t.revoked else None,
                    }
                    for t in tokens
                ],
            }
            for p, tokens in everyone
        ]
        terminal.json({"people": rows})
        return
    heads = ("name", "role", "organisation", "token", "label", "issued", "expires", "revoked")
    days = (
        [
            p.name,
            p.role,
            p.organisation,
            t.id,
            t.label,
            *(f"{d:%Y-%m-%d}" if d else "" for d in (t.issued, t.expires, t.revoked)),
        ]
        for p, tokens in everyone
        for t in tokens
    )
    terminal.table(heads, days)


def _expiry(days: int | None) -> dt.datetime | None:
    return None if days is None else utc_now() + dt.timedelta(days=days)


def show_token(terminal: Terminal, person: Person, token: str) -> None:
    """Print a fresh token, the only time that it is seen."""
    if terminal.as_json:
        facts = {"person": person.name, "role": person.role, "organisation": person.organisation}
        terminal.json(facts | {"token": token})
        return
    terminal.lines(
        [Words(f"{person.name} 的令牌（只显示一次）：", f"token of {person.name} (shown only once):")], ""
    )
    terminal.line(token, "bold")
