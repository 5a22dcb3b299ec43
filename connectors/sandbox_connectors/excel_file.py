"""Excel workbooks (xlsx, xlsm, xlsb, xls) and OpenDocument: a sheet is a table, its first row the header.

Settings: ``path``.  Cells come as text, whole numbers without a point and dates as ISO has them: what a cell
holds, not how it looks.  Rows without any value are no rows.  The library holds one sheet in memory, so files
and sheets over the bounds below are refused before they are read; save those as CSV.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.files import the_file
from sandbox_connectors.interface import (
    Condition,
    Connector,
    Kind,
    Op,
    Options,
    Place,
    Table,
    stream,
    text_table,
    texts,
)
from sandbox_connectors.statement import every

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

LARGEST_FILE: Final = 100 * 2**20
"""Most bytes of a workbook."""
MOST_CELLS: Final = 20_000_000
"""Most cells of a sheet's used range, empty ones included: a library reads them all."""

_DIMENSION: Final = re.compile(rb'<dimension ref="(?:[A-Z]+[0-9]+:)?([A-Z]+)([0-9]+)"')
_HOLDS: Final[dict[Op, Callable[[Any, Any], Any]]] = {
    Op.EQUAL: operator.eq,
    Op.DIFFERENT: operator.ne,
    Op.LESS: operator.lt,
    Op.AT_MOST: operator.le,
    Op.MORE: operator.gt,
    Op.AT_LEAST: operator.ge,
}


class ExcelFile:
    """The sheets of one workbook."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._book: CalamineWorkbook | None = None

    def discover(self) -> tuple[Table, ...]:
        """Every sheet that has a header."""
        heads = ((name, self._head(name)) for name in self._open().sheet_names)
        return tuple(text_table(name, head) for name, head in heads if head)

    def open(
        self,
        table: str,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        since: Condition | None = None,
    ) -> pa.RecordBatchReader:
        """The rows; a condition on a number compares numbers, any other compares texts."""
        conditions = every(where, since)
        if table not in self._open().sheet_names:
            raise faults.unknown(table)
        whole = text_table(table, self._head(table))
        wanted = whole.only(columns, conditions)
        return stream(wanted, texts(wanted, self._chosen(whole, wanted, conditions)))

    def test(self) -> None:
        """Open the workbook."""
        if not self.discover():
            raise faults.unreachable("excel")

    def close(self) -> None:
        """Close the workbook."""
        if self._book is not None:
            self._book.close()
            self._book = None

    def _head(self, table: str) -> list[str]:
        """The first row, without the empty cells that follow its last name."""
        head = [value or "" for value in next(self._rows(table), [])]
        while head and not head[-1]:
            head.pop()
        return head

    def _chosen(
        self, whole: Table, wanted: Table, conditions: Sequence[Condition]
    ) -> Iterator[list[str | None]]:
        place = {c.name: i for i, c in enumerate(whole.columns)}
        rows = self._rows(whole.name)
        next(rows, None)
        for row in rows:
            if any(row) and all(_holds(row[place[c.column]], c) for c in conditions):
                yield [row[place[c.name]] for c in wanted.columns]

    def _rows(self, table: str) -> Iterator[list[str | None]]:
        for row in self._open().get_sheet_by_name(table).iter_rows():
            yield [_text(value) for value in row]

    def _open(self) -> CalamineWorkbook:
        if self._book is None:
            path = the_file(self._options, self._place, "excel")
            _bounded(path)
            try:
                from python_calamine import CalamineError, CalamineWorkbook, PasswordError
            except ImportError:
                raise faults.driver("excel") from None
            try:
                self._book = CalamineWorkbook.from_path(path)
            except PasswordError:
                raise faults.credentials("excel") from None
            except (CalamineError, OSError):
                raise faults.unreadable("excel") from None
        return self._book


def _bounded(path: Path) -> None:
    """Refuse what would not fit into memory: a sheet whose last cell is far out takes gigabytes."""
    sizes = [path.stat().st_size / LARGEST_FILE]
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as parts:
        for part in parts.infolist():
            if part.filename.startswith("xl/worksheets/") and part.filename.endswith(".xml"):
                with parts.open(part) as sheet:
                    if last := _DIMENSION.search(sheet.read(4096)):
                        sizes.append(_number(last[1].decode()) * int(last[2]) / MOST_CELLS)
    if max(sizes) > 1:
        raise faults.unreadable("excel: a workbook or sheet is too large; save it as CSV")


def _number(letters: str) -> int:
    """A column's number: A is 1, AA is 27."""
    found = 0
    for letter in letters:
        found = found * 26 + ord(letter) - ord("A") + 1
    return found


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def _holds(value: str | None, condition: Condition) -> bool:
    if value is None:
        return False
    if isinstance(condition.value, str):
        return bool(_HOLDS[condition.op](value, condition.value))
    with suppress(InvalidOperation):
        return bool(_HOLDS[condition.op](Decimal(value), Decimal(condition.value)))
    return False


def connect(options: Options, place: Place) -> Connector:
    """A connector to one workbook."""
    return ExcelFile(options, place)


KIND: Final = Kind("excel", connect, required=frozenset({"path"}))
