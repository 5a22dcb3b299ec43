"""The query page: write, see the price, then ask."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit
from sandbox.doors.asking import new_id, parse_within
from sandbox.doors.ports import GrantView
from sandbox.errors import Refusal
from sandbox.model import Answer, Explained, Refused, Request
from sandbox.policy.roles import Action
from sandbox.privacy.accounting import parse_epsilon

_ID: Final = 32


def ask(visit: Visit) -> Response:
    """The editor, empty or with the text and grant that the address names."""
    return _editor(visit, visit.asked("grant"), visit.asked("sql"))


def explain(visit: Visit) -> Response:
    """What the query would cost, and how good its answer would be."""
    try:
        found = visit.console.gateway.explain(_request(visit))
    except Refusal as refusal:  # of the fields
        found = Refused("", refusal.reasons)
    if visit.partial:
        return visit.page("parts/price.html", found=found, refused=isinstance(found, Refused))
    return _editor(visit, visit.field("grant"), visit.field("sql"), found)


def run(visit: Visit) -> Response:
    """Ask, pay, and go on to the answer."""
    try:
        found = visit.console.gateway.query(_request(visit))
    except Refusal as refusal:
        found = Refused("", refusal.reasons)
    if isinstance(found, Refused):
        return _editor(visit, visit.field("grant"), visit.field("sql"), found)
    return _answered(visit, found)


def stop(visit: Visit) -> Response:
    """Stop what this person runs or waits for, in this browser or elsewhere; what was written stays."""
    visit.console.gateway.cancel(visit.person)
    return _editor(visit, visit.field("grant"), visit.field("sql"))


def _answered(visit: Visit, found: Answer) -> Response:
    visit.console.kept.put(visit.person, found, visit.field("sql"))
    return visit.go(f"/answers/{found.request}")


def _request(visit: Visit) -> Request:
    """The request that the form describes: sent twice, it is one and is paid for once."""
    epsilon, within = visit.field("epsilon"), visit.field("within")
    given = visit.field("request")
    plain = len(given) == _ID and given.isalnum() and given.isascii()
    return Request(
        given if plain else new_id(),
        visit.person,
        visit.field("grant"),
        visit.field("sql"),
        parse_epsilon(epsilon) if epsilon else None,
        visit.now,
        parse_within(within) if within else None,
    )


def _editor(visit: Visit, grant: str, sql: str, found: Explained | Refused | None = None) -> Response:
    views = visit.console.gateway.catalog(visit.person)
    chosen = next((v for v in views if v.grant.id == grant), views[0] if views else None)
    status = found.reasons[0].code.status if isinstance(found, Refused) else 200
    return visit.page(
        "ask.html",
        status,
        views=views,
        chosen=chosen,
        sql=sql,
        names=_names(chosen),
        fresh=new_id(),
        found=found,
        refused=isinstance(found, Refused),
    )


def _names(view: GrantView | None) -> list[dict[str, object]]:
    """The tables and columns that the editor proposes."""
    if view is None:
        return []
    return [{"name": t.name, "columns": [c.name for c in t.columns]} for t in view.catalogue.tables]


PAGES: Final[tuple[Page, ...]] = (
    get("/ask", Action.ASK, ask),
    post("/ask", Action.ASK, run),
    post("/ask/price", Action.ASK, explain),
    post("/ask/stop", Action.ASK, stop),
)
