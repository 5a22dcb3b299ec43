"""OpenDP's Context API over Polars: pure epsilon with Laplace noise, delta where keys are unknown."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import opendp.prelude as dp
import polars as pl
from protocol import Setting, Unsupported, serve

REGIONS = pl.LazyFrame({"region": list(range(12))}, schema={"region": pl.Int64})


class OpenDp:
    """A lazy frame over the file; every question has a context of its own."""

    def __init__(self, setting: Setting) -> None:
        dp.enable_features("contrib")
        self.version = f"{version('opendp')} with Polars {pl.__version__}"
        self.bounds = (
            f"{setting.rows} rows (truncate_per_group), amount 0 to {setting.amount:g}; "
            f"median: candidates 1 apart; amount a person 0 to {setting.rows * setting.amount:g}"
        )
        self.notes: dict[str, str] = {}
        self._setting = setting
        self._frame = pl.scan_parquet(setting.file("visit"))

    def _query(self, delta: float | None = None) -> Any:
        context = dp.Context.compositor(
            data=self._frame,
            privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("person_id")),
            privacy_loss=dp.loss_of(epsilon=self._setting.epsilon, delta=delta),
            split_evenly_over=1,
            margins=[dp.polars.Margin(max_length=2_000_000, max_groups=1000)],
        )
        return context.query()

    def _bounded(self, rows: int, delta: float | None = None) -> Any:
        return self._query(delta).truncate_per_group(rows, keep="first")

    def ask(self, question: str) -> list[tuple[Any, float]]:
        rows, top = self._setting.rows, self._setting.amount
        amount = pl.col("amount").fill_nan(0.0).fill_null(0.0)
        length = dp.len(signed=True)
        if question == "count":
            return _rows(self._bounded(rows).select(length))
        if question == "units":
            return _rows(self._bounded(1).select(length))
        if question == "avg":
            return _ratio(self._bounded(rows).select(amount.dp.sum((0.0, top)), length))
        if question == "median":
            return _rows(
                self._bounded(rows).select(amount.dp.median([float(x) for x in range(int(top) + 1)]))
            )
        if question == "sum":
            query = self._bounded(rows).group_by("region").agg(amount.dp.sum((0.0, top)))
            return _rows(query.with_keys(REGIONS))
        if question == "cities":
            return _rows(self._bounded(rows, self._setting.delta).group_by("city").agg(length))
        if question == "nested":
            totals = self._query().group_by("person_id").agg(pl.col("amount").sum())
            return _ratio(totals.select(amount.dp.sum((0.0, rows * top)), length))
        raise Unsupported("no join of two protected frames")


def _ratio(query: Any) -> list[tuple[Any, float]]:
    ((total, count),) = _rows(query)
    return [(0, total / count)]


def _rows(query: Any) -> list[tuple[Any, float]]:
    frame = query.release().collect()
    return [(row[0], row[1]) if len(row) == 2 else (0, row[0]) for row in frame.iter_rows()]


serve(OpenDp)
