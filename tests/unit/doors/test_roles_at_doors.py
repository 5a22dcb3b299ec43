"""Every role at every address of the OpenAPI description and of the console: let in as the table says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sandbox.console.app import PAGES
from sandbox.doors.http import create_app
from sandbox.doors.http_schema import ROUTES
from sandbox.model import Person
from sandbox.policy.roles import TABLE, Role
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.support.console import Browser

NOW = dt.datetime(2026, 3, 4, 22, 0, 0, tzinfo=dt.UTC)
OPEN = {"/healthz", "/readyz"}
BEFORE = {("GET", "/login"), ("POST", "/login"), ("POST", "/language")}
"""Addresses for anybody: probes, and the pages before signing in."""


def test_every_address_is_described_and_names_its_action(database: Database, gateway: Any) -> None:
    described = create_app(gateway, Accounts(database), lambda: NOW).openapi()["paths"]
    assert set(described) == set(ROUTES)
    assert {path for path, route in ROUTES.items() if route.action is None} == OPEN
    assert {(page.method, page.path) for page in PAGES if page.action is None} == BEFORE


@pytest.mark.parametrize("role", Role)
def test_each_role_over_http(client: Any, database: Database, role: Role) -> None:
    token = Accounts(database).issue(Person("one", role.value, "somewhere"), "t", NOW)
    client.headers["authorization"] = f"Bearer {token}"
    for path, route in ROUTES.items():
        if route.action is None:
            continue
        where = path.replace("{id}", "1").replace("{seq}", "0")
        body: dict[str, Any] = {"json": {}} if route.method == "POST" else {}
        found = client.request(route.method, where, **body)
        if role in TABLE[route.action]:
            assert found.status_code != 401 and "DS-802" not in found.text, (path, found.text)
        else:
            assert found.status_code == 403 and found.json()["code"] == "DS-802", (path, found.text)


@pytest.mark.parametrize("role", Role)
def test_each_role_at_the_console(client: Any, database: Database, role: Role) -> None:
    client.headers.clear()
    browser = Browser(client, Accounts(database), Person("one", role.value, "somewhere"), NOW)
    for page in (p for p in PAGES if p.action is not None and p.path != "/logout"):
        assert page.action is not None
        path = page.path.replace("{id}", "1").replace("{seq}", "0")
        found = browser.get(path) if page.method == "GET" else browser.post(path)
        refused = found.status_code == 403 and "DS-802" in found.text
        assert refused == (role not in TABLE[page.action]), (page, found.status_code)


def test_nobody_gets_past_the_door(client: Any) -> None:
    client.headers.clear()
    for page in (p for p in PAGES if p.action is not None):
        path = page.path.replace("{id}", "1").replace("{seq}", "0")
        form: dict[str, Any] = {"data": {"csrf": ""}} if page.method == "POST" else {}
        found = client.request(page.method, "/console" + path, **form)
        assert found.status_code == 303 and found.headers["location"].startswith("/console/login")
