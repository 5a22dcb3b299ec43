"""What a token is for: less than its holder's role, never more."""

from __future__ import annotations

import pytest

from sandbox.errors import Code, Refusal
from sandbox.policy.roles import Action
from sandbox.policy.scopes import ACTIONS, SCOPES, Scope, check

NEVER = {Action.ACCOUNT, Action.MANAGE_PEOPLE, Action.REVIEW, Action.FREEZE, Action.PURGE, Action.NOTEBOOKS}


def test_every_scope_is_described_and_the_widest_is_everything() -> None:
    assert set(ACTIONS) == set(SCOPES) == set(Scope)
    assert ACTIONS[Scope.ALL] == set(Action)
    for scope in set(Scope) - {Scope.ALL}:
        assert ACTIONS[scope] and not ACTIONS[scope] & NEVER


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("action", Action)
def test_what_a_scope_does_not_name_is_refused(scope: Scope, action: Action) -> None:
    if action in ACTIONS[scope]:
        check(scope, action)
        return
    with pytest.raises(Refusal) as caught:
        check(scope, action)
    assert caught.value.code is Code.ROLE


def test_a_token_for_queries_asks_and_one_for_metrics_does_not() -> None:
    assert Action.ASK in ACTIONS[Scope.QUERY] and Action.PRODUCTS not in ACTIONS[Scope.QUERY]
    assert ACTIONS[Scope.METRICS] == {Action.METRICS} and Action.ASK not in ACTIONS[Scope.PRODUCTS]
