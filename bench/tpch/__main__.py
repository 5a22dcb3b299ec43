"""``python -m bench.tpch [SCALE] [REPETITIONS]``: TPC-H's 22 queries under differential privacy.

First with customers as the people to protect, then with suppliers.  A row a query; the last line is one JSON
object: the figures of the customers' run, and those of the suppliers' under ``supplier``.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from typing import Any, Final

from bench.tpch.ask import Asker, Line
from bench.tpch.data import GRANTS, UNITS, generated, home, texts

HEAD: Final = (
    f"{'query':6} {'status':9} {'rows':>11} {'predicted':>10} {'measured':>10} {'missed':>12} "
    f"{'plain s':>8} {'ours s':>8} {'ratio':>7}  note"
)


def main() -> None:
    """Build what is missing, ask, print."""
    scale = sys.argv[1] if len(sys.argv) > 1 else "1"
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    found = {unit: _run(scale, unit, repetitions) for unit in UNITS}
    print(json.dumps({**found["customer"], "supplier": found["supplier"], "scale": float(scale)}))


def _run(scale: str, unit: str, repetitions: int) -> dict[str, Any]:
    print(f"\nunit = {unit}, scale {scale}, epsilon 1\n{HEAD}", flush=True)
    here, data = home(scale, unit), generated(scale)
    here = replace(here, settings=replace(here.settings, release_clock_ms=0))
    lines = []
    for name, sql in texts().items():
        asker = Asker(here, GRANTS[unit], data)
        try:
            lines.append(asker.line(name, sql, repetitions))
        finally:
            asker.close()
        print(_text(lines[-1]), flush=True)
    return _figures(lines)


def _text(line: Line) -> str:
    if line.status == "refused":
        return f"{line.query:6} {line.status:9} {line.why}"
    rows, missed = f"{line.shown}/{line.exact}", f"{line.missed}/{line.stated}"
    none = "-" if line.noisy else "exact"
    errors = f"{_share(line.predicted, none):>10} {_share(line.measured, none):>10} {missed:>12}"
    times = f"{line.plain_s:>8.3f} {line.ours_s:>8.3f} {line.ratio or 0:>7.2f}"
    return f"{line.query:6} {line.status:9} {rows:>11} {errors} {times}  {line.why}".rstrip()


def _share(value: float | None, none: str) -> str:
    return none if value is None else f"{100 * value:.3g}%"


def _figures(lines: list[Line]) -> dict[str, Any]:
    ratios = [line.ratio for line in lines if line.ratio is not None]
    counts = {s: sum(line.status == s for line in lines) for s in ("answered", "refused", "wrong")}
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
    return {
        **counts,
        "ratio_geomean": None if mean is None else round(mean, 3),
        "ratio_max": round(max(ratios), 3) if ratios else None,
    }


main()
