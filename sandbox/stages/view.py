"""What ``explain`` shows: price, predicted errors and derivation, with nothing spent."""

from __future__ import annotations

from sandbox.context import Context
from sandbox.model import Explained, Request
from sandbox.stages.prepare import Prepared
from sandbox.stages.releases import had, missing, price_of
from sandbox.stages.told import columns_with, derivation_with


def priced_view(request: Request, prepared: Prepared, context: Context) -> Explained:
    """The explanation of a prepared query."""
    plan, price = prepared.plan, None
    columns, derivation = prepared.columns, prepared.derivation
    if plan is not None:
        found = had(request, plan, context)
        price = price_of(plan, missing(plan, found.tables))
        columns = columns_with(columns, plan, found.tables, found.origins)
        derivation = derivation_with(derivation, found.origins)
    told = (columns, derivation, prepared.guarantee)
    return Explained(request.id, context.grant.id, str(prepared.mode), price, *told)
