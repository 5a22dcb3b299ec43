"""What ``explain`` shows: price, predicted errors and derivation, with nothing spent."""

from __future__ import annotations

from sandbox.context import Context
from sandbox.model import Explained, Request
from sandbox.stages.prepare import Prepared
from sandbox.stages.releases import not_kept, price_of


def priced_view(request: Request, prepared: Prepared, context: Context) -> Explained:
    """The explanation of a prepared query."""
    price = None if prepared.plan is None else price_of(prepared.plan, not_kept(prepared.plan, context))
    told = (prepared.columns, prepared.derivation, prepared.guarantee)
    return Explained(request.id, context.grant.id, str(prepared.mode), price, *told)
