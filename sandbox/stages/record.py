"""The audit log's view of a query: every exit is an entry."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace

from sandbox.context import Context
from sandbox.errors import Code, Reason, Refusal
from sandbox.model import Answer, Explained, Refused, Request
from sandbox.stages.budget import limit
from sandbox.stages.clock import Clock
from sandbox.stages.prepare import Prepared
from sandbox.store.audit import Event
from sandbox.store.log.transparency import TransparencyLog


def intent(request: Request, context: Context, prepared: Prepared) -> int:
    """Before data is touched: who asks what, and what it will cost."""
    nano = 0 if prepared.plan is None else max((c.nano for _, c in prepared.plan.accounts), default=0)
    payload: dict[str, object] = {
        "mode": str(prepared.mode),
        "snapshot": context.snapshot,
        "catalogue": context.catalogue.version,
        **asdict(prepared.outline),
    }
    if prepared.plan is not None:
        payload["plan"] = prepared.identity
        payload["limit"] = limit(context)
    return _append(Event.INTENT, request, context, nano=nano, payload=payload)


def answered(request: Request, context: Context, answer: Answer, clock: Clock) -> Answer:
    """After noise is drawn: what left, and the derivation that justifies it."""
    nano = 0 if answer.price is None or answer.price.free else answer.price.nano
    payload: dict[str, object] = {
        "mode": answer.mode,
        "rows": answer.table.num_rows,
        "columns": [c.name for c in answer.columns],
        "free": bool(answer.price is not None and answer.price.free),
        "derivation": list(answer.derivation.lines()),
    }
    seq = _append(Event.OUTCOME, request, context, decision="answered", nano=nano, payload=payload)
    return replace(answer, receipt=seq, timings=clock.timings)


def proved(answer: Answer, context: Context) -> Answer:
    """The answer with proof that its outcome is on record; refuses where there is none."""
    return replace(answer, proof=context.store.proofs.receipt(answer.receipt))


def proved_refusal(found: Refused, seq: int, proofs: TransparencyLog) -> Refused:
    """A refusal with its receipt; where the log cannot give one, that is a reason more."""
    try:
        return replace(found, receipt=proofs.receipt(seq))
    except Refusal as trouble:
        return replace(found, reasons=found.reasons + trouble.reasons)


def refused(request: Request, context: Context, reasons: tuple[Reason, ...]) -> Refused:
    """Whatever the reason: the codes, and what they name."""
    codes = tuple(dict.fromkeys(r.code.id for r in reasons))
    subjects = [r.subject for r in reasons]
    payload: dict[str, object] = {"subjects": subjects}
    seq = _append(Event.REFUSAL, request, context, decision="refused", codes=codes, payload=payload)
    if any(r.code is Code.OPINION for r in reasons):
        _append(
            Event.ALERT, request, context, decision="alarm", codes=codes, payload={"alarm": "second opinion"}
        )
    return proved_refusal(Refused(request.id, reasons), seq, context.store.proofs)


def explained(request: Request, context: Context, view: Explained) -> Explained:
    """An explanation spends nothing but is seen."""
    _append(Event.EXPLAIN, request, context, decision="explained")
    return view


def _append(
    kind: Event,
    request: Request,
    context: Context,
    *,
    decision: str = "",
    codes: tuple[str, ...] = (),
    nano: int = 0,
    payload: dict[str, object] | None = None,
) -> int:
    return context.store.audit.append(
        kind,
        time=_dated(request, context),
        request=request.id,
        person=request.person.name,
        organisation=request.person.organisation,
        grant=context.grant.id,
        datasets=context.datasets,
        decision=decision,
        codes=codes,
        nano=nano,
        text=request.sql,
        payload=payload,
    )


def _dated(request: Request, context: Context) -> dt.datetime:
    """When an entry is made, in ticks of the release clock since the request came (see ``Clock``)."""
    now = context.now()
    if not context.clock_ms:
        return now
    tick = dt.timedelta(milliseconds=context.clock_ms)
    return request.time + max((now - request.time) // tick, 0) * tick
