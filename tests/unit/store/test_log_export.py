"""Exports: every form holds every entry, and OCSF holds to its schema."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from sandbox.errors import Refusal
from sandbox.store.audit import Event
from sandbox.store.log import ocsf
from sandbox.store.log.desk import Retention
from sandbox.store.log.export import COLUMNS, Format
from tests.support.logs import BUREAU, NOW, OPERATOR, House

WHOLE = (
    *(Event.KEY, Event.PURGE, Event.APPROVAL, Event.CASE, Event.DELIVERY),
    *(Event.FREEZE, Event.LIFT, Event.RECOVER),
)
"""What the log must be able to tell for ever: its keys, what was deleted, decisions, freezes and fees."""
SCHEMA = json.loads((Path(__file__).parent / "ocsf_api_activity_1_3_0.json").read_text())


@pytest.fixture
def house(tmp_path: Path, place: str) -> Iterator[House]:
    opened = House(tmp_path, kept=Retention(personal_days=1), place=place)
    for kind in Event:
        opened.audit.append(
            kind,
            time=NOW,
            person="王芳" if kind is Event.INTENT else "",
            grant="G-1" if kind is Event.REFUSAL else "",
            datasets=["power"] if kind is Event.REFUSAL else [],
            codes=["DS-304", "DS-501"] if kind is Event.REFUSAL else [],
            decision="refused" if kind is Event.REFUSAL else "",
            text='SELECT "a",\n\u2028 1' if kind is Event.INTENT else "",
            nano=2**60,
        )
    yield opened
    opened.database.close()


def test_json_lines_hold_what_is_hashed_and_what_opens_it(house: House) -> None:
    head, *entries = (json.loads(line) for line in house.export().split("\n")[:-1])
    assert head["format"] == "data-sandbox/log/1"
    assert head["size"] == len(entries) == len(Event) + 1  # and the export itself
    assert [told["entry"]["seq"] for told in entries] == list(range(len(entries)))
    assert entries[0]["personal"]["text"] == 'SELECT "a",\n\u2028 1'
    assert entries[-1]["entry"]["kind"] == "export"
    assert house.export(start=len(Event)).count("\n") == 3  # the head, and two exports


def test_csv_reads_back(house: House) -> None:
    rows = list(csv.reader(io.StringIO(house.export(Format.CSV), newline="")))
    assert tuple(rows[0]) == COLUMNS
    first = dict(zip(rows[0], rows[1], strict=True))
    assert first["person"] == "王芳" and first["nano"] == str(2**60) and first["kind"] == "intent"
    assert first["time"] == "2026-11-22T12:00:00.000000Z"
    assert first["text"] == 'SELECT "a",\n\u2028 1'
    assert len(first["leaf"]) == 64


def test_every_kind_of_entry_is_a_valid_ocsf_event(house: House) -> None:
    assert set(ocsf.ACTIVITY) == {kind.value for kind in Event}
    events = [json.loads(line) for line in house.export(Format.OCSF).split("\n")[:-1]]
    for event in events:
        jsonschema.validate(event, SCHEMA)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    found = {event["api"]["operation"]: event for event in events}
    refusal = found["refusal"]
    assert (refusal["status_id"], refusal["severity_id"]) == (2, 2)
    assert refusal["status_detail"] == "DS-304, DS-501"
    assert refusal["resources"] == [{"type": "grant", "name": "G-1"}, {"type": "dataset", "name": "power"}]
    assert (found["intent"]["status_id"], found["intent"]["actor"]["user"]["name"]) == (0, "王芳")
    assert found["outcome"]["status_id"] == 1
    assert found["alert"]["severity_id"] == 4


def test_what_was_deleted_is_empty_in_every_form(house: House) -> None:
    house.now = NOW.replace(day=25)
    assert house.desk.purge(BUREAU)["personal"] == len(Event) - len(WHOLE)
    told = json.loads(house.export().split("\n")[1])
    assert (told["salt"], told["personal"]) == (None, None)
    rows = list(csv.DictReader(io.StringIO(house.export(Format.CSV), newline="")))
    assert (rows[0]["person"], rows[0]["text"], rows[0]["payload"]) == ("", "", "")
    event = json.loads(house.export(Format.OCSF).split("\n")[0])
    jsonschema.validate(event, SCHEMA)
    assert event["actor"]["user"]["name"] == "-"


def test_only_the_bureau_exports_and_it_is_on_record_first(house: House) -> None:
    with pytest.raises(Refusal):
        house.desk.export(OPERATOR, Format.JSONL)
    size = house.audit.size()
    lines = house.desk.export(BUREAU, Format.JSONL)
    assert house.audit.size() == size + 1
    entry = house.audit.entry(size)
    assert entry is not None and entry.kind == "export" and entry.person == "bureau"
    assert next(lines)
