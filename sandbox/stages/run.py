"""Reserve, execute, protect, release: the stages that spend and touch data.

Order matters for soundness and audit: the intent is on disk and the budget reserved before a row is
read; noise is drawn before anything is kept; what is kept is what leaves, so that answers to equal
questions are equal.
"""

from __future__ import annotations

import io

import pyarrow as pa

from sandbox.context import Context
from sandbox.errors import Code, refuse
from sandbox.model import Answer, Derivation, Price, Request, Words
from sandbox.policy.documents import DpGuard, ExactGuard, Mode
from sandbox.privacy.accounting import Measure
from sandbox.privacy.explain import EXACT, PUBLIC, derivation, guarantee
from sandbox.privacy.margins import with_margins
from sandbox.privacy.plan import Plan, Priced
from sandbox.privacy.protect import bounds, protect
from sandbox.privacy.spend import spend
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import tally
from sandbox.sql.compile import compile_relation
from sandbox.stages.budget import charges, owed
from sandbox.stages.clock import Clock
from sandbox.stages.prepare import Prepared
from sandbox.stages.shape import answer_columns, split_table
from sandbox.store.answers import Stored
from sandbox.store.ledger import Reservation, Short

Tables = dict[str, pa.Table]


def run(request: Request, prepared: Prepared, context: Context, clock: Clock) -> Answer:
    """The protected answer; refuses BUDGET or QUOTA before data is touched, ENGINE after."""
    tables: Tables = {}
    price = None
    if prepared.plan is not None:
        tables, price = _released(request, prepared.plan, context, clock)
    elif isinstance(context.guard, ExactGuard):
        _use(request, context.guard, context)
    with clock.stage("release"):
        return _answer(request, prepared, context, tables, price)


def _use(request: Request, guard: ExactGuard, context: Context) -> None:
    if not context.store.ledger.use(context.grant.id, request.time.date(), guard.per_day, guard.total):
        raise refuse(Code.QUOTA, context.grant.id)


def _released(request: Request, plan: Plan, context: Context, clock: Clock) -> tuple[Tables, Price]:
    """Every released table of the plan: kept ones free, the others paid for, drawn and kept."""
    kept = {p.release.number: _kept(p, context) for p in plan.priced}
    missing = tuple(p for p in plan.priced if kept[p.release.number] is None)
    with clock.stage("reserve"):
        reservation = _reserve(request, plan, missing, context)
    tables: Tables = {}
    for priced in plan.priced:
        name = f"r{priced.release.number}"
        found = kept[priced.release.number]
        tables[name] = found if found is not None else _draw(request, priced, plan, context, tables, clock)
    if reservation is not None:
        context.store.ledger.commit(reservation)
    return tables, price_of(plan, missing)


def price_of(plan: Plan, missing: tuple[Priced, ...]) -> Price:
    """What is charged for the releases that are not kept, at most to one kind of unit.

    Where all are kept the answer is free, and the price is what it was when they were not.
    """
    nano = max((cost.nano for cost in owed(missing or plan.priced).values()), default=0)
    return Price(plan.epsilon, nano, str(plan.measure), not missing)


def _kept(priced: Priced, context: Context) -> pa.Table | None:
    stored = context.store.answers.best(
        context.grant.id, context.snapshot, priced.release.identity, priced.nano
    )
    return None if stored is None else pa.ipc.open_stream(stored.table).read_all()


def not_kept(plan: Plan, context: Context) -> tuple[Priced, ...]:
    """The releases of the plan that would have to be paid for; none: the query is free."""
    return tuple(p for p in plan.priced if _kept(p, context) is None)


def _reserve(
    request: Request, plan: Plan, missing: tuple[Priced, ...], context: Context
) -> Reservation | None:
    """Set the cost aside, all accounts or none, then mark that data is about to be read."""
    if not missing:
        return None
    owed = charges(plan, missing, context)
    ledger = context.store.ledger
    result = ledger.reserve(f"{request.person.name}/{request.id}", owed, request.time)
    if isinstance(result, Short):
        dataset = all(not c.account.startswith(f"{context.grant.id}/") for c in result.charges)
        raise refuse(
            Code.DATASET_BUDGET if dataset else Code.BUDGET, ", ".join(c.account for c in result.charges)
        )
    return ledger.touch(result)


def _draw(
    request: Request, priced: Priced, plan: Plan, context: Context, tables: Tables, clock: Clock
) -> pa.Table:
    parts = spend(priced, plan.measure)
    sql = tally_sql(priced.release, laplace=plan.measure is Measure.PURE)
    with clock.stage("execute"):
        found = context.engine.run(sql, tables)
        listing = priced.release.listing
        # A question to public tables and to what was released before: its answer is no secret.
        listed = None if listing is None else context.engine.run(compile_relation(listing.relation), tables)
    with clock.stage("protect"):
        counted = tally(priced.release, found, listed)
        table = protect(priced, parts, bounds(counted, parts), counted)
        return _keep(request, priced, context, table)


def _keep(request: Request, priced: Priced, context: Context, table: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    offered = Stored(
        context.grant.id,
        context.snapshot,
        priced.release.identity,
        priced.nano,
        sink.getvalue(),
        "{}",
        request.time,
    )
    kept = context.store.answers.put(offered)
    return pa.ipc.open_stream(kept.table).read_all()


def _answer(
    request: Request, prepared: Prepared, context: Context, tables: Tables, price: Price | None
) -> Answer:
    post, places = with_margins(prepared.post)
    found = context.engine.run(compile_relation(post), tables)
    columns = answer_columns(prepared, noisy=frozenset(places))
    table, margins = split_table(found, columns, places)
    tree, words = told(prepared, context)
    return Answer(
        request.id,
        context.grant.id,
        str(prepared.mode),
        context.snapshot,
        columns,
        table,
        margins,
        price,
        tree,
        words,
    )


def told(prepared: Prepared, context: Context) -> tuple[Derivation, tuple[Words, ...]]:
    """The derivation and the guarantee in words."""
    if prepared.plan is not None and isinstance(context.guard, DpGuard):
        return derivation(prepared.plan, context.guard), guarantee(prepared.plan, context.guard)
    words = EXACT if prepared.mode is Mode.EXACT else PUBLIC
    return Derivation("exact", (("over", "published grid and public tables"),)), words
