"""The page from which an analyst's notebooks are opened, and ended."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.console import door
from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit
from sandbox.doors.ports import Lodging
from sandbox.errors import Code, refuse
from sandbox.policy.roles import Action


def show(visit: Visit) -> Response:
    """Whether a server runs, what it uses, and the way in."""
    lodging = _lodging(visit)
    session, host = door.session(visit.request), visit.request.url.hostname or ""
    way = lodging.ticket(session, host, visit.locale.lang) if session else ""
    return visit.page("notebooks.html", standing=lodging.standing(visit.person), way=way)


def stop(visit: Visit) -> Response:
    """End the server; its files stay."""
    _lodging(visit).stop(visit.person)
    return visit.go("/notebooks")


def _lodging(visit: Visit) -> Lodging:
    lodging = visit.console.lodging
    if lodging is None:
        hint = "the bureau sets notebooks.port, and installs data-sandbox[notebooks]"
        zh = "请主管部门设置 notebooks.port 并安装 data-sandbox[notebooks]"
        raise refuse(Code.NOTEBOOKS, "none are served here", hint, zh)
    return lodging


PAGES: Final[tuple[Page, ...]] = (
    get("/notebooks", Action.NOTEBOOKS, show),
    post("/notebooks/stop", Action.NOTEBOOKS, stop),
)
