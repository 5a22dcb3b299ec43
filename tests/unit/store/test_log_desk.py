"""Who may ask for which proof, what is entered about it, and lawful deletion."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.store import in_force
from sandbox.store.answers import Answers, Stored
from sandbox.store.audit import AuditLog, Event
from sandbox.store.log import retention
from sandbox.store.log.desk import Retention
from tests.support.logs import BUREAU, NOW, OPERATOR, House, Verifier

OWNER = Person("li", "owner", "卫健委")
DAY = dt.timedelta(days=1)


@pytest.fixture
def house(tmp_path: Path, place: str) -> Iterator[House]:
    opened = House(tmp_path, place=place)
    opened.fill(5)
    yield opened
    opened.database.close()


def last(house: House) -> tuple[str, str, str, dict[str, object]]:
    entry = house.audit.entry(house.audit.size() - 1)
    assert entry is not None
    return entry.kind, entry.person, entry.decision, json.loads(entry.payload)


def test_receipts_are_for_the_organisation_and_the_bureau(house: House) -> None:
    assert house.desk.receipt(OPERATOR, 3).index == house.desk.receipt(BUREAU, 3).index == 3
    for person, seq in ((OWNER, 3), (BUREAU, 5)):
        with pytest.raises(Refusal) as caught:
            house.desk.receipt(person, seq)
        assert caught.value.code is Code.NOT_FOUND


def test_verifying_is_entered(house: House) -> None:
    held = house.desk.publish()
    assert house.desk.verify(OWNER, held).entries == 5
    assert last(house) == ("read", "li", "done", {"entries": 5, "tiles": 0, "what": "verify"})
    assert house.desk.held(held)["from"] == 5
    assert house.desk.consistency(2)["from"] == 2
    with pytest.raises(Refusal):
        house.desk.verify(OPERATOR)
    with pytest.raises(Refusal):
        house.desk.rotate(OWNER)
    with pytest.raises(Refusal):
        house.desk.purge(OWNER)


def test_who_comes_is_entered_once_in_a_while(house: House) -> None:
    size = house.audit.size()
    for person in (OPERATOR, OPERATOR, OWNER, None, None):
        house.desk.came(person)
    assert house.audit.size() == size + 3
    assert last(house) == ("login", "", "denied", {})
    house.now += dt.timedelta(minutes=2)
    house.desk.came(None)
    house.desk.came(OPERATOR)
    assert house.audit.size() == size + 4
    house.now += dt.timedelta(hours=1)
    house.desk.came(OPERATOR)
    assert last(house) == ("login", "王芳", "granted", {})
    house.now -= dt.timedelta(days=1)  # a clock that jumps back silences nobody
    house.desk.came(OPERATOR)
    assert house.audit.size() == size + 7  # and is itself an alarm


def test_what_locked_an_account_is_entered(house: House) -> None:
    house.desk.locked("ann")
    assert last(house) == ("account", "", "denied", {"locked": "ann"})


def test_a_start_says_what_was_made_again(house: House) -> None:
    house.desk.started("0.1")
    kind, _, decision, told = last(house)
    assert (kind, decision, told["version"], told["repaired"]) == ("start", "done", "0.1", "")


def test_nothing_is_purged_unless_set(house: House) -> None:
    assert house.desk.purge(BUREAU) == house.desk.purge() == {"personal": 0, "answers": 0}
    assert house.audit.size() == 5


def test_purges_are_entered_and_the_tree_stays_valid(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)
    verifier = Verifier(tmp_path / "v", house.log.keys.signer().public.text)
    answers = Answers(house.database)
    answers.put(Stored("G", "s", "r", 1, b"", "{}", NOW))
    assert verifier.accepts(house.export())
    house.desk.rotate(BUREAU)
    before, house.now = house.audit.size(), NOW + 10 * DAY
    house.fill(3)
    house.kept = Retention(personal_days=5, answers_days=5)
    house.reopen()
    assert house.desk.purge(BUREAU) == {"personal": 6, "answers": 1}  # all but the rotation's
    assert answers.best("G", "s", "r", 0) is None
    assert [house.audit.entry(seq).kind for seq in range(before + 3, before + 7)] == ["purge"] * 4  # type: ignore[union-attr]
    assert last(house)[3] == {"before": (NOW + 5 * DAY).isoformat(), "rows": 1, "what": "answers"}
    assert house.desk.purge() == {"personal": 0, "answers": 0}
    gone, kept = house.audit.entry(0), house.audit.entry(before)
    assert gone is not None and (gone.person, gone.text, gone.organisation) == ("", "", "晋数金科")
    assert kept is not None and kept.text == "SELECT 0"
    assert house.log.verify().purged == 6
    assert verifier.accepts(house.export())
    receipt = house.desk.receipt(OPERATOR, 0)
    assert (receipt.salt, receipt.personal) == (None, None)


def test_only_the_past_is_purged(house: House) -> None:
    answers = Answers(house.database)
    with pytest.raises(ValueError, match="up to now"):
        retention.purge_personal(house.database, house.audit, NOW + DAY, NOW)
    with pytest.raises(ValueError, match="up to now"):
        retention.purge_answers(house.database, answers, house.audit, NOW + DAY, NOW)


def test_a_change_of_a_document_is_entered_by_whoever_sees_it_first(house: House) -> None:
    def seen(**found: str) -> int | None:
        names = {name.replace("_", " "): hash for name, hash in found.items()}
        return in_force.note(house.database, house.audit, names, NOW)

    assert seen(dataset_med="1", grant_G="2") == 5
    assert seen(dataset_med="1", grant_G="2") is None
    entry = house.audit.entry(5)
    assert entry is not None and (entry.kind, entry.datasets) == ("policy", ("med",))
    assert seen(dataset_med="3", grant_G="2") == 6
    assert last(house)[3] == {"changes": [{"document": "dataset med", "old": "1", "new": "3"}]}
    assert seen(dataset_med="3") == 7
    assert last(house)[3] == {"changes": [{"document": "grant G", "old": "2", "new": ""}]}


def test_two_gateways_enter_one_change_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = iter([{}, {"grant G": "1"}])
    monkeypatch.setattr(in_force, "_known", lambda _: next(looked))
    assert in_force.note(house.database, house.audit, {"grant G": "1"}, NOW) is None


def test_a_clock_that_jumps_back_is_an_alarm_and_times_never_fall(house: House) -> None:
    log = AuditLog(house.database)
    times = [
        NOW - dt.timedelta(seconds=1),
        NOW - dt.timedelta(hours=2),
        NOW - dt.timedelta(hours=1),
        NOW + DAY,
    ]
    for time in times:
        log.append(Event.LOGIN, time=time)
    found = [log.entry(seq) for seq in range(5, log.size())]
    assert [(e.kind, e.time) for e in found if e is not None] == [
        ("login", NOW),
        ("login", NOW),
        ("alert", NOW),
        ("login", NOW),
        ("login", NOW + DAY),
    ]
    alarm = found[2]
    assert alarm is not None and json.loads(alarm.payload) == {"alarm": "clock", "behind_us": 7_200_000_000}
    assert house.log.verify().entries == 10


def test_what_becomes_of_notebooks_is_entered(house: House) -> None:
    house.desk.notebook(OPERATOR, "started")
    assert last(house) == ("notebook", "王芳", "done", {"what": "started"})
