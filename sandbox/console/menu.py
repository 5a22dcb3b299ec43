"""Which pages stand in whose navigation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sandbox.model import Person, Words
from sandbox.policy.roles import Action, may


@dataclass(frozen=True, slots=True)
class Item:
    """A page's place in the navigation, for whoever may open it."""

    path: str
    words: Words
    action: Action


ITEMS: Final = (
    Item("/today", Words("今日", "Today"), Action.ALERTS),
    Item("/holdings", Words("我的数据", "My data"), Action.HOLDINGS),
    Item("/catalogue", Words("目录", "Catalogue"), Action.CATALOGUE),
    Item("/ask", Words("查询", "Query"), Action.ASK),
    Item("/notebooks", Words("笔记本", "Notebooks"), Action.NOTEBOOKS),
    Item("/products", Words("产品", "Products"), Action.PRODUCTS),
    Item("/log", Words("日志", "Log"), Action.LOG),
    Item("/budgets", Words("预算", "Budgets"), Action.BUDGETS),
    Item("/cases", Words("申请与审核", "Cases"), Action.CASES),
    Item("/freezes", Words("冻结", "Freezes"), Action.FREEZES),
    Item("/supervision", Words("监管月报", "Supervision"), Action.SUPERVISION),
    Item("/policies", Words("政策", "Policies"), Action.POLICIES),
    Item("/people", Words("人员", "People"), Action.PEOPLE),
    Item("/audit", Words("审计验证", "Audit"), Action.VERIFY),
)


def items(person: Person) -> Iterable[Item]:
    """The pages of this person."""
    return (item for item in ITEMS if may(person, item.action))


def first(person: Person) -> str:
    """The page on which this person begins."""
    return next(item.path for item in items(person))
