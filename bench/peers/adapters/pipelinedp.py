"""PipelineDP on its local backend, over rows as Python tuples."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pipeline_dp as dp
import pyarrow.parquet as pq
from pipeline_dp import AggregateParams, DataExtractors, Metrics
from protocol import Setting, Unsupported, serve

PERSON, REGION, CITY, AMOUNT = range(4)
REGIONS, ALL = list(range(12)), [0]


class PipelineDp:
    """Rows in memory; every question is an aggregation with its own accountant."""

    def __init__(self, setting: Setting) -> None:
        self.version = version("pipeline-dp")
        self.bounds = (
            f"{setting.rows} rows in a group; cities: {setting.groups} of {setting.rows_per_group} rows; "
            f"amount 0 to {setting.amount:g}; amount a person 0 to {setting.rows * setting.amount:g}"
        )
        self.notes = {"nested": "asked as SUM and PRIVACY_ID_COUNT, divided"}
        self._setting = setting
        table = pq.read_table(setting.file("visit"), columns=["person_id", "region", "city", "amount"])
        self._rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def ask(self, question: str) -> list[tuple[Any, float]]:
        rows, top = self._setting.rows, self._setting.amount
        one = {"max_partitions_contributed": 1}
        many = {**one, "max_contributions_per_partition": rows}
        value = {"min_value": 0.0, "max_value": top}
        if question == "count":
            return self._one([Metrics.COUNT], many, "count")
        if question == "units":
            return self._one(
                [Metrics.PRIVACY_ID_COUNT], {**one, "max_contributions_per_partition": 1}, "privacy_id_count"
            )
        if question == "avg":
            return self._one([Metrics.MEAN], {**many, **value}, "mean")
        if question == "median":
            return self._one([Metrics.PERCENTILE(50)], {**many, **value}, "percentile_50")
        if question == "sum":
            found = self._released([Metrics.SUM], self._clamped(one), REGION, REGIONS)
            return [(key, values.sum) for key, values in found]
        if question == "cities":
            some = {
                "max_partitions_contributed": self._setting.groups,
                "max_contributions_per_partition": self._setting.rows_per_group,
            }
            return [(key, values.count) for key, values in self._released([Metrics.COUNT], some, CITY, None)]
        if question == "nested":
            both = [Metrics.SUM, Metrics.PRIVACY_ID_COUNT]
            ((_, values),) = self._released(both, self._clamped(one), None, ALL)
            return [(0, values.sum / values.privacy_id_count)]
        raise Unsupported("no joins: one collection, one privacy id")

    def _clamped(self, one: dict[str, Any]) -> dict[str, Any]:
        """The amount of a person in a group is clamped, which needs no sampling of rows."""
        largest = self._setting.rows * self._setting.amount
        bounds = {"min_sum_per_partition": 0.0, "max_sum_per_partition": largest}
        return {**one, "max_contributions_per_partition": 1, **bounds}

    def _one(self, metrics: list[Any], bounds: dict[str, Any], name: str) -> list[tuple[Any, float]]:
        ((_, values),) = self._released(metrics, bounds, None, ALL)
        return [(0, getattr(values, name))]

    def _released(
        self, metrics: list[Any], bounds: dict[str, Any], key: int | None, public: list[Any] | None
    ) -> Any:
        accountant = dp.NaiveBudgetAccountant(self._setting.epsilon, self._setting.delta)
        engine = dp.DPEngine(accountant, dp.LocalBackend())
        extractors = DataExtractors(
            privacy_id_extractor=lambda row: row[PERSON],
            partition_extractor=(lambda row: 0) if key is None else (lambda row: row[key]),
            value_extractor=lambda row: row[AMOUNT],
        )
        params = AggregateParams(metrics=metrics, noise_kind=dp.NoiseKind.LAPLACE, **bounds)
        lazy = engine.aggregate(self._rows, params, extractors, public_partitions=public)
        accountant.compute_budgets()
        return list(lazy)


serve(PipelineDp)
