"""The month's supervision report on an operator, made from the audit log alone.

Invariants: two stores with the same log give the same bytes, whether personal parts were deleted meanwhile or
not; no person is named, and neither a query's text nor a value is in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sandbox.casework.month import Month
from sandbox.casework.products import Line, statement
from sandbox.errors import Code
from sandbox.model import LogEntry
from sandbox.policy.workflow.states import Verb
from sandbox.store.audit import Event
from sandbox.store.canonical import canonical
from sandbox.store.database import Database
from sandbox.store.freezes import Scope
from sandbox.store.replay import replay

_ASKING: Final = (Event.INTENT, Event.OUTCOME, Event.REFUSAL, Event.EXPLAIN, Event.CANCEL)
_STRANGE: Final = Code.GRANT_UNKNOWN.id
"""What is refused so names a grant that is not theirs, or none at all."""


@dataclass(slots=True)
class Use:
    """What was asked under one grant.  ``nano``: what it cost, in ledger units (see ``Price``)."""

    grant: str
    begun: int = 0
    answered: int = 0
    refused: int = 0
    explained: int = 0
    cancelled: int = 0
    nano: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry that concerns the operator: an alert, a freeze or its lifting, a step of a case."""

    entry: int
    time: str
    kind: str
    about: str
    decision: str


@dataclass(frozen=True, slots=True)
class Report:
    """See the module.  ``refusals`` and ``datasets`` are pairs of a code or an id and how often."""

    operator: str
    month: str
    entries: int
    uses: tuple[Use, ...]
    refusals: tuple[tuple[str, int], ...]
    datasets: tuple[tuple[str, int], ...]
    alerts: tuple[Mark, ...]
    freezes: tuple[Mark, ...]
    cases: tuple[Mark, ...]
    deliveries: tuple[Line, ...]


@dataclass(slots=True)
class _Asked:
    """What an operator's own entries add up to.  ``near``: the datasets they tried to reach, too."""

    entries: int = 0
    uses: dict[str, Use] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    datasets: Counter[str] = field(default_factory=Counter)
    near: set[str] = field(default_factory=set)

    def add(self, entry: LogEntry) -> None:
        """Count one entry."""
        self.entries += 1
        self.near.update(entry.datasets)
        self.refusals.update(entry.codes)
        strange = _STRANGE in entry.codes
        use = self.uses.setdefault("" if strange else entry.grant, Use("" if strange else entry.grant))
        match entry.kind:
            case Event.INTENT:
                use.begun += 1
                self.datasets.update(entry.datasets)
            case Event.OUTCOME:
                use.answered += 1
                use.nano += entry.nano
            case Event.REFUSAL:
                use.refused += 1
            case Event.EXPLAIN:
                use.explained += 1
            case _:
                use.cancelled += 1


def supervision(database: Database, operator: str, month: Month) -> Report:
    """The report on an organisation's month."""
    asked = _Asked()
    for entry in replay(database, _ASKING, month.since, month.until, operator):
        asked.add(entry)
    grants = {grant for grant in asked.uses if grant} | _grants(database, operator, month)
    lines = statement(replay(database, (Event.DELIVERY,), month.since, month.until))
    return Report(
        operator,
        month.name,
        asked.entries,
        tuple(asked.uses[grant] for grant in sorted(asked.uses)),
        _counted(asked.refusals),
        _counted(asked.datasets),
        tuple(_alerts(database, grants, month)),
        tuple(_freezes(database, operator, grants, asked.near, month)),
        tuple(_cases(database, operator, month)),
        tuple(line for line in lines if operator in (line.recipient, line.provider)),
    )


def as_json(report: Report) -> str:
    """Canonical JSON; ``amount`` is what each line comes to."""
    told = asdict(report)
    told["deliveries"] = [{**asdict(line), "amount": line.amount} for line in report.deliveries]
    return canonical(told)


def _counted(found: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _grants(database: Database, operator: str, month: Month) -> set[str]:
    """The grants that this operator ever applied for."""
    steps = replay(database, (Event.CASE,), None, month.until, operator)
    return {entry.grant for entry in steps if entry.grant and _told(entry)["verb"] == Verb.OPEN}


def _alerts(database: Database, grants: set[str], month: Month) -> Iterator[Mark]:
    for entry in replay(database, (Event.ALERT,), month.since, month.until):
        if entry.grant in grants:
            yield _mark(entry, entry.grant)


def _freezes(
    database: Database, operator: str, grants: set[str], datasets: set[str], month: Month
) -> Iterator[Mark]:
    touching = {
        Scope.EVERYTHING: {""},
        Scope.OPERATOR: {operator},
        Scope.GRANT: grants,
        Scope.DATASET: datasets,
    }
    for entry in replay(database, (Event.FREEZE, Event.LIFT), month.since, month.until):
        told = _told(entry)
        if told["target"] in touching[Scope(told["scope"])]:
            yield _mark(entry, f"{told['scope']} {told['target']}".rstrip())


def _cases(database: Database, operator: str, month: Month) -> Iterator[Mark]:
    """Every step of the operator's cases, by whomever."""
    theirs: set[int] = set()
    for entry in replay(database, (Event.CASE,), None, month.until):
        told = _told(entry)
        if told["verb"] == Verb.OPEN and entry.organisation == operator:
            theirs.add(told["case"])
        if told["case"] in theirs and entry.time >= month.since:
            yield _mark(entry, f"{told['kind']} {told['document']}: {told['verb']}")


def _mark(entry: LogEntry, about: str) -> Mark:
    return Mark(entry.seq, entry.time.isoformat(), entry.kind, about, entry.decision)


def _told(entry: LogEntry) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(entry.payload)
    return told
