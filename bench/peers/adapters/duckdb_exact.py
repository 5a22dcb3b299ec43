"""Plain DuckDB: exact answers, no privacy.  The floor of time, and the truth behind the errors."""

from __future__ import annotations

from typing import Any

import duckdb
from protocol import Setting, serve

QUERIES = {
    "count": "SELECT 0, COUNT(*) FROM visit",
    "sum": "SELECT region, SUM(amount) FROM visit GROUP BY region",
    "avg": "SELECT 0, AVG(amount) FROM visit",
    "units": "SELECT 0, COUNT(DISTINCT person_id) FROM visit",
    "cities": "SELECT city, COUNT(*) FROM visit GROUP BY city",
    "median": "SELECT 0, MEDIAN(amount) FROM visit",
    "join": "SELECT m.band, SUM(v.amount) FROM visit v JOIN member m ON v.person_id = m.person_id "
    "GROUP BY m.band",
    "nested": "SELECT 0, AVG(t) FROM (SELECT person_id, SUM(amount) AS t FROM visit GROUP BY person_id)",
}


class Exact:
    """Views of the two files."""

    def __init__(self, setting: Setting) -> None:
        self.version, self.bounds = duckdb.__version__, "none needed"
        self.notes: dict[str, str] = {}
        self._duckdb = duckdb.connect(config={"threads": 2})
        for table in ("visit", "member"):
            self._duckdb.execute(f"CREATE VIEW {table} AS FROM read_parquet('{setting.file(table)}')")

    def ask(self, question: str) -> list[tuple[Any, float]]:
        return self._duckdb.execute(QUERIES[question]).fetchall()


serve(Exact)
