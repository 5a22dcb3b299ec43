"""Proofs of the log at the doors: commands over a real home, addresses over the real application."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sandbox.doors.cli import app
from sandbox.home import open_home, read_settings
from sandbox.store.audit import Event
from sandbox.store.database import Database
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.keys import Keys
from tests.support.logs import Verifier
from tests.unit.doors.conftest import NOW, POLICIES, Client, SimpleGateway


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def good(*words: str) -> str:
    found = run(*words)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture(params=["sha256", "sm3"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    monkeypatch.setenv("SANDBOX_HOME", str(place))
    good("init", "--hash", request.param, "--origin", "bureau.example/log")
    return place


@pytest.fixture
def verifier(home: Path, tmp_path: Path) -> Verifier:
    head = json.loads(good("audit", "checkpoint", "--json"))
    assert head["origin"] == "bureau.example/log"
    return Verifier(tmp_path / "v", head["keys"][0])


def test_every_proof_of_the_commands_verifies_elsewhere(
    home: Path, verifier: Verifier, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    good("audit", "checkpoint", "--output", str(held))
    assert verifier.accepts(held.read_text(encoding="utf-8"), good("audit", "prove", "0"))
    rotation = good("audit", "rotate")
    assert verifier.accepts(rotation, good("audit", "prove", "--held", str(held)))
    assert verifier.accepts(good("audit", "export"))
    assert json.loads(good("audit", "verify", "--held", str(held), "--json"))["entries"] >= 3
    assert "entries are what was signed" in good("audit", "verify", "--lang", "en")
    assert good("audit", "export", "--format", "csv", "--start", "1").startswith("seq,time,kind")
    assert json.loads(good("audit", "export", "--format", "ocsf").split("\n")[0])["class_uid"] == 6003


def test_witnesses_and_retention_are_settings(home: Path, tmp_path: Path) -> None:
    assert "no witness" in good("audit", "witness", "--lang", "en")
    settings = home / "sandbox.toml"
    text = settings.read_text(encoding="utf-8").replace("places = []", 'places = ["heads/owner"]')
    settings.write_text(text.replace("personal_days = 0", "personal_days = 1"), encoding="utf-8")
    told = json.loads(good("audit", "witness", "--status", "--json"))
    assert told["witnesses"][0]["size"] == 0
    assert "heads/owner" in good("audit", "witness")
    assert (home / "heads" / "owner").read_text(encoding="utf-8").startswith("bureau.example/log\n1\n")
    assert json.loads(good("audit", "purge", "--json")) == {"personal": 0, "answers": 0}
    assert "0" in good("audit", "purge", "--lang", "en")
    with pytest.raises(Exception, match=r"witness\.places"):
        read_settings(b"[witness]\nplaces = [1]\n")
    with pytest.raises(Exception, match=r"witness\.places"):
        read_settings(b"[witness]\nplaces = 'x'\n")


def test_what_does_not_verify_is_a_code(home: Path, tmp_path: Path) -> None:
    (tmp_path / "forged").write_text("bureau.example/log\n5\nAAAA\n\n— x AAAA\n", encoding="utf-8")
    assert run("audit", "verify", "--held", str(tmp_path / "forged")).exit_code == 19
    assert run("audit", "prove", "99").exit_code == 18
    assert run("audit", "prove").exit_code == 2
    assert run("audit", "checkpoint", "--output", str(tmp_path / "no" / "file")).exit_code == 18
    assert run("init", "--origin", "a b", "--home", str(tmp_path / "other")).exit_code == 2
    for key in (home / "log" / "keys").glob("*.key"):
        key.unlink()
    found = run("audit", "checkpoint", "--lang", "en")
    assert found.exit_code == 19 and "DS-905" in found.stderr


def test_a_query_writes_its_receipt(
    home: Path, verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good("people", "add", "ann", "--role", "analyst", "--organisation", "operator-a")
    asked = ("query", "SELECT 1", "--as", "ann", "--grant")
    found = run(*asked, "G-NONE", "--receipt", str(tmp_path / "receipt"))
    assert found.exit_code == 13
    assert verifier.accepts((tmp_path / "receipt").read_text(encoding="utf-8"))
    opened = open_home(home)
    simple = SimpleGateway(Database(opened.store), opened.log)
    monkeypatch.setattr("sandbox.gateway.open_gateway", lambda _: simple)
    good(*asked, "G-1", "--receipt", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()  # this gateway proves nothing


def test_addresses_prove_what_one_may_read(client: Client, gateway: SimpleGateway, tmp_path: Path) -> None:
    client.get("/v1/log")
    foreign = gateway._log.append(Event.LOGIN, time=NOW, organisation="operator-b")
    head = client.get("/v1/log/checkpoint").json()
    verifier = Verifier(tmp_path / "v", head["keys"][0])
    assert verifier.accepts(head["checkpoint"])
    login = client.get("/v1/log/0/receipt").json()
    assert json.loads(login["entry"])["kind"] == "login"
    assert json.loads(login["personal"])["person"] == "li"
    client.get("/v1/log")
    grown = client.get("/v1/log/consistency", params={"start": str(head["size"])}).json()
    assert verifier.accepts(login, grown)
    for path, code in (
        (f"/v1/log/{foreign}/receipt", "DS-804"),
        ("/v1/log/999/receipt", "DS-804"),
        ("/v1/log/x/receipt", "DS-803"),
        (f"/v1/log/{2**63}/receipt", "DS-803"),
        ("/v1/log/consistency", "DS-803"),
        ("/v1/log/consistency?start=-1", "DS-803"),
        ("/v1/log/consistency?start=1&x=1", "DS-803"),
        ("/v1/log/consistency?start=99999", "DS-904"),
    ):
        assert client.get(path).json()["code"] == code, path


def test_rejected_tokens_are_entered(client: Client, gateway: SimpleGateway) -> None:
    client.headers["authorization"] = "Bearer nonsense"
    assert client.get("/v1/budget").status_code == 401
    entry = gateway._log.entry(0)
    assert entry is not None and (entry.kind, entry.decision) == ("login", "denied")


def test_a_store_from_a_backup_is_recovered_on_record(home: Path, tmp_path: Path) -> None:
    shutil.copytree(POLICIES / "flights", home / "policies" / "flights")
    held, store = tmp_path / "held", home / "store.db"
    good("audit", "checkpoint")
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        source.backup(copy)
    good("people", "add", "li", "--role", "analyst", "--organisation", "x")
    good("audit", "checkpoint", "--output", str(held))
    for part in home.glob("store.db*"):
        part.unlink()
    shutil.copy2(tmp_path / "backup.db", store)
    found = run("audit", "checkpoint", "--lang", "en")
    assert found.exit_code == 19
    assert "DS-903" in found.stderr
    assert "sandbox audit recover" in found.stderr
    assert run("audit", "recover").exit_code == 2
    assert run("audit", "recover", "--reason", " ").exit_code == 2
    told = json.loads(good("audit", "recover", "--reason", "the disk died", "--held", str(held), "--json"))
    assert told["recovered"]["signed"] > told["recovered"]["entries"]
    assert told["recovered"]["proved"]
    assert told["recovered"]["spent"].keys() >= {"flights/aircraft", "G-FLIGHTS-DP/aircraft@flights"}
    verifier = Verifier(tmp_path / "new", told["recovered"]["key"])
    assert verifier.accepts(good("audit", "export"))
    good("audit", "verify")
    assert run("audit", "recover", "--reason", "again").exit_code == 18


def test_a_recovery_that_was_cut_off_is_completed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good("audit", "checkpoint")
    held, log = tmp_path / "held", open_home(home).log
    signer = Keys(log / "keys").signer()
    held.write_text(Checkpoint(signer.public.name, 99, bytes(32)).signed(signer), encoding="utf-8")
    words = ("audit", "recover", "--reason", "the disk died", "--held", str(held), "--lang", "en")
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", full_disk)
        assert run(*words).exit_code == 19
    assert "DS-905" in run("audit", "checkpoint").stderr
    assert "complete now" in good(*words)
    second = Checkpoint("bureau.example/log/recovered-1", 99, bytes(32)).signed(Keys(log / "keys").signer())
    held.write_text(second, encoding="utf-8")
    said = good(*words)
    assert "at least 96 are lost" in said
    assert "this cannot be proved of them" in said
    assert "everything is frozen" in said


def full_disk(*_: object) -> None:
    raise OSError("no space")
