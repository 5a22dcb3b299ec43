"""The desk for people: what the administrator may do to others, and everybody to themselves; all on record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from sandbox.casework.people import INVITATION, People
from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.policy.roles import Role
from sandbox.policy.scopes import Scope
from sandbox.store.accounts import Accounts, Bearer
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.identities import Identity
from sandbox.store.passwords import STEP, TRIES
from sandbox.store.search import LogFilter, LogSearch
from sandbox.store.sessions import Entrance

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
BOSS, ANN = Person("zhao", "bureau", "大数据局"), Person("ann", "analyst", "晋数金科")
FACTOR, WORDS = bytes(range(20)), "correct horse battery"
STEPS = dt.timedelta(seconds=STEP)


class Office:
    """A store, its desk, and a clock that can be moved."""

    def __init__(self, database: Database) -> None:
        self.now = NOW
        self.accounts = Accounts(database)
        self.people = People(database, self.accounts, AuditLog(database), lambda: self.now)
        self._search = LogSearch(database)
        self.accounts.issue(BOSS, "first", NOW)

    def told(self) -> list[dict[str, Any]]:
        found = self._search.entries(LogFilter(kind=Event.ACCOUNT)).entries
        return [json.loads(entry.payload) | {"by": entry.person} for entry in reversed(found)]

    def code(self) -> str:
        self.now += STEPS
        return TOTP(FACTOR, 6, SHA1(), STEP).generate(int(self.now.timestamp())).decode()

    def enrolled(self) -> tuple[str, ...]:
        return self.people.enrol(ANN, WORDS, FACTOR, self.code(), None)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    database = Database(tmp_path / "store.db")
    yield Office(database)
    database.close()


def refused(code: Code, what: Callable[[], object]) -> None:
    with pytest.raises(Refusal) as caught:
        what()
    assert caught.value.code is code


def test_somebody_new_comes_with_a_token(office: Office) -> None:
    token = office.people.add(BOSS, ANN, dt.timedelta(days=3))
    assert office.accounts.bearer(token, NOW) == Bearer(ANN, Scope.ALL)
    assert office.accounts.bearer(token, NOW + dt.timedelta(days=3)) is None
    assert office.told() == [{"added": "ann", "by": "zhao", "of": "晋数金科", "role": "analyst"}]
    for name in ("ann", "ANN"):
        refused(Code.DUPLICATE, lambda: office.people.add(BOSS, Person(name, "owner", "x")))  # noqa: B023
    (ann, boss) = office.people.everybody(BOSS)
    assert (ann.entry.person, boss.entry.person) == (ANN, BOSS)
    assert len(ann.tokens) == 1 and ann.local is None and ann.identities == ()


@pytest.mark.parametrize(
    "person",
    [Person("", "owner", "x"), Person("a\nb", "owner", "x"), Person(" a", "owner", "x"),
     Person("a", "owner", "\u202e"), Person("a" * 81, "owner", "x"), Person("a", "king", "x")],
)  # fmt: skip
def test_names_are_names_and_roles_are_roles(office: Office, person: Person) -> None:
    refused(Code.REQUEST, lambda: office.people.add(BOSS, person))
    assert office.accounts.people() == (BOSS,) and office.told() == []


def test_a_person_is_changed(office: Office) -> None:
    token = office.people.add(BOSS, ANN)
    moved = Person("ann", "operator", "另一家")
    office.people.change(BOSS, moved)
    assert office.accounts.bearer(token, NOW) == Bearer(moved, Scope.ALL)
    assert office.told()[-1] == {"changed": "ann", "role": "operator", "of": "另一家", "by": "zhao"}
    refused(Code.REQUEST, lambda: office.people.change(BOSS, Person("ann", "king", "x")))
    refused(Code.REQUEST, lambda: office.people.change(BOSS, Person("ann", "owner", "")))
    refused(Code.NOT_FOUND, lambda: office.people.change(BOSS, Person("bo", "owner", "x")))


def test_who_is_disabled_is_out_everywhere_until_enabled(office: Office) -> None:
    token = office.people.add(BOSS, ANN)
    session = office.accounts.sessions.begin(token, NOW)
    office.people.disable(BOSS, "ann")
    refused(Code.STATE, lambda: office.people.disable(BOSS, "ann"))
    assert office.accounts.bearer(token, NOW) is None
    office.people.enable(BOSS, "ann")
    refused(Code.STATE, lambda: office.people.enable(BOSS, "ann"))
    assert office.accounts.bearer(token, NOW) is not None
    assert office.accounts.sessions.who(session, Entrance.CONSOLE, NOW) is None
    assert [entry for entry in office.told() if "added" not in entry] == [
        {"disabled": "ann", "by": "zhao"},
        {"enabled": "ann", "by": "zhao"},
    ]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.BUREAU])
def test_only_the_administrator_manages_others(office: Office, role: Role) -> None:
    office.people.add(BOSS, ANN)
    other = Person("other", role.value, "x")
    office.people.add(BOSS, other)
    desk = office.people
    for act in (
        lambda: desk.add(other, Person("new", "owner", "x")),
        lambda: desk.change(other, Person("ann", "bureau", "x")),
        lambda: desk.change(other, Person("other", "bureau", "x")),
        lambda: desk.disable(other, "ann"),
        lambda: desk.enable(other, "ann"),
        lambda: desk.unlock(other, "ann"),
        lambda: desk.reset(other, "ann"),
        lambda: desk.issue(other, "ann", "mine", Scope.ALL),
        lambda: desk.revoke(other, "ann", office.accounts.tokens("ann")[0].id),
    ):
        refused(Code.ROLE, act)
    if role is not Role.AUDITOR:
        refused(Code.ROLE, lambda: desk.one(other, "ann"))
        refused(Code.ROLE, lambda: desk.everybody(other))


def test_nobody_shuts_themselves_out(office: Office) -> None:
    desk = office.people
    for act in (
        lambda: desk.change(BOSS, Person("zhao", "analyst", "x")),
        lambda: desk.disable(BOSS, "zhao"),
        lambda: desk.unlock(BOSS, "zhao"),
        lambda: desk.reset(BOSS, "zhao"),
    ):
        refused(Code.OWN_WORK, act)
    refused(Code.NOT_FOUND, lambda: desk.disable(BOSS, "nobody"))


def test_tokens_of_ones_own(office: Office) -> None:
    office.people.add(BOSS, ANN)
    token = office.people.issue(ANN, "ann", "robot", Scope.QUERY, dt.timedelta(days=1))
    assert office.accounts.bearer(token, NOW) == Bearer(ANN, Scope.QUERY)
    mine = next(t for t in office.people.one(ANN, "ann").tokens if t.label == "robot")
    assert mine.scope is Scope.QUERY
    office.people.revoke(ANN, "ann", mine.id)
    assert office.accounts.bearer(token, NOW) is None
    refused(Code.NOT_FOUND, lambda: office.people.revoke(ANN, "ann", mine.id))
    refused(Code.NOT_FOUND, lambda: office.people.revoke(ANN, "ann", office.accounts.tokens("zhao")[0].id))
    refused(Code.REQUEST, lambda: office.people.issue(ANN, "ann", "", Scope.ALL))
    for days in (0, -1, 4000):
        lasting = dt.timedelta(days=days)
        refused(Code.REQUEST, lambda: office.people.issue(ANN, "ann", "x", Scope.ALL, lasting))  # noqa: B023
    assert not any(token in json.dumps(entry) for entry in office.told())


def test_beginning_with_a_password_ends_the_token_that_was_handed_over(office: Office) -> None:
    token = office.people.add(BOSS, ANN)
    session = office.accounts.sessions.begin(token, NOW)
    codes = office.people.enrol(ANN, WORDS, FACTOR, office.code(), office.accounts.sessions.token(session))
    assert len(codes) == 10
    assert office.accounts.bearer(token, NOW) is None
    assert office.accounts.sessions.who(session, Entrance.CONSOLE, NOW) is None
    local = office.people.one(ANN, "ann").local
    assert local is not None and local.codes == 10
    assert office.accounts.passwords.enter("ann", WORDS, codes[0], office.now) == ANN
    refused(Code.STATE, office.enrolled)
    assert office.told()[-1] == {"password": "ann", "by": "ann"}


def test_changing_a_password_takes_the_old_one_and_ends_sessions(office: Office) -> None:
    office.people.add(BOSS, ANN)
    office.enrolled()
    session, new = office.accounts.sessions.admit(ANN, office.now), "another horse entirely"
    refused(Code.WHO, lambda: office.people.repass(ANN, "wrong", office.code(), new))
    refused(Code.REQUEST, lambda: office.people.repass(ANN, WORDS, office.code(), "short"))
    assert office.accounts.sessions.who(session, Entrance.CONSOLE, office.now) == ANN
    office.people.repass(ANN, WORDS, office.code(), new)
    assert office.accounts.sessions.who(session, Entrance.CONSOLE, office.now) is None
    assert office.accounts.passwords.enter("ann", new, office.code(), office.now) == ANN


def test_new_recovery_codes_take_the_password_too(office: Office) -> None:
    office.people.add(BOSS, ANN)
    first = office.enrolled()
    refused(Code.WHO, lambda: office.people.renew(ANN, WORDS, "000000"))
    second = office.people.renew(ANN, WORDS, office.code())
    assert not set(first) & set(second)
    assert office.accounts.passwords.enter("ann", WORDS, first[0], office.now) is None
    assert office.told()[-1] == {"recovery_codes": "ann", "by": "ann"}


def test_an_account_that_is_locked_is_unlocked(office: Office) -> None:
    office.people.add(BOSS, ANN)
    refused(Code.STATE, lambda: office.people.unlock(BOSS, "ann"))
    office.enrolled()
    for _ in range(TRIES):
        office.accounts.passwords.enter("ann", "wrong", "1", office.now)
    assert office.accounts.passwords.enter("ann", WORDS, office.code(), office.now) is None
    office.people.unlock(BOSS, "ann")
    assert office.accounts.passwords.enter("ann", WORDS, office.code(), office.now) == ANN


def test_a_reset_leaves_one_way_in_that_does_not_last(office: Office) -> None:
    token = office.people.add(BOSS, ANN)
    office.enrolled()
    identity = Identity("https://id.example", "7")
    office.people.link(ANN, identity)
    session = office.accounts.sessions.admit(ANN, office.now)
    invitation = office.people.reset(BOSS, "ann")
    account = office.people.one(BOSS, "ann")
    assert account.local is None and account.identities == ()
    assert office.accounts.bearer(token, office.now) is None
    assert office.accounts.sessions.who(session, Entrance.CONSOLE, office.now) is None
    assert office.accounts.bearer(invitation, office.now) == Bearer(ANN, Scope.ALL)
    assert office.accounts.bearer(invitation, office.now + INVITATION) is None
    assert office.told()[-1] == {"reset": "ann", "by": "zhao"}


def test_an_identity_is_linked_once(office: Office) -> None:
    office.people.add(BOSS, ANN)
    identity = Identity("https://id.example", "7")
    office.people.link(ANN, identity)
    refused(Code.DUPLICATE, lambda: office.people.link(BOSS, identity))
    assert office.people.one(ANN, "ann").identities == (identity,)
    assert office.told()[-1] == {"linked": "7", "issuer": "https://id.example", "by": "ann"}
