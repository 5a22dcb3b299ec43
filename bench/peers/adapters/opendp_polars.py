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
        self.bounds = f"{setting.rows} rows (truncate_per_group), amount 0 to {setting.amount:g}; median: 501 candidates"
        self._setting = setting
        self._frame = pl.scan_parquet(setting.file("visit"))

    def _query(self, *, delta: bool, rows: int | None = None) -> Any:
        spent = {"epsilon": self._setting.epsilon, **({"delta": self._setting.delta} if delta else {})}
        context = dp.Context.compositor(
            data=self._frame,
            privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("person_id")),
            privacy_loss=dp.loss_of(**spent),
            split_evenly_over=1,
            margins=[dp.polars.Margin(max_length=2_000_000, max_groups=1000)],
        )
        return context.query().truncate_per_group(rows or self._setting.rows, keep="first")

    def ask(self, question: str) -> list[tuple[Any, float]]:
        amount, bounds = pl.col("amount"), (0.0, self._setting.amount)
        if question == "count":
            return _rows(self._query(delta=False).select(dp.len()))
        if question == "units":
            return _rows(self._query(delta=False, rows=1).select(dp.len()))
        if question == "avg":
            found = _rows(self._query(delta=False).select(amount.fill_nan(0.0).fill_null(0.0).dp.sum(bounds), dp.len().alias("n")))
            return [(0, found[0][0] / found[0][1])]
        if question == "median":
            candidates = [float(x) for x in range(int(self._setting.amount) + 1)]
            return _rows(self._query(delta=False).select(amount.fill_nan(0.0).fill_null(0.0).dp.median(candidates)))
        if question == "sum":
            query = self._query(delta=False).group_by("region").agg(amount.fill_nan(0.0).fill_null(0.0).dp.sum(bounds))
            return _rows(query.with_keys(REGIONS))
        if question == "cities":
            return _rows(self._query(delta=True).group_by("city").agg(dp.len()))
        if question == "nested":
            return self._nested()
        raise Unsupported("no join of two protected frames")

    def _nested(self) -> list[tuple[Any, float]]:
        raise Unsupported("x")


def _rows(query: Any) -> list[tuple[Any, float]]:
    frame = query.release().collect()
    return [(row[0], row[1]) if len(row) == 2 else (0, row[0]) for row in frame.iter_rows()]


serve(OpenDp)
