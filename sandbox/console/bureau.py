"""The bureau's pages: today, freezes, policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from sandbox.console.budgets import standings
from sandbox.console.cases import waits
from sandbox.console.logs import recent
from sandbox.console.page import Page, get, post
from sandbox.console.proposal import proposed
from sandbox.console.visit import Visit
from sandbox.doors import filters
from sandbox.errors import Code, refuse
from sandbox.model import LogEntry, Words
from sandbox.policy.diff import differences
from sandbox.policy.documents import Documents
from sandbox.policy.roles import Action
from sandbox.policy.visible import visible
from sandbox.store.audit import Event
from sandbox.store.freezes import Drill, Scope

_LONGEST_REASON: Final = 400


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as people read it."""

    entry: LogEntry
    severity: str
    what: Words
    do: Words
    evidence: tuple[int, ...]


def today(visit: Visit) -> Response:
    """What needs somebody now: alerts, freezes, budgets that run out, what runs."""
    gateway = visit.console.gateway
    running, waiting = gateway.load()
    desk = gateway.casework
    queue = [case for case in desk.cases(visit.person) if waits(case, desk.may(visit.person, case))]
    return visit.page(
        "today.html",
        alerts=[alert(entry) for entry in recent(visit, Event.ALERT, 8)],
        frozen=[f for f in gateway.freezes(visit.person) if f.lifted_by is None],
        standings=standings(visit)[:4],
        awaiting=[b for b in gateway.budget(visit.person) if b.awaiting is not None],
        refusals=recent(visit, Event.REFUSAL, 6),
        outcomes=recent(visit, Event.OUTCOME, 6),
        queue=queue,
        running=running,
        waiting=waiting,
    )


def alert(entry: LogEntry) -> Alert:
    """The alert in an entry."""
    told: dict[str, Any] = json.loads(entry.payload) if entry.payload else {}
    name = str(told.get("rule") or told.get("alarm") or "")
    what, do = (_words(told.get(part), name if part == "what" else "") for part in ("what", "do"))
    evidence = tuple(int(seq) for seq in told.get("evidence", ()))
    return Alert(entry, str(told.get("severity", "high")), what, do, evidence)


def _words(told: object, otherwise: str) -> Words:
    if isinstance(told, dict):
        return Words(str(told.get("zh", otherwise)), str(told.get("en", otherwise)))
    return Words(otherwise, otherwise)


def freezes(visit: Visit) -> Response:
    """Freezes in force, the form for another, and the history."""
    return _freezes(visit)


def freeze(visit: Visit) -> Response:
    """Ask whether it is meant, then stop queries at once."""
    scope, target, reason = _wanted(visit)
    if visit.field("drill") == "yes":
        return _freezes(visit, visit.console.gateway.drill(visit.person, scope, target, reason))
    if visit.field("confirmed") != "yes":
        return visit.page("confirm.html", scope=scope, target=target, reason=reason)
    visit.console.gateway.freeze(visit.person, scope, target, reason)
    return visit.go("/freezes")


def lift(visit: Visit) -> Response:
    """Approve the lifting of a freeze or, as a second person, complete it."""
    visit.console.gateway.lift(visit.person, filters.number("id", visit.field("id") or "?"))
    return visit.go("/freezes")


def _wanted(visit: Visit) -> tuple[Scope, str, str]:
    """What the form asks to freeze.  Refuses ``REQUEST``."""
    word, target, reason = visit.field("scope"), visit.field("target"), visit.field("reason")
    if word not in set(Scope):
        raise refuse(Code.REQUEST, "the scope", "choose what to freeze", "请选择冻结范围")
    scope = Scope(word)
    known = targets(visit.console.gateway.documents())
    if scope is Scope.EVERYTHING:
        target = ""
    elif target not in known[scope]:
        raise refuse(Code.REQUEST, "the target", "choose one that there is", "请选择现有的对象")
    if not 0 < len(reason) <= _LONGEST_REASON:
        raise refuse(
            Code.REQUEST, "the reason", f"1 to {_LONGEST_REASON} characters", f"1 至 {_LONGEST_REASON} 个字"
        )
    return scope, target, reason


def targets(documents: Documents) -> dict[Scope, Sequence[str]]:
    """What can be frozen, by scope."""
    return {
        Scope.DATASET: [d.id for d in documents.datasets],
        Scope.GRANT: [g.id for g in documents.grants],
        Scope.OPERATOR: sorted({g.to for g in documents.grants}),
    }


def _freezes(visit: Visit, drilled: Drill | None = None) -> Response:
    gateway = visit.console.gateway
    found = gateway.freezes(visit.person)
    return visit.page(
        "freezes.html",
        drilled=drilled,
        frozen=[f for f in found if f.lifted_by is None],
        past=[f for f in reversed(found) if f.lifted_by is not None][:50],
        targets=targets(gateway.documents()),
        scope=visit.asked("scope"),
        target=visit.asked("target"),
    )


def policies(visit: Visit) -> Response:
    """The documents in force, of grants those that this person may read."""
    documents = visible(visit.console.gateway.documents(), visit.person)
    return visit.page(
        "policies.html", documents=documents, today=visit.now.date(), text="", mistakes=(), sentences=None
    )


def policy_diff(visit: Visit) -> Response:
    """What a document would change, in sentences, if it came into force."""
    documents = visible(visit.console.gateway.documents(), visit.person)
    text = visit.fields.get("text", "")
    changed, mistakes = proposed(documents, text, visit.locale.t("文本", "text"))
    sentences = None if mistakes else differences(documents, changed)
    return visit.page(
        "policies.html",
        200 if not mistakes else Code.DOCUMENT.status,
        documents=documents,
        today=visit.now.date(),
        text=text,
        mistakes=mistakes,
        sentences=sentences,
    )


PAGES: Final[tuple[Page, ...]] = (
    get("/today", Action.ALERTS, today),
    get("/freezes", Action.FREEZES, freezes),
    post("/freezes", Action.FREEZE, freeze),
    post("/freezes/lift", Action.FREEZE, lift),
    get("/policies", Action.POLICIES, policies),
    post("/policies", Action.POLICIES, policy_diff),
)
