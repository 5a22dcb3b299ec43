"""``sandbox serve``: uvicorn around the HTTP door, one process, ended gracefully.

Uvicorn's own access log is off: it would print query strings.  ``http_shield`` writes the access line.
"""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Final

import uvicorn

from sandbox.doors.http import create_app
from sandbox.doors.ports import Gateway
from sandbox.home import Home
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database

GRACE_S: Final = 20
"""How long running requests may take to end once a stop is asked for."""

_LOGGING: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}
    },
    "loggers": {name: {"handlers": ["stderr"], "level": "INFO"} for name in ("sandbox", "uvicorn")},
}


def server(
    home: Home, gateway: Gateway, accounts: Accounts, host: str | None = None, port: int | None = None
) -> uvicorn.Server:
    """A server ready to run; ``host`` and ``port`` override the home's settings."""
    settings = home.settings
    config = uvicorn.Config(
        create_app(gateway, accounts),
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=_LOGGING,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)


def serve(home: Home, gateway: Gateway, host: str | None = None, port: int | None = None) -> None:
    """Serve until interrupted, then let running requests end and close gateway and store."""
    logging.captureWarnings(True)
    database = Database(home.store)
    # Once it has ended, uvicorn raises the signal again; that must not cut off what follows.
    before = {number: signal.signal(number, _ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server(home, gateway, Accounts(database), host, port).run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        gateway.close()
        database.close()


def _ended(number: int, frame: FrameType | None) -> None:
    """The signal was heard by uvicorn already."""
