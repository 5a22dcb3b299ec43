"""Commands on people and how they come in.  The bureau's alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated

import typer

from sandbox.casework.people import Account
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
from sandbox.model import Person, Words
from sandbox.policy.roles import Action, Role
from sandbox.policy.scopes import Scope

people = group("people", "People and their tokens.  人员与令牌。")


PersonArgument = Annotated[str, typer.Argument(metavar="PERSON", help="Account name. 账户名")]
RoleOption = Annotated[Role, typer.Option("--role", help="What they are. 角色")]
DaysOption = Annotated[
    int | None, typer.Option("--days", min=1, max=3650, help="Days until it expires. 有效天数")
]


@command(people, "add")
def add_person(
    person: PersonArgument,
    *,
    role: RoleOption,
    organisation: Annotated[str, typer.Option("--organisation", help="As grants name it. 所属单位")],
    days: DaysOption = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Add a person and print a token, once.  添加人员并签发令牌。"""
    terminal, someone = terminal_of(lang, as_json), Person(person, role.value, organisation)
    with office(find_home(home), name) as found:
        token = found.people.add(found.person, someone, _lasting(days))
    show_token(terminal, someone, token)


@command(people, "token")
def issue_token(
    person: PersonArgument,
    *,
    label: Annotated[str, typer.Option("--label", help="What it is for. 用途标签")] = "cli",
    scope: Annotated[Scope, typer.Option("--scope", help="What it opens. 权限范围")] = Scope.ALL,
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
        if revoke is None:
            token = found.people.issue(found.person, person, label, scope, _lasting(days))
            show_token(terminal, found.people.one(found.person, person).entry.person, token)
            return
        found.people.revoke(found.person, person, revoke)
    _said(terminal, Words(f"已吊销 {revoke}", f"revoked {revoke}"), person=person, revoked=revoke)


@command(people, "change")
def change_person(
    person: PersonArgument,
    *,
    role: RoleOption,
    organisation: Annotated[str, typer.Option("--organisation", help="As grants name it. 所属单位")],
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Give a person another role or organisation.  变更角色或单位。"""
    with office(find_home(home), name) as found:
        found.people.change(found.person, Person(person, role.value, organisation))
    words = Words(f"{person}：{organisation}，{role}", f"{person}: {role} of {organisation}")
    _said(terminal_of(lang, as_json), words, person=person, role=role.value, organisation=organisation)


@command(people, "disable")
def disable_person(
    person: PersonArgument,
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Let a person in no more, and end what they are in.  停用人员。"""
    with office(find_home(home), name) as found:
        found.people.disable(found.person, person)
    _said(terminal_of(lang, as_json), Words(f"已停用 {person}", f"disabled {person}"), disabled=person)


@command(people, "enable")
def enable_person(
    person: PersonArgument,
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Let a disabled person in again.  恢复人员。"""
    with office(find_home(home), name) as found:
        found.people.enable(found.person, person)
    _said(terminal_of(lang, as_json), Words(f"已恢复 {person}", f"enabled {person}"), enabled=person)


@command(people, "unlock")
def unlock_person(
    person: PersonArgument,
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Let a person try their password again at once.  解锁密码。"""
    with office(find_home(home), name) as found:
        found.people.unlock(found.person, person)
    _said(terminal_of(lang, as_json), Words(f"已解锁 {person}", f"unlocked {person}"), unlocked=person)


@command(people, "reset")
def reset_person(
    person: PersonArgument,
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Take every way in from a person who lost theirs, and print a token for a new start.  重置登录方式。"""
    terminal = terminal_of(lang, as_json)
    with office(find_home(home), name) as found:
        token = found.people.reset(found.person, person)
        show_token(terminal, found.people.one(found.person, person).entry.person, token)


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
        everybody = found.people.everybody(found.person)
    if as_json:
        terminal.json({"people": [_facts(account) for account in everybody]})
        return
    heads = ("name", "role", "organisation", "token", "label", "scope", "expires", "state")
    terminal.table(heads, (row for account in everybody for row in _rows(account)))


def _facts(account: Account) -> dict[str, object]:
    who, local = account.entry.person, account.local
    return {
        "name": who.name,
        "role": who.role,
        "organisation": who.organisation,
        "disabled": _iso(account.entry.disabled),
        "password": local is not None,
        "locked": _iso(local.locked) if local else None,
        "identities": [{"issuer": i.issuer, "subject": i.subject} for i in account.identities],
        "tokens": [
            {
                "id": token.id,
                "label": token.label,
                "scope": token.scope.value,
                "issued": _iso(token.issued),
                "expires": _iso(token.expires),
                "revoked": _iso(token.revoked),
            }
            for token in account.tokens
        ],
    }


def _rows(account: Account) -> Iterator[list[str]]:
    """A line for each token, or one for whoever has none."""
    who = account.entry.person
    start, out = [who.name, who.role, who.organisation], "disabled" if account.entry.disabled else ""
    if not account.tokens:
        yield [*start, "", "", "", "", out]
    for token in account.tokens:
        expires = f"{token.expires:%Y-%m-%d}" if token.expires else ""
        over = "" if token.in_use(utc_now()) else "revoked" if token.revoked else "expired"
        yield [*start, token.id, token.label, token.scope.value, expires, out or over]


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _lasting(days: int | None) -> dt.timedelta | None:
    return None if days is None else dt.timedelta(days=days)


def _said(terminal: Terminal, words: Words, **facts: str) -> None:
    """What was done, in words or as JSON."""
    if terminal.as_json:
        terminal.json(facts)
    else:
        terminal.lines([words], "")


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
