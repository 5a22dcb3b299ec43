"""Each analyst's own socket of the gateway: ``/v1`` alone, for the person whom the socket belongs to.

Invariants: who asks is who the socket was opened for, whatever the request says, as long as they have an
account in use; the console is not behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Send

from sandbox.doors import http_reply
from sandbox.doors.http import KNOWN
from sandbox.doors.http_protocol import Protocol
from sandbox.errors import Code, Reason
from sandbox.model import Person

_PATIENCE_S: Final = 10.0
_GLANCE_S: Final = 0.005
_BEHIND: Final = "/v1/"


class Known:
    """The application, for one person."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_BEHIND):
            await self._app({**scope, KNOWN: self._name}, receive, send)
        else:
            await http_reply.problem((Reason(Code.NOT_FOUND, "not behind this socket"),))(
                scope, receive, send
            )


@contextmanager
def opened(app: ASGIApp, loop: asyncio.AbstractEventLoop, person: Person, path: Path) -> Iterator[None]:
    """Serve this person's socket at ``path``, in this loop, until left.  ``OSError`` where it cannot be."""
    config = uvicorn.Config(
        Known(app, person.name),
        uds=str(path),
        http=Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    running = asyncio.run_coroutine_threadsafe(server.serve(), loop)
    deadline = time.monotonic() + _PATIENCE_S
    while not server.started:
        if running.done() or time.monotonic() > deadline:
            server.should_exit = True
            raise OSError("the socket did not open")
        time.sleep(_GLANCE_S)
    try:
        yield
    finally:
        server.should_exit = True
        running.result(_PATIENCE_S)
