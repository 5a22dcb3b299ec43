"""The log at both doors: pages, single entries, saved views, and the monitor."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sandbox.doors.cli import app
from sandbox.errors import Code
from sandbox.home import open_home
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from tests.unit.doors.conftest import Client

NOW = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)
HOSTILE = "SELECT * FROM read_csv('/etc/passwd') -- 密码"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def said(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose log holds two days of an attacker, and an answered question."""
    path = tmp_path / "home"
    monkeypatch.setenv("SANDBOX_HOME", str(path))
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert run("init").exit_code == 0
    database = Database(open_home(path).store)
    Accounts(database).issue(Person("li", "operator", "one"), "test", NOW)
    log = AuditLog(database)
    later = dt.datetime.now(dt.UTC)
    for number in range(4):
        log.append(
            Event.REFUSAL, time=later, request=f"r{number}", person="eve", organisation="one", grant="G-1",
            decision="refused", codes=["DS-108"], text=HOSTILE, payload={"subjects": ["read_csv"]},
        )  # fmt: skip
    log.append(
        Event.OUTCOME, time=later, request="q", person="li", organisation="two", grant="G-2", nano=1500,
        decision="answered", text="SELECT COUNT(*)\nFROM person", datasets=["med"],
        payload={"free": False, "derivation": ["release: 1", "  noise: 2"]},
    )  # fmt: skip
    database.close()
    return path


def test_one_entry_is_shown_whole(home: Path) -> None:
    (found,) = said("log", "--person", "li", "--least", "1000")["entries"]
    shown = run("log", "show", str(found["seq"])).stdout
    assert "SELECT COUNT(*)\nFROM person" in shown
    assert "derivation:\n  release: 1\n    noise: 2" in shown
    assert "nano: 1,500" in shown
    assert "organisation: two" in shown
    assert said("log", "show", str(found["seq"])) == found
    assert run("log", "show", "99999").exit_code == 18
    assert run("log", "show", "x").exit_code == 18
    assert run("log", "show").exit_code == 2
    assert run("log", "show", str(found["seq"]), "--as", "li").exit_code == 18  # another organisation's


def test_filters_pages_and_directions(home: Path) -> None:
    assert len(said("log", "--text", "密码")["entries"]) == 4
    page = said("log", "--code", "DS-108", "--limit", "2")
    assert [e["request"] for e in page["entries"]] == ["r3", "r2"]
    older = run("log", "--code", "DS-108", "--limit", "1", "--after", str(page["next"])).stdout
    assert "older entries: --after" in older
    assert "newer entries: --before" in older
    newer = said("log", "--code", "DS-108", "--limit", "1", "--before", str(page["entries"][1]["seq"]))
    assert [e["request"] for e in newer["entries"]] == ["r3"]
    assert run("log", "--after", "1", "--before", "1").exit_code == 18
    assert [e["person"] for e in said("log", "--least", "1500", "--most", "1500")["entries"]] == ["li"]


def test_a_page_cut_short_is_filled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.store.search.PATIENCE_S", 0.0)
    monkeypatch.setattr("sandbox.store.search._FIRST_SLICE", 1)
    assert [e["request"] for e in said("log", "--code", "DS-108", "--limit", "3")["entries"]] == [
        "r3",
        "r2",
        "r1",
    ]
    found = said("log", "--code", "DS-108", "--limit", "3", "--before", "0")["entries"]
    assert [e["request"] for e in found] == ["r2", "r1", "r0"]


def test_views_are_saved_used_and_dropped(home: Path) -> None:
    shown = run("log", "save", "拒绝", "--decision", "refused", "--limit", "1", "--shared").stdout
    assert "decision=refused limit=1" in shown
    assert "✓" in shown
    assert [e["request"] for e in said("log", "--view", "拒绝")["entries"]] == ["r3"]
    assert len(said("log", "--view", "拒绝", "--limit", "9", "--as", "li")["entries"]) == 4
    assert run("log", "save", "x", "--kind", "nonsense").exit_code == 18
    assert run("log", "save", "拒绝", "--shared", "--as", "li").exit_code == 18
    assert said("log", "views") == {
        "views": [{"name": "拒绝", "shared": True, "filters": {"decision": "refused", "limit": "1"}}]
    }
    assert said("log", "drop", "拒绝", "--shared") == {"views": []}
    assert run("log", "--view", "拒绝").exit_code == 18


def test_the_monitor_raises_what_it_finds_once(home: Path) -> None:
    assert len(said("monitor", "run")["raised"]) == 4
    assert "alerts raised: 0" in run("monitor", "run").stdout
    shown = run("monitor", "alerts").stdout
    assert "reaching-outside  eve  G-1" in shown
    assert "freeze the organisation at once" in shown
    assert "立即冻结" in shown
    assert "← #" in shown
    entries = said("monitor", "alerts")["entries"]
    assert {e["payload"]["rule"] for e in entries} == {
        "reaching-outside",
        "repeated-refusals",
        "refusal-storm",
    }
    older = said("monitor", "alerts", "--after", str(entries[0]["seq"]))["entries"]
    assert older == entries[1:]
    assert not said("monitor", "alerts", "--as", "li")["entries"]  # nobody reads what is suspected of them
    assert run("monitor", "run", "--as", "li").exit_code == 18


def test_the_rules_are_listed(home: Path) -> None:
    rules = said("monitor", "rules")["rules"]
    assert {"name", "severity", "subject", "hours", "what", "do"} == set(rules[0])
    shown = run("monitor", "rules").stdout
    assert all(rule["name"] in shown for rule in rules)


def test_http_reads_one_entry(client: Client) -> None:
    (found,) = client.get("/v1/log?limit=1").json()["entries"]
    assert client.get(f"/v1/log/{found['seq']}").json() == found
    assert client.get("/v1/log/99999").json()["code"] == Code.NOT_FOUND.id
    assert client.get("/v1/log/x").status_code == 400


def test_http_saves_and_uses_views(client: Client) -> None:
    client.get("/v1/log")
    view = {"name": "mine", "filters": {"code": "DS-202", "limit": "1"}}
    assert client.post("/v1/log/views/save", json=view).json() == {**view, "shared": False}
    assert client.get("/v1/log/views").json() == {"views": [{**view, "shared": False}]}
    assert len(client.get("/v1/log?view=mine").json()["entries"]) == 1
    assert len(client.get("/v1/log?view=mine&limit=2").json()["entries"]) == 2
    assert client.post("/v1/log/views/drop", json={"name": "mine"}).json() == {"views": []}
    assert client.get("/v1/log?view=mine").json()["code"] == Code.NOT_FOUND.id


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "filters": {"colour": "red"}},
        {"name": "x", "filters": {"limit": 5}},
        {"name": "x", "filters": []},
        {"name": "x", "shared": "yes"},
        {"filters": {}},
        {"name": "", "filters": {}},
        {"name": "x", "extra": 1},
    ],
)
def test_http_refuses_a_broken_view(client: Client, body: dict[str, object]) -> None:
    assert client.post("/v1/log/views/save", json=body).json()["code"] == Code.REQUEST.id
