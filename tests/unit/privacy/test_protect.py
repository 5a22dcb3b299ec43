from __future__ import annotations

from collections.abc import Sequence

import pytest

from sandbox.privacy import mechanisms
from sandbox.privacy.mechanisms import Mechanism
from sandbox.privacy.plan import Plan
from sandbox.privacy.protect import LARGEST_COUNT, LARGEST_TOTAL, Bounds, Cells, bounds, protect, searched
from sandbox.privacy.spend import selection_threshold, spend
from tests.support.plans import planned


def shown(made: Plan, cells: Cells, excess: float = 0.0) -> list[dict[str, object]]:
    priced = made.priced[0]
    count = len(priced.release.measures)
    limits = Bounds(tuple(m.upper for m in priced.release.measures), (excess,) * count)
    found: list[dict[str, object]] = protect(priced, spend(priced, made.measure), limits, cells).to_pylist()
    return found


def test_every_declared_group_appears_and_no_other() -> None:
    made = planned("SELECT city, COUNT(*) FROM person GROUP BY city")
    rows = shown(made, Cells((("太原",), ("nowhere",), (None,)), (), ((10**6,), (10**9,), (10**6,))))
    assert [r["c0"] for r in rows] == ["太原", "大同", "a'b", None]
    counts = [int(str(r["c1"])) for r in rows]
    assert counts[0] > 900_000 and counts[3] > 900_000
    assert abs(counts[1]) < 1000 and abs(counts[2]) < 1000


def test_without_keys_there_is_one_row_even_over_nothing() -> None:
    assert len(shown(planned("SELECT COUNT(*) FROM person"), Cells((), (), ()))) == 1


def test_selected_groups_lie_above_the_threshold_in_an_order_of_their_own() -> None:
    made = planned("SELECT icd, COUNT(*) FROM claim GROUP BY icd")
    limit = selection_threshold(spend(made.priced[0], made.measure), made.priced[0])
    keys = (("z",), ("a",), (None,), ("few",))
    rows = shown(made, Cells(keys, (limit + 500, limit + 500, limit + 500, 1), ((0,),) * 4))
    assert [r["c0"] for r in rows] == ["a", "z", None]
    assert shown(made, Cells((), (), ())) == []


def test_a_shared_draw_is_the_selection_itself() -> None:
    made = planned(
        "SELECT hi, COUNT(DISTINCT pid) FROM (SELECT pid, MAX(icd) AS hi FROM claim GROUP BY pid) AS t GROUP BY hi"
    )
    limit = selection_threshold(spend(made.priced[0], made.measure), made.priced[0])
    for row in shown(made, Cells((("a",), ("b",)), (limit + 5, limit), ((0,), (0,)))):
        assert int(str(row["c1"])) > limit


def test_half_widths_cover_clipping_and_rounding() -> None:
    made = planned("SELECT n > 3, COUNT(*) FROM claim GROUP BY 1")
    cells = Cells(((True,),), (), ((256 * 1000,),))
    plain, clipped = shown(made, cells), shown(made, cells, excess=2560.0)
    assert max(float(str(r["c2"])) for r in clipped) > max(float(str(r["c2"])) for r in plain)


def test_totals_and_counts_are_held_within_what_can_be_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def draw(self: Mechanism, values: Sequence[int]) -> list[int]:
        seen.extend(values)
        return list(values)

    monkeypatch.setattr(mechanisms.Mechanism, "draw", draw)
    made = planned("SELECT COUNT(*) FROM person")
    (row,) = shown(made, Cells(((),), (), ((2**100,),)))
    assert seen == [LARGEST_TOTAL]
    assert row["c0"] == LARGEST_COUNT
    (row,) = shown(made, Cells(((),), (), ((-(2**100),),)))
    assert row["c0"] == -LARGEST_COUNT


def test_caps_are_declared_or_found() -> None:
    made = planned("SELECT SUM(fee), COUNT(DISTINCT pid) FROM claim")
    priced = made.priced[0]
    assert [j for j, _ in searched(priced.release)] == [0]
    edges = dict(searched(priced.release))[0]
    busy = next(b for b, edge in enumerate(edges) if edge >= 1000)
    found = bounds(priced.release, spend(priced, made.measure), {(0, busy): 100_000})
    assert found.caps[0] <= 4 * edges[busy]
    assert found.caps[1] == 1
    assert found.excess[1] == 0.0
