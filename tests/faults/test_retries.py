"""One request, however often it is sent: after a lost answer, at once, at two gateways, after a restart.

Every try crosses the real HTTP door; whatever comes back with rows has the same rows, and one is paid for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.doors.asking import Asked
from sandbox.home import Home
from sandbox.model import Person
from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger, Reservation
from sandbox.store.search import LogSearch
from tests.corpus.house import OPERATOR, Inside
from tests.faults.race import EPSILON, decimal, make_home
from tests.support.postgres import Server

NANO = EPSILON * 1000
ANN = "ann"


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    place = "store.db"
    if request.param == "postgresql":
        found: Server = request.getfixturevalue("server")
        place = found.database()
    return make_home(tmp_path / "home", place, 10 * EPSILON)


@pytest.fixture
def served(home: Home) -> Iterator[Inside]:
    house = Inside(home)
    yield house
    house.close()


def ask(house: Inside, token: str, key: str, question: int = 0, name: str = "sql") -> httpx.Response:
    body = {
        name: f"SELECT COUNT(*) AS n FROM visit WHERE fee > {question}",
        "grant": "G-RACE",
        "epsilon": decimal(EPSILON),
        "idempotency_key": key,
    }
    url = f"http://127.0.0.1:{house.port}/v1/queries"
    return httpx.post(url, json=body, headers={"authorization": f"Bearer {token}"}, timeout=60)


def spent(home: Home) -> int:
    database = Database(home.store)
    try:
        return sum(a.spent for a in Ledger(database).balances() if a.account.startswith("G-RACE/"))
    finally:
        database.close()


def rows(answers: list[httpx.Response]) -> list[Any]:
    found = [(a.json()["rows"], a.json()["margins"]) for a in answers if a.status_code == 200]
    assert all(one == found[0] for one in found)
    return found


def test_tries_at_once_have_one_answer_and_one_charge(home: Home, served: Inside) -> None:
    token = served.token(ANN)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(served, token, "k"), range(8)))
    assert [a.status_code for a in answers] == [200] * 8
    assert len(rows(answers)) == 8
    assert sum(not a.json()["price"]["free"] for a in answers) == 1
    assert len({a.json()["request"] for a in answers}) == 1
    assert spent(home) == NANO
    database = Database(home.store)
    assert not LogSearch(database).missing_outcomes()
    database.close()


def test_tries_at_two_gateways_have_one_answer_and_one_charge(home: Home, served: Inside) -> None:
    other = Inside(home)
    token = served.token(ANN)
    try:
        for question in range(4):
            with ThreadPoolExecutor(6) as pool:
                houses = [served, other] * 3
                answers = list(pool.map(lambda h, q=question: ask(h, token, f"k{q}", q), houses))
            assert {a.status_code for a in answers} <= {200, 409}
            assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"DS-504"}
            last = ask(other, token, f"k{question}", question)  # who was told to ask again does
            assert last.status_code == 200 and last.json()["price"]["free"]
            assert rows([*answers, last])
            assert spent(home) == NANO * (question + 1)
    finally:
        other.close()


def test_a_try_after_a_restart_has_the_answer_and_no_charge(home: Home) -> None:
    first = Inside(home)
    token = first.token(ANN)
    before = ask(first, token, "k")
    first.close()
    second = Inside(home)
    try:
        after = ask(second, token, "k")
        assert rows([before, after])
        assert after.json()["price"]["free"] and not before.json()["price"]["free"]
        assert after.json()["request"] == before.json()["request"]
        assert spent(home) == NANO
        assert ask(second, token, "other").json()["price"]["free"]  # the question is known, whatever the key
        assert spent(home) == NANO
    finally:
        second.close()


def test_a_try_of_what_a_crash_cut_off_is_not_drawn_again(home: Home, served: Inside) -> None:
    """Its charge stands and is shown; the same key gets no second noise for it, a new one is charged."""
    token = served.token(ANN)
    now = dt.datetime.now(dt.UTC)
    person = Person(ANN, "operator", OPERATOR)
    sql = "SELECT COUNT(*) AS n FROM visit WHERE fee > 7"
    asked = Asked(sql, "G-RACE", None, "cut off").request(person, now)
    database = Database(home.store)
    ledger = Ledger(database)
    charge = Charge("G-RACE/person@race", "pure", NANO, 0, 10 * NANO, 0)
    made = ledger.reserve(f"{ANN}/{asked.id}", (charge,), now)
    assert isinstance(made, Reservation)
    ledger.touch(made)
    database.close()

    url, bearer = f"http://127.0.0.1:{served.port}/v1", {"authorization": f"Bearer {token}"}
    body = {"sql": sql, "grant": "G-RACE", "idempotency_key": "cut off"}
    again = httpx.post(f"{url}/queries", json=body, headers=bearer, timeout=60)
    assert (again.status_code, again.json()["code"]) == (409, "DS-504")
    (shown,) = httpx.get(f"{url}/budget", headers=bearer).json()["balances"]
    assert (shown["spent"], shown["unfinished"]) == (NANO, NANO)
    fresh = httpx.post(f"{url}/queries", json={**body, "idempotency_key": "new"}, headers=bearer, timeout=60)
    assert fresh.status_code == 200 and not fresh.json()["price"]["free"]
    assert spent(home) == 2 * NANO
