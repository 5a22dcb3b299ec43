"""Snapshots are kept as the dataset document says, and as long as an answer that is kept needs them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from sandbox.doors.cli import app
from sandbox.policy.documents import Dataset, Keep
from sandbox.policy.load import Source, load, read
from sandbox.snapshot import current, history
from sandbox.snapshot.retire import expired, retire
from sandbox.store.answers import Answers, Stored
from sandbox.store.database import Database
from tests.faults.ingest_crash import _DATASET, Campaign

LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with contextlib.closing(Campaign(tmp_path_factory.mktemp("kept"), seed=9)) as found:
        for _ in range(4):
            found.repeat(found.source())
        yield found


def dataset(campaign: Campaign) -> Dataset:
    (found,) = load([campaign.home.policies]).datasets
    return found


def test_the_newest_and_the_young_and_the_needed_stay(campaign: Campaign) -> None:
    root, rule = campaign.home.snapshots, dataset(campaign)
    one, two, *_ = ids = [s.id for s in history(root, "clinic")]
    assert expired(root, rule, (), LATER) == ()  # the document says nothing of it
    rules = {keep: replace(rule, keep=keep) for keep in (Keep(2), Keep(3), Keep(9), Keep(2, 30), Keep(2, 99))}
    gone = {keep: [s.id for s in expired(root, r, (), LATER)] for keep, r in rules.items()}
    assert gone == {
        Keep(2): ids[:2],
        Keep(3): ids[:1],
        Keep(9): [],
        Keep(2, 30): ids[:2],
        Keep(2, 99): [],
    }
    assert [s.id for s in expired(root, rules[Keep(2)], {f"clinic@{one}"}, LATER)] == [two]


def test_nothing_goes_that_the_log_was_not_told_of(campaign: Campaign) -> None:
    root = campaign.home.snapshots
    before = [s.id for s in history(root, "clinic")]

    def silent(_: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        retire(root, replace(dataset(campaign), keep=Keep(2)), frozenset, LATER, silent)
    assert [s.id for s in history(root, "clinic")] == before


def test_an_ingestion_removes_what_is_kept_no_longer_and_logs_it(campaign: Campaign) -> None:
    root = campaign.home.snapshots
    first, *_ = (s.id for s in history(root, "clinic"))
    database = Database(campaign.home.store)
    now = dt.datetime.now(dt.UTC)
    Answers(database).put(Stored("G", f"clinic@{first} other@x", "r", 1, b"", "{}", now))
    assert Answers(database).snapshots() == {f"clinic@{first}", "other@x"}
    database.close()
    document = campaign.home.policies / "clinic.yaml"
    text = document.read_text(encoding="utf-8")
    document.write_text(text.replace("snapshot: daily", "snapshot: daily\nkeep: {snapshots: 2}"), "utf-8")
    campaign.source()
    assert "earlier snapshots removed: 2" in campaign.ran("ingest", "clinic", "--lang", "en")
    left = [s.id for s in history(root, "clinic")]
    assert len(left) == 3 and left[0] == first
    for snapshot in history(root, "clinic"):
        snapshot.verify()
    assert {p.name for p in (root / "clinic" / "quarantine").iterdir()} == set(left)
    words = ["log", "--kind", "purge", "--json", "--home", str(campaign.home.path)]
    (entry,) = json.loads(CliRunner().invoke(app, words).stdout)["entries"]
    assert "clinic" in json.dumps(entry) and left[-1] not in json.dumps(entry)
    assert current(root, "clinic").id == left[-1]


def test_a_document_keeps_two_at_least() -> None:
    def of(keep: str) -> tuple[Keep | None, ...]:
        found = read([Source("a", _DATASET.replace("snapshot: daily", f"snapshot: daily\nkeep: {keep}"))])
        return tuple(d.keep for d in found.documents.datasets)

    assert of("{snapshots: 2}") == (Keep(2),)
    assert of("{snapshots: 3, days: 90}") == (Keep(3, 90),)
    assert of("{snapshots: 1}") == of("{days: 9}") == ()
