"""Ingestion by a timer: once a period, tried again after a failure, which is an alert."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sandbox.doors.cli import app
from sandbox.snapshot import history
from tests.faults.ingest_crash import Campaign


def test_once_a_period_and_failures_are_alerts(tmp_path: Path) -> None:
    with contextlib.closing(Campaign(tmp_path, seed=6)) as campaign:
        campaign.source()
        words = ["ingest", "clinic", "--schedule", "--json"]
        visits = campaign.home.sources / "drop" / "visit.csv"
        text = visits.read_text(encoding="utf-8")
        visits.unlink()
        code, said = run(campaign, *words)
        assert code == 16 and said["reasons"]
        visits.write_text(text, encoding="utf-8")
        assert run(campaign, *words)[1]["snapshot"]
        assert run(campaign, *words) == (0, {"dataset": "clinic", "snapshot": None})
        assert "has its snapshot" in campaign.ran("ingest", "clinic", "--schedule", "--lang", "en")
        assert len(history(campaign.home.snapshots, "clinic")) == 1
        assert run(campaign, "ingest", "clinic", "--json")[0] == 0  # by hand, whenever
        assert len(history(campaign.home.snapshots, "clinic")) == 2
        visits.unlink()
        assert run(campaign, "ingest", "clinic", "--json")[0] == 16
        (alert,) = run(campaign, "log", "--kind", "alert", "--json")[1]["entries"]
        assert alert["datasets"] == ["clinic"] and alert["codes"]


def run(campaign: Campaign, *words: str) -> tuple[int, Any]:
    done = CliRunner().invoke(app, [*words, "--home", str(campaign.home.path)])
    return done.exit_code, json.loads(done.stdout)
