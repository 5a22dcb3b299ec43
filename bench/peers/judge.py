"""Errors of answers against the truth, and what a question came to.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.peers.catalogue import Question

Rows = Mapping[Any, float]
WRONG: Final = 0.25
"""A median relative error beyond this, on totals of 100 thousand units, is no noise but a wrong answer."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One repetition: what a peer said, and our seconds just after it (none where the peer is ours)."""

    rows: Rows
    seconds: float
    peak_mb: float
    ours_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """One question to one tool.

    ``status``: ``answered``, ``wrong`` or ``unsupported``, with the reason in ``why``.  ``errors``: median
    over repetitions of the mean relative error over groups, for each ``largest`` or over all.  ``keys``:
    groups released; ``fewest``: units of the smallest of them.  ``ratio``: of seconds to ours, in pairs.
    """

    tool: str
    question: str
    status: str
    why: str = ""
    errors: tuple[float, ...] = ()
    keys: int = 0
    fewest: int = 0
    seconds: float = 0.0
    ours_s: float = 0.0
    ratio: float = 0.0
    peak_mb: float = 0.0
    runs: int = 0


def error(found: Rows, truth: Rows, largest: int | None = None) -> float:
    """Mean relative error over the groups of the truth, or its largest; one withheld is all wrong."""
    judged = sorted(truth, key=lambda key: -truth[key])[:largest]
    return sum(abs(found.get(key, 0.0) - truth[key]) / abs(truth[key]) for key in judged) / len(judged)


def judged(
    tool: str, question: Question, pairs: Sequence[Pair], truth: Rows, units: Rows, note: str = ""
) -> Line:
    """The line of an answered question.  ``units``: of each group, where groups are unknown."""
    errors = tuple(
        median(error(pair.rows, truth, largest) for pair in pairs) for largest in question.largest or (None,)
    )
    return Line(
        tool,
        question.name,
        "wrong" if errors[0] > WRONG else "answered",
        note,
        errors,
        int(median(len(pair.rows) for pair in pairs)),
        int(min((units.get(key, 0.0) for pair in pairs for key in pair.rows), default=0)) if units else 0,
        median(pair.seconds for pair in pairs),
        median(pair.ours_s for pair in pairs),
        median(pair.seconds / pair.ours_s for pair in pairs),
        max(pair.peak_mb for pair in pairs),
        len(pairs),
    )


def nearest(lines: Sequence[Line]) -> Line:
    """The answered line with the smallest errors; the first if none is answered."""
    answered = [line for line in lines if line.status == "answered"]
    return min(answered or lines[:1], key=lambda line: line.errors)


def behind(lines: Sequence[Line], ours: Mapping[str, Line]) -> list[str]:
    """Where an answering peer has a smaller error, or less time, than ours: ``tool/question/what``."""
    found = []
    for line in lines:
        mine = ours[line.question]
        if line.status != "answered":
            continue
        if mine.status != "answered":
            found.append(f"{line.tool}/{line.question}/supported")
            continue
        if any(theirs < mine_too for theirs, mine_too in zip(line.errors, mine.errors, strict=True)):
            found.append(f"{line.tool}/{line.question}/error")
        if line.ratio < 1:
            found.append(f"{line.tool}/{line.question}/time")
    return found
