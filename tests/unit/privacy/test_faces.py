from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from sandbox.catalogue import Kind, Range
from sandbox.privacy.faces import UNKNOWN, ZOOMED, Point, Read, Zoom, face_fields, shown
from sandbox.privacy.grid import Grid, grid
from sandbox.sql.expressions import Col, Facts
from sandbox.sql.facts import evaluate
from sandbox.sql.relation import Field

AGES = grid(Facts(Kind.INTEGER, True, Range(Fraction(0), Fraction(9)), Fraction(1)), "median", 64)
FEES = grid(Facts(Kind.DOUBLE, True, Range(Fraction(0), Fraction(1000)), Fraction(1, 100)), "median", 64)
MEDIAN = Point(Fraction(1, 2), False, Kind.DOUBLE, False)
LOW, HIGH = (Point(Fraction(p), True, Kind.DOUBLE, True) for p in (0, 1))


def histogram(groups: Mapping[str, Sequence[float]], cells: int, width: float) -> pa.Table:
    rows = [(g, c, n) for g, counts in groups.items() for c, n in enumerate(counts)]
    names, places, counts = (list(x) for x in zip(*rows, strict=True)) if rows else ([], [], [])
    return pa.table({
        "c0": pa.array(names, pa.string()),
        "c1": pa.array(places, pa.int64()),
        "c2": pa.array(counts, pa.int64()),
        "c3": pa.array([width] * len(places), pa.float64()),
    })  # fmt: skip


def counted(values: list[float], cut: Grid) -> list[float]:
    found = [0.0] * cut.cells
    for value in values:
        found[evaluate(cut.cell(Col(0)), [value])] += 1
    return found


def test_quantiles_of_single_values_and_their_intervals() -> None:
    counts = {"a": [0, 0, 10, 30, 20, 40, 0, 0, 0, 0], "b": [0] * 10}
    points = (MEDIAN, Point(Fraction(9, 10), False, Kind.INTEGER, True), LOW, HIGH)
    table = shown(Read(AGES, points), histogram(counts, 10, 0.0), {})
    assert table.column(0).to_pylist() == ["a", "b"]
    assert [table.column(i).to_pylist() for i in range(1, 5)] == [
        [4.0, None],
        [5, None],
        [2.0, None],
        [5.0, None],
    ]
    assert table.column(2).type == pa.int64()
    # One row more or less could make it the next value.
    assert [table.column(5)[0].as_py(), table.column(6)[0].as_py()] == [0.0, 0.0]
    assert all(math.isinf(table.column(i)[0].as_py()) for i in (7, 8))
    wide = shown(Read(AGES, (MEDIAN,)), histogram(counts, 10, 12.0), {})
    assert wide.column(2)[0].as_py() == 1.0


def test_an_extreme_stands_out_of_the_noise_or_is_not_said() -> None:
    few, many = [1, 0, 0, 0, 400, 500, 400, 0, 2, 0], [1, 0, 0, 0, 4, 5, 4, 0, 2, 0]
    raw = histogram({"few": few, "many": many}, 10, 3.0)
    table = shown(Read(AGES, (LOW, HIGH)), raw, {})
    assert table.column(1).to_pylist() == [4.0, None]
    assert table.column(2).to_pylist() == [6.0, None]


def zoom(
    values: dict[str, list[float]], width: float, points: tuple[Point, ...]
) -> tuple[pa.Table, pa.Table]:
    """The zoomed table of exact counts, and the raw histogram of its first point."""
    raw = histogram({g: counted(v, FEES) for g, v in values.items()}, FEES.cells, width)
    zoomed = shown(Zoom(FEES, points), raw, {})
    parts: list[tuple[str, int, int, int]] = []
    for row, (group, own) in enumerate(values.items()):
        part, low, high, rate = (zoomed.column(1 + i)[row].as_py() for i in range(4))
        counts = [0] * FEES.cells
        for value in own:
            if low <= value < high:
                counts[min(int((value - low) * rate), FEES.cells - 1)] += 1
        parts += [(group, part, i, n) for i, n in enumerate(counts)]
    columns = list(zip(*parts, strict=True))
    kinds = (pa.string(), pa.int64(), pa.int64(), pa.int64())
    arrays = [pa.array(c, k) for c, k in zip(columns, kinds, strict=True)]
    widths = pa.array([width] * len(parts), pa.float64())
    return zoomed, pa.Table.from_arrays([*arrays, widths], names=[f"c{i}" for i in range(5)])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_exact_counts_give_the_quantile_within_its_interval(share: float) -> None:
    random = np.random.default_rng(3)
    values = {g: [round(float(v), 2) for v in np.minimum(random.lognormal(m, 1, 5000), 1000)] for g, m in (("a", 3), ("b", 5))}  # fmt: skip
    point = Point(Fraction(str(share)), False, Kind.DOUBLE, False)
    zoomed, raw = zoom(values, 0.0, (point,))
    table = shown(Read(FEES, (point,), 0, 0), raw, {"r0": zoomed})
    assert table.column(0).to_pylist() == ["a", "b"]
    for i, own in enumerate(values.values()):
        truth = float(np.quantile(own, share))
        value, width = table.column(1)[i].as_py(), table.column(2)[i].as_py()
        assert abs(value - truth) <= width + 1e-9
        assert abs(value / truth - 1) < 0.01
        assert width / truth < 0.02


def test_noise_widens_what_is_looked_into_and_the_interval() -> None:
    values = {"a": [float(v) for v in range(1000)]}
    narrow, wide = (zoom(values, w, (MEDIAN,)) for w in (0.1, 20.0))
    looked = [z.column(3)[0].as_py() - z.column(2)[0].as_py() for z, _ in (narrow, wide)]
    assert looked[0] < looked[1]
    widths = [
        shown(Read(FEES, (MEDIAN,), 0), raw, {"r0": z}).column(2)[0].as_py() for z, raw in (narrow, wide)
    ]
    assert 0 < widths[0] < widths[1] < 300


def test_nothing_is_said_of_groups_without_rows_or_known_noise() -> None:
    zoomed, raw = zoom({"a": [5.0] * 50, "b": []}, 0.0, (MEDIAN,))
    assert math.isnan(zoomed.column(2)[1].as_py())
    table = shown(Read(FEES, (MEDIAN,), 0), raw, {"r0": zoomed})
    assert table.column(1).to_pylist()[1] is None
    assert abs(table.column(1)[0].as_py() - 5) < 0.011
    unknown = zoom({"a": [5.0] * 50}, math.inf, (MEDIAN,))
    table = shown(Read(FEES, (MEDIAN,), 0), unknown[1], {"r0": unknown[0]})
    assert unknown[0].column(6)[0].as_py() >= UNKNOWN / 2
    assert math.isinf(table.column(2)[0].as_py())


def test_a_histogram_of_another_part_than_named_says_little() -> None:
    zoomed, raw = zoom({"a": [float(v) for v in range(1000)]}, 1.0, (MEDIAN,))
    part = raw.column(1).to_pylist()
    stale = raw.set_column(1, "c1", pa.array([p + 1 for p in part], pa.int64()))
    said, fresh = (shown(Read(FEES, (MEDIAN,), 0), r, {"r0": zoomed}) for r in (stale, raw))
    low, high = zoomed.column(2)[0].as_py(), zoomed.column(3)[0].as_py()
    assert abs(said.column(1)[0].as_py() - (low + high) / 2) < 0.02
    assert said.column(2)[0].as_py() >= fresh.column(2)[0].as_py()
    gone = shown(Read(FEES, (MEDIAN,), 0), raw, {"r0": zoomed.slice(0, 0)})
    assert gone.num_rows == 0


def test_tables_have_the_fields_that_are_said_of_them() -> None:
    keys = (Field("g", Facts(Kind.STRING)), Field("", Facts(Kind.INTEGER)), Field("", Facts(Kind.INTEGER)))
    points = (MEDIAN, Point(Fraction(1, 4), False, Kind.INTEGER, True))
    zoomed, raw = zoom({"a": [1.0, 2.0]}, 0.0, points)
    assert len(face_fields(Zoom(FEES, points), keys[:2])) == zoomed.num_columns == 1 + 2 * len(ZOOMED)
    read = shown(Read(FEES, points[:1], 0), raw, {"r0": zoomed})
    assert len(face_fields(Read(FEES, points[:1], 0), keys)) == read.num_columns
    fields = face_fields(Read(AGES, points), keys[:2])
    assert [(f.facts.kind, f.hidden) for f in fields[1:]] == [
        (Kind.DOUBLE, False), (Kind.INTEGER, False), (Kind.DOUBLE, True), (Kind.DOUBLE, True),
    ]  # fmt: skip
    assert shown(None, raw, {}) is raw
    assert shown(Zoom(FEES, points), raw.slice(0, 0).drop_columns(["c1"]), {}).num_rows == 0
