"""The real gateway over the demo's data, with notebooks beside it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from sandbox.demo.cast import ANALYST, AVIATION, CREDIT
from sandbox.demo.stock import stock
from sandbox.doors.http import create_app, utc_now
from sandbox.doors.notebook_service import NotebookService
from sandbox.doors.terminal import Terminal
from sandbox.home import Home, create_home
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.corpus.house import Inside

AIR: Final = "G-FLIGHTS-DP"
POWER: Final = "G-2025-022"
HEALTH: Final = "G-2025-017"
PEOPLE: Final = {AIR: AVIATION, POWER: CREDIT, HEALTH: ANALYST}
RESIDENTS: Final = 100_000
"""At 20,000 every cell of the power grid is withheld."""


class House:
    """A home of the demo, served."""

    def __init__(self, folder: Path) -> None:
        self.home: Home = create_home(folder)
        stock(self.home, RESIDENTS, Terminal(("en",)))
        self._served = Inside(self.home)
        self.url = f"http://127.0.0.1:{self._served.port}"
        self.gateway = self._served._gateway
        self._database = Database(self.home.store)
        self.accounts = Accounts(self._database)

    def token(self, grant: str) -> str:
        """A new token for the person of this grant."""
        return self.accounts.issue(PEOPLE[grant], "test", dt.datetime.now(dt.UTC))

    def hosting(self, home: Home | None = None) -> NotebookService:
        """Notebooks beside this gateway, at a port of their own.  The caller closes them."""
        port = self._served.port
        found = NotebookService(
            home or self.home, self.gateway, self.accounts, utc_now, console_port=port, port=0
        )
        found.serve(create_app(self.gateway, self.accounts, lodging=found.door))
        return found

    def close(self) -> None:
        """Stop serving."""
        self._database.close()
        self._served.close()
