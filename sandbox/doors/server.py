"""``sandbox serve``: uvicorn around the HTTP door, one process, ended gracefully.

Uvicorn's own access log is off: it would print query strings.  ``http_shield`` writes the access line, in the
form that ``logs`` gives.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from types import FrameType
from typing import Final

import uvicorn
from anyio import to_thread

from sandbox import __version__
from sandbox.doors import logs
from sandbox.doors.http import create_app, utc_now
from sandbox.doors.http_protocol import Protocol
from sandbox.doors.notebook_service import NotebookService, missing
from sandbox.doors.ports import Gateway
from sandbox.doors.tracing import Traces
from sandbox.errors import Refusal
from sandbox.home import Home
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database

WATCH: Final = logging.getLogger("sandbox.watch")
GRACE_S: Final = 20
"""How long running requests may take to end once a stop is asked for."""

WATCH_S: Final = 1.0
"""How often running queries are held against the freezes in force."""

FOLLOW_S: Final = 10.0
"""How often the monitor judges what is new in the log."""

THREADS: Final = 512
"""Queries that run or wait hold a thread each: there must be some left for probes and cancellations."""


class Server(uvicorn.Server):
    """Uvicorn that stops admitting queries as soon as it is asked to end."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Before the first request."""
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end."""
        threading.Thread(target=self._gateway.drain).start()  # the signal may have come amid its lock
        super().handle_exit(sig, frame)


def server(
    home: Home,
    gateway: Gateway,
    accounts: Accounts,
    host: str | None = None,
    port: int | None = None,
    traces: Traces | None = None,
    notebooks: NotebookService | None = None,
) -> uvicorn.Server:
    """A server ready to run; ``host`` and ``port`` override the home's settings.

    The caller ends traces and notebooks, which are served from now on.
    """
    settings = home.settings
    strict = settings.accounts.second_factor == "required"
    lodging = None if notebooks is None else notebooks.door
    app = create_app(gateway, accounts, traces=traces, lodging=lodging, strict=strict)
    if notebooks is not None:
        notebooks.serve(app)
    config = uvicorn.Config(
        app,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=logs.settings(settings.observe.logs),
        server_header=False,
        proxy_headers=False,
        ssl_certfile=settings.tls.certificate or None,
        ssl_keyfile=settings.tls.key or None,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, gateway)


def _watching(gateway: Gateway, ended: threading.Event) -> None:
    """Freezes may come from other processes: look until the service ends."""
    while not ended.wait(WATCH_S):
        try:
            gateway.watch()
        except Refusal as trouble:  # of the store; each query finds it too, and is refused
            WATCH.error("freezes cannot be read: %s", trouble.reasons[0].code.id)


def _following(gateway: Gateway, ended: threading.Event) -> None:
    """Judge the log as it grows until the service ends."""
    while not ended.wait(FOLLOW_S):
        try:
            gateway.follow()
        except Refusal as trouble:  # of the store, as above
            WATCH.error("the log cannot be judged: %s", trouble.reasons[0].code.id)


def lodging(home: Home, gateway: Gateway, accounts: Accounts, port: int | None) -> NotebookService | None:
    """The notebooks, if the settings ask for them and this machine can; else why not is said."""
    wanted = home.settings.notebooks.port
    lacking = missing() if wanted else None
    if not wanted or lacking is not None:
        if lacking is not None:
            WATCH.warning("notebooks are not served: %s", lacking.en)
        return None
    console = home.settings.port if port is None else port
    try:
        return NotebookService(home, gateway, accounts, utc_now, console_port=console)
    except OSError:
        WATCH.warning("notebooks are not served: port %d is taken", wanted)
        return None


def serve(home: Home, gateway: Gateway, host: str | None = None, port: int | None = None) -> None:
    """Serve until interrupted, then let running requests end and close gateway and store."""
    logging.captureWarnings(True)
    layers = gateway.confinement()
    traces = Traces(home.settings.observe.traces)
    gateway.desk.started(__version__, layers)
    database, over = Database(home.store), threading.Event()
    notebooks: NotebookService | None = None
    for work in (_watching, _following):
        threading.Thread(target=work, args=(gateway, over), daemon=True).start()
    # Once it has ended, uvicorn raises the signal again; that must not cut off what follows.
    before = {number: signal.signal(number, _ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        accounts = Accounts(database)
        notebooks = lodging(home, gateway, accounts, port)
        running = server(home, gateway, accounts, host, port, traces, notebooks)
        WATCH.info("workers are confined by: %s", ", ".join(layers))
        running.run()
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        if notebooks is not None:
            notebooks.close()
        traces.close()
        gateway.close()
        database.close()


def _ended(number: int, frame: FrameType | None) -> None:
    """The signal was heard by uvicorn already."""
