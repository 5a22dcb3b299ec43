"""sqlglot's DuckDB parser with an end to its patience.

It reads by trial: what turns out to be no join, no type, no lambda is read again as something else, and
trials within trials double.  Thirty tables in FROM, joined without conditions, would keep it busy for hours.
Invariant: the tokens that it goes back over, all together, are bounded.
"""

from __future__ import annotations

from typing import Any, Final

from sqlglot.dialects.duckdb import DuckDB

from sandbox.errors import Code, refuse

MOST_REREAD: Final = 4_000
"""Tokens read again: as many as a text may have.  The corpora need 240 at most, TPC-H's queries 8."""


class Bounded(DuckDB.Parser):  # type: ignore[valid-type, misc]  # a metaclass sets it
    """Raises ``Refusal`` with ``Code.CONSTRUCT`` where reading takes too many trials."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._reread = 0

    def _retreat(self, index: int) -> None:
        self._reread += max(0, self._index - index)
        if self._reread > MOST_REREAD:
            raise refuse(
                Code.CONSTRUCT,
                "too many readings",
                "give each JOIN its ON before the next, and nest less",
                "请在下一个 JOIN 之前写明 ON，并减少嵌套",
            )
        super()._retreat(index)
