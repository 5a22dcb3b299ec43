"""What a connection may do before anybody has read a request of it: send little, and soon.

Uvicorn leaves both to a proxy before it.  Invariants: a request's head has at most ``LONGEST_HEAD`` bytes and
is whole ``HEAD_S`` seconds after its first; a connection that says nothing is closed after as long; a body is
whole after ``BODY_S``; bytes that are no HTTP get a problem, never a parser's words.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.doors import http_reply, wire
from sandbox.errors import Code, Reason

LONGEST_HEAD: Final = 16 * 1024
HEAD_S: Final = 10.0
BODY_S: Final = 30.0
MOST_CONNECTIONS: Final = 2048
"""Beyond so many, a new one is closed at once."""

_REASONS: Final = {
    Code.TOO_LARGE: Reason(
        Code.TOO_LARGE, "the head", f"send at most {LONGEST_HEAD} bytes", f"至多 {LONGEST_HEAD} 字节"
    ),
    Code.REQUEST: Reason(Code.REQUEST, "not HTTP", "send HTTP/1.1", "请使用 HTTP/1.1"),
}


class HeadTooLarge(ValueError):
    """A request's address and headers are longer than they may be."""


class Protocol(HttpToolsProtocol):
    """One connection, with limits on size and time."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._deadline: TimerHandle | None = None
        self._reading_head = True
        self._head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The connection stands."""
        super().connection_made(transport)
        self._by(HEAD_S)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._by(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._reading_head:
            self._head += len(data)
        super().data_received(data)
        if self._reading_head and self._head > LONGEST_HEAD and not self.transport.is_closing():
            self._refuse(Code.TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request's first bytes were read."""
        super().on_message_begin()
        self._reading_head = True
        self._by(HEAD_S)

    def on_headers_complete(self) -> None:
        """A request's head is whole.  The parser turns ``HeadTooLarge`` into its own error (see below)."""
        self._reading_head, self._head = False, 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > LONGEST_HEAD:
            self._reading_head, self._head = True, LONGEST_HEAD + 1
            raise HeadTooLarge
        self._by(BODY_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._by(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser would not read."""
        self._refuse(Code.TOO_LARGE if self._head > LONGEST_HEAD else Code.REQUEST)

    def _refuse(self, code: Code) -> None:
        body = wire.text(wire.problem((_REASONS[code],))).encode()
        headers = {
            **http_reply.SECURITY,
            "content-type": http_reply.PROBLEM,
            "content-length": str(len(body)),
            "connection": "close",
        }
        status = HTTPStatus(code.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{n}: {v}" for n, v in headers.items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()

    def _by(self, seconds: float | None) -> None:
        """Close the connection after so many seconds; ``None``: there is nothing to wait for."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
