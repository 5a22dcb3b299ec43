"""Is an answer right?  Its numbers against the exact ones, its shape against the query's.

Rows are matched by their exact columns.  A group that the exact answer does not have counts zero there: an
empty one, shown because which groups there are must not tell anything.  An interval is stated at 95 %; an
answer is wrong if so many miss that chance would do it once in ten thousand times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Any, Final

import duckdb

from sandbox.model import Answer

NOMINAL: Final = 0.05
CHANCE: Final = 1e-4
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """The exact answer to the text, and to the same without LIMIT: what a chosen row is held against."""

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    all_rows: tuple[Row, ...]


def truth(connection: duckdb.DuckDBPyConnection, sql: str, whole: str) -> Truth:
    """What plain DuckDB says."""
    asked = connection.execute(sql)
    names = tuple(str(d[0]) for d in asked.description or ())
    rows = tuple(asked.fetchall())
    return Truth(names, rows, rows if whole == sql else tuple(connection.execute(whole).fetchall()))


@dataclass(frozen=True, slots=True)
class Cell:
    """One noisy number: its half-width (None: not stated), and the exact one."""

    value: float
    half: float | None
    exact: float

    @property
    def missed(self) -> bool:
        """Whether the stated interval does not hold the exact number."""
        return self.half is not None and abs(self.value - self.exact) > self.half * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class Judged:
    """Cells, rows shown of how many, and what is wrong with the shape ("" if nothing).

    ``other``: of a list that noise chose without a number in it, the share of rows that only one of the
    answer and the exact answer has.
    """

    cells: tuple[Cell, ...]
    shown: int
    exact: int
    shape: str
    other: float | None = None

    @property
    def stated(self) -> list[Cell]:
        """The cells with an interval."""
        return [c for c in self.cells if c.half is not None]

    @property
    def predicted(self) -> float | None:
        """Median half-width relative to the exact number, over cells that are not empty."""
        found = [c.half / abs(c.exact) for c in self.cells if c.half is not None and c.exact]
        return median(found) if found else None

    @property
    def measured(self) -> float | None:
        """Median error relative to the exact number."""
        found = [abs(c.value - c.exact) / abs(c.exact) for c in self.cells if c.exact]
        return median(found) if found else self.other


def spends(answer: Answer) -> bool:
    """Whether anything protected was released for it."""
    return answer.price is not None and answer.price.nano > 0


def judge(answer: Answer, known: Truth, *, complete: bool) -> Judged:
    """``complete``: every group of the exact answer must be shown (nothing was selected or chosen)."""
    names = [c.name for c in answer.columns]
    exact_columns = [i for i, c in enumerate(answer.columns) if not c.noisy]
    noisy = [i for i, c in enumerate(answer.columns) if c.noisy]
    rows = [tuple(row.values()) for row in _tuples(answer.table)]
    margins = [tuple(row.values()) for row in _tuples(answer.margins)]
    shape = "" if len(names) == len(known.names) else f"{len(names)} columns, not {len(known.names)}"
    if not noisy and not spends(answer):
        return Judged(
            (), len(rows), len(known.rows), shape or ("" if _same(rows, known.rows) else "other rows")
        )
    if not noisy:
        mine, theirs = set(map(_rounded, rows)), set(map(_rounded, known.rows))
        other = len(mine ^ theirs) / max(len(mine | theirs), 1) if rows else None
        return Judged((), len(rows), len(known.rows), shape, other)
    wanted = {_key(row, exact_columns): row for row in known.all_rows}
    cells = [
        Cell(float(row[i]), half[i], _number(wanted.get(_key(row, exact_columns)), i))
        for row, half in zip(rows, margins, strict=True)
        for i in noisy
        if row[i] is not None
    ]
    missing = set(wanted) - {_key(row, exact_columns) for row in rows}
    if complete and missing:
        shape = f"{len(missing)} groups are missing"
    return Judged(tuple(cells), len(rows), len(known.rows), shape)


def wrong(found: list[Judged]) -> str:
    """What is wrong with the answers to one query, if anything."""
    for one in found:
        if one.shape:
            return one.shape
    stated = [c for one in found for c in one.stated]
    missed = sum(c.missed for c in stated)
    return f"{missed} of {len(stated)} intervals miss" if _tail(len(stated), missed) < CHANCE else ""


def _tail(count: int, missed: int) -> float:
    """The chance of at least so many misses, each with the nominal one."""
    below = sum(math.comb(count, k) * NOMINAL**k * (1 - NOMINAL) ** (count - k) for k in range(missed))
    return max(1 - below, 0.0)


def _tuples(table: Any) -> list[dict[int, Any]]:
    columns = [c.to_pylist() for c in table.columns]
    return [dict(enumerate(row)) for row in zip(*columns, strict=True)]


def _key(row: Row, columns: list[int]) -> Row:
    return tuple(str(row[i]) for i in columns)


def _number(row: Row | None, column: int) -> float:
    return 0.0 if row is None or row[column] is None else float(row[column])


def _same(mine: Sequence[Row], theirs: Sequence[Row]) -> bool:
    """Whether the rows are equal in some order; DuckDB's sums of decimals are decimals, ours binary64."""
    pairs = zip(sorted(mine, key=_rounded), sorted(theirs, key=_rounded), strict=False)
    alike = (_alike(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))
    return len(mine) == len(theirs) and all(alike)


def _alike(a: object, b: object) -> bool:
    if isinstance(a, int | float | Decimal) and isinstance(b, int | float | Decimal):
        return math.isclose(a, b, rel_tol=1e-9)
    return a == b


def _rounded(row: Row) -> Row:
    return tuple(f"{float(v):.6g}" if _is_number(v) else str(v) for v in row)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
