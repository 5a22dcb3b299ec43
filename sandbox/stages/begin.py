"""The one commit before data is touched: the intent, and what the query costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.context import Context
from sandbox.errors import Code, refuse
from sandbox.model import Request
from sandbox.policy.documents import ExactGuard
from sandbox.privacy.plan import Plan, Priced
from sandbox.stages import record
from sandbox.stages.budget import charges
from sandbox.stages.clock import Clock
from sandbox.stages.prepare import Prepared
from sandbox.stages.releases import Had, Origin, Tables, had, keep_derived, missing
from sandbox.store.ledger import Reservation, Short, State

NONE: Final = Had({}, {})


@dataclass(frozen=True, slots=True)
class Begun:
    """A query on record and paid for: ``tables`` were released before, ``missing`` are still to be drawn.

    ``origins`` are those of the tables that were derived from others.  ``reservation`` pays for what is
    missing and is touched: whatever happens from here on, it is spent.
    """

    tables: Tables
    origins: Mapping[str, Origin]
    missing: tuple[Priced, ...]
    reservation: Reservation | None


def begin(request: Request, prepared: Prepared, context: Context, clock: Clock) -> Begun:
    """Write the intent and pay, durably and at once; refuses BUDGET or QUOTA, the intent on record.

    What an earlier try of the same request began and has not kept is not begun again: UNFINISHED.
    """
    plan = prepared.plan
    with clock.stage("reserve"):
        found = NONE if plan is None else had(request, plan, context)
        lacking = () if plan is None else missing(plan, found.tables)
        with context.store.database.write():
            if lacking:
                _check_first(request, context)
            record.intent(request, context, prepared)
            tables = {} if plan is None else keep_derived(request, plan, context, found)
            room = _quota(request, context)
            paid = _reserve(request, plan, lacking, context) if plan is not None and lacking else None
    # Refused only here: leaving the transaction by an exception would undo the intent as well.
    if not room:
        raise refuse(Code.QUOTA, context.grant.id)
    if isinstance(paid, Short):
        raise refuse(_why(paid, context), ", ".join(c.account for c in paid.charges))
    return Begun(tables, found.origins, lacking, paid)


def _check_first(request: Request, context: Context) -> None:
    """Two tries of one request may draw two noises for one charge: only the first draws."""
    begun = context.store.ledger.reservation(_name(request))
    if begun is not None and begun.state is not State.RELEASED:
        raise refuse(Code.UNFINISHED, request.id)


def _why(short: Short, context: Context) -> Code:
    """Whose limit it is, and whether an approval would do."""
    if len(short.awaiting) == len(short.charges):
        return Code.BUDGET_APPROVAL
    own = any(charge.account.startswith(f"{context.grant.id}/") for charge in short.charges)
    return Code.BUDGET if own else Code.DATASET_BUDGET


def _name(request: Request) -> str:
    """A request's name in the ledger: ids are unique to a person."""
    return f"{request.person.name}/{request.id}"


def _quota(request: Request, context: Context) -> bool:
    """Count one more query under an exact grant; whether its quotas allow it."""
    guard = context.guard
    if not isinstance(guard, ExactGuard):
        return True
    ledger, day = context.store.ledger, request.time.date()
    return ledger.use(context.grant.id, day, guard.per_day, guard.total, _name(request))


def _reserve(
    request: Request, plan: Plan, lacking: tuple[Priced, ...], context: Context
) -> Reservation | Short:
    """Set the cost aside, on all accounts or none, and mark that data is about to be read."""
    owed = charges(plan, lacking, context)
    ledger = context.store.ledger
    result = ledger.reserve(_name(request), owed, request.time)
    return result if isinstance(result, Short) else ledger.touch(result)
