"""The real gateway over the demo's data, behind a port and behind a Unix socket that knows who asks."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn

from sandbox.demo.cast import ANALYST, AVIATION, CREDIT
from sandbox.demo.stock import stock
from sandbox.doors.http import create_app
from sandbox.doors.terminal import Terminal
from sandbox.home import Home, create_home
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.corpus.house import Inside

AIR: Final = "G-FLIGHTS-DP"
POWER: Final = "G-2025-022"
HEALTH: Final = "G-2025-017"
PEOPLE: Final = {AIR: AVIATION, POWER: CREDIT, HEALTH: ANALYST}
RESIDENTS: Final = 100_000
"""At 20,000 every cell of the power grid is withheld, and finding that out takes minutes."""
_START_S: Final = 30.0


class House:
    """A home of the demo, served."""

    def __init__(self, folder: Path) -> None:
        self.home: Home = create_home(folder)
        stock(self.home, RESIDENTS, Terminal(("en",)))
        self._served = Inside(self.home)
        self.url = f"http://127.0.0.1:{self._served.port}"
        self.gateway = self._served._gateway
        self._database = Database(self.home.store)
        self._accounts = Accounts(self._database)

    def token(self, grant: str) -> str:
        """A new token for the person of this grant."""
        return self._accounts.issue(PEOPLE[grant], "test", dt.datetime.now(dt.UTC))

    @contextmanager
    def socket(self, path: Path, person: Person) -> Iterator[Path]:
        """A Unix socket behind which everyone is this person, as beside an analyst's box."""
        token = self._accounts.issue(person, "socket", dt.datetime.now(dt.UTC))
        known = (b"authorization", f"Bearer {token}".encode())
        app = create_app(self.gateway, self._accounts)

        async def identified(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            given = [pair for pair in scope["headers"] if pair[0] == b"authorization"]
            assert given == [], "a client in a box has no token to send"
            await app({**scope, "headers": [*scope["headers"], known]}, receive, send)

        config = uvicorn.Config(identified, uds=str(path), lifespan="off", log_config=None)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + _START_S
        while not running.started:
            assert time.monotonic() < deadline, "the socket did not open"
            time.sleep(0.01)
        try:
            yield path
        finally:
            running.should_exit = True
            thread.join(_START_S)

    def close(self) -> None:
        """Stop serving."""
        self._database.close()
        self._served.close()
