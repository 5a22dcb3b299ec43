"""Sessions: begun by a token, worth something at one door and for a time, ended everywhere at once."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.schema import sessions as table
from sandbox.store.sessions import GLANCE, IDLE, LONGEST, Entrance, Sessions

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ANN = Person("ann", "analyst", "晋数金科")
TICK = dt.timedelta(microseconds=1)
CONSOLE, NOTEBOOKS = Entrance.CONSOLE, Entrance.NOTEBOOKS


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


@pytest.fixture
def sessions(accounts: Accounts) -> Sessions:
    return accounts.sessions


@pytest.fixture
def token(accounts: Accounts) -> str:
    return accounts.issue(ANN, "laptop", NOW)


def test_a_session_is_its_tokens_person_and_neither_is_in_the_store(
    sessions: Sessions, token: str, path: Path
) -> None:
    secret = sessions.begin(token, NOW)
    assert sessions.who(secret, CONSOLE, NOW) == ANN
    assert sessions.begin(token, NOW) != secret != token
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert hashlib.sha256(secret.encode()).digest() in stored
    assert secret.encode() not in stored


@pytest.mark.parametrize("secret", ["", "guess", "\ud800", "水", "x" * 10_000])
def test_an_unknown_secret_is_nobody(sessions: Sessions, token: str, secret: str) -> None:
    sessions.begin(token, NOW)
    assert sessions.who(secret, CONSOLE, NOW) is None
    assert sessions.follow(secret, NOTEBOOKS, NOW) is None
    sessions.end(secret, NOW)
    assert sessions.who(token, CONSOLE, NOW) is None


def test_one_that_nobody_uses_ends(sessions: Sessions, token: str) -> None:
    secret = sessions.begin(token, NOW)
    assert sessions.who(secret, CONSOLE, NOW + IDLE) is None
    assert sessions.who(secret, CONSOLE, NOW + IDLE - TICK) == ANN
    assert sessions.who(secret, CONSOLE, NOW + 2 * IDLE - 2 * TICK) == ANN


def test_use_is_noted_now_and_then(sessions: Sessions, token: str) -> None:
    secret = sessions.begin(token, NOW)
    assert sessions.who(secret, CONSOLE, NOW + GLANCE - TICK) == ANN
    assert sessions.who(secret, CONSOLE, NOW + IDLE) is None  # it was too soon to be noted


def test_none_lasts_longer_than_the_longest_and_is_then_forgotten(
    sessions: Sessions, token: str, database: Database
) -> None:
    secret, at = sessions.begin(token, NOW), NOW
    while (at := at + IDLE / 2) < NOW + LONGEST:
        assert sessions.who(secret, CONSOLE, at) == ANN
    assert sessions.who(secret, CONSOLE, NOW + LONGEST) is None
    sessions.begin(token, NOW + LONGEST)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 1


def test_a_session_is_of_one_door(sessions: Sessions, token: str) -> None:
    secret = sessions.begin(token, NOW)
    further = sessions.follow(secret, NOTEBOOKS, NOW + IDLE / 2)
    assert further is not None
    assert sessions.who(further, NOTEBOOKS, NOW + IDLE) == ANN
    assert sessions.who(further, CONSOLE, NOW) is sessions.who(secret, NOTEBOOKS, NOW) is None
    assert sessions.follow(further, CONSOLE, NOW) is None  # one leads on from the console alone
    assert sessions.who(further, NOTEBOOKS, NOW + LONGEST) is None  # as old as the sign-in


def test_signing_out_anywhere_ends_it_everywhere_and_nobody_elses(sessions: Sessions, token: str) -> None:
    for leaving in (0, 1):
        first, other = sessions.begin(token, NOW), sessions.begin(token, NOW)
        further = sessions.follow(first, NOTEBOOKS, NOW)
        assert further is not None
        sessions.end((first, further)[leaving], NOW)
        assert sessions.who(first, CONSOLE, NOW) is sessions.who(further, NOTEBOOKS, NOW) is None
        assert sessions.who(other, CONSOLE, NOW) == ANN


def test_a_session_ends_with_its_token(accounts: Accounts, sessions: Sessions) -> None:
    end = NOW + dt.timedelta(minutes=5)
    brief, long = accounts.issue(ANN, "brief", NOW, end), accounts.issue(ANN, "long", NOW)
    first, second = sessions.begin(brief, NOW), sessions.begin(long, NOW)
    assert sessions.who(first, CONSOLE, end - TICK) == ANN
    assert sessions.who(first, CONSOLE, end) is None
    accounts.shut(NOW)
    assert sessions.who(second, CONSOLE, NOW) is None


def test_a_person_of_another_role_has_it_at_once(accounts: Accounts, sessions: Sessions, token: str) -> None:
    secret, moved = sessions.begin(token, NOW), Person("ann", "operator", "晋数金科")
    accounts.change(moved)
    assert sessions.who(secret, CONSOLE, NOW) == moved


def test_a_session_without_a_token_lives_by_itself(
    sessions: Sessions, accounts: Accounts, token: str
) -> None:
    by_token = sessions.begin(token, NOW)
    admitted = sessions.admit(ANN, NOW)
    assert sessions.token(by_token) == accounts.tokens("ann")[0].id
    assert sessions.token(admitted) is None and sessions.token("guess") is None
    further = sessions.follow(admitted, NOTEBOOKS, NOW)
    assert further is not None
    accounts.revoke(accounts.tokens("ann")[0].id, NOW)
    assert sessions.who(by_token, CONSOLE, NOW) is None
    assert sessions.who(admitted, CONSOLE, NOW) == ANN == sessions.who(further, NOTEBOOKS, NOW)
    sessions.end_all("ann", NOW)
    assert sessions.who(admitted, CONSOLE, NOW) is None is sessions.who(further, NOTEBOOKS, NOW)
