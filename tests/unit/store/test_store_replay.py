"""The log read from its beginning: page after page, between two times, for one organisation."""

from __future__ import annotations

import datetime as dt

import pytest

from sandbox.policy.workflow.states import State, Verb
from sandbox.store import replay as pages
from sandbox.store.audit import AuditLog, Event
from sandbox.store.cases import Step, advised, approvals
from sandbox.store.database import Database
from sandbox.store.replay import replay

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize("slice", [1, 2, 3, 1_000])
def test_every_entry_once_and_oldest_first(
    database: Database, monkeypatch: pytest.MonkeyPatch, slice: int
) -> None:
    monkeypatch.setattr(pages, "SLICE", slice)
    log = AuditLog(database)
    for number in range(6):
        kind = Event.LOGIN if number == 2 else Event.CASE
        log.append(kind, time=NOW + number * DAY, organisation=f"o{number % 2}")

    cases = (Event.CASE,)
    assert [e.seq for e in replay(database, cases)] == [0, 1, 3, 4, 5]
    assert [e.seq for e in replay(database, cases, organisation="o1")] == [1, 3, 5]
    assert [e.seq for e in replay(database, cases, NOW + DAY, NOW + 4 * DAY)] == [1, 3]
    assert list(replay(database, cases, NOW + 9 * DAY)) == []
    assert [e.seq for e in replay(database, (Event.LOGIN, Event.CASE))] == list(range(6))


def test_opinions_and_approvals_hold_for_one_text_until_it_is_written_anew() -> None:
    def step(verb: Verb, person: str, hash: str) -> Step:
        return Step(verb, person, f"of {person}", hash, State.SUBMITTED, "", NOW, 0)

    steps = [
        step(Verb.SUBMIT, "ann", "1"),
        step(Verb.ADVISE, "bob", "1"),
        step(Verb.NOTE, "cid", "1"),
        step(Verb.ADVISE, "dan", "another text"),
        step(Verb.APPROVE, "eve", "1"),
        step(Verb.APPROVE, "fay", "another text"),
    ]
    assert [*advised(steps, "1"), *approvals(steps, "1")] == ["of bob", "eve"]
    anew = [*steps, step(Verb.REVISE, "ann", "1"), step(Verb.ADVISE, "gus", "1")]
    assert [*advised(anew, "1"), *approvals(anew, "1")] == ["of gus"]
