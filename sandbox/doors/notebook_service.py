"""Notebooks beside the gateway: their origin, the analysts' own sockets, and the loop that serves both.

Where they cannot be served, queries still are; why not is said once, at the start, and by ``sandbox doctor``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from anyio import to_thread
from starlette.types import ASGIApp

import sandbox
from sandbox.doors.http_protocol import Protocol
from sandbox.doors.notebook_lines import opened
from sandbox.doors.ports import Gateway
from sandbox.doors.reception import Reception
from sandbox.engine import found
from sandbox.home import Home
from sandbox.model import Person, Words
from sandbox.notebooks.places import LARGEST_BODY
from sandbox.notebooks.rooms import Rooms
from sandbox.notebooks.walls import NEEDED, client
from sandbox.store.accounts import Accounts

if TYPE_CHECKING:
    from sandbox.doors.notebook_door import NotebookDoor

_PACKAGES: Final = ("httpx", "ipykernel", "jupyterlab", "websockets")
_PATIENCE_S: Final = 30.0
_THREADS: Final = 256
"""A kernel that waits for an answer holds one."""


def missing() -> Words | None:
    """What is not there that notebooks need; ``None`` if nothing is."""
    absent = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    absent += [] if client() else ["sandbox_client"]
    if absent:
        listed = ", ".join(absent)
        return Words(
            f"缺少 {listed}：安装 data-sandbox[notebooks]",
            f"{listed} missing: install data-sandbox[notebooks]",
        )
    lacking = NEEDED - found.available()
    if lacking:
        listed = ", ".join(sorted(lacking))
        return Words(f"缺少隔离层 {listed}", f"a box needs {listed}")
    return None


class NotebookService:
    """See the module.  ``close`` when done."""

    def __init__(
        self,
        home: Home,
        gateway: Gateway,
        accounts: Accounts,
        clock: Callable[[], dt.datetime],
        *,
        console_port: int,
        port: int | None = None,
    ) -> None:
        """``port``: in place of the settings' (0: any that is free)."""
        from sandbox.doors.notebook_door import NotebookDoor  # what it stands on need not be installed

        settings = home.settings
        self._home = home
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="notebooks", daemon=True)
        self._app: ASGIApp | None = None
        self._server: uvicorn.Server | None = None
        self._bound = _bound(settings.host, settings.notebooks.port if port is None else port)
        self.port: Final[int] = self._bound.getsockname()[1]
        self.rooms = Rooms(
            home.notebooks,
            settings.notebooks,
            self.line,
            examples,
            gateway.desk.notebook,
            lambda name: accounts.person(name, clock()) is not None,
        )
        secure = bool(settings.tls.certificate)
        self.door: NotebookDoor = NotebookDoor(
            self.rooms,
            Reception(accounts, gateway.desk, clock),
            settings.notebooks,
            clock,
            console_port=console_port,
            scheme="https" if secure else "http",
            port=self.port,
        )

    def serve(self, app: ASGIApp) -> None:
        """Begin; ``app``: the gateway's own, which analysts' sockets lead to."""
        self._app = app
        settings = self._home.settings
        config = uvicorn.Config(
            self.door,
            http=Protocol,
            ws="websockets-sansio",
            ws_max_size=LARGEST_BODY,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=settings.tls.certificate or None,
            ssl_keyfile=settings.tls.key or None,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._prepared(), self._loop).result(_PATIENCE_S)
        self._serving = asyncio.run_coroutine_threadsafe(self._server.serve([self._bound]), self._loop)

    def close(self) -> None:
        """End every room, then the sockets, then the loop."""
        self.rooms.close()
        if self._server is not None:
            self._server.should_exit = True
            self._serving.result(_PATIENCE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE_S)
        self._bound.close()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _prepared(self) -> None:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS

    def line(self, person: Person, path: Path) -> AbstractContextManager[object]:
        """This person's own socket of the gateway, at ``path``, while it is entered."""
        assert self._app is not None, "rooms are visited through the door, which is open once this serves"
        return opened(self._app, self._loop, person, path)


def examples(lang: str) -> Path | None:
    """The notebooks that a new home begins with."""
    installed, checkout = Path(sandbox.__file__).parent, Path(sandbox.__file__).parent.parent
    folders = (installed / "notebooks" / "examples" / lang, checkout / "notebooks" / "examples" / lang)
    return next((folder for folder in folders if folder.is_dir()), None)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
