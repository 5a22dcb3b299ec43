"""The campaign of killed ingestions in its short form, and that it sees what is wrong."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sandbox.snapshot import current
from tests.faults.disk import ERRORS
from tests.faults.ingest_crash import Campaign, Found

STEPS = ["units numbered", "announced", "to be in force", "", *ERRORS]


def test_whatever_breaks_a_snapshot_is_whole_or_absent(tmp_path: Path) -> None:
    with contextlib.closing(Campaign(tmp_path, seed=7)) as campaign:
        assert list(campaign.run(STEPS)) == STEPS
    assert campaign.unreached == [] and campaign.found == Found()
    assert (campaign.kills, campaign.failures) == (len(STEPS) - len(ERRORS), len(ERRORS))


def forget_the_log(campaign: Campaign) -> None:
    with sqlite3.connect(campaign.home.store) as store:
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f'DROP TRIGGER "{name}"')
        store.execute("DELETE FROM audit_personal")
    store.close()


def lose_a_file(campaign: Campaign) -> None:
    snapshot = current(campaign.home.snapshots, "clinic")
    snapshot.files("visit")[0].unlink()


def test_the_campaign_finds_what_is_planted(tmp_path: Path) -> None:
    planted: dict[Callable[[Campaign], None], tuple[int, int]] = {forget_the_log: (0, 1), lose_a_file: (1, 0)}
    with contextlib.closing(Campaign(tmp_path, seed=8)) as campaign:
        now = campaign.source()
        campaign.repeat(now)
        assert campaign.found == Found()
        kept = tmp_path / "kept"
        shutil.copytree(campaign.home.path, kept)
        for plant, (partial, mismatched) in planted.items():
            plant(campaign)
            campaign.look(now)
            found, campaign.found = campaign.found, Found()
            assert (len(found.partial), len(found.mismatched)) == (partial, mismatched), plant
            shutil.rmtree(campaign.home.path)
            shutil.copytree(kept, campaign.home.path)
        campaign.look(campaign.source())
        assert campaign.found == Found()  # still that of before
        campaign.truth[current(campaign.home.snapshots, "clinic").id] = campaign.source()
        campaign.look(now)
        assert len(campaign.found.mismatched) == 1
