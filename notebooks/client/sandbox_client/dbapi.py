"""As much of DB-API 2.0 (PEP 249) as reading needs, so that ``pandas.read_sql`` works.

Margins come as columns beside the values.  Nothing can be written and there are no transactions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sandbox_client.answer import Answer
    from sandbox_client.client import Client

apilevel: Final = "2.0"
threadsafety: Final = 1
"""Threads may share the module, not connections."""
paramstyle: Final = "named"

Described = tuple[str, str, None, None, None, None, None]


class Cursor:
    """One query at a time and its rows."""

    arraysize = 1

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.answer: Answer | None = None
        """The answer behind the rows, with its guarantee and price."""

    def execute(self, operation: str, parameters: Mapping[str, object] | None = None) -> Cursor:
        """Ask under the client's grant.  Raises ``Refusal`` and ``Lost``."""
        self.answer = self._client.query(operation, parameters)
        columns = [column.to_pylist() for column in self.answer.table.columns]
        self._rows = zip(*columns, strict=True)
        return self

    @property
    def description(self) -> list[Described] | None:
        """Name and type of every column, margins included."""
        if self.answer is None:
            return None
        return [(f.name, str(f.type), None, None, None, None, None) for f in self.answer.table.schema]

    @property
    def rowcount(self) -> int:
        """Rows of the answer; -1 before there is one."""
        return -1 if self.answer is None else len(self.answer)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows, ``arraysize`` of them by default."""
        return list(islice(self._rows, size or self.arraysize))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rest of the rows."""
        return list(self._rows)

    def setinputsizes(self, sizes: Sequence[object]) -> None:
        """Nothing to prepare."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing to prepare."""

    def close(self) -> None:
        """Forget the answer."""
        self._rows, self.answer = iter(()), None


class Connection:
    """Cursors over a client, which stays its owner's to close."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def cursor(self) -> Cursor:
        """A new cursor."""
        return Cursor(self._client)

    def commit(self) -> None:
        """There are no transactions."""

    def rollback(self) -> None:
        """There are no transactions; pandas calls this after a refusal."""

    def close(self) -> None:
        """Nothing is held."""
