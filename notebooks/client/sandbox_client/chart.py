"""Charts for JupyterLab, which draws Vega-Lite 5 without any extension or script of ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from sandbox_client.words import Words

if TYPE_CHECKING:
    from sandbox_client.answer import Answer

MIME: Final = "application/vnd.vegalite.v5+json"
SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"
MOST: Final = 60
"""Rows that a chart of bars can still show."""


def of(answer: Answer) -> dict[str, Any] | None:
    """Bars of the first number over the labels, with error bars of 95 %; None where that says nothing.

    Labels are the columns without noise before it, joined; there must be one, and 2 to ``MOST`` rows.
    """
    measures = [c for c in answer.columns if c.noisy] or [c for c in answer.columns[1:] if _number(c.kind)]
    if not measures or not 2 <= len(answer) <= MOST:
        return None
    measure = measures[0]
    keys = [c.name for c in answer.columns[: answer.columns.index(measure)] if not c.noisy]
    if not keys:
        return None
    labels = [" · ".join("NULL" if v is None else str(v) for v in row) for row in _rows(answer, keys)]
    values = answer.table.column(measure.name).to_pylist()
    if not all(v is None or isinstance(v, int | float) or hasattr(v, "is_finite") for v in values):
        return None
    ends = answer.intervals(measure.name)
    points = [
        {"label": label, "value": float(value)} | _ends(end)
        for label, value, end in zip(labels, values, ends, strict=True)
        if value is not None and math.isfinite(value)
    ]
    return _drawn(" · ".join(keys), measure.name, points, answer)


def _rows(answer: Answer, keys: list[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(answer.table.column(key).to_pylist() for key in keys), strict=True))


def _ends(end: tuple[float, float] | None) -> dict[str, float]:
    return {"low": end[0], "high": end[1]} if end is not None and all(map(math.isfinite, end)) else {}


def _number(kind: str) -> bool:
    return kind in ("integer", "decimal", "double")


def _drawn(key: str, measure: str, points: list[dict[str, Any]], answer: Answer) -> dict[str, Any]:
    about = Words(f"{measure} 的条形图，误差线为 95% 区间", f"{measure}; error bars are 95 % intervals")
    across = {"field": "label", "type": "nominal", "sort": None, "title": key}
    return {
        "$schema": SCHEMA,
        "description": about.say(answer.lang),
        "width": 560,
        "data": {"values": points},
        "encoding": {"y": across},
        "layer": [
            {
                "mark": {"type": "bar", "color": "#8fb8de", "tooltip": True},
                "encoding": {"x": {"field": "value", "type": "quantitative", "title": measure}},
            },
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "color": "#1f2937", "strokeWidth": 2},
                "encoding": {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
            },
        ],
    }
