"""The console as an application: addresses, who may open them, and what becomes of refusals.

Invariants: nobody unknown gets past the door; every form is checked before its page sees it; each address
names the action that opening it takes; whatever goes wrong is a page with a code, never an exception's text.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.console import (
    account,
    answers,
    ask,
    audits,
    budgets,
    bureau,
    cases,
    catalogue,
    door,
    logs,
    notebooks,
    owner,
    people,
    products,
    supervision,
)
from sandbox.console.locale import Locale, spoken
from sandbox.console.page import Page
from sandbox.console.paint import Painter
from sandbox.console.visit import HOME, Visit, address, read_form
from sandbox.doors.http_shield import incident
from sandbox.doors.ports import Gateway, Lodging
from sandbox.doors.reception import Reception, caller
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.model import Person
from sandbox.policy import scopes
from sandbox.policy.roles import Action, check
from sandbox.policy.scopes import Scope

NOBODY: Final = Person("", "", "")
LANGUAGE: Final = "ds_language"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC: Final = Path(__file__).parent / "static"

PAGES: Final[tuple[Page, ...]] = (
    *door.PAGES,
    *account.PAGES,
    *catalogue.PAGES,
    *ask.PAGES,
    *notebooks.PAGES,
    *answers.PAGES,
    *products.PAGES,
    *budgets.PAGES,
    *logs.PAGES,
    *bureau.PAGES,
    *people.PAGES,
    *cases.PAGES,
    *audits.PAGES,
    *owner.PAGES,
    *supervision.PAGES,
)


@dataclass(frozen=True, slots=True)
class Console:
    """What pages ask, and how they are painted."""

    gateway: Gateway
    reception: Reception
    clock: Callable[[], dt.datetime]
    painter: Painter
    kept: answers.Kept
    lodging: Lodging | None
    strict: bool

    def render(self, template: str, visit: Visit, facts: Mapping[str, object]) -> str:
        """A template, filled in."""
        return self.painter.paint(template, visit, facts)

    def visit(self, request: Request, fields: Mapping[str, str]) -> Visit:
        """Who came, if anybody we know, and in which language."""
        token, session = door.bearer(request), door.session(request)
        person, scope = None, Scope.ALL
        if token and (found := self.reception.bearer(token, caller(request))) is not None:
            person, scope = found.person, found.scope
        elif session and not token:
            person = self.reception.visitor(session, caller(request))
        lang = spoken(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))
        known = NOBODY if person is None else person
        credential = token or session or door.nonce(request)
        return Visit(self, request, known, Locale(lang), credential, fields, scope)


def mount(
    app: Starlette,
    gateway: Gateway,
    reception: Reception,
    clock: Callable[[], dt.datetime],
    lodging: Lodging | None = None,
    *,
    strict: bool = False,
) -> None:
    """Put the console where browsers find it.  ``strict``: for those who came with a second factor alone."""
    app.mount(HOME, create_console(gateway, reception, clock, lodging, strict=strict))
    app.router.add_route(HOME, lambda _: RedirectResponse(HOME + "/", 308), include_in_schema=False)


class Files(StaticFiles):
    """Files that browsers may keep: their addresses change with what is in them."""

    def file_response(self, *given: Any, **named: Any) -> Response:
        """A file, or that it has not changed."""
        response = super().file_response(*given, **named)
        response.headers["cache-control"] = "private, max-age=31536000, immutable"
        return sealed(response)


def create_console(
    gateway: Gateway,
    reception: Reception,
    clock: Callable[[], dt.datetime],
    lodging: Lodging | None,
    *,
    strict: bool,
) -> Starlette:
    """The application, to be mounted at ``HOME``."""
    console = Console(gateway, reception, clock, Painter(_version()), answers.Kept(), lodging, strict)
    routes = [Route(page.path, _endpoint(console, page), methods=[page.method]) for page in PAGES]
    app = Starlette(routes=[Mount("/static", Files(directory=STATIC)), *routes])
    app.add_exception_handler(HTTPException, _missing(console))
    app.router.redirect_slashes = False
    return app


def _endpoint(console: Console, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        fields: Mapping[str, str] = {}
        try:
            if page.method == "POST":
                fields = await read_form(request)
        except Refusal as refusal:
            return await run_in_threadpool(_refused, console, request, refusal)
        except ClientDisconnect:  # nobody reads this
            return Response(status_code=400)
        return await run_in_threadpool(_answer, console, page, request, fields)

    return endpoint


def _answer(console: Console, page: Page, request: Request, fields: Mapping[str, str]) -> Response:
    """The page, or the refusal in its place."""
    visit = Visit(console, request, NOBODY, Locale("zh"), "", fields)
    try:
        visit = console.visit(request, fields)
        if page.action is not None and visit.person is NOBODY:
            return _knock(visit)
        if page.action is not None:
            check(visit.person, page.action)
            scopes.check(visit.scope, page.action)
            if page.action is not Action.ACCOUNT and console.strict and visit.lightly:
                return sealed(visit.go("/account"))
        if page.method == "POST":
            visit.checked()
        return sealed(page.answer(visit))
    except Refusal as refusal:
        return sealed(visit.refused(refusal.reasons))
    except Exception as error:
        return sealed(visit.refused((Reason(Code.INTERNAL),), incident=incident(error)))


def _knock(visit: Visit) -> Response:
    """Sign in first, then come back here."""
    asked = visit.request.url
    back = "" if visit.request.method != "GET" else asked.path + (f"?{asked.query}" if asked.query else "")
    where = address("/login", next="" if back == HOME + "/" else back)
    if visit.partial:  # a script would put the page for signing in inside the page
        return sealed(Response(headers={"hx-redirect": where}))
    response = RedirectResponse(where, 303)
    response.delete_cookie(
        door.SESSION, path=HOME
    )  # what is worth nothing must not be tried again with every page
    return sealed(response)


def _refused(console: Console, request: Request, refusal: Refusal) -> Response:
    try:
        return sealed(console.visit(request, {}).refused(refusal.reasons))
    except Refusal as trouble:  # of the store, which says who came
        nobody = Visit(console, request, NOBODY, Locale("zh"), "", {})
        return sealed(nobody.refused(trouble.reasons))


def _missing(console: Console) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def missing(request: Request, error: Exception) -> Response:
        """No such page, or not by this method."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        subject = ascii(request.url.path[:100])
        found = refuse(Code.NOT_FOUND, subject)
        if status == 405:
            found = refuse(
                Code.METHOD, ascii(request.method[:10]), "use the page's form", "请通过页面表单提交"
            )
        return await run_in_threadpool(_refused, console, request, found)

    return missing


def sealed(response: Response) -> Response:
    """The response with what it may load: files of ours, and nothing within itself."""
    response.headers["content-security-policy"] = POLICY
    return response


def _version() -> str:
    """Changes whenever a file does, so that browsers may keep them."""
    found = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]
