"""What is asked: five aggregate queries of each dataset under differential privacy, and five exact ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Question:
    """One query under one grant; ``plain`` is what DuckDB is asked (the same text)."""

    name: str
    dataset: str
    grant: str
    sql: str


def _of(dataset: str, grant: str, mode: str, queries: dict[str, str]) -> list[Question]:
    return [Question(f"{dataset}/{mode}/{name}", dataset, grant, sql) for name, sql in queries.items()]


QUESTIONS: Final[tuple[Question, ...]] = (
    *_of(
        "flights",
        "G-FLIGHTS-DP",
        "dp",
        {
            "count": "SELECT COUNT(*) AS n FROM flights",
            "share": "SELECT carrier, COUNT(*) AS n, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS p "
            "FROM flights GROUP BY carrier",
            "mean": "SELECT origin, month, AVG(dep_delay) AS d FROM flights GROUP BY origin, month",
            "sum": "SELECT month, SUM(distance) AS miles FROM flights WHERE NOT cancelled GROUP BY month",
            "keys": "SELECT dest, COUNT(*) AS n FROM flights GROUP BY dest ORDER BY n DESC LIMIT 20",
        },
    ),
    *_of(
        "flights",
        "G-FLIGHTS-EXACT",
        "exact",
        {
            "count": "SELECT COUNT(*) AS n FROM flights",
            "carrier": "SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier",
            "mean": "SELECT origin, month, AVG(dep_delay) AS d FROM flights GROUP BY origin, month",
            "sum": "SELECT month, SUM(distance) AS miles FROM flights GROUP BY month",
            "filter": "SELECT carrier, SUM(air_time) AS t FROM flights WHERE origin = 'JFK' GROUP BY carrier",
        },
    ),
    *_of(
        "claims",
        "B-DP",
        "dp",
        {
            "count": "SELECT COUNT(*) AS n FROM claim",
            "sum": "SELECT city, COUNT(*) AS n, SUM(fee) AS fee FROM claim GROUP BY city",
            "mean": "SELECT chapter, AVG(fee) AS fee FROM claim GROUP BY chapter",
            "units": "SELECT city, COUNT(DISTINCT person_id) AS persons, "
            "SUM(CASE WHEN fee > 1000 THEN 1 ELSE 0 END) AS dear FROM claim WHERE chapter < 6 GROUP BY city",
            "keys": "SELECT hospital_id, COUNT(*) AS n FROM claim "
            "GROUP BY hospital_id ORDER BY n DESC LIMIT 20",
        },
    ),
    *_of(
        "claims",
        "B-EXACT",
        "exact",
        {
            "count": "SELECT COUNT(*) AS n FROM claim",
            "sum": "SELECT city, COUNT(*) AS n, SUM(fee) AS fee FROM claim GROUP BY city",
            "mean": "SELECT chapter, AVG(fee) AS fee FROM claim GROUP BY chapter",
            "cells": "SELECT city, age_band, chapter, SUM(fee) AS fee FROM claim "
            "GROUP BY city, age_band, chapter",
            "filter": "SELECT age_band, SUM(fee) AS fee FROM claim WHERE chapter < 6 GROUP BY age_band",
        },
    ),
)
