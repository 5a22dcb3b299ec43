"""The floor: documents that were never checked gain nothing over it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sandbox.policy.documents import Budget, Documents, DpGuard, ExactGuard, Grant
from sandbox.policy.floor import FLOOR, budget_in_force, guard_in_force


def dp_grant(documents: Documents) -> Grant:
    grant = documents.grant("G-2025-017")
    assert grant is not None
    return grant


def test_guard_within_all_limits_stands(documents: Documents) -> None:
    grant = dp_grant(documents)
    assert guard_in_force(grant, documents.datasets) == grant.guard


def test_strictest_number_wins(documents: Documents) -> None:
    loose = DpGuard(Fraction(50), Fraction(100), Fraction(1, 10), groups=3, units=1)
    grant = replace(dp_grant(documents), guard=loose)
    by_floor = DpGuard(FLOOR.query, FLOOR.grant, FLOOR.delta, groups=3, units=FLOOR.units)
    assert guard_in_force(grant, documents.datasets) == by_floor
    tight = [replace(d, budget=Budget(Fraction(2), Fraction(0))) for d in documents.datasets]
    assert guard_in_force(grant, tight) == DpGuard(Fraction(2), Fraction(2), Fraction(0), 3, FLOOR.units)


def test_only_the_datasets_of_the_grant_bind(documents: Documents) -> None:
    grant = dp_grant(documents)
    other = [
        replace(d, budget=Budget(Fraction(1), Fraction(0))) for d in documents.datasets if d.id == "power"
    ]
    assert guard_in_force(grant, other) == grant.guard


def test_exact_guard_has_no_budget(documents: Documents) -> None:
    grant = documents.grant("G-2025-022")
    assert grant is not None
    assert guard_in_force(grant, documents.datasets) == ExactGuard(500, 20_000)


def test_dataset_budget(documents: Documents) -> None:
    dataset = documents.datasets[0]
    assert budget_in_force(dataset) == Budget(FLOOR.dataset, FLOOR.delta)
    own = Budget(Fraction(3), Fraction(1, 10**8))
    assert budget_in_force(replace(dataset, budget=own)) == own
    loose = replace(dataset, budget=Budget(Fraction(999), Fraction(1, 2)))
    assert budget_in_force(loose) == Budget(FLOOR.dataset, FLOOR.delta)
