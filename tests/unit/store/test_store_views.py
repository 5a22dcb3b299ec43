"""Saved views, and what people read of the log: by role, on record."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.logbook import Logbook
from sandbox.store.search import LogFilter
from sandbox.store.views import MOST_VIEWS, View

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
BUREAU, ANN = Person("zhang", "bureau", "bureau"), Person("ann", "analyst", "one")


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


@pytest.fixture
def logbook(database: Database, log: AuditLog) -> Logbook:
    return Logbook(database, log, lambda: NOW)


def code_of(refused: pytest.ExceptionInfo[Refusal]) -> Code:
    return refused.value.reasons[0].code


def test_who_reads_what_is_on_record(log: AuditLog, logbook: Logbook) -> None:
    log.append(Event.REFUSAL, time=NOW, organisation="two", text="SELECT 1")
    log.append(Event.REFUSAL, time=NOW, organisation="one", text="SELECT 2")
    assert [e.text for e in logbook.page(ANN, LogFilter(text="select")).entries] == ["SELECT 2"]
    assert [e.text for e in logbook.page(BUREAU, LogFilter(kind=Event.REFUSAL)).entries] == [
        "SELECT 2",
        "SELECT 1",
    ]
    entry = logbook.entry(ANN, 1)
    assert entry.text == "SELECT 2"
    reads = [e for seq in range(2, log.size()) if (e := log.entry(seq))]
    assert [(e.kind, e.person) for e in reads] == [("read", "ann"), ("read", "zhang"), ("read", "ann")]
    told = [json.loads(e.payload) for e in reads]
    assert told[0] == {"filters": {"organisation": "one", "text": "select", "limit": "100"}, "entries": 1}
    assert told[2] == {"entry": 1}


@pytest.mark.parametrize(("person", "seq"), [(ANN, 0), (ANN, 9), (BUREAU, 9)])
def test_others_entries_are_as_if_they_were_not(
    log: AuditLog, logbook: Logbook, person: Person, seq: int
) -> None:
    log.append(Event.REFUSAL, time=NOW, organisation="two")
    with pytest.raises(Refusal) as refused:
        logbook.entry(person, seq)
    assert code_of(refused) is Code.NOT_FOUND
    assert log.size() == 1


def test_views_are_ones_own_or_shared(logbook: Logbook) -> None:
    logbook.save(BUREAU, "被拒", {"decision": "refused"}, shared=True)
    logbook.save(ANN, "mine", {"grant": "G-1"}, shared=False)
    logbook.save(ANN, "被拒", {"decision": "refused", "grant": "G-1"}, shared=False)
    logbook.save(ANN, "mine", {"grant": "G-2"}, shared=False)
    assert logbook.views(BUREAU) == (View("", "被拒", {"decision": "refused"}),)
    assert [(v.owner, v.name) for v in logbook.views(ANN)] == [("ann", "mine"), ("ann", "被拒"), ("", "被拒")]
    assert logbook.view(ANN, "mine").filters == {"grant": "G-2"}
    assert logbook.view(ANN, "被拒").filters == {"decision": "refused", "grant": "G-1"}
    logbook.drop(ANN, "被拒", shared=False)
    assert logbook.view(ANN, "被拒").filters == {"decision": "refused"}
    logbook.drop(BUREAU, "被拒", shared=True)
    for again in (lambda: logbook.view(ANN, "被拒"), lambda: logbook.drop(BUREAU, "被拒", shared=True)):
        with pytest.raises(Refusal) as refused:
            again()
        assert code_of(refused) is Code.NOT_FOUND


def test_only_the_bureau_shares(logbook: Logbook) -> None:
    for attempt in (
        lambda: logbook.save(ANN, "x", {}, shared=True),
        lambda: logbook.drop(ANN, "x", shared=True),
    ):
        with pytest.raises(Refusal) as refused:
            attempt()
        assert code_of(refused) is Code.ROLE


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 61])
def test_a_view_needs_a_plain_name(logbook: Logbook, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        logbook.save(ANN, name, {}, shared=False)
    assert code_of(refused) is Code.REQUEST


def test_views_are_bounded(logbook: Logbook) -> None:
    for number in range(MOST_VIEWS):
        logbook.save(ANN, str(number), {}, shared=False)
    with pytest.raises(Refusal) as refused:
        logbook.save(ANN, "one more", {}, shared=False)
    assert code_of(refused) is Code.REQUEST
    assert len(logbook.views(ANN)) == MOST_VIEWS
    logbook.save(ANN, "0", {"code": "DS-304"}, shared=False)
    assert logbook.view(ANN, "0").filters == {"code": "DS-304"}
