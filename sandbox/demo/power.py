"""Dataset ``power`` of the invented province: the enterprise registry and monthly electricity use.

Use a meter is lognormal around its sector's typical figure; eight pinned enterprises dominate their
cells, as steel, coke and power groups do, so that the dominance rule has something to withhold.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from sandbox.demo.draws import Draws, Floats, Ints, cents, days, labels, numbered
from sandbox.demo.names import CITIES, SECTORS, credit_codes, firms

MONTHS: Final = tuple(date(2024 + n // 12, 1 + n % 12, 1) for n in range(24))
SEASON: Final = np.array([1.15, 1.0, 1.0, 0.93, 0.92, 1.0, 1.12, 1.1, 0.98, 0.92, 0.98, 1.12])
SIZES: Final = ("微型", "小型", "中型", "大型")
SIZE_EDGES: Final = np.array([10, 100, 500], dtype=np.int64)
MOST_METERS: Final = 8
FIRST_FOUNDED: Final = date(1990, 1, 1).toordinal() - date(1970, 1, 1).toordinal()


class Giant(NamedTuple):
    """An enterprise far larger than its neighbours: city and sector positions, kWh a month and meter."""

    city: int
    sector: int
    kwh: float


def _at(city: str, sector: str, kwh: float) -> Giant:
    cities = [c.name for c in CITIES]
    sectors = [s.code for s in SECTORS]
    return Giant(cities.index(city), sectors.index(sector), kwh)


GIANTS: Final = (
    _at("太原", "31", 20_000_000), _at("长治", "31", 12_000_000), _at("运城", "32", 16_000_000),
    _at("大同", "06", 10_000_000), _at("吕梁", "25", 9_000_000), _at("晋城", "26", 7_000_000),
    _at("朔州", "44", 14_000_000), _at("阳泉", "39", 5_000_000),
)  # fmt: skip


def sectors() -> pa.Table:
    """The sector codes in use (public)."""
    return pa.table(
        {"industry2": [s.code for s in SECTORS], "zh": [s.zh for s in SECTORS], "en": [s.en for s in SECTORS]}
    )


def chunks(draws: Draws, index: Ints) -> Iterator[tuple[str, pa.Table]]:
    """The rows of the enterprises numbered ``index``, as (table, rows)."""
    city, sector = _place(draws, index)
    uscc = credit_codes(index, city)
    yield "enterprise", _registry(draws, index, uscc, city, sector)
    yield "usage", _usage(draws, index, uscc, city, sector)


def planted(draws: Draws) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows that ingestion must put into quarantine; see ``PLANTED``."""
    tables = dict(chunks(draws, np.full(1, len(GIANTS), dtype=np.int64)))
    twin = tables["enterprise"].to_pylist()[0]
    stranger = {**twin, "uscc": "91130100MA99999999", "city": "石家庄"}
    rows = [twin, stranger, {**twin, "uscc": None}]
    yield "enterprise", pa.Table.from_pylist(rows, schema=tables["enterprise"].schema)
    use = tables["usage"].to_pylist()[0]
    wrong = [{**use, "kwh": -5}, {**use, "month": date(1999, 1, 1)}, {**use, "uscc": None}]
    yield "usage", pa.Table.from_pylist(wrong, schema=tables["usage"].schema)


PLANTED: Final = {"enterprise": 3, "usage": 3}
"""Bad rows by table: a second row of one enterprise, a city outside the domain, no credit code; a negative
reading, a month outside the range, no credit code."""


def _place(draws: Draws, index: Ints) -> tuple[Ints, Ints]:
    """City and sector positions; the first enterprises are the giants."""
    city = draws.pick("firm/city", index, [c.weight for c in CITIES])
    sector = draws.pick("firm/sector", index, [s.weight for s in SECTORS])
    giant = index < len(GIANTS)
    city[giant] = np.array([g.city for g in GIANTS], dtype=np.int64)[index[giant]]
    sector[giant] = np.array([g.sector for g in GIANTS], dtype=np.int64)[index[giant]]
    return city, sector


def _scale(draws: Draws, index: Ints) -> Floats:
    """Size of an enterprise relative to its sector's typical one (lognormal)."""
    return np.exp(0.9 * draws.normal("firm/size", index))


def _registry(draws: Draws, index: Ints, uscc: pa.StringArray, city: Ints, sector: Ints) -> pa.Table:
    scale = np.where(index < len(GIANTS), 400.0, _scale(draws, index))
    staff = np.clip(np.rint(12 * scale * np.exp(0.7 * draws.normal("staff", index))), 1, 30_000)
    capital = np.clip(np.rint(80 * scale * np.exp(draws.normal("capital", index))), 1, 5_000_000)
    employees = staff.astype(np.int64)
    founded = FIRST_FOUNDED + draws.below("founded", index, 12_000)
    return pa.table(
        {
            "uscc": uscc,
            "name": firms(draws, index, city, sector),
            "city": labels([c.name for c in CITIES], city),
            "industry2": labels([s.code for s in SECTORS], sector),
            "size": labels(SIZES, np.searchsorted(SIZE_EDGES, employees, side="right").astype(np.int64)),
            "employees": employees,
            "capital": cents(capital.astype(np.int64) * 100),
            "founded": days(founded),
        }
    )


def _usage(draws: Draws, index: Ints, uscc: pa.StringArray, city: Ints, sector: Ints) -> pa.Table:
    """24 months for each of an enterprise's meters."""
    giant = index < len(GIANTS)
    counts = np.where(giant, 4, 1 + np.minimum(draws.pareto("meters", index, 2.2), 3)).astype(np.int64)
    typical = np.array([s.kwh for s in SECTORS])[sector] * _scale(draws, index)
    typical[giant] = np.array([g.kwh for g in GIANTS])[index[giant]]
    rows = np.repeat(np.arange(len(index)), counts * len(MONTHS))
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts * len(MONTHS)) * len(MONTHS)
    meter = index[rows] * MOST_METERS + within // len(MONTHS)
    month = (within % len(MONTHS)).astype(np.int64)
    wobble = np.exp(0.35 * draws.normal("meter", meter) + 0.08 * draws.normal("reading", meter * 32 + month))
    kwh = np.rint(typical[rows] * SEASON[month % 12] * wobble).astype(np.int64)
    starts = np.array([m.toordinal() - date(1970, 1, 1).toordinal() for m in MONTHS], dtype=np.int64)
    return pa.table(
        {
            "meter_id": numbered("M", meter, 9),
            "uscc": uscc.take(pa.array(rows)),
            "city": labels([c.name for c in CITIES], city[rows]),
            "industry2": labels([s.code for s in SECTORS], sector[rows]),
            "month": days(starts[month]),
            "kwh": cents(kwh * 100),
        }
    )
