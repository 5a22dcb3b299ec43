"""The JSON forms of what passes the doors: one form for the command line and for HTTP."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import Final

from sandbox.catalogue import Column, Range, Scalar, Table
from sandbox.doors.ports import GrantView
from sandbox.doors.values import Value, columns_of, json_text, margins_of
from sandbox.errors import Reason
from sandbox.model import (
    Answer,
    AnswerColumn,
    Balance,
    Derivation,
    Explained,
    LogEntry,
    Price,
    Receipt,
    Words,
)
from sandbox.monitor.rule import Rule
from sandbox.policy.documents import DpGuard, Grant
from sandbox.policy.parts import decimal
from sandbox.snapshot.manifest import Manifest
from sandbox.store.freezes import Drill, Freeze
from sandbox.store.log.receipt import document
from sandbox.store.log.recovery import Recovered
from sandbox.store.log.witness import Delivery
from sandbox.store.search import Page
from sandbox.store.views import SHARED, View

Json = Mapping[str, object]
_PROBLEM: Final = "urn:data-sandbox:problem:"


def text(value: object) -> str:
    """One JSON text.  Lone surrogates, which a hostile request may hold, come out escaped."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return written.encode("utf-8", "backslashreplace").decode("utf-8")


def problem(
    reasons: tuple[Reason, ...], request: str = "", incident: str = "", proof: Receipt | None = None
) -> Json:
    """A refusal as RFC 9457 problem details, every reason in both languages, with its receipt if any."""
    code = reasons[0].code
    found: dict[str, object] = {
        "type": _PROBLEM + code.id,
        "title": code.value.what_en.replace(": {subject}", ""),
        "status": code.status,
        "detail": "; ".join(r.what("en") for r in reasons),
        "code": code.id,
        "reasons": [_reason(r) for r in reasons],
    }
    if request:
        found["request"] = request
    if incident:
        found["incident"] = incident
    if proof is not None:
        found["proof"] = receipt(proof)
    return found


def _reason(reason: Reason) -> Json:
    return {
        "code": reason.code.id,
        "what": {"zh": reason.what("zh"), "en": reason.what("en")},
        "now": {"zh": reason.now("zh"), "en": reason.now("en")},
        "column": reason.column,
        "rule": reason.rule,
    }


def words(sentences: Iterable[Words]) -> list[Json]:
    """Sentences in both languages."""
    return [{"zh": w.zh, "en": w.en} for w in sentences]


def receipt(found: Receipt) -> Json:
    """A receipt, as it verifies offline."""
    return document(found)


def delivery(found: Delivery) -> Json:
    """What one witness has."""
    return asdict(found)


def recovered(found: Recovered) -> Json:
    """What a recovery lost and did; amounts as text, in the ledger's units."""
    told = asdict(found) | {"spent": {}}
    told["spent"] = {c.account: {"amount": str(c.amount), "delta": str(c.delta)} for c in found.spent}
    return told


def price(cost: Price | None) -> Json | None:
    """What a query costs; ``epsilon`` as exact decimal text."""
    if cost is None:
        return None
    asked = epsilon(cost.epsilon)
    return {"epsilon": asked, "nano": cost.nano, "measure": cost.measure, "free": cost.free}


def epsilon(value: Fraction) -> str:
    """An epsilon as exact decimal text; a fraction that has none as ``n/d``."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return decimal(value) if rest == 1 else str(value)


def derivation(tree: Derivation) -> list[str]:
    """The tree as indented lines."""
    return list(tree.lines())


def about(answer: Answer) -> dict[str, object]:
    """Everything of an answer but its rows and margins."""
    return {
        "request": answer.request,
        "grant": answer.grant,
        "mode": answer.mode,
        "snapshot": answer.snapshot,
        "columns": _columns(answer.columns),
        "price": price(answer.price),
        "guarantee": words(answer.guarantee),
        "notes": words(answer.notes),
        "derivation": derivation(answer.derivation),
        "receipt": answer.receipt,
        "proof": None if answer.proof is None else receipt(answer.proof),
    }


def answer_text(answer: Answer) -> str:
    """An answer as one JSON object.  Written by hand where Python's encoder would round decimals."""
    rows = _rows(columns_of(answer), answer.table.num_rows)
    margins = _rows(margins_of(answer), answer.table.num_rows)
    return f'{text(about(answer))[:-1]}, "rows": [{rows}], "margins": [{margins}]}}'


def _rows(columns: Iterable[Iterable[Value]], count: int) -> str:
    written = [[json_text(v) for v in column] for column in columns]
    return ", ".join("[" + ", ".join(column[i] for column in written) + "]" for i in range(count))


def explained(found: Explained) -> Json:
    """What a query would cost and how good it would be."""
    return {
        "request": found.request,
        "grant": found.grant,
        "mode": found.mode,
        "price": price(found.price),
        "columns": _columns(found.columns),
        "derivation": derivation(found.derivation),
        "guarantee": words(found.guarantee),
    }


def _columns(columns: Iterable[AnswerColumn]) -> list[Json]:
    names = ("name", "kind", "noisy", "predicted")
    return [{"kind": c.kind.value} | {n: getattr(c, n) for n in names if n != "kind"} for c in columns]


def balances(found: Iterable[Balance]) -> Json:
    """Accounts of the ledger."""
    return {"balances": [balance(b) for b in found]}


def balance(found: Balance) -> Json:
    """One account of the ledger."""
    return asdict(found)


def page(found: Page) -> Json:
    """Entries of the log, and the cursors of the pages beside it or null."""
    listed = [entry(e) for e in found.entries]
    return {"entries": listed, "next": found.next, "previous": found.previous}


def views(found: Iterable[View]) -> Json:
    """Saved views of the log."""
    return {"views": [view(v) for v in found]}


def view(found: View) -> Json:
    """One saved view."""
    return {"name": found.name, "shared": found.owner == SHARED, "filters": dict(found.filters)}


def rule(found: Rule) -> Json:
    """One rule of the monitor."""
    said = {"what": words([found.what])[0], "do": words([found.do])[0]}
    facts = {"name": found.name, "severity": found.severity.value, "subject": found.subject.value}
    return facts | {"hours": found.window.total_seconds() / 3600} | said


def entry(entry: LogEntry) -> Json:
    """One entry of the log, whole."""
    names = ("seq", "kind", "request", "person", "organisation", "grant", "decision", "nano", "text")
    lists = {"datasets": list(entry.datasets), "codes": list(entry.codes)}
    rest = {"time": entry.time.isoformat(), "payload": told(entry)}
    return {n: getattr(entry, n) for n in names} | lists | rest


def told(entry: LogEntry) -> Json:
    """What an entry's payload says; nothing once it was lawfully deleted."""
    found: Json = json.loads(entry.payload) if entry.payload else {}
    return found


def freeze(found: Freeze) -> Json:
    """A freeze and how far its lifting is."""
    return {
        "id": found.id,
        "scope": found.scope.value,
        "target": found.target,
        "reason": found.reason,
        "by": found.by,
        "time": found.time.isoformat(),
        "approved_by": found.approved_by,
        "lifted_by": found.lifted_by,
        "lifted": found.lifted.isoformat() if found.lifted else None,
    }


def drill(found: Drill) -> Json:
    """What a freeze would have stopped."""
    return {**freeze(found.freeze), "drill": True, "grants": list(found.grants), "running": found.running}


def grants(views: Iterable[GrantView]) -> Json:
    """The grants with what each opens."""
    return {"grants": [_grant(v) for v in views]}


def _grant(view: GrantView) -> Json:
    grant = view.grant
    return {
        "id": grant.id,
        "to": grant.to,
        "scenario": {
            "id": grant.scenario.id,
            "zh": grant.scenario.title.zh,
            "en": grant.scenario.title.en,
        },
        "purpose": grant.purpose,
        "period": {"from": grant.start.isoformat(), "until": grant.until.isoformat()},
        "mode": grant.mode.value,
        "guard": _guard(grant),
        "release": grant.release.value,
        "tables": [_table(t) for t in view.catalogue.tables],
        "joins": sorted(sorted(pair) for pair in view.catalogue.joins),
        "snapshots": dict(view.snapshots),
    }


def _guard(grant: Grant) -> Json:
    guard = grant.guard
    if isinstance(guard, DpGuard):
        amounts = {n: epsilon(getattr(guard, n)) for n in ("query", "total", "delta")}
        return {**amounts, "groups": guard.groups, "units": guard.units}
    return {"per_day": guard.per_day, "total": guard.total}


def _table(table: Table) -> Json:
    unit = table.unit
    grid = table.grid
    return {
        "id": table.id,
        "public": table.public,
        "unit": None if unit is None else {"kind": unit.kind, "column": unit.column},
        "rows": table.rows,
        "extent": table.extent,
        "unique": [list(key) for key in table.unique],
        "grid": None if grid is None else {"cells": list(grid.cells), "units": grid.units},
        "columns": [_column(c) for c in table.columns],
    }


def _column(column: Column) -> Json:
    found: dict[str, object] = {
        "name": column.name,
        "kind": column.kind.value,
        "use": sorted(u.value for u in column.use),
        "nullable": column.nullable,
    }
    found.update((name, told) for name, told in _facts(column))
    return found


def _facts(column: Column) -> Iterator[tuple[str, object]]:
    """The declared facts that are there; those that are not are left out."""
    for name, bounds in (("range", column.range), ("clip", column.clip)):
        if bounds != Range():
            yield name, [bound(b, column) for b in (bounds.lo, bounds.hi)]
    if column.domain is not None:
        yield "domain", [scalar(v) for v in column.domain]
    if column.scale is not None:
        yield "scale", epsilon(column.scale)
    if column.step is not None:
        yield "step", column.step if isinstance(column.step, str) else epsilon(column.step)
    yield from ((name, True) for name in ("unique", "per_unit") if getattr(column, name))


def bound(value: Fraction | None, column: Column) -> str | None:
    """One end of a range: a decimal, or a day for dates and timestamps (kept as ordinals)."""
    if value is None:
        return None
    return dt.date.fromordinal(int(value)).isoformat() if column.kind.temporal else epsilon(value)


def scalar(value: Scalar) -> object:
    """A value of a domain as JSON."""
    return value.isoformat() if isinstance(value, dt.date) else value


def manifest(made: Manifest, *, counts: bool) -> Json:
    """A snapshot's manifest; what an incremental load changed, as ``counts``, is for the owner."""
    told = asdict(made)
    for table in told["tables"]:
        if table["load"] is not None and not counts:
            table["load"] = {name: table["load"][name] for name in ("mode", "since", "key")}
    return told
