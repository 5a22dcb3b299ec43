"""``python -m bench.plots``: draws the plots of docs/accuracy.md anew, as SVG; prints their figures as JSON.

Counts of units that bring rows by a geometric law (mean 10), through the same code as a query.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Final

from bench.accuracy import Case, measure

DOCS: Final = Path(__file__).parents[1] / "docs"
RUNS: Final = 9
WIDTH, HEIGHT, LEFT, BOTTOM = 560, 340, 70, 46
COLOURS: Final = ("#1f5a99", "#b5421e", "#3f7d3f", "#7a4fa0")


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line of points, both coordinates positive."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


def svg(title: str, across: str, curves: Sequence[Curve]) -> str:
    """A plot with both axes logarithmic; upwards is error relative to the truth, in percent."""
    xs = [x for c in curves for x, _ in c.points]
    ys = [y for c in curves for _, y in c.points]
    low, high = _decades(ys)
    first, last = log10(min(xs)), log10(max(xs))

    def at(x: float, y: float) -> tuple[float, float]:
        right = LEFT + (log10(x) - first) / (last - first) * (WIDTH - LEFT - 150)
        up = (log10(y) - low) / (high - low) * (HEIGHT - BOTTOM - 34)
        return round(right, 1), round(HEIGHT - BOTTOM - up, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="18">{title}</text>',
    ]
    for decade in range(low, high + 1):
        (x, y), (end, _) = at(min(xs), 10.0**decade), at(max(xs), 1.0)
        parts.append(f'<path d="M{x} {y}H{end}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{10.0**decade:g} %</text>')
    ticks = [(at(x, 1.0)[0], x) for x in sorted(set(xs))]
    parts += [f'<text x="{a}" y="{HEIGHT - 28}" text-anchor="middle">{x:g}</text>' for a, x in ticks]
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">{across}</text>')
    for i, curve in enumerate(curves):
        colour = COLOURS[i // 2 % len(COLOURS)]
        line = " ".join(f"{a},{b}" for a, b in (at(x, y) for x, y in curve.points))
        dash = ' stroke-dasharray="5 4"' if curve.dashed else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        a, b = at(*curve.points[-1])
        parts.append(f'<text x="{a + 6}" y="{b + 4}" fill="{colour}">{curve.name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    return int(log10(min(values)) // 1), int(-(-log10(max(values)) // 1))


def _pair(name: str, cases: Sequence[tuple[float, Case]]) -> tuple[Curve, Curve]:
    lines = [(x, measure(case, RUNS)) for x, case in cases]
    return (
        Curve(f"{name}, half-width", tuple((x, 100 * found.width) for x, found in lines), dashed=True),
        Curve(f"{name}, error", tuple((x, 100 * found.error) for x, found in lines)),
    )


def by_epsilon() -> list[Curve]:
    """A total and twelve groups, from epsilon 0.1 to 2."""
    found: list[Curve] = []
    for name, form, cells in (("one total", "total", 1), ("12 groups", "unit", 12)):
        cases = [
            (float(e), Case("geometric", 30_000, form, cells, e, rows=128))
            for e in ("0.1", "0.2", "0.5", "1", "2")
        ]
        found += _pair(name, cases)
    return found


def by_size() -> list[Curve]:
    """Twelve groups of ever more units, with and without declared rows."""
    found: list[Curve] = []
    for name, rows in (("rows declared", 128), ("not declared", None)):
        cases = [
            (float(n // 12), Case("geometric", n, "unit", 12, "1", rows=rows))
            for n in (1_200, 6_000, 30_000, 150_000, 600_000)
        ]
        found += _pair(name, cases)
    return found


def main() -> None:
    """Measure and write."""
    plots = {
        "accuracy-epsilon": ("Counts of 30,000 units' rows", "epsilon", by_epsilon()),
        "accuracy-size": ("Counts in 12 groups at epsilon 1", "units a group, on average", by_size()),
    }
    for name, (title, across, curves) in plots.items():
        (DOCS / f"{name}.svg").write_text(svg(title, across, curves), encoding="utf-8")
    print(json.dumps({n: {c.name: c.points for c in curves} for n, (_, _, curves) in plots.items()}))


if __name__ == "__main__":
    main()
