"""Charts as SVG, written here: bars with their intervals, and budgets as they burn down.

Colours and fonts come from the style sheet by class, so that a chart follows light, dark and print; nothing
in it runs or loads.  Numbers stand beside the bars: a chart adds the comparison and hides no value.
"""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from sandbox.console.locale import Locale

WIDTH: Final = 760
ROW: Final = 26
_LONGEST_LABEL: Final = 30
_BURN_HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its half-width; ``text`` is the value as the table shows it."""

    label: str
    value: float
    margin: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places."""

    low: float
    high: float
    left: float
    right: float

    def at(self, value: float) -> float:
        """The place of a value."""
        return round(self.left + (value - self.low) / (self.high - self.low) * (self.right - self.left), 1)


def bars(rows: Sequence[Bar], title: str, say: Locale) -> Markup:
    """Horizontal bars from zero, one a row, with error bars of 95 %."""
    ends = [row.value + sign * (row.margin or 0.0) for row in rows for sign in (-1, 1)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    high = high if high > low else low + 1.0
    names = 14.0 + min(max(_width(row.label) for row in rows), _LONGEST_LABEL * 7.6)
    numbers = 16.0 + max(_width(row.text) for row in rows)
    ticks = _ticks(low, high)
    scale = Scale(low, max(high, ticks[-1]), names, WIDTH - numbers)
    height = ROW * len(rows) + 30
    parts = [_axis(ticks, scale, height - 26, say)]
    parts += [_bar(row, scale, ROW * i + 4, names) for i, row in enumerate(rows)]
    zero = scale.at(0)
    parts.append(Markup('<line class="zero" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(zero, height - 26))
    label = say.t(f"{title} 的条形图，误差线为 95% 区间", f"Bars of {title}; error bars are 95 % intervals")
    return _svg(parts, height, label, "bars")


def _bar(row: Bar, scale: Scale, top: float, names: float) -> Markup:
    zero, end, middle = scale.at(0), scale.at(row.value), top + ROW / 2
    parts = [
        Markup('<text class="name" x="{}" y="{}">{}</text>').format(names - 10, middle + 4, _cut(row.label)),
        Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>').format(
            min(zero, end), top + 5, round(abs(end - zero), 1), ROW - 10
        ),
        Markup('<text class="value" x="{}" y="{}">{}</text>').format(WIDTH - 4, middle + 4, row.text),
    ]
    if row.margin:
        first, last = scale.at(row.value - row.margin), scale.at(row.value + row.margin)
        path = f"M{first} {middle}H{last}M{first} {middle - 4}v8M{last} {middle - 4}v8"
        parts.append(Markup('<path class="interval" d="{}"/>').format(path))
    return Markup("<g>{}</g>").format(Markup("").join(parts))


def _axis(ticks: Iterable[float], scale: Scale, bottom: float, say: Locale) -> Markup:
    found = []
    for tick in ticks:
        place = scale.at(tick)
        found.append(Markup('<line class="tick" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(place, bottom))
        text = say.short(tick) if abs(tick) >= 10_000 else say.number(tick)
        found.append(Markup('<text class="scale" x="{}" y="{}">{}</text>').format(place, bottom + 18, text))
    return Markup("").join(found)


@dataclass(frozen=True, slots=True)
class Step:
    """What was left of a budget, as a part of it, from this moment on."""

    time: dt.datetime
    left: float


def burn(steps: Sequence[Step], begun: dt.date, until: dt.date, now: dt.datetime, say: Locale) -> Markup:
    """What is left over the time of a grant, beside an even spending of it (the dashed line)."""
    first, last = _noon(begun), _noon(until)
    across = Scale(first, max(last, first + 1), 44, WIDTH - 10)
    down = Scale(1.0, 0.0, 8, _BURN_HEIGHT - 22)
    points = [(across.at(_clamped(step.time.timestamp(), across)), down.at(step.left)) for step in steps]
    end = across.at(_clamped(now.timestamp(), across))
    line = f"M{across.left} {down.at(1.0)}"
    for x, y in points:
        line += f"H{x}V{y}"
    line += f"H{end}"
    area = f"{line}V{down.at(0.0)}H{across.left}Z"
    even = f"M{across.left} {down.at(1.0)}L{across.right} {down.at(0.0)}"
    parts = [
        Markup('<line class="tick" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            across.left, across.right, down.at(part), down.at(part)
        )
        for part in (0.0, 0.5, 1.0)
    ]
    parts += [
        Markup('<text class="name" x="{}" y="{}">{}</text>').format(
            across.left - 6, down.at(part) + 4, f"{part:.0%}"
        )
        for part in (0.0, 0.5, 1.0)
    ]
    parts.append(Markup('<path class="area" d="{}"/><path class="even" d="{}"/>').format(area, even))
    parts.append(Markup('<path class="left" d="{}"/>').format(line))
    parts.append(
        Markup('<circle class="now" cx="{}" cy="{}" r="3.5"/>').format(
            end, points[-1][1] if points else down.at(1.0)
        )
    )
    for day, anchor, place in ((begun, "begin", across.left), (until, "end", across.right)):
        parts.append(
            Markup('<text class="day {}" x="{}" y="{}">{}</text>').format(
                anchor, place, _BURN_HEIGHT - 5, say.day(day)
            )
        )
    left = say.percent(steps[-1].left if steps else 1.0)
    return _svg(parts, _BURN_HEIGHT, say.t(f"剩余 {left}", f"{left} left"), "burn")


def _svg(parts: Iterable[Markup], height: float, label: str, kind: str) -> Markup:
    head = '<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
    return Markup(head + "{}</svg>").format(kind, WIDTH, height, label, Markup("").join(parts))


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that cover the span."""
    raw = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _width(text: str) -> float:
    """About how wide a text is at 13 pixels."""
    return sum(13.0 if unicodedata.east_asian_width(c) in "WF" else 7.6 for c in text)


def _cut(text: str) -> str:
    """As much of a label as there is room for."""
    room, kept = _LONGEST_LABEL * 7.6, ""
    for letter in text:
        if _width(kept + letter) > room:
            return kept[:-1] + "…"
        kept += letter
    return kept


def _noon(day: dt.date) -> float:
    return dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC).timestamp()


def _clamped(value: float, scale: Scale) -> float:
    return min(max(value, scale.low), scale.high)
