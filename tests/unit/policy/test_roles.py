"""The table of roles: whole, as written down for people, and with the separations that it promises."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.policy import roles
from sandbox.policy.roles import ACTIONS, ROLES, TABLE, Action, Role

DOCS = Path(__file__).parents[3] / "docs" / "accounts.md"

MEANT = {
    Role.BUREAU: set(Action) - {
        Action.ASK, Action.NOTEBOOKS, Action.APPLY, Action.ADVISE, Action.HOLDINGS, Action.PROFILE,
    },
    Role.REVIEWER: {
        Action.ACCOUNT, Action.CATALOGUE, Action.EXPLAIN, Action.BUDGETS, Action.RAISE_BUDGET, Action.CASES,
        Action.REVIEW, Action.INCIDENTS, Action.PRODUCTS, Action.STATEMENTS, Action.SUPERVISION,
        Action.FREEZES, Action.FREEZE, Action.LOG, Action.ALL_ENTRIES, Action.SHARE_VIEWS, Action.ALERTS,
        Action.POLICIES,
    },
    Role.AUDITOR: {
        Action.ACCOUNT, Action.CATALOGUE, Action.EXPLAIN, Action.BUDGETS, Action.CASES, Action.PRODUCTS,
        Action.STATEMENTS, Action.SUPERVISION, Action.FREEZES, Action.LOG, Action.ALL_ENTRIES,
        Action.SHARE_VIEWS, Action.ALERTS, Action.VERIFY, Action.EXPORT, Action.METRICS, Action.POLICIES,
        Action.PEOPLE,
    },
    Role.OWNER: {
        Action.ACCOUNT, Action.CATALOGUE, Action.EXPLAIN, Action.BUDGETS, Action.CASES,
        Action.PROPOSE_DATASET, Action.ADVISE, Action.PRODUCTS, Action.STATEMENTS, Action.LOG, Action.VERIFY,
        Action.POLICIES, Action.HOLDINGS, Action.INGEST, Action.PROFILE,
    },
    Role.OPERATOR: {
        Action.ACCOUNT, Action.CATALOGUE, Action.EXPLAIN, Action.ASK, Action.NOTEBOOKS, Action.BUDGETS,
        Action.CASES, Action.APPLY, Action.PRODUCTS, Action.STATEMENTS, Action.SUPERVISION, Action.LOG,
    },
    Role.ANALYST: {
        Action.ACCOUNT, Action.CATALOGUE, Action.EXPLAIN, Action.ASK, Action.NOTEBOOKS, Action.BUDGETS,
        Action.PRODUCTS, Action.LOG,
    },
}  # fmt: skip
"""What each role may do, by role; the table says it by action."""


def test_the_tables_name_every_word() -> None:
    assert set(TABLE) == set(ACTIONS) == set(Action) and set(ROLES) == set(MEANT) == set(Role)


@pytest.mark.parametrize(("role", "action"), list(product(Role, Action)))
def test_every_role_may_what_is_meant_and_nothing_else(role: Role, action: Action) -> None:
    person = Person("p", role.value, "o")
    assert roles.may(person, action) == (action in MEANT[role])
    if action in MEANT[role]:
        roles.check(person, action)
        return
    with pytest.raises(Refusal) as caught:
        roles.check(person, action)
    assert caught.value.code is Code.ROLE


@pytest.mark.parametrize("role", ["", "root", "Bureau", "bureau ", "administrator"])
def test_an_unknown_role_may_nothing(role: str) -> None:
    assert not any(roles.may(Person("p", role, "bureau"), action) for action in Action)
    assert not roles.of_bureau(Person("p", role, "bureau"))


def test_who_acts_for_the_bureau() -> None:
    found = {role for role in Role if roles.of_bureau(Person("p", role.value, "o"))}
    assert found == {Role.BUREAU, Role.REVIEWER, Role.AUDITOR}


def test_duties_are_apart() -> None:
    """Who asks neither judges nor watches; who audits changes nothing; who reviews keeps no accounts."""
    judging = {Action.REVIEW, Action.FREEZE, Action.RAISE_BUDGET, Action.MANAGE_PEOPLE, Action.INGEST}
    for role in (Role.OPERATOR, Role.ANALYST, Role.AUDITOR):
        assert not judging & MEANT[role]
    assert not {Action.MANAGE_PEOPLE, Action.ROTATE_KEY, Action.PURGE, Action.INGEST} & MEANT[Role.REVIEWER]
    asking = {role for role in Role if Action.ASK in MEANT[role]}
    assert not asking & {role for role in Role if {Action.ALL_ENTRIES, Action.PROFILE} & MEANT[role]}


def test_the_table_is_written_down() -> None:
    assert roles.page() in DOCS.read_text(encoding="utf-8")
