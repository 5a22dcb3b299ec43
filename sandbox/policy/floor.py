"""The platform floor: the numbers that no document can loosen.

One frozen value.  A document that asks for more is refused when it is read, and ``effective`` takes
the strictest number once more, so a document that was never checked gains nothing either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from sandbox.policy.documents import Budget, Dataset, DpGuard, ExactGuard, Grant


@dataclass(frozen=True, slots=True)
class Floor:
    """Platform limits.  Epsilons and deltas are upper limits, ``units`` and ``dominance`` lower ones.

    ``query`` and ``grant``: most epsilon of one query and of one grant.  ``dataset``: most epsilon of
    a dataset over all its grants, and its default.  ``delta``: largest delta anywhere.  ``units``: fewest
    units behind a DP group key or a grid cell.  ``dominance``: smallest p of the p%-rule, in percent.
    """

    query: Fraction
    grant: Fraction
    dataset: Fraction
    delta: Fraction
    units: int
    dominance: int


FLOOR: Final = Floor(
    query=Fraction(5),
    grant=Fraction(20),
    dataset=Fraction(20),
    delta=Fraction(1, 100_000),
    units=5,
    dominance=5,
)


def guard_in_force(grant: Grant, datasets: Iterable[Dataset], floor: Floor = FLOOR) -> DpGuard | ExactGuard:
    """The grant's guard after floor ∩ dataset ∩ grant: the strictest of each number.

    A DP grant's ``total`` is at most the smallest budget among its datasets, ``query`` at most ``total``.
    """
    guard = grant.guard
    if isinstance(guard, ExactGuard):
        return guard
    named = {table.partition(".")[0] for table, _ in grant.data}
    budgets = [budget_in_force(d, floor) for d in datasets if d.id in named]
    total = min([guard.total, floor.grant, *(b.epsilon for b in budgets)])
    delta = min([guard.delta, floor.delta, *(b.delta for b in budgets)])
    return replace(
        guard,
        query=min(guard.query, floor.query, total),
        total=total,
        delta=delta,
        units=max(guard.units, floor.units),
    )


def budget_in_force(dataset: Dataset, floor: Floor = FLOOR) -> Budget:
    """The cap over all grants of the dataset: its own if declared, never above the floor's."""
    if dataset.budget is None:
        return Budget(floor.dataset, floor.delta)
    return Budget(min(dataset.budget.epsilon, floor.dataset), min(dataset.budget.delta, floor.delta))
