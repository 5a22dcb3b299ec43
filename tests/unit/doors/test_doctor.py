"""What a machine lacks is said, and below the floor no query is started."""

from __future__ import annotations

import datetime as dt
import json
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sandbox.demo.story import confined_as_can_be
from sandbox.doors import server
from sandbox.doors.cli import app
from sandbox.doors.terminal import Terminal
from sandbox.engine import found
from sandbox.engine.layers import ABOUT, Floor, Layer, level, meets
from sandbox.errors import Code, Refusal
from sandbox.gateway import open_gateway
from sandbox.home import FLOOR_VARIABLE, FLOORS, Home, create_home, open_home, read_settings
from sandbox.store.accounts import Accounts
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger
from sandbox.store.log import transparency
from tests.faults.nursery import free_port
from tests.support.logs import NOW

POOR = frozenset({Layer.LIMITS, Layer.LANDLOCK})


@pytest.fixture(autouse=True)
def as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings decide, not the environment of whoever runs the tests."""
    monkeypatch.delenv(FLOOR_VARIABLE, raising=False)


@pytest.fixture
def poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither libseccomp nor bubblewrap."""
    monkeypatch.setattr(found, "available", lambda: POOR)


def test_floors_have_the_same_names_everywhere() -> None:
    assert tuple(Floor) == FLOORS
    assert set(ABOUT) == set(Layer)


@pytest.mark.parametrize(
    ("layers", "met"),
    [
        (set(Layer), ["box", "kernel", "process"]),
        ({Layer.FILTER, Layer.LANDLOCK}, ["kernel", "process"]),
        (POOR, ["process"]),
    ],
)
def test_a_floor_is_met_by_what_is_above_it(layers: set[Layer], met: list[str]) -> None:
    assert [floor for floor in Floor if meets(layers, floor)] == met


def test_the_doctor_is_content_where_the_floor_is_met(tmp_path: Path) -> None:
    create_home(tmp_path)
    (tmp_path / "sandbox.toml").write_text(f'[worker]\nfloor = "{level(found.available())}"\n')
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path), "--lang", "en"])
    assert done.exit_code == 0
    assert "worker.floor" in done.stdout


@pytest.mark.usefixtures("poor")
def test_the_doctor_says_what_to_install(tmp_path: Path) -> None:
    create_home(tmp_path)
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path), "--lang", "en"])
    assert done.exit_code == 1
    assert "apt-get install bubblewrap" in done.stdout
    assert "apt-get install libseccomp2" in done.stdout
    assert "asked for: box; reached: process" in done.stdout
    told = json.loads(CliRunner().invoke(app, ["doctor", "--home", str(tmp_path), "--json"]).stdout)
    assert [f["name"] for f in told["findings"] if f["bad"]] == ["worker.floor"]
    assert [f["name"] for f in told["findings"] if f["there"]] == ["limits", "landlock", "repairs"]


@pytest.mark.usefixtures("poor")
def test_nothing_is_served_below_the_floor(tmp_path: Path) -> None:
    home = create_home(tmp_path)
    gateway = open_gateway(home)
    with pytest.raises(Refusal) as refused:
        server.serve(home, gateway)
    assert refused.value.code is Code.UNCONFINED
    gateway.close()


@pytest.mark.usefixtures("poor")
def test_a_lower_floor_is_asked_for_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = create_home(tmp_path)
    lowered = replace(home, settings=read_settings(b'[worker]\nfloor = "process"\n'))
    gateway = open_gateway(lowered)
    assert gateway.confinement() == ("landlock", "limits")
    gateway.close()
    monkeypatch.setenv(FLOOR_VARIABLE, "process")
    assert home.floor == "process"
    monkeypatch.setenv(FLOOR_VARIABLE, "none")
    with pytest.raises(Refusal) as refused:
        assert home.floor
    assert refused.value.code is Code.DOCUMENT
    with pytest.raises(Refusal):
        read_settings(b'[worker]\nfloor = "none"\n')


@pytest.mark.usefixtures("poor")
def test_the_demonstration_warns_and_goes_on(tmp_path: Path) -> None:
    terminal = Terminal(("en",))
    terminal.out = Console(record=True, width=200)
    lowered = confined_as_can_be(create_home(tmp_path), terminal)
    assert lowered.floor == "process"
    assert "without these layers here: filter, namespaces, user" in terminal.out.export_text()


def test_layers_that_do_not_hold_together_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container in which bubblewrap is installed and may not make namespaces."""
    monkeypatch.setattr(found, "works", lambda layers: Layer.NAMESPACES not in layers)
    assert not found.available.__wrapped__() & {Layer.NAMESPACES, Layer.USER}


def test_the_last_start_and_what_was_cut_off_are_said(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home")

    def found_in(lang: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["doctor", "--home", str(home.path), "--lang", lang])
        return result.exit_code, result.stdout

    assert "no service has started yet" in found_in("en")[1]
    database = Database(home.store)
    transparency.begin(database, home.log)
    log, ledger = AuditLog(database), Ledger(database)
    for repaired, en, zh in (
        ("", "✓ repairs: nothing had to be made again", "✓ repairs: 上次启动未作修复"),
        ("tiles", "✗ repairs: the log's tiles were made again", "重建了日志瓦片"),
        ("checkpoint", "✗ repairs: the log's published head was missing", "重新发布"),
    ):
        log.append(Event.START, time=NOW, payload={"version": "1", "repaired": repaired})
        assert en in found_in("en")[1]
        assert zh in found_in("zh")[1]
    assert "✓ unfinished: 0 queries" in found_in("en")[1]
    for at in (NOW - dt.timedelta(seconds=1), NOW):  # the second is of this start: it may be at work
        owed = (Charge("g/person", "rho", 1, 0, 9, 9),)
        ledger.reserve(f"li/{at.isoformat()}", owed, at)
    assert "✗ unfinished: 1 queries were cut off before the last start" in found_in("en")[1]
    assert "✗ unfinished: 上次启动之前有 1 个查询被中断" in found_in("zh")[1]
    database.close()


def test_a_store_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home")
    Path(home.store).write_bytes(b"no database" * 1000)
    result = CliRunner().invoke(app, ["doctor", "--home", str(home.path), "--lang", "en"])
    assert result.exit_code == 1
    assert "✗ store: the ledger and log cannot be used" in result.stdout


def told(home: Home, name: str) -> str:
    """The doctor's lines on one thing, in English."""
    lines = CliRunner().invoke(app, ["doctor", "--home", str(home.path), "--lang", "en"]).stdout.splitlines()
    return "\n".join(a + b for a, b in zip(lines, [*lines[1:], ""], strict=True) if f" {name}: " in a)


def test_a_log_without_its_key_is_said(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home")
    assert told(home, "log.key") == ""
    database = Database(home.store)
    transparency.begin(database, home.log)
    database.close()
    assert told(home, "log.key").startswith("✓")
    (home.log / "keys" / "current").unlink()
    assert told(home, "log.key").startswith("✗") and "restore" in told(home, "log.key")


def test_a_service_that_is_up_or_down_or_not_ready_is_said(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home")
    port = free_port()
    (home.path / "sandbox.toml").write_text(f'port = {port}\n[worker]\nfloor = "process"\n')
    home = open_home(home.path)
    assert "nothing answers" in told(home, "service")
    gateway, database = open_gateway(home), Database(home.store)
    running = server.server(home, gateway, Accounts(database))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        assert "is ready" in told(home, "service")
        gateway.drain()
        assert "not ready: DS-705" in told(home, "service")
    finally:
        running.should_exit = True
        thread.join()
        gateway.close()
        database.close()


def test_a_collector_that_is_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = create_home(tmp_path / "home")
    assert told(home, "observe.traces") == ""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        place = f"http://127.0.0.1:{collector.getsockname()[1]}/v1/traces"
        (home.path / "sandbox.toml").write_text(f'[observe]\ntraces = "{place}"\n')
        assert told(home, "observe.traces").startswith("✓")
    assert "cannot be reached" in told(home, "observe.traces")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert "data-sandbox[telemetry]" in told(home, "observe.traces")


def test_where_no_box_can_be_built_notebooks_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poor: None
) -> None:
    home = create_home(tmp_path / "home")
    told = CliRunner().invoke(app, ["doctor", "--home", str(home.path), "--lang", "en"])
    assert "✗ notebooks: a box needs filter, namespaces" in told.stdout
    with monkeypatch.context() as without:
        without.setattr("importlib.util.find_spec", lambda name: None)
        told = CliRunner().invoke(app, ["doctor", "--home", str(home.path), "--lang", "en"])
        assert "jupyterlab, websockets, sandbox_client missing" in told.stdout
    file = home.path / "sandbox.toml"
    file.write_text(file.read_text().replace("port = 8351", "port = 0"))
    told = CliRunner().invoke(app, ["doctor", "--home", str(home.path), "--lang", "en"])
    assert "notebooks" not in told.stdout
