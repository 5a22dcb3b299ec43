"""The log's proofs: its signed head, its keys, and a check of the whole."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit
from sandbox.policy.roles import Action
from sandbox.store.log.whole import Verified


def audit(visit: Visit) -> Response:
    """The head, the keys, and what witnesses hold."""
    return _audit(visit, None)


def verify(visit: Visit) -> Response:
    """Check every entry against the signed head; a head that the reader held may be given."""
    return _audit(
        visit, visit.console.gateway.desk.verify(visit.person, visit.fields.get("held", "").strip())
    )


def _audit(visit: Visit, verified: Verified | None) -> Response:
    desk = visit.console.gateway.desk
    witnesses = desk.witness(visit.person, push=False)
    return visit.page("audit.html", head=desk.head(), witnesses=witnesses, verified=verified)


PAGES: Final[tuple[Page, ...]] = (
    get("/audit", Action.VERIFY, audit),
    post("/audit", Action.VERIFY, verify),
)
