"""The cube over real Parquet: what is written, what is withheld, and what a grid costs."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from sandbox.catalogue import Grid, Kind, Range, Use
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import ColumnRule, Dataset, Share, TableRule, Title, UnitRule
from sandbox.snapshot import Snapshot, current, ingest, price

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
ANY = frozenset({Use.GROUP, Use.FILTER})
ID = frozenset({Use.JOIN, Use.COUNT})
GRID = Grid(("city", "month"), 5, Fraction(5), 10, (("city",),))
USAGE = TableRule(
    "usage",
    (
        ColumnRule("uscc", Kind.STRING, 3, ID),
        ColumnRule("city", Kind.STRING, 1, ANY, nullable=True),
        ColumnRule("month", Kind.DATE, 1, ANY),
        ColumnRule(
            "kwh",
            Kind.DECIMAL,
            3,
            frozenset({Use.MEASURE}),
            nullable=True,
            scale=Fraction(1, 2),
            clip=Range(Fraction(0), Fraction(1000)),
        ),
        ColumnRule("meters", Kind.INTEGER, 3, frozenset({Use.MEASURE})),
    ),
    units=(UnitRule("enterprise", "uscc"),),
    grid=GRID,
)


def dataset_of(rule: TableRule) -> Dataset:
    return Dataset("power", Title("电", "P"), "o", ("a",), 3, False, Share.CONDITIONAL, None, "m", (rule,))


def usage() -> list[str]:
    """太原 in January: 12; February: 9; 大同 in January: 2; no city in January: 6; 大同 in February: 7."""
    parts = [("太原", "01", 12), ("太原", "02", 9), ("大同", "01", 2), ("", "01", 6), ("大同", "02", 7)]
    return [f"e{city}{i},{city},2025-{month}-01,{10 + i}.5,2" for city, month, n in parts for i in range(n)]


def publish(folder: Path, lines: list[str], rule: TableRule = USAGE) -> Snapshot:
    source = folder / "usage.csv"
    source.write_text("\n".join(["uscc,city,month,kwh,meters", *lines, ""]), encoding="utf-8")
    ingest(dataset_of(rule), {"usage": source}, folder / "root", now=NOW)
    return current(folder / "root", "power")


def cells(snapshot: Snapshot) -> list[tuple[object, ...]]:
    path = snapshot.cube("usage")
    assert path is not None
    return duckdb.connect().execute(f"FROM read_parquet('{path}') ORDER BY ALL").fetchall()


def test_surviving_cells_are_written_and_rounded(tmp_path: Path) -> None:
    snapshot = publish(tmp_path, usage())
    got = [(c, str(m), *more) for c, m, *more in cells(snapshot)]
    assert got == [
        ("太原", "2025-01-01", 12, 12, Decimal(190), 12, 24 - 4, 12),
        ("太原", "2025-02-01", 9, 9, Decimal(130), 9, 20, 9),
        (None, "2025-01-01", 6, 6, Decimal(80), 6, 10, 6),
    ]
    facts = snapshot.manifest.table("usage")
    assert facts is not None and facts.cube is not None
    assert (facts.cube.surviving, facts.cube.withheld, facts.cube.rows_withheld_percent) == (3, 2, 25)
    snapshot.verify()


def test_manifest_tells_nothing_of_withheld_cells(tmp_path: Path) -> None:
    snapshot = publish(tmp_path, usage())
    text = json.dumps(json.loads(snapshot.manifest.encode())["tables"], ensure_ascii=False)
    assert "大同" not in text and "太原" not in text


def test_clip_bounds_the_sum(tmp_path: Path) -> None:
    lines = [f"e{i},太原,2025-01-01,{10**6},1" for i in range(30)]
    assert cells(publish(tmp_path, lines))[0][4] == Decimal(30_000)


def test_second_unit_kind_is_tested_too(tmp_path: Path) -> None:
    """Ten enterprises of one group: enough enterprises, one group only."""
    columns = (ColumnRule("group_id", Kind.STRING, 3, ID), *USAGE.columns)
    units = (UnitRule("enterprise", "uscc"), UnitRule("group", "group_id"))
    rule = replace(USAGE, columns=columns, units=units)
    source = tmp_path / "usage.csv"
    lines = [f"g1,e{i},太原,2025-01-01,5,1" for i in range(10)]
    source.write_text("\n".join(["group_id,uscc,city,month,kwh,meters", *lines, ""]), encoding="utf-8")
    ingest(dataset_of(rule), {"usage": source}, tmp_path / "root", now=NOW)
    assert cells(current(tmp_path / "root", "power")) == []


def test_no_rows_no_cells(tmp_path: Path) -> None:
    snapshot = publish(tmp_path, [])
    assert cells(snapshot) == []
    [priced] = price(snapshot, dataset_of(USAGE), "usage", [GRID])
    assert (priced.cells, priced.withheld) == (0, 0) and not priced.units_lost


def test_sum_too_large_is_refused(tmp_path: Path) -> None:
    lines = [f"e{i},太原,2025-01-01,1,{2**62}" for i in range(30)]
    with pytest.raises(Refusal, match="does not fit"):
        publish(tmp_path, lines)


@pytest.mark.parametrize(
    "grid",
    [
        replace(GRID, cells=("city", "nowhere")),
        replace(GRID, outside_totals=(("meters",),)),
        replace(GRID, cells=("city", "uscc")),
    ],
)
def test_grid_over_wrong_columns_is_refused(tmp_path: Path, grid: Grid) -> None:
    with pytest.raises(Refusal) as refusal:
        publish(tmp_path, usage(), replace(USAGE, grid=grid))
    assert refusal.value.code is Code.DOCUMENT


def test_price_compares_grids(tmp_path: Path) -> None:
    snapshot = publish(tmp_path, usage(), replace(USAGE, grid=None))
    assert snapshot.cube("usage") is None
    fine, coarse = price(snapshot, dataset_of(USAGE), "usage", [GRID, replace(GRID, cells=("city",))])
    assert (fine.cells, fine.withheld, coarse.cells, coarse.withheld) == (5, 2, 3, 0)
    # 大同 has seven enterprises (two of them in both months), all of whose cells are withheld.
    assert fine.units_lost == Fraction(7, 12 + 7 + 6)
    assert coarse.units_lost == 0 and dict(coarse.value_lost) == {"kwh": 0, "meters": 0}
    assert dict(fine.value_lost)["meters"] == Fraction(9, 36)


def test_price_of_an_unknown_table_is_refused(tmp_path: Path) -> None:
    snapshot = publish(tmp_path, usage())
    with pytest.raises(Refusal):
        price(snapshot, dataset_of(USAGE), "nowhere", [GRID])
