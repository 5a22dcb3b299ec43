"""``make corpus FILE=cases.jsonl``: score a file of attack or legitimate cases against the real gateway.

Prints a table a class, every miss with its reason, and as the last line one JSON object.  Exits 1 if anything
leaked or failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a file: the folder above `tests` is where `tests.…` and `sandbox` lie
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.corpus.cases import read
from tests.corpus.scoring import scene, score


def main() -> int:
    """Score the file named on the command line."""
    parser = argparse.ArgumentParser(description="Score corpus cases against the real gateway over HTTP.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="", help="ids or classes to score, separated by commas")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.only.split(",")))
    cases = [c for c in read(arguments.file) if not wanted or {c.id, c.kind} & wanted]
    with scene(arguments.file.resolve().parent) as here:
        report = score(cases, here)
    for line in report.lines():
        print(line)
    figures = report.figures()
    return 1 if figures["leaks"] or figures["errors"] or report.notes else 0


if __name__ == "__main__":
    raise SystemExit(main())
