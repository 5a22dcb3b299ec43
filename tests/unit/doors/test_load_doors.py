"""An incremental load by command: what the log, the owner and the others are told of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from typer.testing import CliRunner

from sandbox.doors.cli import app
from tests.faults.ingest_crash import ROWS, Campaign


def test_what_a_load_read_is_logged_and_counted_for_the_owner_alone(tmp_path: Path) -> None:
    with contextlib.closing(Campaign(tmp_path, seed=8)) as campaign:
        campaign.ran("people", "add", "wang", "--role", "owner", "--organisation", "测试")
        campaign.repeat(campaign.source())
        now = campaign.source()
        said = said_by(campaign, "ingest", "clinic", "--as", "wang", "--lang", "en")
        # The newest value is read again, and so is the line that is no row.
        assert f"visit load (append): {2 * ROWS + 1:,} read, 0 kept; {ROWS:,} added, 0 changed" in said
        campaign.look(now)
        assert not campaign.found.partial and not campaign.found.mismatched
        (entry, *_) = json.loads(said_by(campaign, "log", "--kind", "ingest", "--json"))["entries"]
        assert "append" in json.dumps(entry) and str(ROWS) not in json.dumps(entry["payload"])
        of = "clinic@" + campaign.truth.popitem()[0]
        assert "append" in said_by(campaign, "lineage", of, "--lang", "en")
        for person, told in (("wang", True), ("bureau", False)):
            (snapshot,) = json.loads(said_by(campaign, "lineage", of, "--as", person, "--json"))["snapshots"]
            load = next(t["load"] for t in snapshot["tables"] if t["name"] == "visit")
            assert load["mode"] == "append" and ("read" in load) is told
        campaign.source()
        assert "visit load" not in said_by(campaign, "ingest", "clinic", "--full", "--lang", "en")
        assert "full" in said_by(campaign, "lineage", "clinic@" + newest(campaign), "--lang", "en")


def newest(campaign: Campaign) -> str:
    return (campaign.home.snapshots / "clinic" / "CURRENT").read_text().strip()


def said_by(campaign: Campaign, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--home", str(campaign.home.path)])
    assert done.exit_code == 0, done.output
    return done.stdout
