"""The stages before any data is touched: from a request to something that can be run, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.catalogue import Catalogue, Kind
from sandbox.context import Context
from sandbox.errors import Code, Refusal, refuse
from sandbox.model import Request
from sandbox.policy.authorize import authorize
from sandbox.policy.documents import DpGuard, ExactGuard, Mode
from sandbox.privacy.exact import over_cubes
from sandbox.privacy.plan import Plan, plan
from sandbox.privacy.spend import selection_threshold, spend
from sandbox.sql.opinion import agrees
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from sandbox.stages.clock import Clock

TWIN_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.DECIMAL: "DOUBLE",
    Kind.DOUBLE: "DOUBLE",
    Kind.STRING: "VARCHAR",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query that may run: ``post`` is public SQL (over releases of ``plan``, or over cubes)."""

    mode: Mode
    post: Relation
    plan: Plan | None
    names: tuple[str, ...]


def prepare(request: Request, context: Context, clock: Clock) -> Prepared:
    """Check grant and period, then parse, resolve, get the second opinion, authorize and plan."""
    _in_force(request, context)
    relation = _understand(request.sql, context, clock)
    with clock.stage("authorize"):
        reasons = authorize(relation, context.catalogue)
        if reasons:
            raise Refusal(*reasons)
    names = tuple(f.name for f in relation.fields if not f.hidden)
    with clock.stage("plan"):
        if isinstance(context.guard, ExactGuard):
            if request.epsilon is not None:
                raise refuse(
                    Code.EPSILON,
                    "exact mode",
                    "leave epsilon out: exact answers cost no epsilon",
                    "精确模式不使用 epsilon",
                )
            return Prepared(Mode.EXACT, over_cubes(relation), None, names)
        planned = _planned(relation, request, context.guard)
        return Prepared(Mode.DP, planned.post, planned, names)


def _in_force(request: Request, context: Context) -> None:
    frozen = context.store.freezes.frozen(context.grant.id, context.datasets, request.person.organisation)
    if frozen is not None:
        raise refuse(Code.FROZEN, frozen.subject)
    today = request.time.date()
    if not context.grant.start <= today <= context.grant.until:
        raise refuse(Code.GRANT_PERIOD, f"{context.grant.id}: {context.grant.start} – {context.grant.until}")


def _understand(sql: str, context: Context, clock: Clock) -> Relation:
    with clock.stage("parse"):
        tree = parse(sql)
    with clock.stage("resolve"):
        try:
            resolved = resolve(tree, context.catalogue)
            relation = simplify(resolved)
        except RecursionError:
            raise refuse(Code.TEXT_NESTING, "too deep") from None
    with clock.stage("opinion"):
        _second_opinion(sql, resolved, relation, context)
    return relation


def _second_opinion(sql: str, resolved: Relation, relation: Relation, context: Context) -> None:
    found = context.twin.describe(context.catalogue.version, twin_tables(context.catalogue), sql)
    if found is None or not found.single_select:
        raise refuse(Code.OPINION)
    same = agrees(
        resolved,
        relation,
        tables=found.tables,
        columns=found.columns,
        functions=found.functions,
        foreign=found.foreign,
    )
    if not same:
        raise refuse(Code.OPINION)


def twin_tables(catalogue: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """The empty twin of a catalogue: tables with (column, DuckDB type)."""
    return {t.id: [(c.name, TWIN_TYPES[c.kind]) for c in t.columns] for t in catalogue.tables}


def _planned(relation: Relation, request: Request, guard: DpGuard) -> Plan:
    epsilon = guard.query if request.epsilon is None else request.epsilon
    if epsilon > guard.query:
        limit = f"{float(guard.query):g}"
        raise refuse(
            Code.EPSILON,
            f"{float(epsilon):g} > {limit}",
            f"at most {limit} a query",
            f"单次查询不超过 {limit}",
        )
    planned = plan(relation, guard, epsilon)
    for priced in planned.priced:
        parts = spend(priced, planned.measure)
        if priced.release.selection is not None:
            selection_threshold(parts, priced)
    return planned
