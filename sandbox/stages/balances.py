"""The accounts of the ledger as people read them, and the decision that raises one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from fractions import Fraction

from sandbox.errors import Code, refuse
from sandbox.model import Balance
from sandbox.policy.documents import Budget, Documents, DpGuard
from sandbox.policy.floor import budget_in_force, guard_in_force
from sandbox.privacy.accounting import ATTO, account
from sandbox.privacy.accounting import Account as Total
from sandbox.store.ledger import Account, Ledger


def budgets(documents: Documents) -> dict[str, Budget]:
    """What the documents allow each dataset, and each DP grant, in all."""
    found = {d.id: budget_in_force(d) for d in documents.datasets}
    for grant in documents.grants:
        guard = guard_in_force(grant, documents.datasets)
        if isinstance(guard, DpGuard):
            found[grant.id] = Budget(guard.total, guard.delta)
    return found


def totals(documents: Documents) -> tuple[Account, ...]:
    """Every account that the documents can ever have opened, with all that it may spend."""
    allowed = budgets(documents)
    names: dict[str, str] = {}
    for dataset in documents.datasets:
        scopes = {f"{dataset.id}/{unit.kind}" for table in dataset.tables for unit in table.units}
        grants = {g.id for g in documents.grants for table, _ in g.data if table.split(".")[0] == dataset.id}
        names |= dict.fromkeys(scopes, dataset.id)
        names |= {own_account(grant, scope): grant for grant in grants & allowed.keys() for scope in scopes}
    return tuple(_unspent(name, account(allowed[owner])) for name, owner in sorted(names.items()))


def own_account(grant: str, scope: str) -> str:
    """The account from which a grant pays for the units of a scope (``dataset/kind``)."""
    dataset, kind = scope.split("/", 1)
    return f"{grant}/{kind}@{dataset}"


def _unspent(name: str, total: Total) -> Account:
    return Account(name, str(total.measure), 0, total.limit_nano, 0, total.limit_atto)


def balances(ledger: Ledger, documents: Documents, seen: Container[str]) -> tuple[Balance, ...]:
    """The accounts of the grants and datasets among ``seen``, by name."""
    allowed = budgets(documents)
    unfinished: Counter[str] = Counter()
    for reservation in ledger.orphans():
        unfinished.update({charge.account: charge.amount for charge in reservation.charges})
    return tuple(
        _balance(held, allowed[owner], unfinished[held.account])
        for held in ledger.balances()
        if (owner := owner_of(held.account)) in seen and owner in allowed
    )


def raise_limit(ledger: Ledger, documents: Documents, name: str) -> tuple[Balance, Balance]:
    """Put in force what the documents raised: the account before and after.  The caller logs it.

    Refuses ``Code.NOT_FOUND`` where there is no such account, or nothing of it was raised.
    """
    allowed = budgets(documents).get(owner_of(name))
    held = ledger.balance(name)
    if allowed is None or held is None:
        raise refuse(Code.NOT_FOUND, f"account {name[:80]}")
    wanted = account(allowed)
    if str(wanted.measure) != held.measure or held.covers(wanted.limit_nano, wanted.limit_atto):
        raise refuse(Code.NOT_FOUND, f"a raised total of {name}")
    raised = ledger.approve(name, wanted.limit_nano, wanted.limit_atto)
    return _balance(held, allowed, 0), _balance(raised, allowed, 0)


def owner_of(name: str) -> str:
    """The grant or dataset whose account this is."""
    return name.split("/", 1)[0]


def _balance(held: Account, allowed: Budget, unfinished: int) -> Balance:
    """``epsilon_limit`` is the policy's where that is in force, else what the approved limit stands for."""
    wanted = account(allowed)
    raised = not held.covers(wanted.limit_nano, wanted.limit_atto)
    limit = min(wanted.limit_nano, held.limit)
    delta = min(allowed.delta, Fraction(2 * held.delta_limit, ATTO)) if raised else allowed.delta
    return Balance(
        held.account,
        held.measure,
        held.spent,
        limit,
        wanted.epsilon(held.spent) if held.spent else 0.0,
        wanted.epsilon(limit) if limit < wanted.limit_nano else float(allowed.epsilon),
        float(delta),
        float(allowed.epsilon) if raised else None,
        unfinished,
    )
