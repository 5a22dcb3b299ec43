"""Requests and web sockets, handed on to a server behind a Unix socket, and what it says handed back.

Invariants: of a browser's cookies the server sees none but its own; of what it answers no cookie of ours is
set, and what pages may load is said here.  Nothing is kept in memory whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Final

import httpx
import websockets
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, unix_connect

from sandbox.errors import Code, refuse
from sandbox.notebooks.places import LARGEST_BODY

XSRF: Final = "_xsrf"
"""The one cookie of Jupyter's: pages show that a form is theirs by repeating it."""
_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
_OURS: Final = frozenset(
    {"content-security-policy", "set-cookie", "server", "date", "x-content-type-options"}
)
_SANDBOXED: Final = "; sandbox allow-scripts"
_OVER: Final = (WebSocketDisconnect, websockets.ConnectionClosed, OSError)

Still = Callable[[], Awaitable[bool]]


def policy(host: str) -> str:
    """What pages of this origin may load: its own files, and scripts that JupyterLab makes at run time."""
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        f"connect-src 'self' ws://{host} wss://{host} data:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )


async def forward(request: Request, server: Path) -> Response:
    """Hand one request on.  Refuses TOO_LARGE, and NOTEBOOKS where nobody answers."""
    client = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(server)), timeout=None)
    url = httpx.URL(f"http://{_host(request)}").copy_with(raw_path=_target(request))
    sent = client.build_request(request.method, url, headers=_headers(request), content=_body(request))
    try:
        answer = await client.send(sent, stream=True)
    except httpx.TransportError:
        await client.aclose()
        hint = "open it again from the console"
        raise refuse(Code.NOTEBOOKS, "it has ended", hint, "请从控制台重新打开") from None
    except BaseException:
        await client.aclose()
        raise

    async def body() -> AsyncIterator[bytes]:
        try:
            async for part in answer.aiter_raw():
                yield part
        finally:
            await answer.aclose()
            await client.aclose()

    response = StreamingResponse(body(), answer.status_code)
    response.raw_headers = [*_answered(answer.headers, _host(request))]
    return response


async def converse(socket: WebSocket, server: Path, still: Still, every_s: float) -> None:
    """Hand messages on both ways until either side ends, or ``still`` says no."""
    asked = [
        name.strip() for name in socket.headers.get("sec-websocket-protocol", "").split(",") if name.strip()
    ]
    try:
        upstream = await unix_connect(
            str(server),
            f"ws://{_host(socket)}{_target(socket).decode('ascii')}",
            subprotocols=asked or None,
            additional_headers=[(n, v) for n, v in _headers(socket) if n in ("cookie", "origin")],
            user_agent_header=None,
            compression=None,
            max_size=LARGEST_BODY,
            proxy=None,
        )
    except (OSError, websockets.WebSocketException):
        await socket.close(1011)
        return
    async with upstream:
        await socket.accept(upstream.subprotocol)
        ways = [_up(socket, upstream), _down(socket, upstream), _judged(still, every_s)]
        running = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if socket.client_state.name == "CONNECTED" and socket.application_state.name == "CONNECTED":
        await socket.close(1001)


async def _up(socket: WebSocket, upstream: ClientConnection) -> None:
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            given = message.get("bytes")
            await upstream.send(given if given is not None else message["text"])
    except _OVER:
        return


async def _down(socket: WebSocket, upstream: ClientConnection) -> None:
    try:
        async for message in upstream:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)
    except _OVER:
        return


async def _judged(still: Still, every_s: float) -> None:
    while await still():
        await asyncio.sleep(every_s)


def _host(connection: HTTPConnection) -> str:
    return connection.headers.get("host", "localhost")


def _target(connection: HTTPConnection) -> bytes:
    path: bytes = connection.scope["raw_path"]
    query: bytes = connection.scope["query_string"]
    return path + b"?" + query if query else path


def _headers(connection: HTTPConnection) -> list[tuple[str, str]]:
    """What the server is told: all but what is between us and the browser."""
    kept = [
        (name, value)
        for name, value in connection.headers.items()
        if name not in _HOP
        and name not in ("cookie", "authorization", "origin")
        and not name.startswith("sec-websocket")
    ]
    kept.append(("origin", f"http://{_host(connection)}"))  # that it is ours was judged before
    xsrf = connection.cookies.get(XSRF)
    return [*kept, ("cookie", f"{XSRF}={xsrf}")] if xsrf else kept


async def _body(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            most = LARGEST_BODY >> 20
            raise refuse(Code.TOO_LARGE, "the file", f"at most {most} MB", f"至多 {most} MB")
        yield part


def _answered(headers: httpx.Headers, host: str) -> Iterable[tuple[bytes, bytes]]:
    """What the browser is told."""
    for name, value in headers.raw:
        if (lower := name.lower().decode("latin-1")) not in _HOP and lower not in _OURS:
            yield name.lower(), value
    for cookie in headers.get_list("set-cookie"):
        if _is_xsrf(cookie):
            yield b"set-cookie", cookie.encode("latin-1")
    shut = _SANDBOXED if "sandbox" in headers.get("content-security-policy", "") else ""
    yield b"content-security-policy", (policy(host) + shut).encode()
    yield b"x-content-type-options", b"nosniff"
    yield b"referrer-policy", b"same-origin"
    yield b"cross-origin-opener-policy", b"same-origin"


def _is_xsrf(cookie: str) -> bool:
    try:
        found: Any = SimpleCookie(cookie)
    except CookieError:
        return False
    return set(found) == {XSRF}
