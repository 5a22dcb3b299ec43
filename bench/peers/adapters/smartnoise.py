"""SmartNoise SQL over a pandas frame.

An answer costs more than the epsilon that SmartNoise is given (a count of units is noised too, an average is
three sums): epsilon is divided by what ``get_privacy_cost`` says, so that each answer costs what is asked.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pandas as pd
import snsql
from protocol import Setting, serve
from snsql import Privacy
from snsql.sql.private_reader import PrivateReader

QUERIES = {
    "count": "SELECT COUNT(*) AS n FROM db.visit",
    "sum": "SELECT region, SUM(amount) AS s FROM db.visit GROUP BY region",
    "avg": "SELECT AVG(amount) AS a FROM db.visit",
    "units": "SELECT COUNT(DISTINCT person_id) AS n FROM db.visit",
    "cities": "SELECT city, COUNT(*) AS n FROM db.visit GROUP BY city",
    "median": "SELECT MEDIAN(amount) AS m FROM db.visit",
    "join": "SELECT m.band, SUM(v.amount) AS s FROM db.visit v JOIN db.member m ON v.person_id = m.person_id "
    "GROUP BY m.band",
    "nested": "SELECT AVG(t) AS a "
    "FROM (SELECT person_id, SUM(amount) AS t FROM db.visit GROUP BY person_id) AS p",
}


class SmartNoise:
    """The frame is loaded into the library's SQLite once; every question has a private reader over it."""

    def __init__(self, setting: Setting) -> None:
        self.version = version("smartnoise-sql")
        self.bounds = f"max_ids {setting.rows}, amount 0 to {setting.amount:g}"
        self.notes: dict[str, str] = {}
        self._setting = setting
        columns = {
            "person_id": {"type": "int", "private_id": True},
            "region": {"type": "int"},
            "city": {"type": "int"},
            "amount": {"type": "float", "lower": 0.0, "upper": setting.amount},
        }
        table = {"max_ids": setting.rows, "row_privacy": False, **columns}
        self._metadata = {"": {"db": {"visit": table}}}
        self._loaded = snsql.from_df(
            pd.read_parquet(setting.file("visit")),
            privacy=Privacy(epsilon=setting.epsilon, delta=setting.delta),
            metadata=self._metadata,
        )

    def ask(self, question: str) -> list[tuple[Any, float]]:
        query, wanted = QUERIES[question], self._setting
        epsilon, delta = self._loaded.get_privacy_cost(query)
        share = Privacy(
            epsilon=wanted.epsilon**2 / epsilon, delta=wanted.delta * min(1.0, wanted.delta / (delta or 1.0))
        )
        reader = PrivateReader(self._loaded.reader, self._metadata, privacy=share)
        rows = reader.execute(query)[1:]
        return [(row[0], row[1]) if len(row) == 2 else (0, row[0]) for row in rows]


serve(SmartNoise)
