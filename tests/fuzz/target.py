"""What is fuzzed: the real application over a real gateway and the corpus's data, without a socket between."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from sandbox.doors.http import App, create_app
from sandbox.gateway import open_gateway
from sandbox.home import Home
from sandbox.model import Person
from sandbox.policy.roles import Role
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.corpus.house import OPERATOR, afresh

JSON: Final = "application/json"
ROLES: Final = tuple(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request.  ``role`` is whose token it bears; empty: none."""

    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    role: str = "operator"


@dataclass(frozen=True, slots=True)
class Seen:
    """Every byte that came back for it, and how long that took, in seconds."""

    sent: Sent
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Target:
    """Serves one home.  Use it as a context."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = afresh(home, folder)
        self._gateway = open_gateway(self.home)
        self._database = Database(self.home.store)
        accounts = Accounts(self._database)
        self.app: App = create_app(self._gateway, accounts)
        self._tokens = {
            role: accounts.issue(Person(f"fuzz {role}", role, OPERATOR), "fuzz", dt.datetime.now(dt.UTC))
            for role in ROLES
        }
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._gateway.close()
        self._database.close()

    def send(self, sent: Sent) -> Seen:
        """Ask.  Whatever the application raises comes out here: it is a find."""
        return self._loop.run_until_complete(self._send(sent))

    async def _send(self, sent: Sent) -> Seen:
        headers = dict(sent.headers)
        if sent.role:
            headers["authorization"] = f"Bearer {self._tokens[sent.role]}"
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            begun = time.perf_counter()
            response = await client.request(sent.method, sent.path, content=sent.content, headers=headers)
            seconds = time.perf_counter() - begun
        return Seen(sent, response.status_code, dict(response.headers), response.content, seconds)
