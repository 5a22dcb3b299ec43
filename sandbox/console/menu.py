"""Which pages stand in whose navigation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sandbox.model import Person, Words

BUREAU: Final = frozenset({"bureau"})
OWNER: Final = frozenset({"owner"})
USERS: Final = frozenset({"operator", "analyst"})
READERS: Final = BUREAU | OWNER
EVERYBODY: Final = BUREAU | OWNER | USERS


@dataclass(frozen=True, slots=True)
class Item:
    """A page's place in the navigation."""

    path: str
    words: Words
    roles: frozenset[str]


ITEMS: Final = (
    Item("/today", Words("今日", "Today"), BUREAU),
    Item("/holdings", Words("我的数据", "My data"), OWNER),
    Item("/catalogue", Words("目录", "Catalogue"), EVERYBODY),
    Item("/ask", Words("查询", "Query"), USERS),
    Item("/log", Words("日志", "Log"), EVERYBODY),
    Item("/budgets", Words("预算", "Budgets"), EVERYBODY),
    Item("/cases", Words("申请与审核", "Cases"), BUREAU | OWNER | frozenset({"operator"})),
    Item("/freezes", Words("冻结", "Freezes"), BUREAU),
    Item("/supervision", Words("监管月报", "Supervision"), BUREAU | frozenset({"operator"})),
    Item("/policies", Words("政策", "Policies"), READERS),
    Item("/people", Words("人员", "People"), BUREAU),
    Item("/audit", Words("审计验证", "Audit"), READERS),
)


def items(person: Person) -> Iterable[Item]:
    """The pages of this person."""
    return (item for item in ITEMS if person.role in item.roles)


def first(person: Person) -> str:
    """The page on which this person begins."""
    return next((item.path for item in items(person)), "/catalogue")
