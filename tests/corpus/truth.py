"""What DuckDB itself says over the corpus: the measure of answers, never shown to a gateway.

``own`` answers a text over the data as they are.  ``published`` is the same database with every cell that a
grid withholds removed and measures clamped: what exact answers must equal.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Sequence
from fractions import Fraction

import duckdb

from tests.corpus.asker import Cell, number

CLIPS = {("people", "salary"): 20_000, ("enterprises", "turnover"): 50_000_000}


class Truth:
    """The corpus in memory, with external access off."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._connection.execute("SET enable_external_access = false")

    def ask(self, sql: str) -> list[list[Cell]] | None:
        """DuckDB's own rows for a text, or ``None`` if it refuses or cannot be compared."""
        try:
            rows = self._connection.cursor().execute(sql).fetchall()
        except duckdb.Error:
            return None
        return [[_plain(cell) for cell in row] for row in rows]

    def value(self, named: str) -> float:
        """A forbidden value by its name: a number, or ``sum over Hiiu``."""
        if named == "sum over Hiiu":
            rows = self.ask("SELECT SUM(salary) FROM people WHERE county = 'Hiiu'")
            assert rows is not None
            return float(str(rows[0][0]))
        return float(named)

    def withhold(self, cells: Iterable[tuple[str, Sequence[str], Iterable[Sequence[Cell]]]]) -> None:
        """Keep only the rows of the given cells (table, columns, surviving keys); clamp the measures."""
        for table, columns, keys in cells:
            kept = ", ".join("(" + ", ".join(_literal(c) for c in key) + ")" for key in keys)
            self._connection.execute(f"DELETE FROM {table} WHERE ({', '.join(columns)}) NOT IN ({kept})")
        for (table, column), most in CLIPS.items():
            self._connection.execute(f"UPDATE {table} SET {column} = {most} WHERE {column} > {most}")

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


def _plain(cell: object) -> Cell:
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    return format(cell, "f") if isinstance(cell, decimal.Decimal) else str(cell)


def _literal(cell: Cell) -> str:
    return "'" + str(cell).replace("'", "''") + "'"


def same(mine: list[list[Cell]], theirs: list[list[Cell]], *, tolerance: Fraction) -> bool:
    """Whether two answers hold the same rows, in any order, numbers within a relative tolerance."""
    if len(mine) != len(theirs):
        return False
    pairs = zip(sorted(mine, key=_key), sorted(theirs, key=_key), strict=True)
    return all(
        len(a) == len(b) and all(_close(x, y, tolerance) for x, y in zip(a, b, strict=True)) for a, b in pairs
    )


def _key(row: list[Cell]) -> tuple[str, ...]:
    """Text first, then numbers coarsely, so that rounding does not reorder rows."""
    texts = tuple(c for c in row if isinstance(c, str) and number(c) is None)
    return (*texts, *(f"{float(n):024.3f}" for c in row if (n := number(c)) is not None))


def _close(mine: Cell, theirs: Cell, tolerance: Fraction) -> bool:
    """Whether a cell is right; one that is withheld (every grid cell behind it is) is not wrong."""
    if mine is None:
        return True
    a, b = number(mine), number(theirs)
    if a is None or b is None:
        return str(mine).rstrip("0:. T") == str(theirs).rstrip("0:. T")
    return abs(a - b) <= tolerance * max(Fraction(1), abs(b))
