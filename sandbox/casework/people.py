"""People: who has an account, how they come in, and what their tokens open; every change is on record.

Invariants: the bureau's administrator adds, disables and resets others, never themselves, so that somebody is
always left who can; passwords, second factors and recovery codes are seen by nobody but their person, once;
a token opens what its scope names, for as long as it says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.policy.roles import Action, Role, check
from sandbox.policy.scopes import Scope
from sandbox.store.accounts import Accounts, Entry, Token
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.identities import Identity
from sandbox.store.passwords import Local, seal

LONGEST_NAME: Final = 80
MOST_DAYS: Final = 3650
INVITATION: Final = dt.timedelta(days=7)
"""How long the token lasts with which somebody signs in for the first time, or after a reset."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody's account as it may be listed: no secret in it."""

    entry: Entry
    tokens: tuple[Token, ...]
    local: Local | None
    identities: tuple[Identity, ...]


class People:
    """See the module.  ``now`` is the clock."""

    def __init__(
        self, database: Database, accounts: Accounts, log: AuditLog, now: Callable[[], dt.datetime]
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._log = log
        self._now = now

    def everybody(self, by: Person) -> tuple[Account, ...]:
        """All accounts, by name.  ``Action.PEOPLE``'s."""
        check(by, Action.PEOPLE)
        return tuple(self._account(entry) for entry in self._accounts.entries())

    def one(self, by: Person, name: str) -> Account:
        """One's own account or, by ``Action.PEOPLE``, another's.  Refuses ``NOT_FOUND``."""
        if name != by.name:
            check(by, Action.PEOPLE)
        return self._account(self._entry(name))

    def add(self, by: Person, person: Person, lasting: dt.timedelta | None = None) -> str:
        """An account for somebody new: a token to come in with.  ``Action.MANAGE_PEOPLE``'s.

        Refuses ``REQUEST`` what is no name, organisation or role, ``DUPLICATE`` a name that is taken.
        """
        check(by, Action.MANAGE_PEOPLE)
        _check_words(person.name, person.organisation)
        if person.role not in set(Role):
            raise refuse(Code.REQUEST, "the role", f"one of {', '.join(Role)}", f"可用：{', '.join(Role)}")
        with self._database.write():
            if any(known.name.casefold() == person.name.casefold() for known in self._accounts.people()):
                raise refuse(Code.DUPLICATE, f"person {person.name}")
            token = self._accounts.issue(person, "add", self._now(), self._until(lasting))
            self._note(by, added=person.name, role=person.role, of=person.organisation)
        return token

    def change(self, by: Person, person: Person) -> None:
        """Another role or organisation for somebody else.  ``Action.MANAGE_PEOPLE``'s; refuses as ``add``."""
        self._other(by, person.name)
        _check_words(person.name, person.organisation)
        if person.role not in set(Role):
            raise refuse(Code.REQUEST, "the role", f"one of {', '.join(Role)}", f"可用：{', '.join(Role)}")
        with self._database.write():
            self._accounts.change(person)
            self._note(by, changed=person.name, role=person.role, of=person.organisation)

    def disable(self, by: Person, name: str) -> None:
        """Let somebody in no more, and end their sessions.  ``Action.MANAGE_PEOPLE``'s, of others."""
        self._other(by, name)
        with self._database.write():
            if not self._accounts.disable(name, self._now()):
                raise refuse(Code.STATE, f"{name} is disabled", "nothing to do", "无需操作")
            self._accounts.sessions.end_all(name, self._now())
            self._note(by, disabled=name)

    def enable(self, by: Person, name: str) -> None:
        """Let somebody in again.  ``Action.MANAGE_PEOPLE``'s, of others."""
        self._other(by, name)
        with self._database.write():
            if not self._accounts.enable(name):
                raise refuse(Code.STATE, f"{name} is not disabled", "nothing to do", "无需操作")
            self._note(by, enabled=name)

    def unlock(self, by: Person, name: str) -> None:
        """Let somebody try their password again at once.  ``Action.MANAGE_PEOPLE``'s, of others."""
        self._other(by, name)
        with self._database.write():
            if not self._accounts.passwords.unlock(name):
                raise refuse(Code.STATE, f"{name} has no password", "nothing to do", "无需操作")
            self._note(by, unlocked=name)

    def reset(self, by: Person, name: str) -> str:
        """Take every way in from somebody who lost theirs: a token to come in anew.

        ``Action.MANAGE_PEOPLE``'s, of others.
        """
        person = self._other(by, name).person
        with self._database.write():
            now = self._now()
            self._accounts.passwords.remove(name)
            self._accounts.identities.remove(name)
            for token in self._accounts.tokens(name):
                self._accounts.revoke(token.id, now)
            self._accounts.sessions.end_all(name, now)
            invitation = self._accounts.issue(person, "reset", now, now + INVITATION)
            self._note(by, reset=name)
        return invitation

    def issue(
        self, by: Person, name: str, label: str, scope: Scope, lasting: dt.timedelta | None = None
    ) -> str:
        """A token for oneself or, by ``Action.MANAGE_PEOPLE``, for another."""
        person = self._reach(by, name).person
        _check_words(label)
        with self._database.write():
            token = self._accounts.issue(person, label, self._now(), self._until(lasting), scope)
            self._note(by, token_for=name, label=label, scope=scope.value)
        return token

    def revoke(self, by: Person, name: str, token: str) -> None:
        """End a token of one's own or, by ``Action.MANAGE_PEOPLE``, another's.  Refuses ``NOT_FOUND``."""
        self._reach(by, name)
        if token not in {t.id for t in self._accounts.tokens(name) if t.revoked is None}:
            raise refuse(Code.NOT_FOUND, f"token {token[:40]!a}")
        with self._database.write():
            self._accounts.revoke(token, self._now())
            self._note(by, revoked=token, person=name)

    def enrol(
        self, person: Person, password: str, factor: bytes, code: str, spent: str | None
    ) -> tuple[str, ...]:
        """Begin to come in by password and second factor: recovery codes, which are never seen again.

        ``spent``: the id of the token that this session was begun with, which somebody else handed over and
        which ends.  Refuses ``STATE`` who has a password, ``REQUEST`` as ``passwords.seal``.
        """
        sealed = seal(person, password, factor, code, self._now())
        with self._database.write():
            if self._accounts.passwords.local(person.name, self._now()) is not None:
                hint, zh = "change it, or ask the bureau to reset it", "请修改密码，或请主管部门重置"
                raise refuse(Code.STATE, "there is a password already", hint, zh)
            self._accounts.passwords.put(person, sealed, self._now())
            if spent is not None:
                self._accounts.revoke(spent, self._now())
            self._accounts.sessions.end_all(person.name, self._now())
            self._note(person, password=person.name)
            return self._accounts.passwords.renew(person)

    def repass(self, person: Person, password: str, code: str, new: str) -> None:
        """Another password, which ends all sessions.

        Refuses ``WHO`` a wrong one, ``REQUEST`` a new one that is too easy.
        """
        sealed = self._accounts.passwords.reseal(person, password, code, new, self._now())
        if sealed is None:
            raise refuse(Code.WHO)
        with self._database.write():
            self._accounts.passwords.put(person, sealed, self._now())
            self._accounts.sessions.end_all(person.name, self._now())
            self._note(person, password=person.name)

    def renew(self, person: Person, password: str, code: str) -> tuple[str, ...]:
        """New recovery codes.  Refuses ``WHO`` a wrong password or code."""
        if self._accounts.passwords.enter(person.name, password, code, self._now()) is None:
            raise refuse(Code.WHO)
        with self._database.write():
            self._note(person, recovery_codes=person.name)
            return self._accounts.passwords.renew(person)

    def link(self, person: Person, identity: Identity) -> None:
        """Make an identity a way in for this person.  Refuses ``DUPLICATE`` another's."""
        with self._database.write():
            if not self._accounts.identities.link(person, identity, self._now()):
                raise refuse(Code.DUPLICATE, "this identity")
            self._note(person, linked=identity.subject, issuer=identity.issuer)

    def _account(self, entry: Entry) -> Account:
        name = entry.person.name
        ways = self._accounts.tokens(name), self._accounts.passwords.local(name, self._now())
        return Account(entry, *ways, self._accounts.identities.of(name))

    def _entry(self, name: str) -> Entry:
        for entry in self._accounts.entries():
            if entry.person.name == name:
                return entry
        raise refuse(Code.NOT_FOUND, f"person {name[:LONGEST_NAME]!a}")

    def _other(self, by: Person, name: str) -> Entry:
        """Somebody else, whom this person may manage."""
        check(by, Action.MANAGE_PEOPLE)
        if name == by.name:
            raise refuse(Code.OWN_WORK, "one's own account")
        return self._entry(name)

    def _reach(self, by: Person, name: str) -> Entry:
        """Oneself, or whom this person may manage."""
        if name != by.name:
            check(by, Action.MANAGE_PEOPLE)
        return self._entry(name)

    def _until(self, lasting: dt.timedelta | None) -> dt.datetime | None:
        if lasting is not None and not dt.timedelta(0) < lasting <= dt.timedelta(days=MOST_DAYS):
            raise refuse(Code.REQUEST, "the days", f"1 to {MOST_DAYS}", f"1 至 {MOST_DAYS}")
        return None if lasting is None else self._now() + lasting

    def _note(self, by: Person, **facts: str) -> None:
        self._log.append(
            Event.ACCOUNT,
            time=self._now(),
            person=by.name,
            organisation=by.organisation,
            decision="done",
            payload=facts,
        )


def _check_words(*words: str) -> None:
    """Refuses ``REQUEST`` a name that is empty, too long, or would show as something else than it is."""
    for word in words:
        if not 0 < len(word) <= LONGEST_NAME or not word.isprintable() or word != word.strip():
            hint, zh = f"1 to {LONGEST_NAME} printable characters", f"1 至 {LONGEST_NAME} 个可打印字符"
            raise refuse(Code.REQUEST, "a name", hint, zh)
