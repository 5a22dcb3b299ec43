"""Execute, protect, release: the stages that touch data, and the one commit before anything leaves.

Order matters for soundness and audit: the intent is on disk and the budget spent before a row is read
(``begin``); what is kept is what leaves, so that answers to equal questions are equal; the outcome, the kept
tables and the reservation's end are on disk, together, before the answer leaves.
"""

from __future__ import annotations

import pyarrow as pa

from sandbox.context import Context
from sandbox.model import Answer, Request
from sandbox.privacy.accounting import Measure
from sandbox.privacy.plan import Plan, Priced
from sandbox.privacy.protect import bounds, protect
from sandbox.privacy.spend import spend
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import tally
from sandbox.sql.compile import compile_relation
from sandbox.stages import record
from sandbox.stages.begin import Begun
from sandbox.stages.clock import Clock
from sandbox.stages.prepare import Prepared, in_force
from sandbox.stages.releases import Tables, keep, name_of, price_of, public
from sandbox.stages.shape import split_table
from sandbox.stages.told import columns_with, derivation_with


def run(request: Request, prepared: Prepared, begun: Begun, context: Context, clock: Clock) -> Answer:
    """The protected answer, on record; refuses ENGINE where it cannot be had."""
    tables = dict(begun.tables)
    if prepared.plan is not None:
        for priced in begun.missing:
            # A later release may read this one, so what it reads must be what is kept.  The last goes with
            # the outcome.
            table = _draw(priced, prepared.plan, context, tables, clock)
            last = priced is begun.missing[-1]
            tables[name_of(priced)] = table if last else keep(request, priced, context, table)
    try:
        answer = _answer(request, prepared, begun, context, tables, clock)
        clock.until_tick(context.clock_ms)
        in_force(request, context)  # a freeze may have come meanwhile
    except Exception:
        with context.store.database.write():
            _settle(request, begun, context, tables)  # what was paid for is kept, though this answer is lost
        raise
    with context.store.database.write():
        if _settle(request, begun, context, tables):
            return record.answered(request, context, answer, clock)
    # Another query kept its own draw of the same release first: that one is the answer, here too.
    answer = _answer(request, prepared, begun, context, tables, clock)
    return record.answered(request, context, answer, clock)


def _draw(priced: Priced, plan: Plan, context: Context, tables: Tables, clock: Clock) -> pa.Table:
    parts = spend(priced, plan.measure)
    sql = tally_sql(priced.release, laplace=plan.measure is Measure.PURE)
    with clock.stage("execute"):
        read = public(plan, tables)
        found = context.engine.run(sql, read)
        listing = priced.release.listing
        # A question to public tables and to what was released before: its answer is no secret.
        listed = None if listing is None else context.engine.run(compile_relation(listing.relation), read)
    with clock.stage("protect"):
        counted = tally(priced.release, found, listed)
        return protect(priced, parts, bounds(counted, parts), counted)


def _settle(request: Request, begun: Begun, context: Context, tables: Tables) -> bool:
    """Keep the last draw and end the reservation.

    Puts what is kept into ``tables``, and says whether that is what was drawn.
    """
    if begun.reservation is None:
        return True
    last = begun.missing[-1]
    drawn = tables[name_of(last)]
    tables[name_of(last)] = keep(request, last, context, drawn)
    context.store.ledger.commit(begun.reservation)
    return tables[name_of(last)] is drawn


def _answer(
    request: Request, prepared: Prepared, begun: Begun, context: Context, tables: Tables, clock: Clock
) -> Answer:
    with clock.stage("release"):
        found = context.engine.run(prepared.sql, public(prepared.plan, tables))
        table, margins = split_table(found, prepared.columns, prepared.places)
    plan, columns = prepared.plan, prepared.columns
    if plan is not None:
        columns = columns_with(columns, plan, tables, begun.origins)
    return Answer(
        request.id,
        context.grant.id,
        str(prepared.mode),
        context.snapshot,
        columns,
        table,
        margins,
        None if plan is None else price_of(plan, begun.missing),
        derivation_with(prepared.derivation, begun.origins),
        prepared.guarantee,
    )
