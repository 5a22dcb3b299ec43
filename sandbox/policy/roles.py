"""Which role may do what: one table, and the functions that ask it.

Invariants: ``TABLE`` names every action, and what it does not allow is refused; a role that it does not know
may do nothing.  A role says what a person may do at all; to what they may do it, their organisation says
(grants, cases, entries), and who may not judge their own work, ``workflow.persons``.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import Person, Words


class Role(StrEnum):
    """What a person is.  ``BUREAU`` is the bureau's administrator, ``OPERATOR`` an operator's manager."""

    BUREAU = "bureau"
    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    OWNER = "owner"
    OPERATOR = "operator"
    ANALYST = "analyst"


class Action(StrEnum):
    """What doors let people do."""

    ACCOUNT = "account"
    CATALOGUE = "catalogue"
    EXPLAIN = "explain"
    ASK = "ask"
    NOTEBOOKS = "notebooks"
    BUDGETS = "budgets"
    RAISE_BUDGET = "raise-budget"
    CASES = "cases"
    PROPOSE_DATASET = "propose-dataset"
    APPLY = "apply"
    ADVISE = "advise"
    REVIEW = "review"
    INCIDENTS = "incidents"
    PRODUCTS = "products"
    STATEMENTS = "statements"
    SUPERVISION = "supervision"
    FREEZES = "freezes"
    FREEZE = "freeze"
    LOG = "log"
    ALL_ENTRIES = "all-entries"
    SHARE_VIEWS = "share-views"
    ALERTS = "alerts"
    VERIFY = "verify"
    EXPORT = "export"
    PURGE = "purge"
    ROTATE_KEY = "rotate-key"
    RECOVER = "recover"
    METRICS = "metrics"
    POLICIES = "policies"
    HOLDINGS = "holdings"
    INGEST = "ingest"
    PROFILE = "profile"
    PEOPLE = "people"
    MANAGE_PEOPLE = "manage-people"


_B, _R, _A, _O, _P, _N = Role
_EVERYBODY: Final = frozenset(Role)
_HOUSE: Final = frozenset({_B, _R, _A})
_JUDGES: Final = frozenset({_B, _R})
_USERS: Final = frozenset({_P, _N})

TABLE: Final[Mapping[Action, frozenset[Role]]] = MappingProxyType(
    {
        Action.ACCOUNT: _EVERYBODY,
        Action.CATALOGUE: _EVERYBODY,
        Action.EXPLAIN: _EVERYBODY,
        Action.ASK: _USERS,
        Action.NOTEBOOKS: _USERS,
        Action.BUDGETS: _EVERYBODY,
        Action.RAISE_BUDGET: _JUDGES,
        Action.CASES: _HOUSE | {_O, _P},
        Action.PROPOSE_DATASET: frozenset({_B, _O}),
        Action.APPLY: frozenset({_P}),
        Action.ADVISE: frozenset({_O}),
        Action.REVIEW: _JUDGES,
        Action.INCIDENTS: _JUDGES,
        Action.PRODUCTS: _EVERYBODY,
        Action.STATEMENTS: _HOUSE | {_O, _P},
        Action.SUPERVISION: _HOUSE | {_P},
        Action.FREEZES: _HOUSE,
        Action.FREEZE: _JUDGES,
        Action.LOG: _EVERYBODY,
        Action.ALL_ENTRIES: _HOUSE,
        Action.SHARE_VIEWS: _HOUSE,
        Action.ALERTS: _HOUSE,
        Action.VERIFY: frozenset({_B, _A, _O}),
        Action.EXPORT: frozenset({_B, _A}),
        Action.PURGE: frozenset({_B}),
        Action.ROTATE_KEY: frozenset({_B}),
        Action.RECOVER: frozenset({_B}),
        Action.METRICS: frozenset({_B, _A}),
        Action.POLICIES: _HOUSE | {_O},
        Action.HOLDINGS: frozenset({_O}),
        Action.INGEST: frozenset({_B, _O}),
        Action.PROFILE: frozenset({_O}),
        Action.PEOPLE: frozenset({_B, _A}),
        Action.MANAGE_PEOPLE: frozenset({_B}),
    }
)
"""The roles that may take each action."""

ROLES: Final[Mapping[Role, Words]] = {
    Role.BUREAU: Words("主管部门管理员", "Bureau administrator"),
    Role.REVIEWER: Words("主管部门审核员", "Bureau reviewer"),
    Role.AUDITOR: Words("主管部门审计员", "Bureau auditor"),
    Role.OWNER: Words("数源单位", "Owner"),
    Role.OPERATOR: Words("运营单位负责人", "Operator's manager"),
    Role.ANALYST: Words("运营单位分析师", "Operator's analyst"),
}
"""Each role as people read it."""

ACTIONS: Final[Mapping[Action, Words]] = {
    Action.ACCOUNT: Words("登录与退出", "sign in and out"),
    Action.CATALOGUE: Words("查看目录", "read the catalogue"),
    Action.EXPLAIN: Words("为查询估价", "price a query"),
    Action.ASK: Words("提交查询", "ask a query"),
    Action.NOTEBOOKS: Words("使用笔记本", "use notebooks"),
    Action.BUDGETS: Words("查看预算", "read budgets"),
    Action.RAISE_BUDGET: Words("批准上调预算", "put a raised budget in force"),
    Action.CASES: Words("查看事项", "read cases"),
    Action.PROPOSE_DATASET: Words("提交数据集文件", "propose a dataset"),
    Action.APPLY: Words("申请授权与产品", "apply for grants and products"),
    Action.ADVISE: Words("出具数源单位意见", "give the owner's opinion"),
    Action.REVIEW: Words("批准、驳回、撤销", "approve, reject, revoke"),
    Action.INCIDENTS: Words("记录与关闭事件", "open, note and close incidents"),
    Action.PRODUCTS: Words("查看与接收产品", "read and receive products"),
    Action.STATEMENTS: Words("查看月度结算", "read monthly statements"),
    Action.SUPERVISION: Words("查看监管月报", "read supervision reports"),
    Action.FREEZES: Words("查看冻结", "read freezes"),
    Action.FREEZE: Words("冻结、演练与解除", "freeze, drill and lift"),
    Action.LOG: Words("查看本单位日志", "read one's organisation's log"),
    Action.ALL_ENTRIES: Words("查看全部单位的记录", "read everybody's entries, cases, grants and products"),
    Action.SHARE_VIEWS: Words("共享日志视图", "share views of the log"),
    Action.ALERTS: Words("查看告警与今日", "read alerts and the day"),
    Action.VERIFY: Words("验证审计日志", "verify the audit log"),
    Action.EXPORT: Words("导出审计日志", "export the audit log"),
    Action.PURGE: Words("按期限清除个人部分", "purge what is past its days"),
    Action.ROTATE_KEY: Words("更换签名密钥", "sign with a new key"),
    Action.RECOVER: Words("从备份恢复后继续", "go on with a store from a backup"),
    Action.METRICS: Words("读取服务指标", "read the service's metrics"),
    Action.POLICIES: Words("查看政策与差异", "read policies and their differences"),
    Action.HOLDINGS: Words("查看自己的数据", "read what became of one's data"),
    Action.INGEST: Words("导入数据、管理数据源", "ingest, and keep data sources"),
    Action.PROFILE: Words("剖析数据源", "look into a source's values"),
    Action.PEOPLE: Words("查看人员", "read who has an account"),
    Action.MANAGE_PEOPLE: Words("添加、停用人员", "add and disable people"),
}
"""Each action as people read it."""


def may(person: Person, action: Action) -> bool:
    """Whether this person's role may take the action."""
    return person.role in TABLE[action]


def check(person: Person, action: Action) -> None:
    """Refuses ``Code.ROLE`` whose role may not take the action."""
    if not may(person, action):
        raise refuse(Code.ROLE)


def of_bureau(person: Person) -> bool:
    """Whether this person acts for the bureau, in whichever of its roles."""
    return person.role in _HOUSE


def page() -> str:
    """The table in Markdown, as docs/accounts.md shows it."""
    heads = "| | " + " | ".join(f"`{role}`" for role in Role) + " |\n|---" + "|:-:" * len(Role) + "|\n"
    rows = (
        f"| {ACTIONS[action].zh} {ACTIONS[action].en} | "
        + " | ".join("●" if role in TABLE[action] else "" for role in Role)
        + " |\n"
        for action in Action
    )
    return heads + "".join(rows)
