"""Budgets: what is left of each account, and how it came to that."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from sandbox.console.charts import Step, burn
from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit
from sandbox.model import Balance
from sandbox.policy.roles import Action


@dataclass(frozen=True, slots=True)
class Standing:
    """An account, the part that is left, and its course as a picture."""

    balance: Balance
    left: float
    chart: Markup


def budgets(visit: Visit) -> Response:
    """All accounts that this person may see, the emptiest first."""
    return visit.page("budgets.html", standings=standings(visit))


def standings(visit: Visit) -> list[Standing]:
    """The accounts with their courses, the emptiest first."""
    gateway = visit.console.gateway
    periods = {g.id: (g.start, g.until) for g in gateway.documents().grants}
    year = visit.now.year
    found = []
    for balance in gateway.budget(visit.person):
        begun, until = periods.get(
            balance.account.split("/", 1)[0], (dt.date(year, 1, 1), dt.date(year, 12, 31))
        )
        steps, left = [], balance.limit
        for moment, amount in gateway.course(visit.person, balance.account):
            left -= amount
            steps.append(Step(moment, _part(left, balance.limit)))
        part = _part(balance.limit - balance.spent, balance.limit)
        chart = burn(steps, begun, until, visit.now, visit.locale)
        found.append(Standing(balance, part, chart))
    return sorted(found, key=lambda standing: (standing.left, standing.balance.account))


def approve(visit: Visit) -> Response:
    """Put a raised total in force."""
    visit.console.gateway.approve(visit.person, visit.field("account"))
    return visit.go("/budgets")


def _part(left: int, limit: int) -> float:
    return max(left / limit, 0.0) if limit else 0.0


PAGES: Final[tuple[Page, ...]] = (
    get("/budgets", Action.BUDGETS, budgets),
    post("/budgets/approve", Action.RAISE_BUDGET, approve),
)
