"""One's own account: password and second factor, recovery codes, tokens.

Invariants: what is secret is shown in the answer to the form that made it, and never again; all of it takes a
session of a browser, so that a program's token makes no other one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import segno
from markupsafe import Markup
from starlette.responses import Response

from sandbox.console import door
from sandbox.console.page import Page, get, post
from sandbox.console.visit import HOME, Visit, lasting
from sandbox.errors import Code, refuse
from sandbox.model import Words
from sandbox.policy.roles import Action
from sandbox.policy.scopes import SCOPES, Scope
from sandbox.store import passwords

_FACTOR_BYTES: Final = 20
"""Of the second factor's secret: as RFC 4226 recommends."""


def account(visit: Visit) -> Response:
    """How one comes in, and the forms to change it."""
    factor = _factor(visit)
    return visit.page(
        "account.html",
        account=visit.console.gateway.people.one(visit.person, visit.person.name),
        now=visit.now,
        scopes=SCOPES,
        spelled=passwords.spelled(factor),
        picture=_picture(passwords.uri(visit.person, factor)),
        least=passwords.SHORTEST,
    )


def enrol(visit: Visit) -> Response:
    """Come in with a password and a second factor from now on."""
    factor, sessions = _factor(visit), visit.console.reception.sessions
    codes = visit.console.gateway.people.enrol(
        visit.person, _new(visit), factor, visit.field("code"), sessions.token(visit.credential)
    )
    return _left(_codes(visit, codes))


def repass(visit: Visit) -> Response:
    """Another password; sign in with it."""
    _session(visit)
    visit.console.gateway.people.repass(
        visit.person, visit.fields.get("password", ""), visit.field("code"), _new(visit)
    )
    return _left(visit.go("/login"))


def renew(visit: Visit) -> Response:
    """New recovery codes."""
    _session(visit)
    codes = visit.console.gateway.people.renew(
        visit.person, visit.fields.get("password", ""), visit.field("code")
    )
    return _codes(visit, codes)


def issue(visit: Visit) -> Response:
    """A token for a program of one's own."""
    _session(visit)
    token = visit.console.gateway.people.issue(
        visit.person, visit.person.name, visit.field("label"), scope(visit), lasting(visit)
    )
    return once(visit, Words("新的令牌", "A new token"), (token,), "/account")


def revoke(visit: Visit) -> Response:
    """End a token of one's own."""
    _session(visit)
    visit.console.gateway.people.revoke(visit.person, visit.person.name, visit.field("id"))
    return visit.go("/account")


def scope(visit: Visit) -> Scope:
    """What a token is to open.  Refuses ``REQUEST``."""
    word = visit.field("scope")
    if word not in set(Scope):
        raise refuse(Code.REQUEST, "the scope", "choose what the token opens", "请选择令牌范围")
    return Scope(word)


def once(visit: Visit, title: Words, secrets: Sequence[str], onward: str) -> Response:
    """Secrets that are shown this once."""
    response = visit.page("once.html", title=title, secrets=secrets, onward=onward)
    response.headers["cache-control"] = "no-store"
    return response


def _codes(visit: Visit, codes: Sequence[str]) -> Response:
    return once(visit, Words("恢复码", "Recovery codes"), codes, "/account")


def _left(response: Response) -> Response:
    """What answers when all sessions have ended."""
    response.delete_cookie(door.SESSION, path=HOME)
    return response


def _session(visit: Visit) -> None:
    """Refuses ``ROLE`` who came with a token instead of signing in."""
    if door.bearer(visit.request):
        raise refuse(Code.ROLE, "a token", "sign in to the console", "请登录控制台")


def _factor(visit: Visit) -> bytes:
    """The second factor's secret that this session would begin: nobody else knows the session's."""
    _session(visit)
    told = hmac.digest(visit.credential.encode(), b"console second factor", hashlib.sha256)
    return told[:_FACTOR_BYTES]


def _new(visit: Visit) -> str:
    """The new password, which was typed twice.  Refuses ``REQUEST``."""
    new = visit.fields.get("new", "")
    if new != visit.fields.get("again", ""):
        raise refuse(Code.REQUEST, "the two passwords differ", "type the same twice", "请两次输入相同的密码")
    return new


def _picture(text: str) -> Markup:
    """What an authenticator's camera reads, as SVG."""
    return Markup(segno.make(text, error="m").svg_inline(scale=4, border=4, svgclass="qr", lineclass=None))


PAGES: Final[tuple[Page, ...]] = (
    get("/account", Action.ACCOUNT, account),
    post("/account/enrol", Action.ACCOUNT, enrol),
    post("/account/password", Action.ACCOUNT, repass),
    post("/account/codes", Action.ACCOUNT, renew),
    post("/account/tokens", Action.ACCOUNT, issue),
    post("/account/revoke", Action.ACCOUNT, revoke),
)
