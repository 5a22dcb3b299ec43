"""From any answer back to its sources: entry, snapshots, tables, conditions, documents and code."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import sandbox
from sandbox.doors.cli import app
from sandbox.home import open_home
from sandbox.policy.load import load
from sandbox.snapshot import current
from sandbox.store.database import Database
from sandbox.store.lineage import announced, read_by
from tests.faults.ingest_crash import Campaign
from tests.faults.test_encrypted import GRANT, GUARDS, SQL


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with contextlib.closing(Campaign(tmp_path_factory.mktemp("lineage"), seed=5)) as found:
        for id, guard in GUARDS.items():
            text = GRANT.replace("ID", id).replace("GUARD", guard)
            (found.home.policies / f"{id}.yaml").write_text(text, encoding="utf-8")
        source = found.home.policies / "drop.yaml"
        narrowed = "table: visit, where: [kind >= 1]"
        text = source.read_text(encoding="utf-8").replace("table: visit", narrowed)
        source.write_text(text, encoding="utf-8")
        found.source()
        run(found, "people", "add", "li", "--role", "analyst", "--organisation", "clinics")
        assert run(found, "ingest", "clinic").exit_code == 0
        yield found


def run(campaign: Campaign, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--home", str(campaign.home.path)])


def told(campaign: Campaign, *words: str) -> Any:
    done = run(campaign, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("grant", list(GUARDS))
def test_an_answer_leads_to_its_sources_even_after_later_snapshots(campaign: Campaign, grant: str) -> None:
    before = current(campaign.home.snapshots, "clinic")
    answer = told(campaign, "query", SQL, "--grant", grant, "--as", "li")
    campaign.source()
    assert run(campaign, "ingest", "clinic").exit_code == 0
    again = told(campaign, "query", SQL, "--grant", grant, "--as", "li")
    found = told(campaign, "lineage", str(answer["receipt"]))
    assert found["answer"]["grant"] == grant
    (snapshot,) = found["snapshots"]
    assert (snapshot["id"], snapshot["sha256"]) == (before.id, before.manifest.sha256)
    dataset = load([campaign.home.policies]).dataset("clinic")
    assert dataset is not None
    assert (snapshot["document"], snapshot["code"]) == (dataset.hash, sandbox.__version__)
    (later,) = told(campaign, "lineage", str(again["receipt"]))["snapshots"]
    assert later["id"] == current(campaign.home.snapshots, "clinic").id != before.id


def test_a_snapshot_names_the_source_the_table_and_the_conditions(campaign: Campaign) -> None:
    snapshot = current(campaign.home.snapshots, "clinic")
    (found,) = told(campaign, "lineage", f"clinic@{snapshot.id}")["snapshots"]
    person, visit = (t["origin"] for t in found["tables"])
    assert person == {
        "source": "",
        "connector": "file",
        "table": "person.parquet",
        "where": [],
        "document": "",
    }
    document = visit.pop("document")
    assert visit == {"source": "drop", "connector": "csv", "table": "visit", "where": ["kind >= 1"]}
    shown = run(campaign, "lineage", f"clinic@{snapshot.id}").stdout
    assert "csv drop visit kind >= 1" in shown and "file person.parquet" in shown
    # Another condition is another document.
    source = campaign.home.policies / "drop.yaml"
    source.write_text(source.read_text(encoding="utf-8").replace(">= 1", ">= 0"), encoding="utf-8")
    assert run(campaign, "ingest", "clinic").exit_code == 0
    after = current(campaign.home.snapshots, "clinic").manifest.table("visit")
    assert after is not None and after.origin is not None and after.origin.document != document


def test_what_is_no_answer_and_no_snapshot_is_refused(campaign: Campaign) -> None:
    for of in ("0", "99999", "clinic", "clinic@x", "clinic@../../etc", "../x@y"):
        assert run(campaign, "lineage", of).exit_code in (16, 18), of
    assert run(campaign, "lineage", "0", "--as", "li").exit_code == 18


def test_the_log_knows_every_snapshot_and_what_each_query_read(campaign: Campaign) -> None:
    answer = told(campaign, "query", SQL, "--grant", "G-EXACT", "--as", "li")
    database = Database(open_home(campaign.home.path).store)
    try:
        snapshot = current(campaign.home.snapshots, "clinic").id
        read = read_by(database, answer["receipt"])
        assert read is not None and read.snapshots == (("clinic", snapshot),)
        assert read_by(database, 0) is None and read_by(database, 10**6) is None
        assert announced(database, "clinic", snapshot) is not None
        assert announced(database, "clinic", "x") is None
    finally:
        database.close()
