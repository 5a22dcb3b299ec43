"""Guessing tokens from one address comes to an end; who has a token, and everybody elsewhere, is not held up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from sandbox.doors import reception
from sandbox.doors.reception import AGAIN, TRIES, Reception
from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.log.desk import Desk
from sandbox.store.passwords import STEP, seal
from sandbox.store.passwords import TRIES as LIMIT
from tests.unit.doors.conftest import NOW, Client

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class House:
    """A reception with a clock of its own; whom the log was told of."""

    def __init__(self, database: Database) -> None:
        self.now = NOW
        self.came: list[Person | None] = []
        self.accounts = Accounts(database)
        self.locked: list[str] = []
        desk = cast(Desk, SimpleNamespace(came=self.came.append, locked=self.locked.append))
        self.reception = Reception(self.accounts, desk, lambda: self.now)

    def token(self, name: str) -> str:
        return self.accounts.issue(Person(name, "analyst", "o"), "t", self.now)

    def guess(self, times: int, address: str = HOME) -> None:
        for number in range(times):
            assert self.reception.bearer(f"ds_guess{number}", address) is None

    def refused(self, token: str = "ds_guess", address: str = HOME) -> bool:
        try:
            self.reception.bearer(token, address)
        except Refusal as refusal:
            return refusal.reasons[0].code is Code.TRIES
        return False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = Database(tmp_path / "reception.db")
    yield House(database)
    database.close()


def test_after_so_many_wrong_tokens_an_address_is_refused_and_the_store_not_asked(house: House) -> None:
    house.guess(TRIES)
    assert house.refused()
    assert house.came == [None] * TRIES


def test_a_token_that_was_valid_lately_is_not_held_up(house: House) -> None:
    mine, new = house.token("li"), house.token("wang")
    assert house.reception.bearer(mine, HOME) is not None
    house.guess(TRIES)
    assert not house.refused(mine)
    assert house.refused(new) and not house.refused(new, ELSEWHERE)
    assert not house.refused(new), "shown elsewhere, it is known"


def test_a_try_comes_back_every_few_seconds(house: House) -> None:
    house.guess(TRIES)
    house.now += AGAIN - dt.timedelta(milliseconds=1)
    assert house.refused()
    house.now += dt.timedelta(milliseconds=1)
    house.guess(1)
    assert house.refused()
    house.now += 1000 * AGAIN
    house.guess(TRIES)
    assert house.refused()


def test_a_clock_that_jumps_back_gives_no_try(house: House) -> None:
    house.guess(TRIES)
    house.now -= dt.timedelta(days=1)
    assert house.refused()


def test_a_token_that_was_revoked_is_known_no_more(house: House) -> None:
    mine = house.token("li")
    assert house.reception.bearer(mine, HOME) is not None
    house.accounts.shut(house.now)
    assert house.reception.bearer(mine, HOME) is None
    house.guess(TRIES - 1)
    assert house.refused(mine)


@pytest.mark.parametrize(
    ("address", "neighbour", "shared"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.9", False),
        ("a socket", "a socket", True),
    ],
)
def test_who_shares_the_tries_of_an_address(house: House, address: str, neighbour: str, shared: bool) -> None:
    house.guess(TRIES, address)
    assert house.refused(address=address)
    assert house.refused(address=neighbour) is shared


def test_what_is_remembered_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "REMEMBERED", 3)
    for number in range(5):
        house.guess(TRIES, f"192.0.2.{number}")
    assert [house.refused(address=f"192.0.2.{n}") for n in (2, 3, 4)] == [True, True, True]
    house.guess(TRIES, "192.0.2.0")  # long forgotten


def test_every_door_counts_the_same_tries(client: Client) -> None:
    for _ in range(TRIES):
        assert client.get("/v1/catalog", headers={"authorization": "Bearer ds_x"}).status_code == 401
    refused = client.get("/v1/catalog", headers={"authorization": "Bearer ds_x"})
    assert (refused.status_code, refused.json()["code"]) == (429, Code.TRIES.id)
    assert refused.headers["retry-after"] == "60"
    page = client.get("/console/", headers={"authorization": "Bearer ds_x"})
    assert page.status_code == 429 and "DS-808" in page.text


def test_a_cookie_that_is_worth_nothing_is_taken_away(client: Client) -> None:
    del client.headers["authorization"]
    page = client.get("/console/", headers={"cookie": "ds_session=ds_x"}, follow_redirects=False)
    assert page.status_code == 303
    assert "ds_session=" in page.headers["set-cookie"] and "Max-Age=0" in page.headers["set-cookie"]


def test_no_other_site_may_read_or_send(client: Client) -> None:
    """Strict CORS: nothing is ever allowed across origins, not even asking whether it is."""
    origin = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    for answer in (
        client.request("OPTIONS", "/v1/queries", headers=origin),
        client.get("/healthz", headers=origin),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert client.request("OPTIONS", "/v1/queries", headers=origin).status_code == 405


def test_passwords_cost_tries_too_and_what_locks_an_account_is_entered(house: House) -> None:
    ann, factor = Person("ann", "analyst", "o"), bytes(20)
    house.token("ann")
    assert not house.reception.local("ann")
    code = TOTP(factor, 6, SHA1(), STEP).generate(int(NOW.timestamp())).decode()
    passwords = house.accounts.passwords
    passwords.put(ann, seal(ann, "correct horse battery", factor, code, NOW), NOW)
    (spare, *_) = passwords.renew(ann)
    assert house.reception.local("ann")
    assert house.reception.enter("ann", "correct horse battery", spare, HOME) == ann
    assert house.came == [ann]
    for number in range(LIMIT):
        assert house.locked == []
        assert house.reception.enter("ann", f"wrong {number}", "1", ELSEWHERE) is None
    assert house.locked == ["ann"]
    for _ in range(TRIES - LIMIT):
        assert house.reception.enter("nobody", "wrong", "1", ELSEWHERE) is None
    assert house.locked == ["ann"]
    with pytest.raises(Refusal) as caught:
        house.reception.enter("nobody", "wrong", "1", ELSEWHERE)
    assert caught.value.code is Code.TRIES
