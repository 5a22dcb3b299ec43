"""The race for a budget in its short form; ``make race`` runs it at length."""

from __future__ import annotations

import pytest

from tests.faults.race import EPSILON, Figures, race
from tests.support.postgres import Server

REQUESTS = 64


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_granted_is_the_budget_to_the_unit(kind: str, server: Server) -> None:
    store = "store.db" if kind == "sqlite" else server.database()
    budget = REQUESTS // 2 * EPSILON
    assert race(store, REQUESTS) == Figures(REQUESTS, budget, budget, budget)
