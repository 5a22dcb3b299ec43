"""The ledger: what is charged, refused, refunded, kept, and counted."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.errors import Refusal
from sandbox.store.database import Database
from sandbox.store.ledger import MOST, Account, Charge, Ledger, Reservation, Short, State, StateError

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=1)


def charge(account: str = "g/person", amount: int = 10, limit: int = 100, **other: Any) -> Charge:
    facts = {"measure": "rho", "delta": 0, "delta_limit": 0, **other}
    return Charge(account=account, amount=amount, limit=limit, **facts)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def reserve(ledger: Ledger, request: str, *charges: Charge) -> Reservation:
    made = ledger.reserve(request, charges, NOW)
    assert isinstance(made, Reservation)
    return made


def spent(ledger: Ledger, account: str = "g/person") -> int:
    found = ledger.balance(account)
    return 0 if found is None else found.spent


def test_a_reservation_is_charged_to_the_last_unit(ledger: Ledger) -> None:
    assert ledger.balance("g/person") is None
    first = charge(amount=60, delta=3, delta_limit=5)
    made = reserve(ledger, "r1", first)
    assert made == Reservation("r1", (first,), State.RESERVED, NOW)
    assert ledger.balance("g/person") == Account("g/person", "rho", 60, 100, 3, 5)
    over = charge(amount=41, delta=2, delta_limit=5)
    assert ledger.reserve("r2", (over,), NOW) == Short((over,))
    reserve(ledger, "r3", charge(amount=40, delta=2, delta_limit=5))
    assert spent(ledger) == 100


def test_delta_is_a_limit_of_its_own(ledger: Ledger) -> None:
    over = charge(delta=6, delta_limit=5)
    assert ledger.reserve("r1", (over,), NOW) == Short((over,))
    assert spent(ledger) == 0


def test_nothing_is_charged_when_the_second_account_does_not_fit(ledger: Ledger) -> None:
    reserve(ledger, "r0", charge("d/person", amount=95))
    fits, over, over_too = charge("a/person"), charge("d/person"), charge("e/person", limit=9)
    assert ledger.reserve("r1", (over_too, over, fits), NOW) == Short((over, over_too))
    assert {found.account: found.spent for found in ledger.balances()} == {
        "a/person": 0,
        "d/person": 95,
        "e/person": 0,
    }
    assert ledger.reservation("r1") is None
    assert [kept.request for kept in ledger.orphans()] == ["r0"]


def test_an_edited_limit_refills_nothing(ledger: Ledger) -> None:
    reserve(ledger, "r1", charge(amount=80))
    lowered = charge(amount=1, limit=50)
    assert ledger.reserve("r2", (lowered,), NOW) == Short((lowered,))
    assert ledger.balance("g/person") == Account("g/person", "rho", 80, 50, 0, 0)  # applied at once


def test_a_raised_limit_counts_once_it_is_approved(ledger: Ledger) -> None:
    reserve(ledger, "r1", charge(amount=80))
    raised, over = charge(amount=40, limit=120), charge(amount=41, limit=120)
    assert ledger.reserve("r2", (raised,), NOW) == Short((raised,), ("g/person",))
    assert ledger.reserve("r3", (over,), NOW) == Short((over,))  # approval would not help
    reserve(ledger, "r4", charge(amount=15, limit=120))  # within what is in force
    held = ledger.balance("g/person")
    assert held == Account("g/person", "rho", 95, 100, 0, 0)
    assert held.covers(100, 0) and not held.covers(101, 0) and not held.covers(1, 1)
    assert ledger.approve("g/person", 120, 0) == Account("g/person", "rho", 95, 120, 0, 0)
    reserve(ledger, "r5", charge(amount=25, limit=120))
    assert spent(ledger) == 120
    with pytest.raises(ValueError, match="no such account"):
        ledger.approve("other/person", 120, 0)


def test_a_limit_that_was_lowered_is_raised_by_approval_alone(ledger: Ledger) -> None:
    reserve(ledger, "r1", charge(delta=1, limit=100, delta_limit=9))
    reserve(ledger, "r2", charge(delta=1, limit=50, delta_limit=5))
    back = charge(amount=40, delta=1, limit=100, delta_limit=9)
    assert ledger.reserve("r3", (back,), NOW) == Short((back,), ("g/person",))
    deltas = charge(amount=1, delta=4, limit=100, delta_limit=9)
    assert ledger.reserve("r4", (deltas,), NOW) == Short((deltas,), ("g/person",))
    assert ledger.balance("g/person") == Account("g/person", "rho", 20, 50, 2, 5)


def test_an_account_keeps_its_measure(ledger: Ledger) -> None:
    reserve(ledger, "r1", charge())
    with pytest.raises(ValueError, match="measure"):
        ledger.reserve("r2", (charge("a/person"), charge(measure="epsilon")), NOW)
    assert [found.account for found in ledger.balances()] == ["g/person"]
    assert spent(ledger) == 10


def test_the_same_request_is_charged_once(ledger: Ledger) -> None:
    made = reserve(ledger, "r1", charge("b/person"), charge("a/person"))
    assert reserve(ledger, "r1", charge("a/person", limit=20), charge("b/person")) == made
    ledger.commit(ledger.touch(made))
    assert reserve(ledger, "r1", charge("a/person"), charge("b/person")).state is State.COMMITTED
    assert spent(ledger, "a/person") == spent(ledger, "b/person") == 10
    for other in (charge("a/person"), charge("b/person", amount=11)):
        with pytest.raises(ValueError, match="other charges"):
            ledger.reserve("r1", (other,), NOW)


def test_only_one_of_two_holders_may_execute(ledger: Ledger) -> None:
    made = reserve(ledger, "r1", charge())
    again = reserve(ledger, "r1", charge())
    assert ledger.touch(made).state is State.TOUCHED
    with pytest.raises(StateError):
        ledger.touch(again)


def test_a_release_refunds_until_data_was_touched(ledger: Ledger) -> None:
    made = reserve(ledger, "r1", charge(delta=2, delta_limit=2), charge("d/person"))
    assert ledger.release(made).state is State.RELEASED
    assert ledger.balance("g/person") == Account("g/person", "rho", 0, 100, 0, 2)
    assert spent(ledger, "d/person") == 0
    with pytest.raises(ValueError, match="released"):
        ledger.release(made)
    touched = ledger.touch(reserve(ledger, "r2", charge()))
    with pytest.raises(ValueError, match="released"):
        ledger.release(touched)
    with pytest.raises(StateError):
        ledger.release(ledger.commit(touched))
    assert spent(ledger) == 10


def test_commit_follows_touch(ledger: Ledger) -> None:
    made = reserve(ledger, "r1", charge())
    with pytest.raises(StateError):
        ledger.commit(made)
    touched = ledger.touch(made)
    assert ledger.commit(touched).state is State.COMMITTED
    with pytest.raises(StateError):
        ledger.commit(touched)
    kept = ledger.reservation("r1")
    assert kept is not None
    assert kept.state is State.COMMITTED


def test_a_released_request_may_be_reserved_afresh_and_is_charged(ledger: Ledger) -> None:
    stale = reserve(ledger, "r1", charge())
    ledger.release(stale)
    over = charge(amount=101)
    assert ledger.reserve("r1", (over,), NOW) == Short((over,))
    fresh = ledger.reserve("r1", (charge(amount=30),), LATER)
    assert fresh == Reservation("r1", (charge(amount=30),), State.RESERVED, LATER)
    assert spent(ledger) == 30
    with pytest.raises(StateError):  # a handle from before the release moves nothing
        ledger.touch(stale)
    with pytest.raises(StateError):
        ledger.release(stale)
    assert spent(ledger) == 30


def test_the_largest_amounts_do_not_overflow(ledger: Ledger) -> None:
    most = charge(amount=MOST, limit=MOST, delta=MOST, delta_limit=MOST)
    reserve(ledger, "r1", most)
    assert ledger.reserve("r2", (most,), NOW) == Short((most,))
    assert ledger.balance("g/person") == Account("g/person", "rho", MOST, MOST, MOST, MOST)


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, MOST + 1, "1", None])
def test_an_amount_is_a_positive_whole_number(amount: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        charge(amount=amount)


@pytest.mark.parametrize("field", ["delta", "limit", "delta_limit"])
@pytest.mark.parametrize("value", [-1, False, 0.5, float("inf"), MOST + 1])
def test_deltas_and_limits_are_whole_numbers_from_zero(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        charge(**{field: value})


def test_a_reservation_needs_an_id_and_distinct_accounts(ledger: Ledger) -> None:
    for request, charges in (("", (charge(),)), ("r1", ()), ("r1", (charge(), charge(amount=1)))):
        with pytest.raises(ValueError, match="one charge for each"):
            ledger.reserve(request, charges, NOW)
    with pytest.raises(ValueError, match="zone"):
        ledger.reserve("r1", (charge(),), NOW.replace(tzinfo=None))
    assert ledger.balances() == ()


def test_orphans_are_listed_oldest_first_and_before_a_moment(ledger: Ledger) -> None:
    second = ledger.reserve("a", (charge(), charge("d/person")), LATER)
    first = ledger.touch(reserve(ledger, "b", charge()))
    ledger.commit(ledger.touch(reserve(ledger, "c", charge())))
    ledger.release(reserve(ledger, "d", charge()))
    assert ledger.orphans() == (first, second)
    assert ledger.orphans(before=LATER) == (first,)


def test_threads_spend_the_budget_exactly(ledger: Ledger) -> None:
    def ask(number: int) -> bool:
        charges = (charge(amount=7, limit=7 * 20), charge("d/person", amount=7, limit=7 * 50))
        return isinstance(ledger.reserve(f"r{number}", charges, NOW), Reservation)

    with ThreadPoolExecutor(16) as pool:
        granted = sum(pool.map(ask, range(60)))
    assert granted == 20
    assert spent(ledger) == spent(ledger, "d/person") == 7 * 20
    assert len(ledger.orphans()) == 20


RACER = """
import datetime as dt, sys
from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger, Reservation
store = Database(sys.argv[1])
ledger = Ledger(store)
now = dt.datetime.now(dt.UTC)
granted = 0
for number in range(30):
    made = ledger.reserve(f"{sys.argv[2]}-{number}", (Charge("g", "rho", 3, 1, 150, 60),), now)
    if isinstance(made, Reservation):
        ledger.commit(ledger.touch(made))
        granted += 1
store.close()
print(granted)
"""


def test_processes_spend_the_budget_exactly(ledger: Ledger, place: str) -> None:
    command = [sys.executable, "-c", RACER, place]
    racers = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(3)
    ]
    granted = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(granted) == 50
    assert ledger.balance("g") == Account("g", "rho", 150, 150, 50, 60)
    assert ledger.orphans() == ()


CRASHER = """
import datetime as dt, os, signal, sys
from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger
store = Database(sys.argv[1])
ledger = Ledger(store)
now = dt.datetime.now(dt.UTC)
made = ledger.reserve("crashed", (Charge("g/person", "rho", 10, 0, 100, 0),), now)
if sys.argv[2] == "touched":
    ledger.touch(made)
with store.write() as connection:
    ledger.reserve("never", (Charge("g/person", "rho", 10, 0, 100, 0),), now)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("state", [State.RESERVED, State.TOUCHED])
def test_a_crash_leaves_its_reservation_spent(place: str, state: State) -> None:
    ended = subprocess.run([sys.executable, "-c", CRASHER, place, state.value], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    store = Database(place)
    ledger = Ledger(store)
    assert [(kept.request, kept.state) for kept in ledger.orphans()] == [("crashed", state)]
    assert spent(ledger) == 10
    store.close()


def test_trouble_of_the_store_is_a_refusal_and_charges_nothing(database: Database) -> None:
    ledger = Ledger(database)
    with pytest.raises(Refusal), database.write() as connection:
        ledger.reserve("r1", (charge(),), NOW)
        connection.exec_driver_sql("DROP TABLE nothing")
    assert ledger.balances() == ()


def test_queries_are_counted_by_day_and_in_total(ledger: Ledger) -> None:
    monday, tuesday = dt.date(2026, 11, 23), dt.date(2026, 11, 24)
    assert [ledger.use("g", monday, 2, 3) for _ in range(3)] == [True, True, False]
    assert [ledger.use("g", tuesday, 2, 3) for _ in range(2)] == [True, False]
    assert ledger.used("g", monday) == (2, 3)
    assert ledger.used("g", tuesday) == (1, 3)
    assert ledger.used("other", monday) == (0, 0)
    assert ledger.use("g", monday, 2, 9) is False  # the clock jumped back: the day is still used up
    assert ledger.use("g", tuesday, None, None) is True
    assert ledger.use("none", monday, 0, None) is False
    with pytest.raises(ValueError, match="quota"):
        ledger.use("g", monday, -1, None)


def test_a_request_is_counted_once(ledger: Ledger) -> None:
    day = dt.date(2026, 11, 23)
    assert [ledger.use("g", day, 2, 9, name) for name in ("a", "a", "b", "c", "c", "a")] == [
        True, True, True, False, False, True,
    ]  # fmt: skip
    assert ledger.used("g", day) == (2, 2)


def test_threads_use_the_quota_exactly(ledger: Ledger) -> None:
    day = dt.date(2026, 11, 23)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: ledger.use("g", day, 13, 99), range(40))) == 13
    assert ledger.used("g", day) == (13, 13)
