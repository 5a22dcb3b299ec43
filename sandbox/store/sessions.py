"""Sessions of browsers: what a cookie holds in place of a token.

Invariants: a session's secret is 256 random bits made at sign-in, never taken from whoever signs in; only its
SHA-256 is kept.  A session is worth something at one door alone, for ``IDLE`` since it was last seen and
``LONGEST`` since its sign-in, as long as the token it was begun with, if it was with one, and as long as its
person is not disabled.  Signing out at one door ends the sessions of that sign-in at all doors.
"""

from __future__ import annotations

import datetime as dt
import secrets
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, insert, or_, select, update

from sandbox.model import Person
from sandbox.store.credentials import digest, enabled, in_use, person_of
from sandbox.store.database import Database, micros
from sandbox.store.schema import people, sessions, tokens

IDLE: Final = dt.timedelta(hours=1)
"""How long a session lasts that nobody uses."""
LONGEST: Final = dt.timedelta(hours=12)
"""How long one lasts at most."""
GLANCE: Final = dt.timedelta(minutes=1)
"""How often it is noted that a session is in use."""


class Entrance(StrEnum):
    """The doors that browsers come through, each an origin of its own."""

    CONSOLE = "console"
    NOTEBOOKS = "notebooks"


class Sessions:
    """Who is signed in, and where."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, token: str, now: dt.datetime) -> str:
        """A session at the console for whoever holds this valid token: its secret, never seen again."""
        with self._database.write() as connection:
            row = connection.execute(select(tokens).where(tokens.c.hash == digest(token))).one()
            return self._begin(row.person, row.hash, now)

    def admit(self, person: Person, now: dt.datetime) -> str:
        """A session at the console for who proved who they are without a token: its secret."""
        return self._begin(person.name, None, now)

    def _begin(self, name: str, token: bytes | None, now: dt.datetime) -> str:
        secret = secrets.token_urlsafe(32)
        values = _values(secret, Entrance.CONSOLE, now)
        values |= {"login": values["hash"], "person": name, "token": token}
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.begun <= micros(now - LONGEST)))
            connection.execute(insert(sessions).values(values))
        return secret

    def follow(self, secret: str, entrance: Entrance, now: dt.datetime) -> str | None:
        """A session at another door for who is signed in at the console, as old as that sign-in.

        ``None``: there is no such session any more.
        """
        further = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            row = connection.execute(_alive(secret, Entrance.CONSOLE, now)).first()
            if row is None:
                return None
            values = _values(further, entrance, now) | {"begun": row.begun}
            values |= {"login": row.login, "person": row.name, "token": row.token}
            connection.execute(insert(sessions).values(values))
        return further

    def who(self, secret: str, entrance: Entrance, now: dt.datetime) -> Person | None:
        """Whose session this is at this door; ``None`` if it is unknown, over, or of another door."""
        with self._database.read() as connection:
            row = connection.execute(_alive(secret, entrance, now)).first()
        if row is None:
            return None
        if row.seen <= micros(now - GLANCE):
            with self._database.write() as connection:
                connection.execute(
                    update(sessions).where(sessions.c.hash == digest(secret)).values(seen=micros(now))
                )
        return person_of(row)

    def end(self, secret: str, now: dt.datetime) -> None:
        """Sign out: end the sessions of this one's sign-in, at every door."""
        login = select(sessions.c.login).where(sessions.c.hash == digest(secret)).scalar_subquery()
        here = (sessions.c.login == login, sessions.c.ended.is_(None))
        with self._database.write() as connection:
            connection.execute(update(sessions).where(*here).values(ended=micros(now)))

    def end_all(self, name: str, now: dt.datetime) -> None:
        """End every session of a person, at every door."""
        here = (sessions.c.person == name, sessions.c.ended.is_(None))
        with self._database.write() as connection:
            connection.execute(update(sessions).where(*here).values(ended=micros(now)))

    def token(self, secret: str) -> str | None:
        """The id of the token that a session was begun with; ``None`` if with none."""
        statement = select(tokens.c.id).join(sessions, sessions.c.token == tokens.c.hash)
        with self._database.read() as connection:
            return connection.execute(statement.where(sessions.c.hash == digest(secret))).scalar()


def _alive(secret: str, entrance: Entrance, now: dt.datetime) -> Any:
    """Reads the session of this secret, and its person, if both it and its token are worth something."""
    return (
        select(sessions, people)
        .join(people, people.c.name == sessions.c.person)
        .outerjoin(tokens, tokens.c.hash == sessions.c.token)
        .where(
            sessions.c.hash == digest(secret),
            sessions.c.door == entrance.value,
            sessions.c.ended.is_(None),
            sessions.c.seen > micros(now - IDLE),
            sessions.c.begun > micros(now - LONGEST),
            enabled(),
            or_(sessions.c.token.is_(None), in_use(now)),
        )
    )


def _values(secret: str, entrance: Entrance, now: dt.datetime) -> dict[str, Any]:
    return {"hash": digest(secret), "door": entrance.value, "begun": micros(now), "seen": micros(now)}
