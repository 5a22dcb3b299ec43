"""What a rule is, and what it is given.

A rule is asked at every new entry of a subject (a person, a grant, or the whole log): given the subject's
entries within its window, the newest last, does the newest complete a finding?  So a run over many entries
finds what many runs over few would, and the answer depends on the entries alone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sandbox.model import LogEntry, Words

Evidence = tuple[int, ...]
"""The entries that a finding rests on, in order; empty: nothing was found."""

Judge = Callable[[Sequence[LogEntry]], Evidence]


class Severity(StrEnum):
    """How soon somebody should look: today, this hour, now."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Subject(StrEnum):
    """Whose entries are judged together."""

    PERSON = "person"
    GRANT = "grant"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Rule:
    """A judge with its window and its words.

    ``kinds``: the entries that it is shown.  ``what`` says what was seen, ``do`` what to do about it.
    """

    name: str
    judge: Judge
    subject: Subject
    window: dt.timedelta
    kinds: frozenset[str]
    severity: Severity
    what: Words
    do: Words


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's finding about one subject."""

    rule: Rule
    subject: str
    evidence: Evidence
    newest: LogEntry


def subject_of(kind: Subject, entry: LogEntry) -> str | None:
    """The person or grant to which this entry belongs; ``None`` if it concerns none."""
    match kind:
        case Subject.PERSON:
            return entry.person or None
        case Subject.GRANT:
            return entry.grant or None
        case Subject.LOG:
            return ""


@lru_cache(4096)
def facts(payload: str) -> dict[str, Any]:
    """What an entry's payload says; nothing once it was lawfully deleted."""
    return dict(json.loads(payload)) if payload else {}


def seqs(entries: Sequence[LogEntry]) -> Evidence:
    """The numbers of these entries."""
    return tuple(entry.seq for entry in entries)
