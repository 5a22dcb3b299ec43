"""SmartNoise SQL over a pandas frame.

An answer costs SmartNoise more than the epsilon it is given (a count of units is noised too, an average is
three sums): the epsilon is divided by what ``get_privacy_cost`` says, so that each answer costs what is asked.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import snsql
from protocol import Setting, serve
from snsql import Privacy

QUERIES = {
    "count": "SELECT COUNT(*) AS n FROM db.visit",
    "sum": "SELECT region, SUM(amount) AS s FROM db.visit GROUP BY region",
    "avg": "SELECT AVG(amount) AS a FROM db.visit",
    "units": "SELECT COUNT(DISTINCT person_id) AS n FROM db.visit",
    "cities": "SELECT city, COUNT(*) AS n FROM db.visit GROUP BY city",
    "median": "SELECT MEDIAN(amount) AS m FROM db.visit",
    "join": "SELECT m.band, SUM(v.amount) AS s FROM db.visit v JOIN db.member m ON v.person_id = m.person_id "
    "GROUP BY m.band",
    "nested": "SELECT AVG(t) AS a FROM (SELECT person_id, SUM(amount) AS t FROM db.visit GROUP BY person_id) AS p",
}


class SmartNoise:
    """One reader per epsilon, over the same frame."""

    def __init__(self, setting: Setting) -> None:
        self.version = snsql.__version__ if hasattr(snsql, "__version__") else ""
        self.bounds = f"max_ids {setting.rows}, amount 0 to {setting.amount:g}"
        self._setting = setting
        self._frame = pd.read_parquet(setting.file("visit"))

    def _reader(self, epsilon: float, delta: float) -> Any:
        columns = {
            "person_id": {"type": "int", "private_id": True},
            "region": {"type": "int"},
            "city": {"type": "int"},
            "amount": {"type": "float", "lower": 0.0, "upper": self._setting.amount},
        }
        table = {"max_ids": self._setting.rows, "row_privacy": False, **columns}
        privacy = Privacy(epsilon=epsilon, delta=delta)
        return snsql.from_df(self._frame, privacy=privacy, metadata={"": {"db": {"visit": table}}})

    def ask(self, question: str) -> list[tuple[Any, float]]:
        query, wanted = QUERIES[question], self._setting
        epsilon, delta = self._reader(wanted.epsilon, wanted.delta).get_privacy_cost(query)
        reader = self._reader(wanted.epsilon**2 / epsilon, wanted.delta * min(1, wanted.delta / (delta or 1)))
        rows = reader.execute(query)[1:]
        return [(row[0], row[1]) if len(row) == 2 else (0, row[0]) for row in rows]


serve(SmartNoise)
