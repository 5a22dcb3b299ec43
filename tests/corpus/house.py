"""A house to attack: a home with the corpus ingested, and the real gateway over it behind real sockets.

Two ways to serve it: in a thread of this process (fast to start afresh), or as ``sandbox serve`` in a
process of its own, which can be killed without warning.  Either way every request crosses loopback.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from sandbox.doors.server import server
from sandbox.gateway import open_gateway
from sandbox.home import EXAMPLE, Home, create_home, open_home
from sandbox.model import Person
from sandbox.policy.load import load
from sandbox.snapshot.ingest import ingest
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.corpus import load_schema

POLICIES: Final = Path(__file__).parent / "policies"
OPERATOR: Final = "语料测试有限公司"
DP: Final = "G-CORPUS-DP"
EXACT: Final = ("G-CORPUS-EXACT", "G-CORPUS-EXACT-FIRMS")
_START_S: Final = 30.0


def build(folder: Path, schema: Path, without: Iterable[str | float] = ()) -> Home:
    """A home with the corpus's policies and snapshots, and answers released at once."""
    home = create_home(folder)
    settings = EXAMPLE.replace("release_clock_ms = 100", "release_clock_ms = 0")
    (folder / "sandbox.toml").write_text(settings, encoding="utf-8")
    home = open_home(folder)
    shutil.copytree(POLICIES, home.policies, dirs_exist_ok=True)
    files = load_schema.load(schema, home.sources, without)
    for dataset in load([home.policies]).datasets:
        sources = {t.name: files[f"{dataset.id}.{t.name}"] for t in dataset.tables}
        ingest(dataset, sources, home.snapshots, now=dt.datetime.now(dt.UTC))
    return home


def afresh(home: Home, folder: Path) -> Home:
    """The same home with an empty ledger, nothing answered and nobody known."""
    copy = create_home(folder)
    shutil.copy(home.path / "sandbox.toml", folder)
    shutil.copytree(home.policies, copy.policies, dirs_exist_ok=True)
    shutil.copytree(home.snapshots, copy.snapshots, dirs_exist_ok=True, copy_function=os.link)
    return open_home(folder)


class Lines(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


class Served(Protocol):
    """A house that is being served."""

    @property
    def home(self) -> Home: ...
    @property
    def port(self) -> int: ...
    def token(self, name: str, role: str = "operator") -> str: ...
    def logged(self) -> list[str]: ...
    def close(self) -> None: ...


class Inside:
    """The gateway's own server in a thread of this process."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._gateway = open_gateway(home)
        self._database = Database(home.store)
        self._accounts = Accounts(self._database)
        self._server = server(home, self._gateway, self._accounts, port=0)
        self._lines = Lines()
        for name in ("sandbox", "uvicorn"):
            logging.getLogger(name).handlers[:] = [self._lines]
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        _until(lambda: self._server.started)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    def token(self, name: str, role: str = "operator") -> str:
        """A new token for a person of the operator's organisation."""
        return self._accounts.issue(Person(name, role, OPERATOR), "corpus", dt.datetime.now(dt.UTC))

    def logged(self) -> list[str]:
        """The server's own log."""
        return self._lines.found

    def close(self) -> None:
        """Stop as on an interrupt."""
        self._server.should_exit = True
        self._thread.join(_START_S)
        self._gateway.close()
        self._database.close()


@dataclass(slots=True)
class Outside:
    """``sandbox serve`` in a process of its own, which ``close`` kills without warning."""

    home: Home
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    lines: list[str] = field(default_factory=list)

    def start(self) -> Outside:
        """Serve the home as it lies on the disk."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        words = ["serve", "--home", str(self.home.path), "--port", str(self.port)]
        program = "from sandbox.doors.cli import main; main()"
        with (self.home.path / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words], stdout=log, stderr=log, start_new_session=True
            )
        _until(self._answers)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def token(self, name: str, role: str = "operator") -> str:
        """A new token, written straight into the store as the command line does."""
        database = Database(self.home.store)
        try:
            return Accounts(database).issue(Person(name, role, OPERATOR), "corpus", dt.datetime.now(dt.UTC))
        finally:
            database.close()

    def logged(self) -> list[str]:
        """What the process wrote."""
        return (self.home.path / "serve.log").read_text(encoding="utf-8").splitlines()

    def close(self) -> None:
        """SIGKILL to the server and its workers: nothing gets to say good-bye."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the gateway did not start")
        time.sleep(0.01)
