"""People and their bearer tokens.

Invariants: a token is 256 random bits and is shown once; only its SHA-256 is kept, and looking that up
compares no secret byte by byte (an attacker cannot steer the hash of a guess); an expired or revoked token
is nobody.  Rights are not kept here: a grant belongs to an organisation.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from sandbox.model import Person
from sandbox.policy.roles import Role
from sandbox.store.credentials import digest, in_use, person_of
from sandbox.store.database import Database, insert_new, micros, moment
from sandbox.store.schema import people, tokens
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
    issued: dt.datetime
    expires: dt.datetime | None
    revoked: dt.datetime | None


class Accounts:
    """Who may knock at the doors."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sessions = Sessions(database)

    def issue(self, person: Person, label: str, now: dt.datetime, expires: dt.datetime | None = None) -> str:
        """A new token for ``person`` (registered on first use): its text, which is never seen again.

        Raises ``ValueError`` for an unknown role, an empty name, a person known with another role or
        organisation (see ``change``), or an expiry that is not in the future.
        """
        _check(person)
        if expires is not None and expires <= now:
            raise ValueError("a token expires in the future")
        token = PREFIX + secrets.token_urlsafe(32)
        kept = digest(token)
        row = {"hash": kept, "id": kept.hex()[:16], "person": person.name, "label": label}
        times = {"issued": micros(now), "expires": None if expires is None else micros(expires)}
        with self._database.write() as connection:
            _register(connection, person)
            connection.execute(insert(tokens).values(**row, **times))
        return token

    def who(self, token: str, now: dt.datetime) -> Person | None:
        """The person who holds this token, or ``None`` if it is unknown, expired or revoked."""
        statement = select(people).join(tokens).where(tokens.c.hash == digest(token), in_use(now))
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else person_of(row)

    def person(self, name: str, now: dt.datetime) -> Person | None:
        """The person of this name, or ``None`` if they are unknown or have no token in use."""
        statement = select(people).join(tokens).where(people.c.name == name, in_use(now))
        with self._database.read() as connection:
            row = connection.execute(statement.limit(1)).first()
        return None if row is None else person_of(row)

    def revoke(self, token_id: str, now: dt.datetime) -> bool:
        """End a token for good; False if there is none of this id in use."""
        here = (tokens.c.id == token_id, tokens.c.revoked.is_(None))
        with self._database.write() as connection:
            return connection.execute(update(tokens).where(*here).values(revoked=micros(now))).rowcount == 1

    def revoke_all(self, now: dt.datetime) -> int:
        """End every token in use for good; how many there were."""
        with self._database.write() as connection:
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
        with self._database.read() as connection:
            return tuple(person_of(row) for row in connection.execute(select(people).order_by(people.c.name)))

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
    return Token(row.id, row.person, row.label, moment(row.issued), expires, revoked)
