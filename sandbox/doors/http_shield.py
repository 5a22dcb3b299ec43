"""The outermost part of the HTTP door: what every response bears, and what becomes of the unexpected.

Invariants: no exception's text is sent or logged, only its type and an incident id; the access line holds
nothing that the client chose: the address as it is documented, without what stood in its place holders.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.doors import http_reply, logs, tracing
from sandbox.errors import Code, Reason

ACCESS: Final = logging.getLogger("sandbox.access")
INCIDENTS: Final = logging.getLogger("sandbox.incident")
_HEADERS: Final = [(name.encode(), value.encode()) for name, value in http_reply.SECURITY.items()]


def incident(error: BaseException) -> str:
    """Note that something unexpected happened; the id under which the log has it."""
    found = uuid.uuid4().hex[:12]
    kind = type(error).__name__
    INCIDENTS.error("incident %s: %s", found, kind, extra={logs.FIELDS: {"incident": found, "raised": kind}})
    return found


class Shield:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, counted: Callable[[str, int], None], traces: tracing.Traces) -> None:
        """``counted`` is told of every response: its address, if it is one of ours, and its status."""
        self._app = app
        self._counted = counted
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._traces.request(scope["method"]) as span:
            status = await self._shielded(scope, receive, send)
            address = _address(scope)
            tracing.responded(span, address, status)
            self._counted(address, status)
            _access(scope["method"], address, status)

    async def _shielded(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Let the application answer, and answer for it where it cannot; the status."""
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message.get("headers", []))
                named = {name.lower() for name, _ in given}
                message["headers"] = given + [h for h in _HEADERS if h[0] not in named]  # pages say their own
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            found = incident(error)
            if status == 0:
                await http_reply.problem((Reason(Code.INTERNAL),), incident=found)(scope, receive, sending)
        return status


def _access(method: str, address: str, status: int) -> None:
    known = method if method in tracing.METHODS else "OTHER"
    facts = {"method": known, "path": address, "status": status}
    ACCESS.info("%s %s %d", known, address, status, extra={logs.FIELDS: facts})


def _address(scope: Scope) -> str:
    """The route, without what stood in its place holders; ``other`` where there is none."""
    return str(getattr(scope.get("route"), "path", "other"))
