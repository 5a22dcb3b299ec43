"""The stages before any data is touched: from a request to something that can be run, or a refusal.

Reading and planning are pure: the same text under the same grant, documents and snapshots is the same plan,
whenever it is asked.  They are remembered, keyed by all of these.  Whatever hangs on the moment (freezes, the
grant's period, budgets, quotas) is no part of a plan and is looked at each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from sandbox.context import Context
from sandbox.errors import Code, refuse
from sandbox.model import AnswerColumn, Derivation, Request, Words
from sandbox.policy.documents import DpGuard, ExactGuard, Mode
from sandbox.privacy.exact import over_cubes
from sandbox.privacy.explain import EXACT, derivation, guarantee
from sandbox.privacy.margins import with_margins
from sandbox.privacy.plan import Plan, plan
from sandbox.privacy.spend import selection_threshold, spend
from sandbox.sql.compile import compile_relation
from sandbox.sql.relation import Relation
from sandbox.stages.aim import aim
from sandbox.stages.clock import Clock
from sandbox.stages.outline import Outline, outline
from sandbox.stages.read import Reading, read
from sandbox.stages.shape import answer_columns

_LEAST: Final = 256
"""What a short text weighs among those remembered: its plan is not as short."""


Told = tuple[Derivation, tuple[Words, ...]]
"""What justifies an answer, and what it promises."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query that may run.

    ``sql`` makes the answer, over the releases of ``plan`` or (``None``) over cubes and public tables.
    ``places``: for each noisy column, in which column of ``sql`` its half-widths are.  ``identity`` is the
    plan's hash and ``outline`` what the question looks like beside others, both for the log.
    """

    mode: Mode
    plan: Plan | None
    identity: str
    sql: str
    places: Mapping[int, int | None]
    columns: tuple[AnswerColumn, ...]
    derivation: Derivation
    guarantee: tuple[Words, ...]
    outline: Outline


def prepare(request: Request, context: Context, clock: Clock) -> Prepared:
    """Check freezes and period, then read and plan the text, or remember both."""
    in_force(request, context)
    if request.within is not None:
        request = replace(request, epsilon=_aimed(request, context, clock), within=None)
    key = (*_world(context), request.sql, request.epsilon)
    with clock.stage("recall"):
        known = context.plans.get(key)
    if isinstance(known, Prepared):
        return known
    reading = _reading(request.sql, context, clock)
    with clock.stage("plan"):
        made = _prepared(reading, request, context)
    context.plans.put(key, made, max(len(request.sql), _LEAST))
    return made


def _aimed(request: Request, context: Context, clock: Clock) -> Fraction:
    """The smallest epsilon that promises the wanted accuracy."""
    assert request.within is not None
    if request.epsilon is not None or not isinstance(context.guard, DpGuard):
        hint = "give an epsilon or an accuracy, not both; exact answers have neither"
        raise refuse(Code.EPSILON, "within", hint, "epsilon 与准确度只能给出其一；精确模式两者均不使用")
    reading = _reading(request.sql, context, clock)
    with clock.stage("aim"):
        return aim(reading.relation, request.within, context.guard, context)


def in_force(request: Request, context: Context) -> None:
    """Refuse FROZEN or GRANT_PERIOD; asked when a query begins, and again before its answer leaves."""
    frozen = context.store.freezes.frozen(context.grant.id, context.datasets, request.person.organisation)
    if frozen is not None:
        raise refuse(Code.FROZEN, frozen.subject)
    today = request.time.date()
    if not context.grant.start <= today <= context.grant.until:
        raise refuse(Code.GRANT_PERIOD, f"{context.grant.id}: {context.grant.start} – {context.grant.until}")


def _world(context: Context) -> tuple[object, ...]:
    """Everything besides the request that a plan follows from."""
    return context.grant.hash, context.guard, context.catalogue.version, context.snapshot


def _reading(sql: str, context: Context, clock: Clock) -> Reading:
    """Apart from the plan, so that another epsilon reads nothing anew."""
    key = (*_world(context), sql)
    known = context.plans.get(key)
    if isinstance(known, Reading):
        return known
    made = read(sql, context, clock)
    context.plans.put(key, made, max(len(sql), _LEAST))
    return made


def _prepared(reading: Reading, request: Request, context: Context) -> Prepared:
    if isinstance(context.guard, ExactGuard):
        if request.epsilon is not None:
            raise refuse(
                Code.EPSILON,
                "exact mode",
                "leave epsilon out: exact answers cost no epsilon",
                "精确模式不使用 epsilon",
            )
        tree = Derivation("exact", (("over", "published grid and public tables"),))
        return _shown(Mode.EXACT, None, over_cubes(reading.relation), reading, (tree, EXACT))
    planned = _planned(reading.relation, request, context.guard)
    told = derivation(planned, context.guard), guarantee(planned, context.guard)
    return _shown(Mode.DP, planned, planned.post, reading, told)


def _shown(mode: Mode, plan: Plan | None, post: Relation, reading: Reading, told: Told) -> Prepared:
    relation, places = with_margins(post)
    columns = answer_columns(post, plan, reading.names, noisy=frozenset(places))
    identity = "" if plan is None else plan.identity
    drawn = outline(reading.relation)
    return Prepared(mode, plan, identity, compile_relation(relation), places, columns, *told, drawn)


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
