"""How an account came to what is left of it, and what was asked of a dataset."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.model import Person
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger, Reservation
from sandbox.store.logbook import Logbook
from sandbox.store.search import LogFilter, LogSearch

NOW = dt.datetime(2026, 3, 4, 22, 10, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "store.db")
    yield opened
    opened.close()


def test_a_course_adds_up_by_hours_to_what_is_spent(database: Database) -> None:
    ledger = Ledger(database)
    kept = []
    for i, (account, amount, after) in enumerate(
        [("G/p", 5, 0 * HOUR), ("G/p", 7, HOUR / 3), ("x/p", 1, HOUR), ("G/p", 11, 2 * HOUR)]
    ):
        made = ledger.reserve(f"r{i}", (Charge(account, "zcdp", amount, 0, 100, 0),), NOW + after)
        assert isinstance(made, Reservation)
        kept.append(made)
    back = ledger.reserve("gone", (Charge("G/p", "zcdp", 50, 0, 100, 0),), NOW + 3 * HOUR)
    assert isinstance(back, Reservation)
    ledger.release(back)
    first = NOW.replace(minute=0)
    assert ledger.course("G/p") == ((first, 12), (first + 2 * HOUR, 11))
    balance = ledger.balance("G/p")
    assert balance is not None and sum(amount for _, amount in ledger.course("G/p")) == balance.spent
    assert ledger.course("nobody") == ()


def test_what_was_asked_of_a_dataset_is_told_and_is_an_entry(database: Database) -> None:
    log = AuditLog(database)
    book = Logbook(database, log, lambda: NOW)
    told = [(Event.OUTCOME, "med"), (Event.REFUSAL, "med"), (Event.OUTCOME, "power"), (Event.INTENT, "med")]
    for kind, dataset in (*told, (Event.OUTCOME, "med")):
        log.append(kind, time=NOW, request="r", datasets=[dataset], text="SELECT 1")
    owner = Person("zhao", "owner", "省医疗保障局")
    assert [e.seq for e in book.of_dataset(owner, "med", 20).entries] == [4, 1, 0]
    assert [e.seq for e in book.of_dataset(owner, "med", 2).entries] == [4, 1]
    read = LogSearch(database).entries(LogFilter(kind=Event.READ)).entries
    assert len(read) == 2 and read[0].person == "zhao" and '"dataset":"med"' in read[0].payload
