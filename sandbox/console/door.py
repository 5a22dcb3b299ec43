"""Coming and going: sign in, sign out, the language, the first page."""

from __future__ import annotations

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.console import menu
from sandbox.console.page import Page, get, post
from sandbox.console.visit import HOME, Visit, ours
from sandbox.doors.reception import caller
from sandbox.errors import Code, refuse
from sandbox.policy import scopes
from sandbox.policy.roles import Action

SESSION: Final = "ds_session"
NONCE: Final = "ds_nonce"
LANGUAGE: Final = "ds_language"
_BEARER: Final = "bearer "
_YEAR: Final = 365 * 24 * 3600


def bearer(request: Request) -> str:
    """The access token that came with the request, as scripts send it; "" if none."""
    given = request.headers.getlist("authorization")
    if len(given) == 1 and given[0].lower().startswith(_BEARER):
        return given[0][len(_BEARER) :].strip()
    return ""


def session(request: Request) -> str:
    """The session that the browser is in; "" if in none, or in two: one of them was planted."""
    given = "; ".join(request.headers.getlist("cookie"))
    twice = sum(part.partition("=")[0].strip() == SESSION for part in given.split(";")) > 1
    return "" if twice else request.cookies.get(SESSION, "")


def nonce(request: Request) -> str:
    """What ties the form for signing in to the browser that opened it."""
    return request.cookies.get(NONCE, "")


def begin(visit: Visit) -> Response:
    """The first page of whoever is signed in."""
    return visit.go(menu.first(visit.person))


def login(visit: Visit) -> Response:
    """The form for signing in."""
    return _form(visit, ours(visit.asked("next")))


def enter(visit: Visit) -> Response:
    """Sign in, with a password and a code, or with an access token."""
    onward, reception = ours(visit.field("next")), visit.console.reception
    if name := visit.field("name"):
        given = visit.fields.get("password", ""), visit.field("code")
        person = reception.enter(name, *given, caller(visit.request))
        if person is None:
            return _form(visit, onward, wrong="password")
        return come(visit, onward, reception.sessions.admit(person, visit.now))
    token = visit.field("token")
    found = reception.bearer(token, caller(visit.request)) if token else None
    if found is None:
        return _form(visit, onward, wrong="token")
    scopes.check(found.scope, Action.ACCOUNT)
    if reception.local(found.person.name):
        hint, zh = "sign in with your password; tokens are for programs", "请使用密码登录；令牌仅供程序使用"
        raise refuse(Code.ROLE, "a token", hint, zh)
    return come(visit, onward, reception.sessions.begin(token, visit.now))


def come(visit: Visit, onward: str, secret: str) -> Response:
    """Go on in a new session."""
    # Whoever planted a cookie here does not come along.
    visit.console.reception.sessions.end(session(visit.request), visit.now)
    response = RedirectResponse(onward, 303)
    _keep(visit, response, SESSION, secret)
    return response


def leave(visit: Visit) -> Response:
    """Sign out, of every door that this sign-in opened."""
    visit.console.reception.sessions.end(session(visit.request), visit.now)
    response = visit.go("/login")
    response.delete_cookie(SESSION, path=HOME)
    return response


def language(visit: Visit) -> Response:
    """Read on in the other language."""
    lang = visit.field("lang")
    if lang not in ("zh", "en"):
        raise refuse(Code.REQUEST, "the language", "zh or en", "请选择 zh 或 en")
    response = RedirectResponse(ours(visit.field("next")), 303)
    _keep(visit, response, LANGUAGE, lang, _YEAR)
    return response


def _form(visit: Visit, onward: str, *, wrong: str = "") -> Response:
    """The form, bound to this browser by a cookie."""
    if not nonce(visit.request):
        response = RedirectResponse(str(visit.request.url.include_query_params(next=onward)), 303)
        _keep(visit, response, NONCE, secrets.token_urlsafe(32))
        return response
    return visit.page("login.html", 401 if wrong else 200, onward=onward, wrong=wrong)


def _keep(visit: Visit, response: Response, name: str, value: str, seconds: int | None = None) -> None:
    secure = visit.request.url.scheme == "https"
    response.set_cookie(
        name, value, max_age=seconds, path=HOME, secure=secure, httponly=True, samesite="strict"
    )


PAGES: Final[tuple[Page, ...]] = (
    get("/", Action.ACCOUNT, begin),
    get("/login", None, login),
    post("/login", None, enter),
    post("/logout", Action.ACCOUNT, leave),
    post("/language", None, language),
)
