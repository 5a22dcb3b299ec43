"""Who people are to an identity provider (OpenID Connect).

Invariant: an identity is the pair of the provider's name for itself and its name for the person (``iss`` and
``sub``, OpenID Connect Core 1.0, 5.7), which alone never change hands; it is one person's at most.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import delete, select

from sandbox.model import Person
from sandbox.store.credentials import enabled, person_of
from sandbox.store.database import Database, insert_new, micros
from sandbox.store.schema import identities, people


@dataclass(frozen=True, slots=True)
class Identity:
    """``issuer``: the provider's name for itself; ``subject``: its name for the person."""

    issuer: str
    subject: str


class Identities:
    """Which identity is whose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def link(self, person: Person, identity: Identity, now: dt.datetime) -> bool:
        """Make the identity this person's; False where it is another's."""
        facts = {"issuer": identity.issuer, "subject": identity.subject}
        with self._database.write() as connection:
            insert_new(connection, identities, **facts, person=person.name, linked=micros(now))
            kept = select(identities.c.person).filter_by(**facts)
            return str(connection.execute(kept).scalar_one()) == person.name

    def who(self, identity: Identity) -> Person | None:
        """Whose identity this is, if they may come in."""
        here = (identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
        statement = select(people).join(identities, identities.c.person == people.c.name)
        with self._database.read() as connection:
            row = connection.execute(statement.where(*here, enabled())).first()
        return None if row is None else person_of(row)

    def of(self, name: str) -> tuple[Identity, ...]:
        """The identities of a person."""
        statement = select(identities).where(identities.c.person == name)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(identities.c.linked)).all()
        return tuple(Identity(row.issuer, row.subject) for row in rows)

    def remove(self, name: str) -> int:
        """Take a person's identities away; how many they had."""
        with self._database.write() as connection:
            return connection.execute(delete(identities).where(identities.c.person == name)).rowcount

    def remove_all(self) -> int:
        """Take everybody's away; how many there were."""
        with self._database.write() as connection:
            return connection.execute(delete(identities)).rowcount
