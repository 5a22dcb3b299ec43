"""What ``explain`` shows: price, predicted errors and derivation, with nothing spent."""

from __future__ import annotations

from sandbox.context import Context
from sandbox.model import Explained, Request
from sandbox.privacy.margins import with_margins
from sandbox.stages.prepare import Prepared
from sandbox.stages.run import not_kept, price_of, told
from sandbox.stages.shape import answer_columns


def priced_view(request: Request, prepared: Prepared, context: Context) -> Explained:
    """The explanation of a prepared query."""
    _, places = with_margins(prepared.post)
    price = None if prepared.plan is None else price_of(prepared.plan, not_kept(prepared.plan, context))
    tree, words = told(prepared, context)
    columns = answer_columns(prepared, noisy=frozenset(places))
    return Explained(request.id, context.grant.id, str(prepared.mode), price, columns, tree, words)
