"""Encryption at rest: nothing lies on the disk in plain, whenever one looks, and only the right key opens it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.doors.cli import app
from sandbox.gateway import _keys, open_gateway
from sandbox.home import SETTINGS_FILE, open_home
from sandbox.snapshot import current, read_key
from sandbox.snapshot.parquet import encrypted
from tests.faults.ingest_crash import Campaign

KEY = "5f" * 32
OPEN = {"manifest.json", "CURRENT", ".CURRENT.new", "salt", ".salt.new", ".lock"}
"""Files without a row: facts that the catalogue tells too, names, and a secret of its own."""
STEPS = [
    "rows read",
    "units numbered",
    "quarantine kept",
    "table written",
    "cube built",
    "hashed",
    "in force",
]
GRANT = """
kind: grant
id: ID
to: clinics
scenario: {id: S-1, zh: 测试, en: Test}
purpose: 测试
period: {from: 2025-01-01, until: 2030-12-31}
data: {clinic.visit: [who, kind, fee]}
guard: GUARD
release: auto
"""
GUARDS = {
    "G-DP": "{mode: dp, epsilon: {query: 1, total: 16}, delta: 1.0e-6, groups: 4, units: 5}",
    "G-EXACT": "{mode: exact, queries: {day: 100, total: 100}}",
}
SQL = "SELECT kind, COUNT(*) AS n FROM visit GROUP BY kind"


def keep(campaign: Campaign, reference: str) -> None:
    """Set ``encryption.key``."""
    file = campaign.home.path / SETTINGS_FILE
    text = file.read_text(encoding="utf-8")
    head, _, rest = text.partition("[encryption]\n")
    line, _, rest = rest.partition("\n")
    assert line.startswith("key = ")
    file.write_text(f"{head}[encryption]\nkey = {json.dumps(reference)}\n{rest}", encoding="utf-8")


def key_file(path: Path, key: str, mode: int = 0o600) -> Path:
    path.write_text(key + "\n", encoding="ascii")
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("encrypted")
    with contextlib.closing(Campaign(folder, seed=3)) as found:
        key_file(folder / "home" / "master", KEY)
        keep(found, "file:master")
        for id, guard in GUARDS.items():
            text = GRANT.replace("ID", id).replace("GUARD", guard)
            (found.home.policies / f"{id}.yaml").write_text(text, encoding="utf-8")
        found.ran("people", "add", "li", "--role", "analyst", "--organisation", "clinics")
        found.source()
        assert "published" in found.ran("ingest", "clinic", "--lang", "en")
        yield found


def plain(campaign: Campaign) -> set[str]:
    """Files of the home's data that are neither encrypted nor without rows."""
    home = campaign.home
    files = {f for folder in (home.snapshots, home.spill) for f in folder.rglob("*") if f.is_file()}
    assert files
    return {str(f) for f in files if f.name not in OPEN and f.stat().st_size and not encrypted(f)}


def carried_along(campaign: Campaign) -> list[Path]:
    """What one ingestion goes on from: the map of units, and the base of incremental loads."""
    folder = campaign.home.snapshots / "clinic"
    files = [folder / "units" / "person.parquet", *(folder / "base").rglob("*.parquet")]
    assert len(files) == 2
    return files


def ask(campaign: Campaign, grant: str, sql: str = SQL) -> str:
    words = ["query", sql, "--grant", grant, "--as", "li", "--json", "--home", str(campaign.home.path)]
    return CliRunner().invoke(app, words).output


def test_nothing_is_plain_on_the_disk_at_any_step(campaign: Campaign) -> None:
    """Neither when all is done nor in what a killed ingestion leaves: no database, no spill, no quarantine."""
    assert plain(campaign) == set()
    quarantined = campaign.home.snapshots / "clinic" / "quarantine"
    assert {f.name for f in quarantined.rglob("*.parquet")} == {"person.parquet", "visit.parquet"}
    for step in STEPS:
        campaign.source()
        campaign.die(step)
        assert plain(campaign) == set(), step
    assert campaign.unreached == []
    assert "published" in campaign.ran("ingest", "clinic", "--lang", "en")
    assert plain(campaign) == set()


@pytest.mark.parametrize("grant", list(GUARDS))
def test_the_right_key_answers_and_a_wrong_or_missing_one_is_refused(campaign: Campaign, grant: str) -> None:
    master = campaign.home.path / "master"
    assert len(json.loads(ask(campaign, grant))["rows"]) == 2
    keep(campaign, f"command:cat {master}")
    assert len(json.loads(ask(campaign, grant))["rows"]) == 2
    for reference, key, mode, code in (
        ("file:master", "aa" * 32, 0o600, "DS-615"),
        ("", KEY, 0o600, "DS-615"),
        ("file:master", KEY, 0o644, "DS-613"),
        ("file:master", KEY[2:], 0o600, "DS-613"),
        ("file:gone", KEY, 0o600, "DS-613"),
        ("command:false", KEY, 0o600, "DS-613"),
    ):
        key_file(master, key, mode)
        keep(campaign, reference)
        before = current(campaign.home.snapshots, "clinic").id
        for said in (ask(campaign, grant), campaign.ran("ingest", "clinic")):
            assert code in said and key not in said and "master" not in said
        assert current(campaign.home.snapshots, "clinic").id == before
    key_file(master, KEY)
    keep(campaign, "file:master")


@pytest.mark.parametrize("condition", ["kind = 1", "kind IN (1)", "fee < 900", "fee BETWEEN 10 AND 20"])
def test_conditions_on_encrypted_tables(campaign: Campaign, condition: str) -> None:
    """The engine takes an encrypted file for forged where conditions reach its scan."""
    said = ask(campaign, "G-DP", f"SELECT COUNT(*) AS n FROM visit WHERE {condition}")
    assert len(json.loads(said)["rows"]) == 1


def test_a_worker_is_given_the_keys_of_its_files_and_cannot_spill(campaign: Campaign) -> None:
    snapshot = current(campaign.home.snapshots, "clinic")
    master = read_key("file:master", campaign.home.path)
    given = _keys(["clinic.visit#cube", "clinic.visit"], (snapshot,), master)
    assert set(given) == {"clinic.visit#cube", "clinic.visit"}
    sealing = snapshot.sealing(master)
    others = [
        sealing.table("person"),
        sealing.units("person"),
        sealing.quarantine("visit"),
        bytes.fromhex(KEY),
    ]
    assert len({*given.values(), *others}) == 6
    assert KEY not in repr(master) and KEY not in repr(sealing)
    gateway = open_gateway(open_home(campaign.home.path))
    try:
        person = next(p for p in gateway.accounts.people() if p.name == "li")
        engine = gateway._context(person, "G-DP").engine
        assert engine.box().spill is None  # type: ignore[attr-defined]  # of the one engine that there is
    finally:
        gateway.close()


def test_only_the_owner_reads_quarantine_and_it_is_logged(campaign: Campaign) -> None:
    campaign.ran("people", "add", "wang", "--role", "owner", "--organisation", "测试")
    words = ["dataset", "quarantine", "clinic", "--home", str(campaign.home.path)]
    shown = CliRunner().invoke(app, [*words, "visit", "--as", "wang"])
    assert shown.exit_code == 0 and "range fee" in shown.stdout
    assert CliRunner().invoke(app, [*words, "visit"]).exit_code == 18
    assert CliRunner().invoke(app, [*words, "nothing", "--as", "wang"]).exit_code == 18
    log = ["log", "--kind", "read", "--person", "wang", "--json", "--home", str(campaign.home.path)]
    assert len(json.loads(CliRunner().invoke(app, log).stdout)["entries"]) == 1


def test_encrypting_later_takes_the_plain_map_along(tmp_path: Path) -> None:
    with contextlib.closing(Campaign(tmp_path, seed=4)) as campaign:
        campaign.repeat(campaign.source())
        assert len(plain(campaign)) == 7  # two tables, a cube, a map, a base, two tables in quarantine
        key_file(campaign.home.path / "master", KEY)
        keep(campaign, "file:master")
        campaign.source()
        assert not any(encrypted(file) for file in carried_along(campaign))
        campaign.ran("ingest", "clinic")
        assert all(encrypted(file) for file in carried_along(campaign))
        assert current(campaign.home.snapshots, "clinic").manifest.sequence == 2
