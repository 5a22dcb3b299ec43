"""Answers as pages: the table with its intervals, the chart, the guarantee, and the files to keep.

Invariant: an answer is shown to the person who asked, and to nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from starlette.responses import Response

from sandbox.console.charts import Bar, bars
from sandbox.console.locale import Locale
from sandbox.console.page import Page, get
from sandbox.console.visit import Visit
from sandbox.doors import forms, screens, wire
from sandbox.doors.values import Value, columns_of, margins_of, shown, with_margin
from sandbox.errors import Code, refuse
from sandbox.model import Answer, Person
from sandbox.policy.documents import Product
from sandbox.policy.roles import Action
from sandbox.recent import Recent

KEPT_CELLS: Final = 2_000_000
MOST_ROWS: Final = 500
"""Rows that a page shows; the file has all."""
MOST_BARS: Final = 40


@dataclass(frozen=True, slots=True)
class Held:
    """An answer, with the text that asked for it; or the product, whose text its recipients do not see."""

    answer: Answer
    sql: str = ""
    product: Product | None = None


class Kept:
    """The answers shown last: what is forgotten can be asked again, which a DP grant gives free."""

    def __init__(self) -> None:
        self._recent: Recent[tuple[str, str], Held] = Recent(KEPT_CELLS)

    def put(self, person: Person, answer: Answer, sql: str = "", product: Product | None = None) -> None:
        """Keep an answer for the one who asked."""
        cells = answer.table.num_rows * answer.table.num_columns
        self._recent.put((person.name, answer.request), Held(answer, sql, product), 1000 + cells)

    def get(self, person: Person, request: str) -> Held:
        """The answer to this person's request.  Refuses ``NOT_FOUND``."""
        found = self._recent.get((person.name, request))
        if found is None:
            raise refuse(Code.NOT_FOUND, f"answer {request[:40]!a}")
        return found


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell for people: the value, and its half-width if it is noisy."""

    text: str
    margin: str = ""
    noisy: bool = False


def answer(visit: Visit) -> Response:
    """One answer, whole."""
    held = _held(visit)
    found = held.answer
    charted = [i for i, c in enumerate(found.columns) if c.kind.numeric and _key(found) != i]
    chosen = _chosen(visit.asked("column"), charted)
    chart = None if chosen is None else _chart(found, chosen, visit.locale)
    return visit.page(
        "answer.html",
        held=held,
        found=found,
        rows=_rows(found),
        cost=screens.cost(found.price),
        chart=chart,
        charted=charted,
        chosen=chosen,
        numeric=[c.kind.numeric for c in found.columns],
        most=MOST_ROWS,
    )


def as_csv(visit: Visit) -> Response:
    """The answer as a file, margins as columns.  Spreadsheets read UTF-8 by its mark."""
    found = _held(visit).answer
    return _file("\ufeff" + forms.csv(found), "text/csv; charset=utf-8", f"{found.request}.csv")


def receipt(visit: Visit) -> Response:
    """The receipt, which verifies offline."""
    found = _held(visit).answer
    if found.proof is None:
        raise refuse(Code.NOT_FOUND, f"receipt of {found.request}")
    text = wire.text(wire.receipt(found.proof))
    return _file(text, "application/json", f"receipt-{found.receipt}.json")


def _held(visit: Visit) -> Held:
    return visit.console.kept.get(visit.person, visit.request.path_params["id"])


def _file(text: str, media: str, name: str) -> Response:
    return Response(text, media_type=media, headers={"content-disposition": f'attachment; filename="{name}"'})


def _rows(found: Answer) -> list[list[Cell]]:
    columns = [
        [_cell(value, margin, about.noisy) for value, margin in zip(values, margins, strict=True)]
        for about, values, margins in zip(found.columns, columns_of(found), margins_of(found), strict=True)
    ]
    return [[column[i] for column in columns] for i in range(min(found.table.num_rows, MOST_ROWS))]


def _cell(value: Value, margin: float | None, noisy: bool) -> Cell:
    if not noisy:
        return Cell(shown(value))
    text, spread = with_margin(value, margin)
    return Cell(text, spread, noisy=True)


def _key(found: Answer) -> int | None:
    """The column that names the rows: the first that carries no noise."""
    return next((i for i, c in enumerate(found.columns) if not c.noisy), None)


def _chosen(asked: str, charted: list[int]) -> int | None:
    if asked.isascii() and asked.isdigit() and len(asked) < 4 and int(asked) in charted:
        return int(asked)
    return charted[0] if charted else None


def _chart(found: Answer, column: int, say: Locale) -> str | None:
    """The chart of a column; none where there is nothing to compare, or too much."""
    key = _key(found)
    if key is None or not 2 <= found.table.num_rows <= MOST_BARS:
        return None
    labels, values = columns_of(found)[key], columns_of(found)[column]
    margins = margins_of(found)[column]
    shown_bars = [
        Bar(
            shown(label),
            float(value),
            margin,
            shown(value) if margin is None else with_margin(value, margin)[0],
        )
        for label, value, margin in zip(labels, values, margins, strict=True)
        if isinstance(value, int | float | Decimal)
    ]
    return bars(shown_bars, found.columns[column].name, say) if len(shown_bars) > 1 else None


PAGES: Final[tuple[Page, ...]] = (
    get("/answers/{id}", Action.PRODUCTS, answer),  # whoever received one, asked for or as a product
    get("/answers/{id}/table.csv", Action.PRODUCTS, as_csv),
    get("/answers/{id}/receipt.json", Action.PRODUCTS, receipt),
)
