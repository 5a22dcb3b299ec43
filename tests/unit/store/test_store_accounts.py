"""People and tokens."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pytest

from sandbox.model import Person
from sandbox.policy.scopes import Scope
from sandbox.store.accounts import ROLES, Accounts, Bearer, Entry
from sandbox.store.database import Database
from sandbox.store.identities import Identity
from sandbox.store.sessions import Entrance

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ANN = Person("ann", "analyst", "晋数金科")


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


def test_a_token_names_its_person(accounts: Accounts) -> None:
    token = accounts.issue(ANN, "laptop", NOW)
    assert token.startswith("ds_")
    assert len(token) == 3 + 43  # 256 bits in base64url
    assert accounts.bearer(token, NOW) == Bearer(ANN, Scope.ALL)
    assert accounts.people() == (ANN,)
    assert accounts.issue(ANN, "laptop", NOW) != token


def test_the_token_itself_is_not_in_the_store(accounts: Accounts, database: Database, path: Path) -> None:
    token = accounts.issue(ANN, "laptop", NOW)
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert hashlib.sha256(token.encode()).digest() in stored
    assert token.encode() not in stored
    assert token[3:].encode() not in stored


@pytest.mark.parametrize("token", ["", "ds_", "ds_guess", "\ud800", "水", "x" * 10_000])
def test_an_unknown_token_is_nobody(accounts: Accounts, token: str) -> None:
    accounts.issue(ANN, "laptop", NOW)
    assert accounts.bearer(token, NOW) is None


def test_a_token_ends_at_its_expiry(accounts: Accounts) -> None:
    end = NOW + dt.timedelta(days=1)
    token = accounts.issue(ANN, "week", NOW, end)
    assert accounts.bearer(token, end - dt.timedelta(microseconds=1)) == Bearer(ANN, Scope.ALL)
    assert accounts.bearer(token, end) is None
    with pytest.raises(ValueError, match="future"):
        accounts.issue(ANN, "late", NOW, NOW)


def test_a_revoked_token_is_nobody_and_others_stay(accounts: Accounts) -> None:
    end = NOW + dt.timedelta(days=1)
    first, second = accounts.issue(ANN, "a", NOW, end), accounts.issue(ANN, "b", NOW + dt.timedelta(1))
    listed = accounts.tokens("ann")
    assert [(token.label, token.expires, token.revoked) for token in listed] == [
        ("a", end, None),
        ("b", None, None),
    ]
    assert accounts.revoke(listed[0].id, NOW) is True
    assert accounts.revoke(listed[0].id, NOW) is False
    assert accounts.revoke("unknown", NOW) is False
    assert accounts.bearer(first, NOW) is None
    assert accounts.bearer(second, NOW) == Bearer(ANN, Scope.ALL)
    assert [token.revoked for token in accounts.tokens("ann")] == [NOW, None]
    assert accounts.tokens("bob") == ()


def test_a_person_has_one_role_and_organisation_until_changed(accounts: Accounts) -> None:
    token = accounts.issue(ANN, "a", NOW)
    moved = Person("ann", "operator", "另一家")
    with pytest.raises(ValueError, match="another role"):
        accounts.issue(moved, "b", NOW)
    assert len(accounts.tokens("ann")) == 1
    accounts.change(moved)
    assert accounts.bearer(token, NOW) == Bearer(moved, Scope.ALL)
    with pytest.raises(ValueError, match="no person"):
        accounts.change(Person("bob", "bureau", "x"))


@pytest.mark.parametrize(
    "person", [Person("ann", "root", "x"), Person("", "owner", "x"), Person("ann", "owner", "")]
)
def test_a_person_has_a_name_an_organisation_and_a_known_role(accounts: Accounts, person: Person) -> None:
    with pytest.raises(ValueError, match="known role"):
        accounts.issue(person, "a", NOW)
    with pytest.raises(ValueError, match="known role"):
        accounts.change(person)
    assert accounts.people() == ()


def test_all_roles_are_accepted(accounts: Accounts) -> None:
    for role in ROLES:
        accounts.issue(Person(role, role, "x"), "a", NOW)
    assert [person.role for person in accounts.people()] == sorted(ROLES)


def test_a_person_is_known_by_name_as_long_as_a_token_is_in_use(accounts: Accounts) -> None:
    end = NOW + dt.timedelta(days=1)
    assert accounts.person("ann", NOW) is None
    accounts.issue(ANN, "brief", NOW, end)
    assert accounts.person("ann", NOW) == ANN and accounts.person("bo", NOW) is None
    assert accounts.person("ann", end) is None
    accounts.issue(ANN, "long", NOW)
    assert accounts.person("ann", end) == ANN
    accounts.shut(NOW)
    assert accounts.person("ann", NOW) is None


def test_a_token_keeps_its_scope(accounts: Accounts) -> None:
    end = NOW + dt.timedelta(days=1)
    token = accounts.issue(ANN, "robot", NOW, end, Scope.QUERY)
    assert accounts.bearer(token, NOW) == Bearer(ANN, Scope.QUERY)
    (listed,) = accounts.tokens("ann")
    assert listed.scope is Scope.QUERY
    assert listed.in_use(NOW) and not listed.in_use(end)
    accounts.revoke(listed.id, NOW)
    assert not accounts.tokens("ann")[0].in_use(NOW)


def test_who_is_disabled_is_nobody_until_enabled_again(accounts: Accounts) -> None:
    token = accounts.issue(ANN, "laptop", NOW)
    session = accounts.sessions.begin(token, NOW)
    admitted = accounts.sessions.admit(ANN, NOW)
    identity = Identity("https://id.example", "7")
    accounts.identities.link(ANN, identity, NOW)
    assert accounts.disable("ann", NOW) and not accounts.disable("ann", NOW)
    assert not accounts.disable("nobody", NOW)
    assert accounts.bearer(token, NOW) is None and accounts.person("ann", NOW) is None
    assert accounts.identities.who(identity) is None
    for secret in (session, admitted):
        assert accounts.sessions.who(secret, Entrance.CONSOLE, NOW) is None
    assert accounts.entries() == (Entry(ANN, NOW),) and accounts.people() == (ANN,)
    assert accounts.enable("ann") and not accounts.enable("ann")
    assert accounts.bearer(token, NOW) == Bearer(ANN, Scope.ALL)
    assert accounts.entries() == (Entry(ANN, None),)


def test_shutting_ends_every_way_in(accounts: Accounts) -> None:
    token = accounts.issue(ANN, "laptop", NOW)
    accounts.issue(Person("bo", "owner", "x"), "a", NOW)
    admitted = accounts.sessions.admit(ANN, NOW)
    identity = Identity("https://id.example", "7")
    accounts.identities.link(ANN, identity, NOW)
    assert accounts.shut(NOW) == 2 and accounts.shut(NOW) == 0
    assert accounts.bearer(token, NOW) is None and accounts.identities.who(identity) is None
    assert accounts.sessions.who(admitted, Entrance.CONSOLE, NOW) is None
