"""The ledger held against the log, in both stores: each kind of tampering is named, honest work never."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sandbox.errors import Code, Refusal
from sandbox.store.audit import Event
from sandbox.store.ledger import Charge, Ledger, Reservation
from sandbox.store.log.desk import Retention
from tests.support.logs import BUREAU, NOW, House


def charge(account: str, amount: int, limit: int = 100) -> Charge:
    return Charge(account, "rho", amount, 1, limit, 9)


def entered(house: House, kind: Event, request: str, nano: int) -> None:
    house.audit.append(kind, time=NOW, request=request, person="li/2", grant="g", nano=nano)


def paid(house: House, request: str, amount: int, *, ended: bool = True, limit: int = 100) -> None:
    """A query as the stages write it; its dataset counts in another unit."""
    ledger = Ledger(house.database)
    owed = (charge("d/person", amount + 5, limit), charge("g/person", amount, limit))
    with house.database.write():
        entered(house, Event.INTENT, request, amount)
        made = ledger.reserve(f"li/2/{request}", owed, NOW)
        assert isinstance(made, Reservation)
        made = ledger.touch(made)
    if ended:
        with house.database.write():
            ledger.commit(made)
            entered(house, Event.OUTCOME, request, amount)


def approve(house: House, account: str, limit: int, delta: int) -> None:
    with house.database.write():
        held = Ledger(house.database).approve(account, limit, delta)
        told = {"account": account, "to": held.limit, "delta_to": str(held.delta_limit)}
        house.audit.append(Event.APPROVAL, time=NOW, decision="approved", payload=told)


@pytest.fixture
def house(tmp_path: Path, place: str) -> Iterator[House]:
    """Spending with and without an end, a release, a free answer, a limit that sank, one that was raised."""
    made = House(tmp_path, place=place)
    ledger = Ledger(made.database)
    paid(made, "q1", 10)
    paid(made, "q2", 20, ended=False)
    back = ledger.reserve("li/2/q3", (charge("g/person", 7),), NOW)
    assert isinstance(back, Reservation)
    ledger.release(back)
    entered(made, Event.OUTCOME, "q4", 0)
    approve(made, "g/person", 150, 8)
    paid(made, "q5", 30, limit=150)
    made.audit.append(Event.APPROVAL, time=NOW, payload={"freeze": 1})
    yield made
    made.database.close()


def told(house: House) -> list[str]:
    """What ``sandbox audit verify`` refuses with."""
    with pytest.raises(Refusal) as caught:
        house.desk.verify(BUREAU)
    assert {reason.code for reason in caught.value.reasons} == {Code.LEDGER_DAMAGED}
    return [reason.subject for reason in caught.value.reasons]


def change(house: House, statement: str) -> None:
    with house.database.write() as connection:
        assert connection.execute(text(statement)).rowcount >= 1


def test_honest_work_agrees(house: House) -> None:
    assert house.desk.verify(BUREAU).money == []


def test_it_agrees_after_a_lawful_deletion(house: House) -> None:
    house.kept = Retention(personal_days=1)
    house.now = NOW + dt.timedelta(days=9)
    house.reopen()
    assert house.desk.purge()["personal"] >= 5
    assert house.desk.verify(BUREAU).purged >= 5
    Ledger(house.database).reserve("li/2/q8", (charge("g/person", 1, 150),), NOW)
    assert told(house) == ["a reservation without its intent: q8"]


SPENT = "g/person: 59 spent, 60 reserved"
TAMPERED = {
    "spent lowered": ("UPDATE ledger_accounts SET spent = 59 WHERE account = 'g/person'", [SPENT]),
    "delta lowered": (
        "UPDATE ledger_accounts SET delta_spent = 0 WHERE account = 'g/person'",
        ["g/person: 60 spent, 60 reserved"],
    ),
    "a charge lowered": (
        "UPDATE reservation_charges SET amount = 9 WHERE request = 'li/2/q1' AND account = 'g/person'",
        ["g/person: 60 spent, 59 reserved", "an answer without its charge: entry 1"],
    ),
    "a refund of what was read": (
        "UPDATE reservations SET state = 'released' WHERE request = 'li/2/q1'",
        ["d/person: 75 spent, 60 reserved", "g/person: 60 spent, 50 reserved"],
    ),
    "a reservation nobody asked for": (
        "UPDATE reservations SET state = 'touched' WHERE request = 'li/2/q3'",
        ["g/person: 60 spent, 67 reserved", "a reservation without its intent: q3"],
    ),
    "an end undone": (
        "UPDATE reservations SET state = 'touched' WHERE request = 'li/2/q1'",
        ["an answer without its charge: entry 1"],
    ),
    "a limit raised past its approval": (
        "UPDATE ledger_accounts SET approved_limit = 151 WHERE account = 'g/person'",
        ["g/person: a limit that nobody approved"],
    ),
    "a delta raised past its approval": (
        "UPDATE ledger_accounts SET approved_delta_limit = 9 WHERE account = 'g/person'",
        ["g/person: a limit that nobody approved"],
    ),
    "a limit raised without any": (
        "UPDATE ledger_accounts SET approved_limit = 101 WHERE account = 'd/person'",
        ["d/person: a limit that nobody approved"],
    ),
    "a delta raised without any": (
        "UPDATE ledger_accounts SET approved_delta_limit = 10 WHERE account = 'd/person'",
        ["d/person: a limit that nobody approved"],
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_named(house: House, name: str) -> None:
    statement, wanted = TAMPERED[name]
    change(house, statement)
    found = told(house)
    assert found[: len(wanted)] == wanted
    assert all("answer without its charge" in more for more in found[len(wanted) :])


def test_a_paid_answer_without_a_reservation_is_named(house: House) -> None:
    entered(house, Event.OUTCOME, "q7", 3)
    assert told(house) == [f"an answer without its charge: entry {house.audit.size() - 1}"]


def test_a_name_without_a_person_is_no_request(house: House) -> None:
    Ledger(house.database).reserve("nobody", (charge("g/person", 1, 150),), NOW)
    assert told(house) == ["a reservation without its intent: "]
