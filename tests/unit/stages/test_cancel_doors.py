"""Cancelling from every door ends the engine's run at once, and is on record."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from sandbox.console.visit import form_token
from sandbox.doors.cli_ask import _asked
from sandbox.doors.http import create_app
from sandbox.engine.hired import Hired
from sandbox.gateway import Gateway
from sandbox.model import Answer, Person, Refused
from sandbox.store.search import LogFilter
from tests.unit.stages.conftest import COUNTED, PERSON, answered, codes, request

BUREAU = Person("bureau", "bureau", "bureau")
LATE_S = 10.0
"""A worker that hangs would otherwise take its time, a minute."""


def stuck(gateway: Gateway) -> Hired:
    """The grant's worker, which from here on takes a question and never answers it."""
    answered(gateway.query(request("G-DP", "SELECT COUNT(*) AS n FROM visit")))
    worker = gateway._contexts["G-DP"][2]._child
    assert worker is not None
    os.kill(worker.worker, signal.SIGSTOP)
    return worker


def running(gateway: Gateway) -> bool:
    """Whether a run is with the engine."""
    return gateway.load()[0] > 0 and gateway._contexts["G-DP"][2]._busy


@contextmanager
def asking(gateway: Gateway) -> Iterator[Future[Answer | Refused]]:
    """A query whose run hangs in a real worker."""
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(gateway.query, request("G-DP", COUNTED))
        while not running(gateway):
            assert not asked.done()
            time.sleep(0.01)
        yield asked


def post(gateway: Gateway, path: str, headers: dict[str, str], data: dict[str, str] | None) -> httpx.Response:
    async def sent() -> httpx.Response:
        app = create_app(gateway, gateway.accounts, lambda: dt.datetime.now(dt.UTC))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as http:
            return await http.post(path, data=data)

    return asyncio.run(sent())


def by_http(gateway: Gateway, token: str) -> None:
    found = post(gateway, "/v1/cancel", {"authorization": f"Bearer {token}"}, None)
    assert found.json() == {"stopped": 1}


def by_console(gateway: Gateway, token: str) -> None:
    session = gateway.accounts.sessions.begin(token, dt.datetime.now(dt.UTC))
    fields = {"csrf": form_token(session), "grant": "G-DP", "sql": COUNTED}
    found = post(gateway, "/console/ask/stop", {"cookie": f"ds_session={session}"}, fields)
    assert found.status_code == 200 and "GROUP BY city" in found.text  # what was written stays


def recorded(gateway: Gateway) -> list[tuple[str, tuple[str, ...]]]:
    return [(e.kind, e.codes) for e in gateway.log(BUREAU, LogFilter()).entries]


@pytest.mark.parametrize("door", [by_http, by_console])
def test_a_stop_ends_the_run_at_once(gateway: Gateway, door: Callable[[Gateway, str], None]) -> None:
    token = gateway.accounts.issue(PERSON, "test", dt.datetime.now(dt.UTC))
    worker = stuck(gateway)
    with asking(gateway) as asked:
        door(gateway, token)
        assert codes(asked.result(LATE_S)) == ["CANCELLED"]
    assert not worker.alive
    assert {("cancel", ()), ("refusal", ("DS-704",))} <= set(recorded(gateway))


def test_who_is_disabled_loses_the_run_and_others_do_not(gateway: Gateway) -> None:
    gateway.accounts.issue(PERSON, "test", dt.datetime.now(dt.UTC))
    worker = stuck(gateway)
    with asking(gateway) as asked:
        gateway.watch()
        assert not asked.done()
        gateway.people.disable(BUREAU, PERSON.name)
        gateway.watch()
        assert codes(asked.result(LATE_S)) == ["WHO"]
    assert not worker.alive
    assert ("refusal", ("DS-801",)) in recorded(gateway)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that starts a job in the background lets it ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_at_the_command_line_stops_the_run(gateway: Gateway) -> None:
    worker = stuck(gateway)

    def interrupt() -> None:
        while not running(gateway):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begun = time.monotonic()
    assert codes(_asked(gateway, request("G-DP", COUNTED))) == ["CANCELLED"]
    assert time.monotonic() - begun < LATE_S
    assert not worker.alive
    assert {("cancel", ()), ("refusal", ("DS-704",))} <= set(recorded(gateway))


def test_a_drain_lets_the_run_end_and_turns_away_the_rest(gateway: Gateway) -> None:
    worker = stuck(gateway)
    with asking(gateway) as asked:
        gateway.drain()
        assert codes(gateway.query(request("G-EXACT", COUNTED))) == ["CLOSING"]
        assert not asked.done()
        os.kill(worker.worker, signal.SIGCONT)
        answered(asked.result(LATE_S))
