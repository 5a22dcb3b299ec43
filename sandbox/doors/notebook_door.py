"""The notebooks' origin: who comes from the console with a ticket gets a session, and their own server.

Invariants: nothing is handed on but to the server of the person whose session it is; what changes something,
and every web socket, comes from a page of this origin; the console's cookie is worth nothing here, nor this
one there.  It is an origin of its own because a notebook's pages run scripts: the console's pages must be
nothing to them.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from sandbox.doors import http_reply, notebook_proxy
from sandbox.doors.http_shield import incident
from sandbox.doors.reception import Reception, caller
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.home import Notebooks
from sandbox.model import Person
from sandbox.notebooks.rooms import Rooms, Standing
from sandbox.policy.roles import Action, check
from sandbox.store.credentials import digest
from sandbox.store.sessions import Entrance

SESSION: Final = "ds_notebooks"
LANGUAGE: Final = "ds_notebooks_language"
TICKET: Final = dt.timedelta(minutes=2)
"""How long an address from the console opens something, once."""
_TICKETS: Final = 10_000
_STILL_S: Final = 20.0
"""How often it is looked whether the session of an open web socket is worth something."""
_SAFE: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Ticket:
    """A session of the console's that may go on here."""

    session: str
    lang: str
    until: dt.datetime


class NotebookDoor:
    """The application, and what the console asks of it (``ports.Lodging``)."""

    def __init__(
        self,
        rooms: Rooms,
        reception: Reception,
        settings: Notebooks,
        clock: Callable[[], dt.datetime],
        *,
        console_port: int,
        scheme: str,
        port: int,
    ) -> None:
        """``scheme``, ``port`` and ``console_port``: how both are called where no proxy is before them."""
        self.rooms = rooms
        self._reception = reception
        self._settings = settings
        self._clock = clock
        self._console_port = console_port
        self._scheme = scheme
        self._port = port
        self._tickets: OrderedDict[bytes, Ticket] = OrderedDict()
        self._lock = threading.Lock()

    def standing(self, person: Person) -> Standing:
        """What this person's server uses."""
        return self.rooms.standing(person)

    def stop(self, person: Person) -> bool:
        """End this person's server; whether there was one."""
        return self.rooms.stop(person)

    def ticket(self, session: str, host: str, lang: str) -> str:
        """An address that opens this session's notebooks, once."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._tickets[digest(secret)] = Ticket(session, lang, self._clock() + TICKET)
            while len(self._tickets) > _TICKETS:
                self._tickets.popitem(last=False)
        origin = self._settings.url or f"{self._scheme}://{_named(host)}:{self._port}"
        return f"{origin}/enter?ticket={secret}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or web socket."""
        if scope["type"] == "websocket":
            await self._socket(WebSocket(scope, receive, send))
        elif scope["type"] == "http":
            request = Request(scope, receive, send)
            await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            if request.url.path == "/enter" and request.method == "GET":
                return await run_in_threadpool(self._enter, request)
            person = await run_in_threadpool(self._who, request)
            if person is None:
                return self._knock(request)
            self._from_here(request)
            server = await run_in_threadpool(self._server, request, person)
            return await notebook_proxy.forward(request, server)
        except Refusal as refusal:
            return http_reply.problem(refusal.reasons)
        except Exception as error:
            return http_reply.problem((Reason(Code.INTERNAL),), incident=incident(error))

    async def _socket(self, socket: WebSocket) -> None:
        try:
            self._from_here(socket)
            person = await run_in_threadpool(self._who, socket)
            if person is None:
                raise refuse(Code.WHO)
            server = await run_in_threadpool(self._server, socket, person)
        except Refusal:
            await socket.close(1008)
            return

        async def still() -> bool:
            try:
                return await run_in_threadpool(self._who, socket) == person
            except Refusal:
                return False

        await notebook_proxy.converse(socket, server, still, _STILL_S)

    def _enter(self, request: Request) -> Response:
        """Take the ticket, once, and go on with a session of this door's."""
        with self._lock:
            ticket = self._tickets.pop(digest(request.query_params.get("ticket", "")), None)
        now = self._clock()
        secret = None
        if ticket is not None and now < ticket.until:
            secret = self._reception.sessions.follow(ticket.session, Entrance.NOTEBOOKS, now)
        if ticket is None or secret is None:
            return self._knock(request)
        response = RedirectResponse("/lab", 303, {"referrer-policy": "no-referrer"})
        for name, value in ((SESSION, secret), (LANGUAGE, ticket.lang)):
            response.set_cookie(name, value, secure=self._secure(request), httponly=True, samesite="lax")
        return response

    def _who(self, connection: HTTPConnection) -> Person | None:
        secret = connection.cookies.get(SESSION, "")
        if not secret:
            return None
        person = self._reception.visitor(secret, caller(connection), Entrance.NOTEBOOKS)
        if person is not None:
            check(person, Action.NOTEBOOKS)
        return person

    def _server(self, connection: HTTPConnection, person: Person) -> Path:
        lang = connection.cookies.get(LANGUAGE, "zh")
        return self.rooms.visit(person, lang if lang in ("zh", "en") else "zh")

    def _from_here(self, connection: HTTPConnection) -> None:
        """Refuses what a page of another origin sent."""
        if connection.scope["type"] == "http" and connection.scope["method"] in _SAFE:
            return
        host = connection.headers.get("host", "")
        own = self._settings.url or f"{'https' if self._secure(connection) else 'http'}://{host}"
        if connection.headers.get("origin", own if connection.scope["type"] == "http" else "") != own:
            raise refuse(Code.REQUEST, "the origin", "open it from the console", "请从控制台打开")

    def _secure(self, connection: HTTPConnection) -> bool:
        return self._settings.url.startswith("https:") or connection.url.scheme in ("https", "wss")

    def _knock(self, request: Request) -> Response:
        """Whoever reads pages goes to the console, where that is on the same host; scripts are told."""
        if self._settings.url or "text/html" not in request.headers.get("accept", ""):
            return http_reply.problem((Reason(Code.WHO),))
        console = f"{self._scheme}://{_named(request.url.hostname or '')}:{self._console_port}"
        return RedirectResponse(f"{console}/console/notebooks", 303, {"referrer-policy": "no-referrer"})


def _named(host: str) -> str:
    """A host as addresses have it."""
    return f"[{host}]" if ":" in host else urlsplit(f"//{host}").hostname or "localhost"
