from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from sandbox.privacy.release import Release
from sandbox.privacy.tally import FINE, LARGEST_TOTAL, Tally, fine_bits, found_edges, tally
from tests.support.plans import planned

Row = tuple[Any, ...]


def release(text: str) -> Release:
    return planned(text).priced[0].release


def searched(made: Release) -> Release:
    """The release with a cap that is looked for up to 64."""
    return replace(made, measures=tuple(replace(m, search=True, upper=64) for m in made.measures))


def read(made: Release, *rows: Row) -> Tally:
    """Rows of (p, keys ..., b, x, y, z) as the engine would give them."""
    names = ["p", *(f"k{i}" for i in range(len(made.keys))), "b", "x", "y", "z"]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return tally(made, pa.table({n: list(c) for n, c in zip(names, columns, strict=True)}))


def test_declared_groups_come_in_declared_order_and_others_do_not_count() -> None:
    made = release("SELECT city, COUNT(*) FROM person GROUP BY city")
    found = read(made, (1, None, 0, 3, 0, 0), (1, "大同", 0, 5, 0, 0), (1, "nowhere", 0, 7, 0, 0))
    assert found.keys.column("k0").to_pylist() == ["太原", "大同", "a'b", None]
    assert found.totals(0, 1) == [0, 5, 0, 3]
    assert found.units.tolist() == [0, 0, 0, 0]


def test_several_declared_keys_make_all_combinations() -> None:
    made = release("SELECT vip, city, COUNT(*) FROM person GROUP BY vip, city")
    found = read(made, (1, True, "大同", 0, 5, 0, 0))
    keys = list(zip(*(found.keys.column(f"k{i}").to_pylist() for i in range(2)), strict=True))
    assert len(keys) == len(set(keys)) == 12
    assert dict(zip(keys, found.totals(0, 1), strict=True))[(True, "大同")] == 5
    assert sum(found.totals(0, 1)) == 5


def test_present_groups_come_in_the_order_of_their_values_nulls_last() -> None:
    made = release("SELECT icd, n, COUNT(*) FROM claim GROUP BY icd, n")
    rows = [("b", 1), (None, 2), ("a", 9), ("a", None), ("a", -3)]
    found = read(made, *((0, *k, 0, 0, 0, i + 1) for i, k in enumerate(rows)))
    keys = list(zip(*(found.keys.column(f"k{i}").to_pylist() for i in range(2)), strict=True))
    assert keys == [("a", -3), ("a", 9), ("a", None), ("b", 1), (None, 2)]
    assert found.units.tolist() == [5, 3, 4, 1, 2]


def test_a_group_in_which_no_unit_is_counted_does_not_exist() -> None:
    made = searched(release("SELECT icd, COUNT(*) FROM claim GROUP BY icd"))
    found = read(made, (0, "a", 0, 0, 0, 4), (1, "a", 0, 6, 1, 3), (1, "b", 0, 9, 0, 0))
    assert found.units.tolist() == [7]
    assert found.keys.column("k0").to_pylist() == ["a"]
    assert found.totals(0, 1) == [6 << fine_bits(made, 1)]
    assert read(made).keys.num_rows == 0
    assert read(made).totals(0, 1) == []


def test_keys_of_every_kind_are_read() -> None:
    made = release("SELECT day, x, n > 3, COUNT(*) FROM claim GROUP BY day, x, n > 3")
    rows: list[Row] = [(dt.date(2024, 1, 2), float("nan"), None), (None, 1.5, True)]
    found = read(made, *((0, *k, 0, 0, 0, 1) for k in rows))
    assert found.keys.num_rows == 2
    assert found.keys.column("k0").to_pylist() == [dt.date(2024, 1, 2), None]


def test_beyond_the_cap_units_count_with_the_cap() -> None:
    made = searched(release("SELECT region, COUNT(*) FROM claim GROUP BY region"))
    assert str(made.bounding) == "unit"
    # bins 0, 2, 4 hold norms up to 1, 2 and 4; y: units, with their sign
    found = read(
        made, (1, "n", 0, 10, 10, 10), (1, "n", 2, 8, 4, 4), (1, "n", 4, 12, 3, 3), (1, "s", -1, 99, 1, 1)
    )
    assert found.totals(0, 1) == [17, 1, 0]
    assert found.totals(0, 2) == [10 + 8 + 3 * 2, 2, 0]
    assert found.totals(0, 4) == [30, 4, 0]
    known = found_edges(made.measures[0])
    counts = dict(zip((*known, -1), found.histograms[0], strict=True))
    assert (counts[1], counts[2], counts[4], counts[-1]) == (10, 4, 3, 1)


def test_directions_over_groups_are_in_fine_steps() -> None:
    made = searched(release("SELECT n > 3, COUNT(*) FROM claim GROUP BY 1"))
    assert str(made.bounding) == "pairs"
    half = 1 << 15
    found = read(made, (1, True, 4, 30, half, 0), (1, True, 0, 7, 1 << 16, 0), (-1, None, 4, 0, 0, 9))
    assert fine_bits(made, 2) == FINE - 2
    (true,) = [v for v in found.totals(0, 2) if v]
    assert true == (7 << fine_bits(made, 2)) + ((2 << fine_bits(made, 2)) >> 16) * half
    assert sum(found.histograms[0]) == 9


def test_sums_that_leave_64_bits_are_clamped() -> None:
    made = release("SELECT region, SUM(fee) FROM claim GROUP BY region")
    large = 2**61
    found = read(
        made, *((1, "n", 0, large, large, 1),) * 4, (1, "s", 0, -large, -large, 1), (1, "s", -1, 0, -large, 1)
    )
    assert found.totals(0, found_edges(made.measures[0])[-1])[:2] == [LARGEST_TOTAL, -LARGEST_TOTAL]


def test_a_cap_is_one_of_the_edges() -> None:
    made = release("SELECT COUNT(*) FROM claim")
    with pytest.raises(ValueError, match="not in tuple"):
        read(made).totals(0, 5)
    fixed = replace(made, measures=(replace(made.measures[0], search=False),))
    assert found_edges(fixed.measures[0]) == (made.measures[0].upper,)
    assert read(fixed, (1, 0, 12, 0, 0)).totals(0, made.measures[0].upper) == [12]
    assert read(fixed).histograms == ((),)
