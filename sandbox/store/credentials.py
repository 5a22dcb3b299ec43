"""What tokens and sessions have in common: how a secret is kept, when a token is in use, whose it is."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_

from sandbox.model import Person
from sandbox.store.database import micros
from sandbox.store.schema import tokens


def digest(secret: str) -> bytes:
    """What is kept in a secret's place: it has 256 random bits, so its plain SHA-256 tells nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def in_use(now: dt.datetime) -> ColumnElement[bool]:
    """A token that is neither revoked nor expired."""
    alive = or_(tokens.c.expires.is_(None), tokens.c.expires > micros(now))
    return and_(alive, tokens.c.revoked.is_(None))


def person_of(row: Row[Any]) -> Person:
    """The person in a row of theirs."""
    return Person(row.name, row.role, row.organisation)
