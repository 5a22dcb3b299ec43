"""What tokens, sessions and passwords have in common: how a secret is kept, when it counts, whose it is."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_

from sandbox.model import Person
from sandbox.store.database import micros
from sandbox.store.schema import people, tokens


def digest(secret: str) -> bytes:
    """What is kept in a secret's place: ours are random and long, so a plain SHA-256 tells nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def in_use(now: dt.datetime) -> ColumnElement[bool]:
    """A token that is neither revoked nor expired, of a person who is not disabled."""
    alive = or_(tokens.c.expires.is_(None), tokens.c.expires > micros(now))
    return and_(alive, tokens.c.revoked.is_(None), enabled())


def enabled() -> ColumnElement[bool]:
    """A person who may come in at all."""
    return people.c.disabled.is_(None)


def person_of(row: Row[Any]) -> Person:
    """The person in a row of theirs."""
    return Person(row.name, row.role, row.organisation)
