"""From the log to alerts: incremental, idempotent, safe to run from several gateways at once.

Invariants:
- entries are judged in order, each once (``followers``), whatever the size of a run;
- an entry is evidence of one alert of a rule and subject at most: after an alert, judging begins anew;
- alerts and the position move in one transaction, which only commits if nobody else moved it meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, func, insert, select

from sandbox.model import LogEntry
from sandbox.monitor import pace
from sandbox.monitor.catalogue import MISSING, RULES
from sandbox.monitor.rule import Finding, Rule, Subject, subject_of
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.followers import advance, position
from sandbox.store.schema import alerts
from sandbox.store.search import LogFilter, LogSearch

BATCH: Final = 500
"""Entries judged at a time."""

LOOK_BACK: Final = 1000
"""The most earlier entries of a subject that are judged with a new one."""

_FOLLOWER: Final = "monitor"
_WAITING: Final = "monitor outcomes"


class Monitor:
    """Judges what is new in the log and appends an alert for each finding."""

    def __init__(self, database: Database, rules: Sequence[Rule] = RULES) -> None:
        self._database = database
        self._log = AuditLog(database)
        self._search = LogSearch(database)
        self._rules = tuple(rules)

    def run(self, now: dt.datetime) -> tuple[int, ...]:
        """Judge everything new; the numbers of the alerts' entries, oldest first."""
        raised: list[int] = []
        while (batch := self._batch()) is not None:
            start, entries = batch
            raised += self._conclude(_FOLLOWER, start, entries[-1].seq + 1, self._findings(entries), now)
        return (*raised, *self._missing(now))

    def _batch(self) -> tuple[int, list[LogEntry]] | None:
        """The position and the next entries, oldest first; ``None`` if there is nothing new."""
        with self._database.read() as connection:
            start = position(connection, _FOLLOWER)
        entries = self._past(LogFilter(before=start - 1, limit=BATCH), BATCH, newer=True)
        return (start, entries) if entries else None

    def _past(self, filters: LogFilter, most: int, *, newer: bool = False) -> list[LogEntry]:
        """Up to ``most`` entries, oldest first, however many pages that takes."""
        found: list[LogEntry] = []
        while len(found) < most:
            page = self._search.entries(filters)
            found = [*found, *reversed(page.entries)] if newer else [*reversed(page.entries), *found]
            cursor = page.previous if newer else page.next
            if cursor is None:
                break
            filters = replace(filters, before=cursor) if newer else replace(filters, after=cursor)
        return found[:most] if newer else found[-most:]

    def _findings(self, entries: Sequence[LogEntry]) -> Iterator[Finding]:
        """What each rule finds about each subject of these entries."""
        for kind in Subject:
            rules = [rule for rule in self._rules if rule.subject is kind]
            groups: dict[str, list[LogEntry]] = {}
            for entry in entries:
                name = subject_of(kind, entry)
                if name is not None and any(entry.kind in rule.kinds for rule in rules):
                    groups.setdefault(name, []).append(entry)
            for name, new in groups.items():
                earliest = min(e.time for e in new) - max(rule.window for rule in rules)
                before = self._before(kind, name, new[0].seq, earliest)
                for rule in rules:
                    yield from self._judged(rule, name, before, new)

    def _before(self, kind: Subject, name: str, seq: int, since: dt.datetime) -> list[LogEntry]:
        """The subject's entries before one entry and from a time on; of the whole log just the last."""
        match kind:
            case Subject.PERSON:
                return self._past(LogFilter(person=name, after=seq, since=since, limit=BATCH), LOOK_BACK)
            case Subject.GRANT:
                return self._past(LogFilter(grant=name, after=seq, since=since, limit=BATCH), LOOK_BACK)
            case Subject.LOG:
                return self._past(LogFilter(after=seq, since=since, limit=1), 1)

    def _judged(
        self, rule: Rule, subject: str, before: Sequence[LogEntry], new: Sequence[LogEntry]
    ) -> Iterator[Finding]:
        """Ask the rule at each new entry, with those before it in the window and after its last alert."""
        floor = self._last(rule, subject)
        window = deque((e for e in before if e.kind in rule.kinds), maxlen=LOOK_BACK)
        for entry in (e for e in new if e.kind in rule.kinds):
            window.append(entry)
            shown = [e for e in window if e.seq > floor and e.time > entry.time - rule.window]
            if not shown:
                continue  # another monitor has judged it meanwhile
            evidence = rule.judge(shown)
            if evidence:
                floor = entry.seq
                yield Finding(rule, subject, evidence, entry)

    def _last(self, rule: Rule, subject: str) -> int:
        """The newest entry that an alert of this rule and subject rests on, or -1."""
        newest = select(func.max(alerts.c.newest)).where(
            alerts.c.rule == rule.name, alerts.c.subject == subject
        )
        with self._database.read() as connection:
            found = connection.execute(newest).scalar()
        return -1 if found is None else int(found)

    def _missing(self, now: dt.datetime) -> tuple[int, ...]:
        """Alerts for intents whose end is overdue; those that may still end are looked at next time."""
        with self._database.read() as connection:
            start, end = position(connection, _WAITING), position(connection, _FOLLOWER)
        open_ones = [e for e in self._search.missing_outcomes(start) if e.seq < end]
        waiting = [e for e in open_ones if not pace.missing(e, now)]
        stop = min((e.seq for e in waiting), default=end)
        late = [e for e in open_ones if e.seq < stop]
        found = [Finding(MISSING, e.request, pace.missing(e, now), e) for e in late]
        return self._conclude(_WAITING, start, stop, found, now)

    def _conclude(
        self, follower: str, start: int, stop: int, findings: Iterator[Finding] | list[Finding],
        now: dt.datetime,
    ) -> tuple[int, ...]:  # fmt: skip
        """Append alerts and move on, unless somebody else did; the alerts' numbers."""
        found = sorted(findings, key=lambda f: f.newest.seq)
        with self._database.write() as connection:
            if position(connection, follower) != start:
                return ()
            raised = tuple(self._raise(connection, finding, now) for finding in found)
            if stop > start:
                advance(connection, follower, stop)
        return raised

    def _raise(self, connection: Connection, finding: Finding, now: dt.datetime) -> int:
        """Append the alert.  Its organisation is in the payload alone: operators read their entries."""
        rule, newest = finding.rule, finding.newest
        seq = self._log.append(
            Event.ALERT,
            time=now,
            person="" if rule.subject is Subject.GRANT else newest.person,
            grant=newest.grant,
            datasets=newest.datasets,
            decision="alarm",
            payload={
                "rule": rule.name,
                "severity": rule.severity.value,
                "subject": finding.subject,
                "organisation": newest.organisation,
                "evidence": list(finding.evidence),
                "what": {"zh": rule.what.zh, "en": rule.what.en},
                "do": {"zh": rule.do.zh, "en": rule.do.en},
            },
        )
        row = {"rule": rule.name, "subject": finding.subject, "newest": newest.seq, "seq": seq}
        connection.execute(insert(alerts).values(row))
        return seq
