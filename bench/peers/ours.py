"""``python -m bench.peers.ours SETTING GRANT``: Data Sandbox as one more tool, through its gateway.

A gateway over a new store for each question, warm as a service is.  A repetition spends a little more of
epsilon than the one before, for else the kept answer would come back, free; all spend less than the peers.
Of the setting only epsilon is read: bounds are found privately, and delta stands in the grant.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import sandbox
from bench.anew import anew
from bench.peers.adapters.protocol import Setting, Unsupported, serve
from bench.peers.data import home
from sandbox.doors.asking import new_id
from sandbox.model import Person, Refused, Request

STEP, MOST = Fraction(1, 2000), 40
"""How much more each repetition spends than the one before, and how many there may be of one question."""
QUERIES: Final = {
    "count": "SELECT COUNT(*) AS n FROM visit",
    "sum": "SELECT region, SUM(amount) AS s FROM visit GROUP BY region",
    "avg": "SELECT AVG(amount) AS a FROM visit",
    "units": "SELECT COUNT(DISTINCT person_id) AS n FROM visit",
    "cities": "SELECT city, COUNT(*) AS n FROM visit GROUP BY city",
    "median": "SELECT MEDIAN(amount) AS m FROM visit",
    "join": "SELECT m.band, SUM(v.amount) AS s FROM visit AS v JOIN member AS m ON v.person_id = m.person_id "
    "GROUP BY m.band",
    "nested": "SELECT AVG(t) AS a "
    "FROM (SELECT person_id, SUM(amount) AS t FROM visit GROUP BY person_id) AS p",
}
REWRITTEN: Final = {
    "nested": "SELECT AVG(LEAST(GREATEST(t, 0), 20000)) AS a "
    "FROM (SELECT person_id, SUM(amount) AS t FROM visit GROUP BY person_id) AS p",
}
"""Asked where the question as written is refused: what the refusal's hint says, with the peers' own bound."""


class Ours:
    """A gateway with its workers, and how often each question was asked."""

    def __init__(self, setting: Setting, grant: str) -> None:
        self._grant = grant
        self.version = sandbox.__version__
        self.bounds = f"none on rows (found privately); amount 0 to {setting.amount:g}"
        here = home(grant)
        self._home = replace(here, settings=replace(here.settings, release_clock_ms=0))
        self._gateway = anew(self._home)
        self._epsilon = Fraction(setting.epsilon)
        self._asked: Counter[str] = Counter()
        self.notes: dict[str, str] = {}

    def ask(self, question: str) -> list[tuple[Any, float]]:
        if self._asked and not self._asked[question]:
            self._gateway.close()
            self._gateway = anew(self._home)
        epsilon = self._epsilon - (MOST - self._asked[question]) * STEP
        if epsilon > self._epsilon:
            raise ValueError(f"{question}: asked more than {MOST} times")
        self._asked[question] += 1
        if question in self.notes:
            return self._rows(REWRITTEN[question], epsilon)
        try:
            return self._rows(QUERIES[question], epsilon)
        except Unsupported as refused:
            if question not in REWRITTEN:
                raise
            found = self._rows(REWRITTEN[question], epsilon)
            self.notes[question] = f"as written refused ({refused}); asked as {REWRITTEN[question]}"
            return found

    def _rows(self, sql: str, epsilon: Fraction) -> list[tuple[Any, float]]:
        person, now = Person("bench", "operator", "bench"), dt.datetime.now(dt.UTC)
        found = self._gateway.query(Request(new_id(), person, self._grant, sql, epsilon, now))
        if isinstance(found, Refused):
            raise Unsupported("; ".join(f"{r.code.id} {r.subject}" for r in found.reasons))
        columns = [column.to_pylist() for column in found.table.columns]
        return list(zip(*columns, strict=True)) if len(columns) == 2 else [(0, columns[0][0])]

    def close(self) -> None:
        self._gateway.close()


if __name__ == "__main__":
    serve(lambda setting: Ours(setting, sys.argv[2]))
