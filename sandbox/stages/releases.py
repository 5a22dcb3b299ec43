"""Released tables as they are kept and priced: an answer, once given, is given again, the same and free.

What follows from a kept answer is derived from it, free as well (``privacy.derive``), and kept in turn.  A
question asked by accuracy is the exception: who says how good an answer must be may buy a draw of its own.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from sandbox.context import Context
from sandbox.model import Price, Request
from sandbox.privacy.derive import derived, kin, opened, way
from sandbox.privacy.faces import shown
from sandbox.privacy.lattice import read_by_others
from sandbox.privacy.plan import Plan, Priced
from sandbox.sql.canonical import fingerprint
from sandbox.stages.budget import owed
from sandbox.store.answers import Stored

Tables = dict[str, pa.Table]
"""Released tables by the name under which compiled SQL reads them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a derived release was made of: so many cells of one for which ``nano`` was paid."""

    cells: int
    nano: int

    @property
    def text(self) -> str:
        """As it is kept beside the derived table."""
        return json.dumps({"cells": self.cells, "nano": self.nano})


@dataclass(frozen=True, slots=True)
class Had:
    """What of a plan is released already: ``tables``, and the ``origins`` of those that are derived.

    ``fresh`` names the tables that were derived just now and are not kept yet.
    """

    tables: Tables
    origins: Mapping[str, Origin]
    fresh: tuple[str, ...] = ()


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


def had(request: Request, plan: Plan, context: Context) -> Had:
    """What is kept of a plan's releases, and what follows from others that are."""
    read = read_by_others([p.release for p in plan.priced])
    tables, origins, fresh = Tables(), dict[str, Origin](), list[str]()
    for priced in plan.priced:
        name, stored = name_of(priced), _best(context, priced.release.identity, priced.nano)
        if stored is not None:
            tables[name] = _opened(stored)
        elif request.within is None and priced.release.number not in read:
            before = _best(context, _name_of_derived(priced), priced.nano)
            found = _follows(priced, context) if before is None else (_opened(before), _origin(before))
            if found is not None:
                tables[name], origins[name] = found
                fresh += [name] if before is None else []
    return Had(tables, origins, tuple(fresh))


def keep_derived(request: Request, plan: Plan, context: Context, found: Had) -> Tables:
    """Keep what was derived just now: another kept answer, later, must not change it."""
    tables = dict(found.tables)
    for priced in plan.priced:
        name = name_of(priced)
        if name in found.fresh:
            origin, key = found.origins[name], (context.grant.id, context.snapshot, _name_of_derived(priced))
            offered = Stored(*key, origin.nano, _written(tables[name]), origin.text, request.time)
            tables[name] = _kept(context, offered, tables[name])
    return tables


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
    own, key = kin(priced.release, table.num_rows), (context.grant.id, context.snapshot)
    family, told = ("", "{}") if own is None else (own.family, own.text)
    offered = Stored(*key, priced.release.identity, priced.nano, _written(table), told, request.time, family)
    return _kept(context, offered, table)


def _kept(context: Context, offered: Stored, table: pa.Table) -> pa.Table:
    found = context.store.answers.put(offered)
    return table if found.table == offered.table else _opened(found)


def _best(context: Context, release: str, at_least: int) -> Stored | None:
    return context.store.answers.best(context.grant.id, context.snapshot, release, at_least)


def _name_of_derived(priced: Priced) -> str:
    """The name of what is derived: a draw of its own does not replace it, nor it a draw."""
    return fingerprint(f"derived|{priced.release.identity}")


def _origin(stored: Stored) -> Origin:
    known = json.loads(stored.metadata)
    return Origin(known["cells"], known["nano"])


def _follows(priced: Priced, context: Context) -> tuple[pa.Table, Origin] | None:
    """A release as it follows from a kept one, of fewest cells for what was paid."""
    own = kin(priced.release)
    if own is None:
        return None
    place = context.grant.id, context.snapshot
    known = context.store.answers.relatives(*place, own.family, priced.nano)
    kept = sorted(((opened(r.metadata), r) for r in known), key=lambda found: found[0].size / found[1].nano)
    for relative, row in kept:
        how = way(relative, priced.release, own)
        stored = None if how is None else context.store.answers.best(*place, row.release_hash, row.nano)
        if how is None or stored is None:
            continue
        table = derived(_opened(stored), relative, how, priced.release)
        if table is not None:
            return table, Origin(relative.size, stored.nano)
    return None


def best_kept(priced: Priced, context: Context) -> tuple[int, pa.Table] | None:
    """The dearest kept answer to this release's question, whatever was paid: its nano, and its table."""
    stored = _best(context, priced.release.identity, 0)
    return None if stored is None else (stored.nano, _opened(stored))


def _opened(stored: Stored) -> pa.Table:
    return pa.ipc.open_stream(stored.table).read_all()


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
