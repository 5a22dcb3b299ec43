"""A console to visit: a home with the demo's data, served by the real server, and a real browser."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx
import uvicorn

from sandbox.demo import province
from sandbox.demo.cast import logins
from sandbox.doors import server
from sandbox.doors.http import utc_now
from sandbox.doors.notebook_service import NotebookService
from sandbox.doors.ports import open_gateway
from sandbox.home import Home, create_home
from sandbox.policy.load import load
from sandbox.snapshot.ingest import ingest
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database

RESIDENTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class House:
    """Where the console is, and the tokens that open it, by name."""

    address: str
    tokens: dict[str, str]


@contextmanager
def house(path: Path, residents: int = RESIDENTS) -> Iterator[House]:
    """A served home, until the block ends."""
    home = create_home(path)
    home = replace(
        home, settings=replace(home.settings, worker=replace(home.settings.worker, floor="process"))
    )
    _stock(home, residents)
    tokens = {login.person.name: login.token for login in logins(home)}
    gateway, database = open_gateway(home), Database(home.store)
    port = _free_port()
    accounts = Accounts(database)
    notebooks = NotebookService(home, gateway, accounts, utc_now, console_port=port, port=0)
    running = server.server(home, gateway, accounts, "127.0.0.1", port, notebooks=notebooks)
    logging.getLogger("sandbox.access").setLevel(logging.WARNING)
    thread = threading.Thread(target=_run, args=(running,), daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address)
        yield House(address + "/console", tokens)
    finally:
        running.should_exit = True
        thread.join(30)
        notebooks.close()
        gateway.close()
        database.close()


def _stock(home: Home, residents: int) -> None:
    """The invented province of the demo, without its flights."""
    for name in ("med", "power"):
        shutil.copytree(Path("policies") / name, home.policies / name)
    files = province.write(home.sources, residents)
    for dataset in load([home.policies]).datasets:
        tables = {t.name: files[f"{dataset.id}.{t.name}"] for t in dataset.tables}
        ingest(dataset, tables, home.snapshots, now=dt.datetime.now(dt.UTC))


def _run(running: uvicorn.Server) -> None:
    running.run()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait(address: str) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
        client.get(address + "/healthz", timeout=20).raise_for_status()
