"""The page from which an analyst's notebooks are opened, and ended."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.console import door
from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit
from sandbox.policy.roles import Action


def show(visit: Visit) -> Response:
    """Whether a server runs, what it uses, and the way in."""
    lodging = visit.console.lodging
    if lodging is None:
        return visit.page("notebooks.html", standing=None, way="")
    session, host = door.session(visit.request), visit.request.url.hostname or ""
    way = lodging.ticket(session, host, visit.locale.lang) if session else ""
    return visit.page("notebooks.html", standing=lodging.standing(visit.person), way=way)


def stop(visit: Visit) -> Response:
    """End the server; its files stay."""
    if visit.console.lodging is not None:
        visit.console.lodging.stop(visit.person)
    return visit.go("/notebooks")


PAGES: Final[tuple[Page, ...]] = (
    get("/notebooks", Action.NOTEBOOKS, show),
    post("/notebooks/stop", Action.NOTEBOOKS, stop),
)
