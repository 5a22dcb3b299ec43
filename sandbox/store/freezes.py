"""Freezes: an event stops queries at once; lifting it takes two different people.

Invariants: a freeze is in force until a second person has confirmed the first one's approval; both are
recorded; nothing is ever deleted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, assert_never

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, or_, select, update

from sandbox.errors import Code, refuse
from sandbox.store.database import Database, micros, moment
from sandbox.store.schema import freezes


class Scope(StrEnum):
    """What a freeze stops.  ``OPERATOR`` is an organisation."""

    EVERYTHING = "everything"
    DATASET = "dataset"
    GRANT = "grant"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Freeze:
    """One freeze.  ``target`` is "" for everything; ``lifted_by`` is ``None`` while it is in force."""

    id: int
    scope: Scope
    target: str
    reason: str
    by: str
    time: dt.datetime
    approved_by: str | None = None
    lifted_by: str | None = None
    lifted: dt.datetime | None = None

    @property
    def subject(self) -> str:
        """What is frozen and why, for a refusal."""
        return f"{self.scope.value} {self.target}".rstrip() + f" ({self.reason})"

    @property
    def facts(self) -> dict[str, object]:
        """What its entries of the log tell."""
        about = {"freeze": self.id, "scope": self.scope.value, "target": self.target}
        return {**about, "reason": self.reason}

    def stops(self, grant: str, datasets: Iterable[str], organisation: str) -> bool:
        """Whether it stops a query of this kind, as ``Freezes.frozen`` finds it."""
        match self.scope:
            case Scope.EVERYTHING:
                return True
            case Scope.DATASET:
                return self.target in datasets
            case Scope.GRANT:
                return self.target == grant
            case Scope.OPERATOR:
                return self.target == organisation
            case _:
                assert_never(self.scope)


@dataclass(frozen=True, slots=True)
class Drill:
    """What a freeze would have stopped: the grants, and how many of their queries were at work."""

    freeze: Freeze
    grants: tuple[str, ...]
    running: int


def rehearsed(scope: Scope, target: str, reason: str, by: str, now: dt.datetime) -> Freeze:
    """A freeze that is nowhere in force.  Raises ``ValueError`` as ``Freezes.freeze``."""
    _complete(scope, target, reason, by)
    return Freeze(0, scope, target, reason, by, now)


def _complete(scope: Scope, target: str, reason: str, by: str) -> None:
    if (scope is Scope.EVERYTHING) != (not target):
        raise ValueError("a target is named for every scope but everything")
    if not reason or not by:
        raise ValueError("a freeze has a reason and a person")


class Freezes:
    """All freezes, in force and lifted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def freeze(self, scope: Scope, target: str, reason: str, by: str, now: dt.datetime) -> Freeze:
        """Stop what ``scope`` and ``target`` name.  Raises ``ValueError`` if they do not fit together."""
        _complete(scope, target, reason, by)
        values = {"scope": scope.value, "target": target, "reason": reason}
        with self._database.write() as connection:
            statement = insert(freezes).values(**values, frozen_by=by, frozen_at=micros(now))
            key = connection.execute(statement.returning(freezes.c.id)).scalar_one()
            return _load(connection, key)

    def frozen(self, grant: str, datasets: Iterable[str], organisation: str) -> Freeze | None:
        """The oldest freeze in force that stops a query of this kind, or ``None``."""
        asked = {"grants": [grant], "datasets": list(datasets), "operators": [organisation]}
        with self._database.read() as connection:
            row = connection.execute(_IN_FORCE, asked).first()
        return None if row is None else _freeze(row)

    def lift(self, freeze: int, by: str, now: dt.datetime) -> Freeze:
        """Approve the lifting, or, as a second person, complete it.

        Refuses ``NOT_FOUND`` for an unknown or lifted freeze, ``TWO_PEOPLE`` for the same person twice.
        """
        with self._database.write() as connection:
            here = and_(freezes.c.id == freeze, freezes.c.lifted_by.is_(None))
            first = update(freezes).where(here, freezes.c.approved_by.is_(None))
            second = update(freezes).where(here, freezes.c.approved_by != by)
            steps = (
                first.values(approved_by=by, approved_at=micros(now)),
                second.values(lifted_by=by, lifted_at=micros(now)),
            )
            if any(connection.execute(step).rowcount for step in steps):
                return _load(connection, freeze)
            if connection.execute(select(freezes.c.id).where(here)).first() is None:
                raise refuse(Code.NOT_FOUND, f"freeze {freeze} in force")
            raise refuse(Code.TWO_PEOPLE, f"lifting freeze {freeze}")

    def active(self) -> tuple[Freeze, ...]:
        """Freezes in force, oldest first."""
        return self._find(freezes.c.lifted_by.is_(None))

    def history(self) -> tuple[Freeze, ...]:
        """Every freeze ever made, oldest first."""
        return self._find()

    def _find(self, *rules: ColumnElement[bool]) -> tuple[Freeze, ...]:
        with self._database.read() as connection:
            rows = connection.execute(select(freezes).where(*rules).order_by(freezes.c.id))
            return tuple(_freeze(row) for row in rows)


def _stops(scope: Scope, targets: str) -> ColumnElement[bool]:
    named = freezes.c.target.in_(bindparam(targets, expanding=True))
    return and_(freezes.c.scope == scope.value, named)


_IN_FORCE: Final = (
    select(freezes)
    .where(
        freezes.c.lifted_by.is_(None),
        or_(
            freezes.c.scope == Scope.EVERYTHING.value,
            _stops(Scope.GRANT, "grants"),
            _stops(Scope.DATASET, "datasets"),
            _stops(Scope.OPERATOR, "operators"),
        ),
    )
    .order_by(freezes.c.id)
    .limit(1)
)
"""Asked before every query, so it is built once."""


def _load(connection: Connection, key: int) -> Freeze:
    return _freeze(connection.execute(select(freezes).where(freezes.c.id == key)).one())


def _freeze(row: Row[Any]) -> Freeze:
    lifted = None if row.lifted_at is None else moment(row.lifted_at)
    about = (row.id, Scope(row.scope), row.target, row.reason)
    return Freeze(*about, row.frozen_by, moment(row.frozen_at), row.approved_by, row.lifted_by, lifted)
