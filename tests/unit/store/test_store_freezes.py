"""Freezes: what they stop, and the two people who lift them."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.errors import Code, Refusal
from sandbox.store.database import Database
from sandbox.store.freezes import Freeze, Freezes, Scope

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def freezes(database: Database) -> Freezes:
    return Freezes(database)


def stopped(freezes: Freezes) -> Freeze | None:
    return freezes.frozen("G-1", ("med", "geo"), "one")


@pytest.mark.parametrize(
    ("scope", "target", "stops"),
    [
        (Scope.EVERYTHING, "", True),
        (Scope.DATASET, "geo", True),
        (Scope.DATASET, "power", False),
        (Scope.GRANT, "G-1", True),
        (Scope.GRANT, "G-2", False),
        (Scope.OPERATOR, "one", True),
        (Scope.OPERATOR, "two", False),
        (Scope.OPERATOR, "G-1", False),
        (Scope.GRANT, "med", False),
    ],
)
def test_a_freeze_stops_what_it_names(freezes: Freezes, scope: Scope, target: str, stops: bool) -> None:
    assert stopped(freezes) is None
    made = freezes.freeze(scope, target, "drill", "ann", NOW)
    assert made == Freeze(1, scope, target, "drill", "ann", NOW)
    assert stopped(freezes) == (made if stops else None)
    assert freezes.active() == (made,)


def test_a_query_over_no_dataset_is_stopped_by_its_grant(freezes: Freezes) -> None:
    made = freezes.freeze(Scope.GRANT, "G-1", "drill", "ann", NOW)
    assert freezes.frozen("G-1", iter(()), "") == made


def test_lifting_takes_two_people(freezes: Freezes) -> None:
    made = freezes.freeze(Scope.DATASET, "med", "leak", "ann", NOW)
    approved = freezes.lift(made.id, "ann", NOW)
    assert (approved.approved_by, approved.lifted_by) == ("ann", None)
    assert stopped(freezes) == approved
    with pytest.raises(Refusal) as caught:
        freezes.lift(made.id, "ann", NOW)
    assert caught.value.code is Code.TWO_PEOPLE
    assert stopped(freezes) == approved
    lifted = freezes.lift(made.id, "bob", LATER)
    assert (lifted.approved_by, lifted.lifted_by, lifted.lifted) == ("ann", "bob", LATER)
    assert stopped(freezes) is None
    assert freezes.active() == ()
    assert freezes.history() == (lifted,)


def test_a_freeze_that_is_not_in_force_cannot_be_lifted(freezes: Freezes) -> None:
    made = freezes.freeze(Scope.EVERYTHING, "", "drill", "ann", NOW)
    freezes.lift(made.id, "ann", NOW)
    freezes.lift(made.id, "bob", NOW)
    for unknown in (made.id, 99):
        with pytest.raises(Refusal) as caught:
            freezes.lift(unknown, "eve", NOW)
        assert caught.value.code is Code.NOT_FOUND


def test_one_person_racing_with_themselves_lifts_nothing(freezes: Freezes) -> None:
    made = freezes.freeze(Scope.EVERYTHING, "", "drill", "ann", NOW)

    def lift(_: int) -> bool:
        try:
            freezes.lift(made.id, "bob", NOW)
        except Refusal:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lift, range(8))) == 1
    assert stopped(freezes) is not None


def test_the_oldest_freeze_in_force_is_named(freezes: Freezes) -> None:
    first = freezes.freeze(Scope.GRANT, "G-1", "late report", "ann", NOW)
    second = freezes.freeze(Scope.EVERYTHING, "", "drill", "ann", LATER)
    assert stopped(freezes) == first
    assert (first.subject, second.subject) == ("grant G-1 (late report)", "everything (drill)")


@pytest.mark.parametrize(
    ("scope", "target", "reason", "by"),
    [
        (Scope.EVERYTHING, "med", "drill", "ann"),
        (Scope.DATASET, "", "drill", "ann"),
        (Scope.DATASET, "med", "", "ann"),
        (Scope.DATASET, "med", "drill", ""),
    ],
)
def test_a_freeze_is_complete(freezes: Freezes, scope: Scope, target: str, reason: str, by: str) -> None:
    with pytest.raises(ValueError, match=r"target|reason"):
        freezes.freeze(scope, target, reason, by, NOW)
    assert freezes.history() == ()
