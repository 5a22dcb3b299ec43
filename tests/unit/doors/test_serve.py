"""The real server on a real socket: it serves, holds its tongue, and ends when asked."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import uvicorn

from sandbox.doors.server import server
from sandbox.home import create_home
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.unit.doors.conftest import NOW, SimpleGateway


def test_it_serves_over_http_and_stops(tmp_path: Path, database: Database, gateway: SimpleGateway) -> None:
    accounts = Accounts(database)
    token = accounts.issue(Person("li", "analyst", "a"), "test", NOW)
    kept = {name: logging.getLogger(name).handlers[:] for name in ("sandbox", "uvicorn")}
    running = server(create_home(tmp_path / "home"), gateway, accounts, port=0)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        port = _port(running)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            probe = http.get("/healthz")
            assert probe.json() == {"status": "ok"}
            assert "server" not in probe.headers
            ask = {"sql": "SELECT 1", "grant": "G-1"}
            head = {"authorization": f"Bearer {token}"}
            assert http.post("/v1/queries", json=ask, headers=head).status_code == 200
            assert http.post("/v1/queries", content=b"x" * 10**6, headers=head).status_code == 400
            big = {**head, "content-type": "application/json"}
            assert http.post("/v1/queries", content=b"x" * 10**6, headers=big).status_code == 413
    finally:
        running.should_exit = True
        thread.join(timeout=10)
        for name, handlers in kept.items():
            logging.getLogger(name).handlers[:] = handlers
    assert not thread.is_alive()


def test_a_signal_ends_the_command_in_order(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home")
    Database(home.store).close()
    words = [sys.executable, "-c", "from sandbox.doors.cli import main; main()", "serve", "--port", "0"]
    with subprocess.Popen([*words, "--home", str(home.path)], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "Uvicorn running" in line:
                break
        child.send_signal(signal.SIGTERM)
        rest = child.stderr.read()
    assert child.returncode == 0, rest
    assert "Traceback" not in rest


def _port(running: uvicorn.Server) -> int:
    end = time.monotonic() + 10
    while not running.started and time.monotonic() < end:
        time.sleep(0.01)
    port: int = running.servers[0].sockets[0].getsockname()[1]
    return port
