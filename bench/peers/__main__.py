"""``python -m bench.peers [--only A,B] [--runs N] [--rows BOUND]``: other systems beside Data Sandbox.

The same machine, files, epsilon (1) and delta (1e-6), unit-level.  Each peer is asked each question in turn
with ours, the first pair unmeasured, so that ratios of seconds are paired.  ``--rows``: the bound on rows
of a person that peers must be told (Data Sandbox is told none).  The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from typing import Any, Final

import duckdb

from bench.peers.adapters.protocol import Setting
from bench.peers.catalogue import EXACT, OURS, PEERS, PURE, QUESTIONS, Peer, Question
from bench.peers.data import files, home
from bench.peers.install import python
from bench.peers.judge import Line, Pair, Rows, behind, judged, nearest
from bench.peers.tool import Tool

PATIENCE_S: Final = 90.0
"""Past so many seconds on one question no further repetition is begun; two are made all the same."""


def main() -> None:
    """Install, ask, print."""
    asked = _arguments()
    setting = Setting(str(files()), rows=asked.rows, groups=8, rows_per_group=max(1, asked.rows // 2))
    home(OURS.grant), home(PURE.grant)
    chosen = [EXACT, PURE, *(p for p in PEERS if not asked.only or p.name in asked.only)]
    places = {peer: sys.executable if peer in (EXACT, PURE) else python(peer) for peer in chosen}
    load = os.getloadavg()
    print(f"load {load[0]:.1f} on {os.cpu_count()} cores; peers are told at most {asked.rows} rows a person")
    about: dict[str, Any] = {}
    lines: list[Line] = []
    mine: dict[str, list[Pair]] = {question.name: [] for question in QUESTIONS}
    notes: dict[str, str] = {}
    truth, units = _truth(setting)
    for peer, place in places.items():
        if isinstance(place, str) and peer not in (EXACT, PURE):
            lines += [Line(peer.title, question.name, "unsupported", place) for question in QUESTIONS]
            continue
        with Tool(peer, place, setting) as theirs, Tool(OURS, sys.executable, setting) as ours:
            for question in QUESTIONS:
                pairs, own, why = _duel(theirs, ours, question, asked.runs)
                mine[question.name] += own
                notes.setdefault(question.name, why[1])
                line = _line(peer, question, pairs, truth, units, why[0])
                lines.append(line)
                print(_text(line, question), flush=True)
            about[peer.title], about[OURS.title] = theirs.ready, ours.ready
    ahead = {q.name: _line(OURS, q, mine[q.name], truth, units, notes[q.name]) for q in QUESTIONS}
    pure = {line.question: line for line in lines if line.tool == PURE.title}
    best = {name: nearest((line, pure[name])) for name, line in ahead.items()}
    _report(lines, ahead)
    print(
        json.dumps(
            {
                "date": dt.datetime.now(dt.UTC).date().isoformat(),
                "machine": {
                    "cores": os.cpu_count(),
                    "python": platform.python_version(),
                    "load": [load, os.getloadavg()],
                },
                "setting": {"rows": asked.rows, "epsilon": setting.epsilon, "delta": setting.delta},
                "behind": behind([x for x in lines if x.tool not in (EXACT.title, PURE.title)], best),
                "about": about,
                "ours": [asdict(line) for line in ahead.values()],
                "lines": [asdict(line) for line in lines],
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="names of peers")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=40)
    return parser.parse_args()


def _truth(setting: Setting) -> tuple[dict[str, Rows], dict[Any, float]]:
    """Exact answers of every question, and the persons of each city."""
    with Tool(EXACT, sys.executable, setting) as tool:
        rows: dict[str, Rows] = {question.name: _rows(tool.ask(question.name)) for question in QUESTIONS}
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT city, count(DISTINCT person_id) FROM read_parquet($1) GROUP BY 1", [setting.file("visit")]
        ).fetchall()
    return rows, {city: float(persons) for city, persons in found}


def _rows(answer: dict[str, Any]) -> dict[Any, float]:
    return {key: float(value) for key, value in answer["rows"]}


def _duel(
    theirs: Tool, ours: Tool, question: Question, runs: int
) -> tuple[list[Pair], list[Pair], tuple[str, str]]:
    """Pairs of a peer and ours, the same the other way round, and what is to be said of each."""
    pairs: list[Pair] = []
    own: list[Pair] = []
    begun = time.monotonic()
    said = ("", "")
    for i in range(runs + 1):
        if time.monotonic() - begun > PATIENCE_S and len(pairs) >= 2:
            break
        one, other = theirs.ask(question.name), ours.ask(question.name)
        said = (one.get("unsupported", one.get("note", "")), other.get("unsupported", other.get("note", "")))
        if i == 0 and "rows" in one and one["seconds"] < PATIENCE_S / 3:
            continue  # caches fill, code is loaded
        if "rows" in other:
            own.append(Pair(_rows(other), other["seconds"], other["peak_mb"], other["seconds"]))
        if "rows" not in one:
            break
        pairs.append(Pair(_rows(one), one["seconds"], one["peak_mb"], other.get("seconds", float("nan"))))
    return pairs, own, said


def _line(
    peer: Peer, question: Question, pairs: list[Pair], truth: dict[str, Rows], units: Rows, why: str
) -> Line:
    if not pairs:
        return Line(peer.title, question.name, "unsupported", why)
    return judged(peer.title, question, pairs, truth[question.name], units if question.largest else {}, why)


def _text(line: Line, question: Question) -> str:
    head = f"{line.tool:16} {question.name:8} {line.status:12}"
    if line.status == "unsupported":
        return f"{head}{line.why}"
    errors = " / ".join(f"{100 * one:.3g}" for one in line.errors)
    keys = f"{line.keys} keys of {line.fewest} persons or more" if question.largest else ""
    times = f"{line.seconds:>8.3f} s  {line.ratio:>7.2f} x ours {line.ours_s:>7.3f} s {line.peak_mb:>6.0f} MB"
    return f"{head}{errors:>20} % {times}  {line.runs} runs  {keys} {line.why}".rstrip()


def _report(lines: list[Line], ours: dict[str, Line]) -> None:
    for question in QUESTIONS:
        print(f"\n{question.title}")
        for line in [ours[question.name], *(line for line in lines if line.question == question.name)]:
            print(f"  {_text(line, question)}")


if __name__ == "__main__":
    main()
