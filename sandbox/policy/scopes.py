"""What a token is for: some of what its holder's role allows, never more.

Invariant: a scope names actions, and what it does not name is refused; it adds nothing to a role.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import Words
from sandbox.policy.roles import Action


class Scope(StrEnum):
    """What a token opens.  ``ALL`` alone opens the console, and a person's own account."""

    ALL = "all"
    QUERY = "query"
    PRODUCTS = "products"
    LOG = "log"
    METRICS = "metrics"


ACTIONS: Final[Mapping[Scope, frozenset[Action]]] = MappingProxyType(
    {
        Scope.ALL: frozenset(Action),
        Scope.QUERY: frozenset({Action.CATALOGUE, Action.EXPLAIN, Action.ASK, Action.BUDGETS, Action.LOG}),
        Scope.PRODUCTS: frozenset({Action.PRODUCTS, Action.STATEMENTS, Action.LOG}),
        Scope.LOG: frozenset({Action.LOG, Action.ALL_ENTRIES, Action.VERIFY, Action.EXPORT}),
        Scope.METRICS: frozenset({Action.METRICS}),
    }
)
"""The actions that a token of each scope may take, where its holder's role may."""

SCOPES: Final[Mapping[Scope, Words]] = {
    Scope.ALL: Words("角色的全部权限", "all that the role may do"),
    Scope.QUERY: Words("查询、目录、预算与日志", "queries, catalogue, budgets and log"),
    Scope.PRODUCTS: Words("接收产品与结算", "receiving products, and statements"),
    Scope.LOG: Words("读取与核验日志", "reading and verifying the log"),
    Scope.METRICS: Words("读取服务指标", "reading the service's metrics"),
}
"""Each scope as people read it."""


def check(scope: Scope, action: Action) -> None:
    """Refuses ``Code.ROLE`` what a token of this scope does not open."""
    if action not in ACTIONS[scope]:
        hint, zh = "use a token of another scope", "请改用其他范围的令牌"
        raise refuse(Code.ROLE, f"a token for {scope}", hint, zh)
