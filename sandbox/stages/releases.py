"""Released tables as they are kept and priced: an answer, once given, is given again, the same and free."""

from __future__ import annotations

import io

import pyarrow as pa

from sandbox.context import Context
from sandbox.model import Price, Request
from sandbox.privacy.faces import shown
from sandbox.privacy.plan import Plan, Priced
from sandbox.stages.budget import owed
from sandbox.store.answers import Stored

Tables = dict[str, pa.Table]
"""Released tables by the name under which compiled SQL reads them."""


def name_of(priced: Priced) -> str:
    """The name of a release's table in compiled SQL."""
    return f"r{priced.release.number}"


def public(plan: Plan | None, tables: Tables) -> Tables:
    """What compiled SQL reads: released tables, and of histograms what they say."""
    found: Tables = {}
    for priced in () if plan is None else plan.priced:
        name = name_of(priced)
        if name in tables:
            found[name] = shown(priced.release.face, tables[name], found)
    return found


def kept(plan: Plan, context: Context) -> Tables:
    """The released tables of a plan that are kept already."""
    found = {name_of(p): _kept(p, context) for p in plan.priced}
    return {name: table for name, table in found.items() if table is not None}


def not_kept(plan: Plan, context: Context) -> tuple[Priced, ...]:
    """The releases of the plan that would have to be paid for; none: the query is free."""
    return missing(plan, kept(plan, context))


def missing(plan: Plan, tables: Tables) -> tuple[Priced, ...]:
    """The releases of the plan that are not among ``tables``."""
    return tuple(p for p in plan.priced if name_of(p) not in tables)


def price_of(plan: Plan, missing: tuple[Priced, ...]) -> Price:
    """What is charged for the releases that are not kept, at most to one kind of unit.

    Where all are kept the answer is free, and the price is what it was when they were not.
    """
    nano = max((cost.nano for cost in owed(missing or plan.priced).values()), default=0)
    return Price(plan.epsilon, nano, str(plan.measure), not missing)


def keep(request: Request, priced: Priced, context: Context, table: pa.Table) -> pa.Table:
    """Keep a drawn table and return what is kept: this object, or the table that another query kept first."""
    offered = Stored(
        context.grant.id,
        context.snapshot,
        priced.release.identity,
        priced.nano,
        _written(table),
        "{}",
        request.time,
    )
    found = context.store.answers.put(offered)
    return table if found.table == offered.table else _opened(found)


def _kept(priced: Priced, context: Context) -> pa.Table | None:
    stored = context.store.answers.best(
        context.grant.id, context.snapshot, priced.release.identity, priced.nano
    )
    return None if stored is None else _opened(stored)


def best_kept(priced: Priced, context: Context) -> tuple[int, pa.Table] | None:
    """The dearest kept answer to this release's question, whatever was paid: its nano, and its table."""
    stored = context.store.answers.best(context.grant.id, context.snapshot, priced.release.identity, 0)
    return None if stored is None else (stored.nano, _opened(stored))


def _opened(stored: Stored) -> pa.Table:
    return pa.ipc.open_stream(stored.table).read_all()


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
