"""``python -m bench [ONLY]``: what protection costs, as ratios to plain DuckDB in the same run.

``ONLY`` selects the questions whose name contains it, such as ``claims/dp`` or ``keys``.  The last line is
one JSON object.  Repetitions are interleaved: plain, ours, plain, ours …
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import asdict, replace
from typing import Final

from bench.anew import anew
from bench.data import home
from bench.measure import Figure, figure, plain
from bench.questions import QUESTIONS

REPETITIONS: Final = 5


def main() -> None:
    """Build what is missing, measure, print."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [q for q in QUESTIONS if only in q.name]
    if not chosen:
        sys.exit(f"no question is named like {only!r}: {', '.join(q.name for q in QUESTIONS)}")
    here = home()
    here = replace(here, settings=replace(here.settings, release_clock_ms=0))
    found = []
    for question in chosen:
        gateway = anew(here)  # a fresh worker each, so that a peak is the question's own
        try:
            with plain(here, question.dataset) as connection:
                found.append(figure(here, gateway, connection, question, REPETITIONS))
        finally:
            gateway.close()
        _print(found[-1], head=len(found) == 1)
    _print_shares(found)
    print(
        json.dumps({"cores": os.cpu_count(), "means": _means(found), "figures": [asdict(f) for f in found]})
    )


def _print(line: Figure, *, head: bool) -> None:
    if head:
        print(
            f"{'query':24} {'plain ms':>9} {'ours ms':>9} {'ratio':>7} {'planning ms':>12} {'worker MB':>10}"
        )
    times = f"{1000 * line.plain_s:>9.1f} {1000 * line.ours_s:>9.1f} {line.ratio:>7.2f}"
    print(f"{line.name:24} {times} {1000 * line.planning_s:>12.2f} {line.peak_mb:>10.0f}", flush=True)


def _print_shares(found: list[Figure]) -> None:
    print("\nshare of each stage in our time, %")
    names = list(dict.fromkeys(name for f in found for name in f.shares))
    print(f"{'query':24} " + " ".join(f"{name:>9}" for name in names))
    for f in found:
        print(f"{f.name:24} " + " ".join(f"{100 * f.shares.get(name, 0):>9.1f}" for name in names))


def _means(found: list[Figure]) -> dict[str, float]:
    """Geometric means of the ratios, by dataset and mode."""
    groups: dict[str, list[float]] = {}
    for f in found:
        groups.setdefault(f.name.rsplit("/", 1)[0], []).append(math.log(f.ratio))
    return {name: round(math.exp(sum(logs) / len(logs)), 3) for name, logs in groups.items()}


main()
