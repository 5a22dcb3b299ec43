"""The one commit before data is touched: the intent, and what the query costs."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.context import Context
from sandbox.errors import Code, refuse
from sandbox.model import Request
from sandbox.policy.documents import ExactGuard
from sandbox.privacy.plan import Plan, Priced
from sandbox.stages import record
from sandbox.stages.budget import charges
from sandbox.stages.clock import Clock
from sandbox.stages.prepare import Prepared
from sandbox.stages.releases import Tables, kept, missing
from sandbox.store.ledger import Reservation, Short


@dataclass(frozen=True, slots=True)
class Begun:
    """A query on record and paid for: ``tables`` were released before, ``missing`` are still to be drawn.

    ``reservation`` pays for these and is touched: whatever happens from here on, it is spent.
    """

    tables: Tables
    missing: tuple[Priced, ...]
    reservation: Reservation | None


def begin(request: Request, prepared: Prepared, context: Context, clock: Clock) -> Begun:
    """Write the intent and pay, durably and at once; refuses BUDGET or QUOTA, the intent on record."""
    plan = prepared.plan
    with clock.stage("reserve"):
        tables = {} if plan is None else kept(plan, context)
        lacking = () if plan is None else missing(plan, tables)
        with context.store.database.write():
            record.intent(request, context, prepared)
            room = _quota(request, context)
            paid = _reserve(request, plan, lacking, context) if plan is not None and lacking else None
    # Refused only here: leaving the transaction by an exception would undo the intent as well.
    if not room:
        raise refuse(Code.QUOTA, context.grant.id)
    if isinstance(paid, Short):
        dataset = all(not c.account.startswith(f"{context.grant.id}/") for c in paid.charges)
        raise refuse(
            Code.DATASET_BUDGET if dataset else Code.BUDGET, ", ".join(c.account for c in paid.charges)
        )
    return Begun(tables, lacking, paid)


def _quota(request: Request, context: Context) -> bool:
    """Count one more query under an exact grant; whether its quotas allow it."""
    guard = context.guard
    if not isinstance(guard, ExactGuard):
        return True
    return context.store.ledger.use(context.grant.id, request.time.date(), guard.per_day, guard.total)


def _reserve(
    request: Request, plan: Plan, lacking: tuple[Priced, ...], context: Context
) -> Reservation | Short:
    """Set the cost aside, on all accounts or none, and mark that data is about to be read."""
    owed = charges(plan, lacking, context)
    ledger = context.store.ledger
    result = ledger.reserve(f"{request.person.name}/{request.id}", owed, request.time)
    return result if isinstance(result, Short) else ledger.touch(result)
