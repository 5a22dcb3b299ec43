"""The bureau's pages on people: who has an account, how they come in, and what is changed about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from sandbox.casework.people import People
from sandbox.console.account import once, scope
from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit, lasting
from sandbox.errors import Code, refuse
from sandbox.model import Person, Words
from sandbox.policy.roles import Action, Role
from sandbox.policy.scopes import SCOPES

INVITED: Final = dt.timedelta(days=7)
"""How long the first token of somebody new lasts."""


def people(visit: Visit) -> Response:
    """Everyone, without secrets, and the form for somebody new."""
    listed = visit.console.gateway.people.everybody(visit.person)
    return visit.page("people.html", listed=listed, roles=tuple(Role), now=visit.now)


def person(visit: Visit) -> Response:
    """One person, and what may be changed."""
    found = visit.console.gateway.people.one(visit.person, visit.asked("name"))
    return visit.page("person.html", account=found, roles=tuple(Role), scopes=SCOPES, now=visit.now)


def add(visit: Visit) -> Response:
    """Somebody new: a token for the first time that they come."""
    name = visit.field("name")
    someone = Person(name, visit.field("role"), visit.field("organisation"))
    token = visit.console.gateway.people.add(visit.person, someone, INVITED)
    return _token(visit, name, token)


def change(visit: Visit) -> Response:
    """Another role or organisation."""
    someone = Person(visit.field("name"), visit.field("role"), visit.field("organisation"))
    visit.console.gateway.people.change(visit.person, someone)
    return visit.go("/person", name=someone.name)


def issue(visit: Visit) -> Response:
    """A token for another's program."""
    name = visit.field("name")
    desk = visit.console.gateway.people
    token = desk.issue(visit.person, name, visit.field("label"), scope(visit), lasting(visit))
    return _token(visit, name, token)


def revoke(visit: Visit) -> Response:
    """End another's token."""
    visit.console.gateway.people.revoke(visit.person, visit.field("name"), visit.field("id"))
    return visit.go("/person", name=visit.field("name"))


VERBS: Final[dict[str, Callable[[People, Person, str], str | None]]] = {
    "disable": People.disable,
    "enable": People.enable,
    "unlock": People.unlock,
    "reset": People.reset,
}


def act(visit: Visit) -> Response:
    """Shut somebody out, let them in again, or take from them what they lost."""
    name, verb = visit.field("name"), VERBS.get(visit.field("verb"))
    if verb is None:
        raise refuse(Code.REQUEST, "the verb", "use the page's buttons", "请使用页面上的按钮")
    token = verb(visit.console.gateway.people, visit.person, name)
    return visit.go("/person", name=name) if token is None else _token(visit, name, token)


def _token(visit: Visit, name: str, token: str) -> Response:
    title = Words(f"{name} 的令牌", f"A token of {name}")
    return once(visit, title, (token,), "/people")


PAGES: Final[tuple[Page, ...]] = (
    get("/people", Action.PEOPLE, people),
    post("/people", Action.MANAGE_PEOPLE, add),
    get("/person", Action.PEOPLE, person),
    post("/person", Action.MANAGE_PEOPLE, change),
    post("/person/act", Action.MANAGE_PEOPLE, act),
    post("/person/tokens", Action.MANAGE_PEOPLE, issue),
    post("/person/revoke", Action.MANAGE_PEOPLE, revoke),
)
