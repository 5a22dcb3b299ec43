"""``python tests/flights/coverage.py R``: the twenty questions over R fresh runs; the last line is JSON.

For each noisy column: how many cells were answered, in how many of those with an interval the truth lies
within it (95 % is claimed), how many state none, and the median of the interval's half-width and of the
error, both relative to the truth.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

if __name__ == "__main__":  # started as a script, from anywhere
    sys.path.insert(0, str(Path(__file__).parents[2]))

from sandbox.home import Home
from sandbox.model import Refused
from tests.flights.house import Cell, Key, Row, ask, build, cells, fresh, questions, rows_of, truths


@dataclass(frozen=True, slots=True)
class Line:
    """One column of one question over all runs.  ``width`` and ``error``: medians, relative to the truth."""

    question: str
    column: str
    cells: int
    stated: int
    covered: int
    width: float | None
    error: float | None

    @property
    def rate(self) -> float:
        """Share of stated intervals that hold the truth."""
        return self.covered / self.stated if self.stated else 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What ``measure`` found.  ``strange``: keys that were answered but are no group of the question."""

    lines: tuple[Line, ...]
    refused: tuple[str, ...]
    strange: tuple[str, ...]

    @property
    def covered(self) -> float:
        """Over all stated intervals."""
        return sum(x.covered for x in self.lines) / max(1, sum(x.stated for x in self.lines))


def measure(home: Home, runs: int) -> Report:
    """Ask everything ``runs`` times, each time of an empty store."""
    truth = truths(home)
    found: list[Cell] = []
    refused: set[str] = set()
    strange: set[str] = set()
    for _ in range(runs):
        with fresh(home) as gateway:
            for question in questions():
                answer = ask(gateway, question.sql)
                if isinstance(answer, Refused):
                    refused.add(f"{question.id}: {', '.join(r.code.id for r in answer.reasons)}")
                    continue
                known = truth[question.id]
                shown = {k for k in rows_of(question, answer) if not _group(k, known)} - question.empty
                strange |= {f"{question.id}: {key}" for key in shown}
                found += cells(question, answer, known)
    return Report(_lines(found), tuple(sorted(refused)), tuple(sorted(strange)))


def _group(key: Key, truth: dict[Key, Row]) -> bool:
    """Whether each part of a key occurs: combinations without rows are groups too, of declared values."""
    return all(part in {known[i] for known in truth} for i, part in enumerate(key))


def _lines(found: Sequence[Cell]) -> tuple[Line, ...]:
    by_column: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in found:
        by_column[cell.question, cell.column].append(cell)
    return tuple(_line(question, column, group) for (question, column), group in by_column.items())


def _line(question: str, column: str, group: Sequence[Cell]) -> Line:
    stated = [c for c in group if c.margin is not None]
    # No interval is an interval without end.
    widths = [(float("inf") if c.margin is None else c.margin) / abs(c.truth) for c in group if c.truth]
    errors = [abs(c.value - c.truth) / abs(c.truth) for c in group if c.truth]
    width = median(widths) if widths else None
    return Line(
        question,
        column,
        len(group),
        len(stated),
        sum(c.covered for c in stated),
        None if width == float("inf") else width,
        median(errors) if errors else None,
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def main() -> None:
    """Build a home, measure, print."""
    runs, begun = int(sys.argv[1]) if len(sys.argv) > 1 else 10, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(build(Path(folder) / "home"), runs)
    heads = f"{'cells':>7} {'no interval':>12} {'covered':>8} {'half-width':>11} {'error':>8}"
    print(f"{'':4} {'column':20} {heads}")
    for x in report.lines:
        figures = f"{x.cells:>7} {x.cells - x.stated:>12} {_percent(x.rate):>8}"
        print(f"{x.question:4} {x.column:20} {figures} {_percent(x.width):>11} {_percent(x.error):>8}")
    for trouble in (*report.refused, *report.strange):
        print(trouble)
    whole = {
        "runs": runs,
        "seconds": round(time.monotonic() - begun, 1),
        "covered": round(report.covered, 4),
        "cells": sum(x.cells for x in report.lines),
        "stated": sum(x.stated for x in report.lines),
        "refused": report.refused,
        "strange": report.strange,
        "columns": [asdict(x) for x in report.lines],
    }
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
