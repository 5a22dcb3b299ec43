"""Answers, prices and refusals as people read them, in HTML without scripts and in plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any, Final

from sandbox_client.words import Lang, Words

if TYPE_CHECKING:
    from sandbox_client.answer import Answer, Explained, Price

SHOWN: Final = 100
"""Rows that a cell shows; the frame holds all of them."""
_COST: Final = Words("花费：", "Cost: ")
_FREE: Final = Words("免费：此前已放出", "free: answered before")
_NONE: Final = Words("不消耗预算", "no budget is spent")
_LEFT: Final = Words("剩余", "left")
_MORE: Final = Words("行未显示", "rows not shown")
_REFUSED: Final = Words("已拒绝", "Refused")
_PREDICTED: Final = Words("预计半宽（95%）", "Predicted half-width (95 %)")
_SMALL: Final = "color:#6b7280;font-size:90%;margin:.3em 0"


def answered(answer: Answer) -> str:
    """The table with ±, the guarantee in words, the cost and what is left."""
    names = "".join(f"<th>{escape(c.name)}</th>" for c in answer.columns)
    rows = "".join(f"<tr>{_cells(row)}</tr>" for row in _rows(answer))
    told = [w.say(answer.lang) for w in (*answer.guarantee, *answer.notes)]
    told.append(_cost(answer))
    hidden = len(answer) - SHOWN
    if hidden > 0:
        told.insert(0, f"{hidden} {_MORE.say(answer.lang)}")
    below = "".join(f'<p style="{_SMALL}">{escape(sentence)}</p>' for sentence in told)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>{below}"


def plain(answer: Answer) -> str:
    """The same as text."""
    lines = [" | ".join(c.name for c in answer.columns)]
    lines += (" | ".join(row) for row in _rows(answer))
    return "\n".join([*lines, *(w.say(answer.lang) for w in answer.guarantee), _cost(answer)])


def explained(found: Explained) -> str:
    """A price with the predicted error of each column, and the derivation."""
    rows = "".join(f"<tr>{_cells((c.name, c.predicted or '—'))}</tr>" for c in found.columns)
    head = f"<th></th><th>{escape(_PREDICTED.say(found.lang))}</th>"
    tree = escape("\n".join(found.derivation))
    cost = f"{_COST.say(found.lang)}{price(found.price, found.lang)}"
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'<p style="{_SMALL}">{escape(cost)}</p><pre>{tree}</pre>'
    )


def refused(reasons: Iterable[tuple[str, str, str]], lang: Lang) -> str:
    """A refusal as a readable cell."""
    items = "".join(
        f"<li><b>{escape(code)}</b> {escape(what)}<br>→ {escape(now)}</li>" for code, what, now in reasons
    )
    style = "border-left:4px solid #b45309;padding:.3em 1em"
    return f'<div style="{style}"><b>{_REFUSED.say(lang)}</b><ul>{items}</ul></div>'


def price(cost: Price | None, lang: Lang) -> str:
    """A cost in words."""
    if cost is None:
        return _NONE.say(lang)
    return _FREE.say(lang) if cost.free else f"ε = {cost.epsilon}"


def number(value: Any) -> str:
    """A value as a cell shows it; NULL for nothing."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case float() if not math.isfinite(value):
            return str(value).replace("inf", "∞")
        case int():
            return f"{value:,}"
        case float() | Decimal():
            return f"{value:,.4g}" if -1000 < float(value) < 1000 else f"{value:,.0f}"
        case _:
            return str(value)


def _rows(answer: Answer) -> list[tuple[str, ...]]:
    shown = answer.table.slice(0, SHOWN)
    columns = []
    for column in answer.columns:
        values = [number(v) for v in shown.column(column.name).to_pylist()]
        if column.margin is not None:
            margins = shown.column(column.margin).to_pylist()
            values = [v if m is None else f"{v} ± {number(m)}" for v, m in zip(values, margins, strict=True)]
        columns.append(values)
    return list(zip(*columns, strict=True))


def _cells(row: Iterable[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in row)


def _cost(answer: Answer) -> str:
    lang = answer.lang
    told = [f"{_COST.say(lang)}{price(answer.price, lang)}"]
    for account in answer.left:
        rest = account["epsilon_limit"] - account["epsilon_spent"]
        told.append(f"{account['account']} {_LEFT.say(lang)} ε ≈ {rest:.3g}")
    return " · ".join(told)
