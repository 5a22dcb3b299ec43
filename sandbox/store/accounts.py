"""People and their bearer tokens.

Invariants: a token is 256 random bits and is shown once; only its SHA-256 is kept, and looking that up
compares no secret byte by byte (an attacker cannot steer the hash of a guess); an expired or revoked token
is nobody, as is every token of a disabled person.  Rights are not kept here: a role has them, a token's scope
narrows them, and a grant belongs to an organisation.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, insert, or_, select, update

from sandbox.model import Person
from sandbox.policy.roles import Role
from sandbox.policy.scopes import Scope
from sandbox.store.credentials import digest, enabled, in_use, person_of
from sandbox.store.database import Database, insert_new, micros, moment
from sandbox.store.identities import Identities
from sandbox.store.passwords import Passwords
from sandbox.store.schema import identities, passwords, people, tokens
from sandbox.store.sessions import Sessions

ROLES: Final = tuple(role.value for role in Role)
PREFIX: Final = "ds_"
"""Marks our tokens, so that scanners for leaked secrets can know them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be listed: everything but the secret.  ``expires is None``: it does not."""

    id: str
    person: str
    label: str
    scope: Scope
    issued: dt.datetime
    expires: dt.datetime | None
    revoked: dt.datetime | None

    def in_use(self, now: dt.datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked is None and (self.expires is None or self.expires > now)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token was shown, and what it opens."""

    person: Person
    scope: Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody with an account.  ``disabled``: since when they may not come in."""

    person: Person
    disabled: dt.datetime | None


class Accounts:
    """Who may knock at the doors."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sessions = Sessions(database)
        self.passwords = Passwords(database)
        self.identities = Identities(database)

    def issue(
        self,
        person: Person,
        label: str,
        now: dt.datetime,
        expires: dt.datetime | None = None,
        scope: Scope = Scope.ALL,
    ) -> str:
        """A new token for ``person`` (registered on first use): its text, which is never seen again.

        Raises ``ValueError`` for an unknown role, an empty name, a person known with another role or
        organisation (see ``change``), or an expiry that is not in the future.
        """
        _check(person)
        if expires is not None and expires <= now:
            raise ValueError("a token expires in the future")
        token = PREFIX + secrets.token_urlsafe(32)
        kept = digest(token)
        row = {
            "hash": kept,
            "id": kept.hex()[:16],
            "person": person.name,
            "label": label,
            "scope": scope.value,
        }
        times = {"issued": micros(now), "expires": None if expires is None else micros(expires)}
        with self._database.write() as connection:
            _register(connection, person)
            connection.execute(insert(tokens).values(**row, **times))
        return token

    def bearer(self, token: str, now: dt.datetime) -> Bearer | None:
        """Whose token this is, and its scope; ``None`` if it is unknown, expired, revoked or disabled."""
        statement = select(people, tokens.c.scope).join(tokens)
        with self._database.read() as connection:
            row = connection.execute(statement.where(tokens.c.hash == digest(token), in_use(now))).first()
        return None if row is None else Bearer(person_of(row), Scope(row.scope))

    def person(self, name: str, now: dt.datetime) -> Person | None:
        """The person of this name, or ``None`` if they are unknown, disabled, or have no way to come in."""
        ways = or_(
            exists().where(tokens.c.person == people.c.name, in_use(now)),
            exists().where(passwords.c.person == people.c.name),
            exists().where(identities.c.person == people.c.name),
        )
        with self._database.read() as connection:
            row = connection.execute(select(people).where(people.c.name == name, enabled(), ways)).first()
        return None if row is None else person_of(row)

    def disable(self, name: str, now: dt.datetime) -> bool:
        """Let nobody of this name in, by whatever way; False if unknown or disabled already."""
        here = (people.c.name == name, people.c.disabled.is_(None))
        with self._database.write() as connection:
            done = connection.execute(update(people).where(*here).values(disabled=micros(now)))
            return done.rowcount == 1

    def enable(self, name: str) -> bool:
        """Let them in again; False if they are not disabled."""
        here = (people.c.name == name, people.c.disabled.is_not(None))
        with self._database.write() as connection:
            return connection.execute(update(people).where(*here).values(disabled=None)).rowcount == 1

    def revoke(self, token_id: str, now: dt.datetime) -> bool:
        """End a token for good; False if there is none of this id in use."""
        here = (tokens.c.id == token_id, tokens.c.revoked.is_(None))
        with self._database.write() as connection:
            return connection.execute(update(tokens).where(*here).values(revoked=micros(now))).rowcount == 1

    def shut(self, now: dt.datetime) -> int:
        """End every token, session, password and identity for good; how many tokens there were in use.

        What an older copy of the store lets in may have been shut out since.
        """
        with self._database.write() as connection:
            self.passwords.remove_all()
            self.identities.remove_all()
            for name in connection.execute(select(people.c.name)).scalars().all():
                self.sessions.end_all(name, now)
            ended = update(tokens).where(tokens.c.revoked.is_(None)).values(revoked=micros(now))
            return connection.execute(ended).rowcount

    def change(self, person: Person) -> None:
        """Give a known person another role or organisation.  Raises ``ValueError`` if unknown."""
        _check(person)
        values = {"role": person.role, "organisation": person.organisation}
        with self._database.write() as connection:
            statement = update(people).where(people.c.name == person.name).values(values)
            if connection.execute(statement).rowcount == 0:
                raise ValueError("there is no person of this name")

    def people(self) -> tuple[Person, ...]:
        """Everyone, by name."""
        return tuple(entry.person for entry in self.entries())

    def entries(self) -> tuple[Entry, ...]:
        """Everyone, by name, and whether they may come in."""
        with self._database.read() as connection:
            rows = connection.execute(select(people).order_by(people.c.name)).all()
        return tuple(
            Entry(person_of(row), None if row.disabled is None else moment(row.disabled)) for row in rows
        )

    def tokens(self, person: str) -> tuple[Token, ...]:
        """All tokens ever issued to one person, oldest first, without their secrets."""
        statement = select(tokens).where(tokens.c.person == person).order_by(tokens.c.issued, tokens.c.id)
        with self._database.read() as connection:
            return tuple(_token(row) for row in connection.execute(statement))


def _check(person: Person) -> None:
    if person.role not in ROLES or not person.name or not person.organisation:
        raise ValueError("a person has a name, an organisation and a known role")


def _register(connection: Connection, person: Person) -> None:
    facts = {"name": person.name, "role": person.role, "organisation": person.organisation}
    insert_new(connection, people, **facts)
    kept = connection.execute(select(people).where(people.c.name == person.name)).one()
    if person_of(kept) != person:
        raise ValueError("this person is known with another role or organisation")


def _token(row: Row[Any]) -> Token:
    expires, revoked = (None if at is None else moment(at) for at in (row.expires, row.revoked))
    return Token(row.id, row.person, row.label, Scope(row.scope), moment(row.issued), expires, revoked)
