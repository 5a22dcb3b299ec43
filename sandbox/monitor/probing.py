"""Rules over what was asked: differencing, trackers, thresholds felt out, averages of repeats (pure).

They compare the outlines that each intent carries (``stages.outline``); answers play no part.  The guarantees
do not rest on these rules: they tell the bureau who is trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from sandbox.model import LogEntry
from sandbox.monitor.rule import Evidence, facts, seqs


def differencing(entries: Sequence[LogEntry], *, least: int = 2) -> Evidence:
    """The newest makes the ``least``-th pair of totals that are one question but for one condition.

    Two questions without groups are such a pair if the conditions of one are the other's and one more, or if
    one condition was exchanged; a pair's difference is a total over what lies between.  Asked again, a
    question makes no further pair.
    """
    totals = {_key(e): e for e in entries if facts(e.payload).get("grouped") is False}
    if entries[-1] is not totals.get(_key(entries[-1])):
        return ()
    found = [pair for pair in combinations(totals.values(), 2) if _step(*map(_outline, pair))]
    if len(found) < least or not any(entries[-1] in pair for pair in found):
        return ()
    return tuple(sorted({e.seq for pair in found for e in pair}))


def variations(entries: Sequence[LogEntry], *, least: int = 12) -> Evidence:
    """``least`` questions that are one but for their constants: a threshold is being felt out."""
    shape = facts(entries[-1].payload).get("shape")
    same = {e.text: e for e in entries if facts(e.payload).get("shape") == shape}
    return seqs(sorted(same.values(), key=_seq)) if shape and len(same) >= least else ()


def repetition(entries: Sequence[LogEntry], *, least: int = 20) -> Evidence:
    """One text asked ``least`` times: averaging, which kept answers defeat, or a script gone wild."""
    same = [e for e in entries if e.text == entries[-1].text]
    return seqs(same) if len(same) >= least else ()


def _step(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two outlines are of one base and one condition apart."""
    if not one.get("base") or one["base"] != other.get("base"):
        return False
    first, second = set(one["terms"]), set(other["terms"])
    more, less = len(first - second), len(second - first)
    return (more, less) in ((0, 1), (1, 0), (1, 1))


def _outline(entry: LogEntry) -> dict[str, Any]:
    return facts(entry.payload)


def _key(entry: LogEntry) -> tuple[object, ...]:
    """What makes two questions the same here."""
    found = _outline(entry)
    return found.get("base"), *found.get("terms", ())


def _seq(entry: LogEntry) -> int:
    return entry.seq
