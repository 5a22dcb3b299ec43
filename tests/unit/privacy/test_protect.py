from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from sandbox.catalogue import Scalar
from sandbox.privacy import mechanisms
from sandbox.privacy.caps import Cap, Lost
from sandbox.privacy.mechanisms import Mechanism
from sandbox.privacy.plan import Plan
from sandbox.privacy.protect import LARGEST_COUNT, Bounds, bounds, protect
from sandbox.privacy.release import Release
from sandbox.privacy.spend import selection_threshold, spend
from sandbox.privacy.tally import ARROW, Part, Tally, expected_cap, found_edges
from tests.support.plans import planned

Group = tuple[Scalar, ...]


def tallied(
    release: Release,
    groups: Sequence[Group],
    totals: Sequence[Sequence[int]],
    units: Sequence[int] = (),
    histograms: dict[int, dict[int, int]] | None = None,
) -> Tally:
    """What the engine found: each group's totals, all in the lowest bin."""
    columns = [pa.array([g[i] for g in groups], ARROW[k.facts.kind]) for i, k in enumerate(release.keys)]
    keys = pa.table({**{f"k{i}": c for i, c in enumerate(columns)}, "none": pa.nulls(len(groups))})
    numbers, zeros = np.arange(len(groups)), np.zeros(len(groups), dtype=np.int64)
    parts = tuple(Part(numbers, zeros, np.array(t, dtype=np.int64), zeros) for t in totals)
    found = []
    for j, measure in enumerate(release.measures):
        counts = [0] * (len(found_edges(measure)) + 1 if measure.search else 0)
        for b, n in (histograms or {}).get(j, {}).items():
            counts[b] = n
        found.append(tuple(counts))
    return Tally(release, keys, np.array(units, dtype=np.int64), parts, tuple(found))


def shown(made: Plan, found: Tally, cap: Cap | None = None) -> list[dict[str, object]]:
    priced = made.priced[0]
    limits = Bounds(tuple(cap or Cap(expected_cap(m)) for m in priced.release.measures))
    rows: list[dict[str, object]] = protect(priced, spend(priced, made.measure), limits, found).to_pylist()
    return rows


def number(row: dict[str, object], name: str) -> float:
    return float(str(row[name]))


def test_noise_falls_on_every_group() -> None:
    made = planned("SELECT city, COUNT(*) FROM person GROUP BY city")
    groups: list[Group] = [("太原",), ("大同",), ("a'b",), (None,)]
    rows = shown(made, tallied(made.priced[0].release, groups, [[10**6, 0, 0, 10**6]]))
    assert [r["c0"] for r in rows] == ["太原", "大同", "a'b", None]
    counts = [number(r, "c1") for r in rows]
    assert counts[0] > 900_000 and counts[3] > 900_000
    assert abs(counts[1]) < 1000 and abs(counts[2]) < 1000


def test_selected_groups_lie_above_the_threshold() -> None:
    made = planned("SELECT icd, COUNT(*) FROM claim GROUP BY icd")
    release = made.priced[0].release
    limit = selection_threshold(spend(made.priced[0], made.measure), made.priced[0])
    units = (limit + 500, limit + 500, limit + 500, 1)
    rows = shown(made, tallied(release, [("a",), ("z",), (None,), ("few",)], [[0] * 4], units))
    assert [r["c0"] for r in rows] == ["a", "z", None]
    assert shown(made, tallied(release, [], [[]])) == []


def test_a_shared_draw_is_the_selection_itself() -> None:
    made = planned(
        "SELECT hi, COUNT(DISTINCT pid) FROM (SELECT pid, MAX(icd) AS hi FROM claim GROUP BY pid) AS t GROUP BY hi"
    )
    release = made.priced[0].release
    limit = selection_threshold(spend(made.priced[0], made.measure), made.priced[0])
    for row in shown(made, tallied(release, [("a",), ("b",)], [[0, 0]], (limit + 5, limit))):
        assert number(row, "c1") > limit


def test_half_widths_cover_clipping_and_rounding() -> None:
    made = planned("SELECT n > 3, COUNT(*) FROM claim GROUP BY 1")
    found = tallied(made.priced[0].release, [(True,)], [[1000]])
    cap = expected_cap(made.priced[0].release.measures[0])
    (plain,) = shown(made, found)
    (clipped,) = shown(made, found, Cap(cap, 500.0, 0.0, 100.0, 1000.0, (Lost(5.0, 20.0, 100.0),)))
    assert number(clipped, "c2") > number(plain, "c2")
    (unknown,) = shown(made, found, Cap(cap, float("inf")))
    assert number(unknown, "c2") == float("inf")


def test_counts_are_held_within_what_can_be_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms.Mechanism, "draw", lambda self, values: list(values))
    made = planned("SELECT COUNT(*) FROM person")
    for sign in (1, -1):
        (row,) = shown(made, tallied(made.priced[0].release, [()], [[sign * 2**60]]))
        assert row["c0"] == sign * LARGEST_COUNT


def test_caps_are_declared_or_found() -> None:
    made = planned("SELECT SUM(fee), COUNT(DISTINCT pid) FROM claim")
    priced, parts = made.priced[0], spend(made.priced[0], made.measure)
    edges = found_edges(priced.release.measures[0])
    busy = next(b for b, edge in enumerate(edges) if edge >= 1000)
    empty = tallied(priced.release, [()], [[0], [0]])
    found = bounds(tallied(priced.release, [()], [[0], [0]], (), {0: {busy: 100_000}}), parts)
    assert found.caps[0] <= 4 * edges[busy]
    assert found.chosen[1] == Cap(1)
    unseen = bounds(empty, parts)
    assert unseen.caps[0] == expected_cap(priced.release.measures[0]) >= priced.release.measures[0].declared


def test_a_declaration_that_the_data_exceed_is_followed_or_owned_up_to() -> None:
    """Four rows of at most 500 each are declared; units bring a hundred times that."""
    made = planned("SELECT SUM(fee) FROM claim")
    priced, parts = made.priced[0], spend(made.priced[0], made.measure)
    declared = priced.release.measures[0].declared
    edges = found_edges(priced.release.measures[0])
    far = next(b for b, edge in enumerate(edges) if edge >= 100 * declared)
    (cap,) = bounds(tallied(priced.release, [()], [[0]], (), {0: {far: 100_000}}), parts).chosen
    assert cap.value >= 50 * declared
    (cap,) = bounds(tallied(priced.release, [()], [[0]], (), {0: {len(edges): 100_000}}), parts).chosen
    assert cap.excess == float("inf")


def test_selected_cells_want_a_cap_for_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few keys that hold everything bear a higher cap than a total with a long tail of keys."""

    def draw(self: Mechanism, values: Sequence[int]) -> list[int]:
        return list(values)

    monkeypatch.setattr(mechanisms.Mechanism, "draw", draw)
    made = planned("SELECT drug, COUNT(*) FROM item GROUP BY drug")
    priced, parts = made.priced[0], spend(made.priced[0], made.measure)
    edges = found_edges(priced.release.measures[0])
    spread = {b: int(1e6 / edge**1.5) for b, edge in enumerate(edges) if edge < 10**4}
    caps = []
    for size in (1, 1000):
        histogram = {b: n * size for b, n in spread.items()}
        caps.append(bounds(tallied(priced.release, [], [[]], (), {0: histogram}), parts).caps[0])
    assert caps[0] > 1
    assert caps[1] >= caps[0]
