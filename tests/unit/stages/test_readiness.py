"""Readiness: false whenever no query could be answered, with the code that a query would be refused with."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sandbox.doors.http import create_app
from sandbox.engine import found
from sandbox.engine.layers import Layer
from sandbox.errors import Code
from sandbox.gateway import Gateway


def probe(gateway: Gateway) -> httpx.Response:
    async def asked() -> httpx.Response:
        now = dt.datetime.now(dt.UTC)
        transport = httpx.ASGITransport(create_app(gateway, gateway.accounts, lambda: now))
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            assert (await http.get("/healthz")).json() == {
                "status": "ok"
            }  # the process answers, whatever else
            return await http.get("/readyz")

    return asyncio.run(asked())


def test_a_gateway_that_could_answer_is_ready(gateway: Gateway) -> None:
    response = probe(gateway)
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def _no_store(gateway: Gateway) -> None:
    assert isinstance(gateway.home.store, Path)
    gateway.home.store.unlink()


BROKEN: dict[Code, Callable[[Gateway], object]] = {
    Code.STORE: _no_store,
    Code.LOG_KEY: lambda gateway: shutil.rmtree(gateway.home.log),
    Code.CLOSING: lambda gateway: gateway.drain(),
}


@pytest.mark.parametrize("code", BROKEN, ids=lambda code: code.name)
def test_what_is_not_there_is_said(gateway: Gateway, code: Code) -> None:
    BROKEN[code](gateway)
    response = probe(gateway)
    assert (response.status_code, response.json()["code"]) == (503, code.id)
    assert ("retry-after" in response.headers) == (code is Code.CLOSING)


def test_below_the_floor_nothing_is_ready(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "available", lambda: frozenset({Layer.LIMITS}))
    monkeypatch.setenv("SANDBOX_WORKER_FLOOR", "box")
    assert probe(gateway).json()["code"] == Code.UNCONFINED.id
