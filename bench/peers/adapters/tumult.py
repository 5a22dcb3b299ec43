"""Tumult Analytics on Spark in local mode, two threads, under approximate differential privacy."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable

from protocol import Setting, serve
from pyspark.sql import SparkSession
from tmlt.analytics import (
    AddRowsWithID,
    ApproxDPBudget,
    ColumnType,
    KeySet,
    MaxRowsPerID,
    QueryBuilder,
    Session,
)

FILLING = {"visit": "amount", "member": "band"}


class Tumult:
    """A session per question, over frames that Spark keeps in memory."""

    def __init__(self, setting: Setting) -> None:
        self.version = version("tmlt.analytics")
        self.bounds = (
            f"{setting.rows} rows (MaxRowsPerID); amount 0 to {setting.amount:g}; "
            f"amount a person 0 to {setting.rows * setting.amount:g}"
        )
        self.notes: dict[str, str] = {}
        self._setting = setting
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.driver.memory", "4g")
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.ui.enabled", "false")
            .getOrCreate()
        )
        self._frames = {table: spark.read.parquet(setting.file(table)).cache() for table in FILLING}
        for frame in self._frames.values():
            frame.count()

    def ask(self, question: str) -> list[tuple[Any, float]]:
        budget = ApproxDPBudget(self._setting.epsilon, self._setting.delta)
        session = Session.Builder().with_privacy_budget(budget).with_id_space("person")
        for table, frame in self._frames.items():
            session = session.with_private_dataframe(
                table, frame, protected_change=AddRowsWithID("person_id", id_space="person")
            )
        found = session.build()
        if question == "cities":
            rows = self._cities(found)
        else:
            rows = found.evaluate(getattr(self, f"_{question}")(), budget).collect()
        return [(row[0], row[1]) if len(row) == 2 else (0, row[0]) for row in rows]

    def _visits(self) -> Any:
        return QueryBuilder("visit").enforce(MaxRowsPerID(self._setting.rows))

    def _count(self) -> Any:
        return self._visits().count()

    def _units(self) -> Any:
        return QueryBuilder("visit").count_distinct(columns=["person_id"])

    def _avg(self) -> Any:
        return self._visits().average("amount", 0.0, self._setting.amount)

    def _median(self) -> Any:
        return self._visits().median("amount", 0.0, self._setting.amount)

    def _sum(self) -> Any:
        keys = KeySet.from_dict({"region": list(range(12))})
        return self._visits().groupby(keys).sum("amount", 0.0, self._setting.amount)

    def _join(self) -> Any:
        keys = KeySet.from_dict({"band": list(range(5))})
        joined = QueryBuilder("visit").join_private("member", join_columns=["person_id"])
        return (
            joined.enforce(MaxRowsPerID(self._setting.rows))
            .groupby(keys)
            .sum("amount", 0.0, self._setting.amount)
        )

    def _nested(self) -> Any:
        totals = QueryBuilder("visit").flat_map_by_id(
            lambda rows: [{"t": float(sum(row["amount"] for row in rows))}],
            new_column_types={"t": ColumnType.DECIMAL},
        )
        return totals.enforce(MaxRowsPerID(1)).average("t", 0.0, self._setting.rows * self._setting.amount)

    def _cities(self, session: Any) -> Any:
        """Half of the budget, and all of delta, to find the cities; half to count them."""
        visits = self._visits()
        half = self._setting.epsilon / 2
        keys = session.evaluate(
            visits.select(["person_id", "city"]).get_groups(["city"]),
            ApproxDPBudget(half, self._setting.delta),
        )
        counted = visits.groupby(KeySet.from_dataframe(keys)).count()
        return session.evaluate(counted, ApproxDPBudget(half, 0)).collect()


serve(Tumult)
