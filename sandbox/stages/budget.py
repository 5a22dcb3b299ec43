"""Which accounts a query charges, and with how much: pure arithmetic over the plan and the limits."""

from __future__ import annotations

from sandbox.context import Context
from sandbox.policy.documents import Budget, DpGuard
from sandbox.privacy.accounting import Account, Cost, account, as_dataset_cost
from sandbox.privacy.plan import Plan, Priced
from sandbox.stages.balances import own_account
from sandbox.store.ledger import Charge


def charges(plan: Plan, missing: tuple[Priced, ...], context: Context) -> tuple[Charge, ...]:
    """Charges for the releases that are not kept: the grant's account and the dataset's, by unit kind."""
    assert isinstance(context.guard, DpGuard)
    own = account(Budget(context.guard.total, context.guard.delta))
    caps = {dataset: account(budget) for dataset, budget in context.budgets}
    result: list[Charge] = []
    for scope, cost in owed(missing).items():
        result.append(_charge(own_account(context.grant.id, scope), cost, own))
        result.append(_charge(scope, as_dataset_cost(cost, plan.measure), caps[scope.split("/", 1)[0]]))
    return tuple(result)


def limit(context: Context) -> int:
    """All that a DP grant may ever spend of one unit kind of one dataset, in ledger units."""
    assert isinstance(context.guard, DpGuard)
    return account(Budget(context.guard.total, context.guard.delta)).limit_nano


def owed(missing: tuple[Priced, ...]) -> dict[str, Cost]:
    """What these releases cost, by the scope of the unit that pays."""
    found: dict[str, Cost] = {}
    for priced in missing:
        known = found.get(priced.release.scope, Cost(0, 0))
        delta = 0 if priced.release.selection is None else int(priced.delta * 10**18)
        found[priced.release.scope] = Cost(known.nano + priced.nano, known.delta_atto + delta)
    return found


def _charge(name: str, cost: Cost, limit: Account) -> Charge:
    return Charge(name, str(limit.measure), cost.nano, cost.delta_atto, limit.limit_nano, limit.limit_atto)
