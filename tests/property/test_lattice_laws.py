"""Roll-ups: sums of the finest cells, at the finest release's cost, with intervals that hold."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from sandbox.policy.documents import DpGuard
from sandbox.privacy import lattice
from sandbox.privacy import plan as planning
from sandbox.privacy.accounting import Measure
from sandbox.privacy.explain import derivation
from sandbox.privacy.plan import Plan
from sandbox.privacy.release import COLUMN, Release
from sandbox.privacy.spend import spend
from tests.support.draws import Asked, house
from tests.support.plans import PURE, ZCDP, planned

PEOPLE = """(SELECT pid, max(fee) > 50 AS rich, COUNT(*) > 2 AS many, min(fee) > 20 AS dear, least(COUNT(*), 8) AS c
             FROM visit GROUP BY pid) AS t"""
SETS = ("rich, many, dear", "rich, many", "rich", "many", "")
DRAWS = 15


def one_by_one(what: str, sets: tuple[str, ...] = SETS) -> str:
    """Grouping sets, each row saying of which set it is."""
    names = ("rich", "many", "dear")
    parts = []
    for keys in sets:
        shown = ", ".join(n if n in keys else f"CAST(NULL AS BOOLEAN) AS {n}" for n in names)
        grouped = f" GROUP BY {keys}" if keys else ""
        parts.append(f"SELECT '{keys}' AS of, {shown}, {what} FROM {PEOPLE}{grouped}")
    return " UNION ALL ".join(parts)


@pytest.mark.parametrize("pure", [False, True], ids=["zcdp", "pure"])
def test_a_coarser_cell_is_the_sum_of_its_parts_and_costs_nothing(pure: bool) -> None:
    names = ("rich", "many", "dear")
    asked = Asked(house(1, 200), one_by_one("COUNT(*), SUM(c)"), pure=pure)
    made = asked.plan
    assert made.rolled and len(made.priced) + len(made.rolled) == len(SETS)
    # Those left out cost nothing, and what is left has all that the query may spend.
    assert made.accounts[0][1].nano - len(made.priced) < sum(p.nano for p in made.priced)
    rows = asked.answer()
    for rolled in made.rolled:
        finer = ", ".join(k.name for k in made.priced[rolled.of].release.keys)
        shown = [names.index(k) + 1 for k in rolled.keys]
        for row in (r for r in rows if r[0] == ", ".join(rolled.keys)):
            parts = [r for r in rows if r[0] == finer and all(r[i] == row[i] for i in shown)]
            assert len(parts) > 1
            assert isinstance(row[4], int) and row[4] == sum(r[4] for r in parts)
            assert row[5] == sum(r[5] for r in parts)


@pytest.mark.parametrize("pure", [False, True], ids=["zcdp", "pure"])
def test_intervals_of_roll_ups_hold_and_shares_of_them_too(pure: bool) -> None:
    connection = house(2, 400)
    share = (
        f"SELECT rich, n, n * 1.0 / (SELECT COUNT(*) FROM {PEOPLE}) AS share, n + (SELECT COUNT(*) FROM {PEOPLE}) AS more "
        f"FROM (SELECT rich, COUNT(*) AS n FROM {PEOPLE} GROUP BY rich) AS g"
    )
    for text in (one_by_one("COUNT(*), SUM(c), AVG(c)"), share):
        asked = Asked(connection, text, pure=pure)
        assert asked.plan.rolled
        values, missed = Counter[int](), Counter[int]()
        for _ in range(DRAWS):
            for shown in asked.draw():
                if shown.width is not None and shown.truth is not None:
                    values[shown.column] += 1
                    missed[shown.column] += abs(shown.value - shown.truth) > shown.width * (1 + 1e-9)
        for column, count in values.items():
            assert missed[column] / count <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS), (text, column)


def ids(made: Plan) -> tuple[list[tuple[str, int]], list[tuple[int, int]]]:
    return (
        sorted((p.release.shown, p.nano) for p in made.priced),
        sorted((len(r.keys), made.priced[r.of].nano) for r in made.rolled),
    )


def test_grouping_sets_and_the_union_that_they_stand_for_are_one_plan() -> None:
    for guard in (ZCDP, PURE):
        sets = planned("SELECT city, vip, COUNT(*) FROM person GROUP BY ROLLUP (city, vip)", guard)
        parts = (
            "SELECT city, vip, COUNT(*) FROM person GROUP BY city, vip",
            "SELECT city, CAST(NULL AS BOOLEAN), COUNT(*) FROM person GROUP BY city",
            "SELECT CAST(NULL AS VARCHAR), CAST(NULL AS BOOLEAN), COUNT(*) FROM person",
        )
        assert ids(planned(" UNION ALL ".join(parts), guard)) == ids(sets)
        assert ids(planned(" UNION ALL ".join(reversed(parts)), guard))[0] == ids(sets)[0]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT f.n, (SELECT COUNT(*) FROM person WHERE vip) AS a FROM (SELECT city, COUNT(*) AS n FROM person GROUP BY city) AS f",
        "SELECT f.n, (SELECT SUM(age) FROM person) AS a FROM (SELECT city, COUNT(*) AS n FROM person GROUP BY city) AS f",
        "SELECT region, COUNT(*) FROM claim GROUP BY ROLLUP (region)",
        "SELECT cid, COUNT(*) FROM claim GROUP BY ROLLUP (cid)",
        "SELECT m, COUNT(DISTINCT pid) FROM (SELECT pid, n > 3 AS m FROM claim) AS t GROUP BY ROLLUP (m)",
        "SELECT vip, COUNT(DISTINCT age) FROM person GROUP BY ROLLUP (vip)",
        "SELECT vip, MEDIAN(age) FROM person GROUP BY ROLLUP (vip)",
        "SELECT city, COUNT(*) FROM person WHERE age > (SELECT AVG(age) FROM person) GROUP BY city",
        "SELECT COUNT(*) FROM (SELECT city, COUNT(*) FROM person GROUP BY city UNION ALL SELECT city, COUNT(*) FROM person GROUP BY city) AS t",
    ],
)
def test_nothing_else_is_rolled_up(text: str) -> None:
    """Other rows, other sums, declared or found caps, withheld keys, units or values that do not add up."""
    for guard in (ZCDP, PURE):
        if guard is ZCDP or "cid" not in text:
            found = planned(text, guard).rolled
            assert not found or "claim GROUP BY ROLLUP (region)" in text, text


def test_keys_may_be_functions_of_finer_keys_and_rows_may_be_joined() -> None:
    finer = "(SELECT age / 10 AS d, COUNT(*) AS n FROM person WHERE age IN (11, 22, 33) GROUP BY age) AS f"
    bands = (
        "(SELECT age > 20 AS old, COUNT(*) AS n FROM person WHERE age IN (11, 22, 33) GROUP BY age > 20) AS b"
    )
    made = planned(f"SELECT f.n, b.n FROM {finer} JOIN {bands} ON b.old", PURE)
    assert len(made.priced) == 1 and len(made.rolled) == 1
    joined = "FROM person AS p JOIN hospital AS h ON h.hosp = p.city WHERE p.pid IN (SELECT pid FROM claim WHERE n > 3)"
    twice = "(SELECT pid, vip FROM person UNION ALL SELECT pid, vip FROM person) AS t"
    assert planned(f"SELECT vip, COUNT(*) FROM {twice} GROUP BY ROLLUP (vip)", PURE).rolled
    rows = f"(SELECT p.vip, p.age > 50 AS old, p.age {joined}) AS t"
    text = f"SELECT vip, old, COUNT(*), SUM(age) FROM {rows} GROUP BY CUBE (vip, old)"
    assert len(planned(text, PURE).priced) == 1


def test_what_is_left_out_lessens_the_product_of_half_widths() -> None:
    """Every subset tried: none is better than the one chosen by leaving out one after the other."""
    losses = {(d, s): math.log(k) / 2 for (d, s), k in {
        (1, 0): 2, (2, 0): 3, (3, 0): 4, (4, 0): 6, (5, 0): 8, (6, 0): 12, (7, 0): 24, (7, 6): 2, (7, 5): 3, (7, 4): 4,
        (4, 1): 3, (4, 2): 2, (5, 1): 4, (5, 3): 2, (6, 2): 4, (6, 3): 3}.items()}  # fmt: skip
    weights = dict.fromkeys(range(8), COLUMN)
    for power in (0.5, 1.0):

        def score(out: dict[int, int], power: float = power) -> float:
            return power * 8 * math.log(8 - len(out)) + sum(losses[p] for p in out.items())

        chosen = score(lattice._least(weights, losses, power))
        for size in range(8):
            for out in combinations(range(1, 8), size):
                cheapest: dict[int, int] = {}
                for d in out:
                    known = [(loss, s) for (a, s), loss in losses.items() if a == d and s not in out]
                    cheapest[d] = min(known)[1]
                assert chosen <= score(cheapest) + 1e-9


def test_what_others_are_made_of_is_not_left_out_where_nothing_replaces_it() -> None:
    losses = {(2, 1): 0.0, (1, 0): 0.1, (0, 1): 0.1}
    assert lattice._least(dict.fromkeys(range(3), COLUMN), losses, 1.0) == {2: 1, 0: 1}
    assert lattice._least(dict.fromkeys(range(3), COLUMN), {(2, 1): 0.0, (1, 2): 0.1}, 1.0) == {2: 1}


def test_a_subquery_of_units_is_part_of_the_rows() -> None:
    """Semi- and anti-joins tell rows apart; what is looked for in them is written in any way."""
    texts = [
        f"(SELECT vip, COUNT(*) AS n FROM person AS p WHERE {no} EXISTS (SELECT 1 FROM claim AS c WHERE c.pid = p.pid AND c.n > 3) {by})"
        for no in ("", "NOT")
        for by in ("GROUP BY vip",)
    ]
    for i, inside in enumerate(texts):
        for no, same in (("", i == 0), ("NOT", i == 1)):
            total = f"(SELECT COUNT(*) FROM person AS q WHERE {no} EXISTS (SELECT 1 FROM claim AS d WHERE d.pid = q.pid AND 3 < d.n))"
            assert bool(planned(f"SELECT vip, n, {total} AS t FROM {inside} AS x", PURE).rolled) is same


def test_a_roll_up_of_withheld_groups_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: cells of a release that selected its groups are taken for all that there are."""
    own = lattice.cells

    def careless(release: Release) -> lattice.Cells | None:
        return own(replace(release, selection=None))

    rows = "(SELECT pid, min(h) AS h, CAST(min(fee) AS INTEGER) AS f FROM visit GROUP BY pid) AS t"
    text = f"SELECT 'total' AS of, COUNT(*) AS n FROM {rows} UNION ALL SELECT 'cell', n FROM (SELECT f, COUNT(*) AS n FROM {rows} GROUP BY f) AS g"

    def totals() -> list[tuple[Any, Any, Any]]:
        asked = Asked(house(3, 300), text)
        shown = (asked.answer() for _ in range(5))
        return [row for rows_ in shown for row in rows_ if row[0] == "total"]

    assert all(abs(n - 300) <= 60 for _, n, *_ in totals())
    monkeypatch.setattr(lattice, "cells", careless)
    monkeypatch.setattr(planning, "cells", careless)
    assert all(n is None or abs(n - 300) > 60 for _, n, *_ in totals())


def test_explain_says_what_is_made_of_what() -> None:
    made = planned("SELECT city, vip, COUNT(*) FROM person GROUP BY ROLLUP (city, vip)", PURE)
    said = [line.strip() for line in derivation(made, PURE).lines() if "roll-up" in line]
    assert len(made.priced) == 1 and len(said) == 2
    assert said[0].startswith("roll-up: of=r0  by=city  nano=0") and "by=none: the total" in said[1]


def test_the_rule_weighs_what_each_accounting_spends() -> None:
    text = "SELECT city, COUNT(*) FROM person GROUP BY ROLLUP (city)"
    assert planned(text, ZCDP).measure is Measure.ZCDP and not planned(text, ZCDP).rolled
    assert planned(text, PURE).rolled


@pytest.mark.parametrize("guard", [ZCDP, PURE], ids=["zcdp", "pure"])
def test_what_is_weighed_is_what_the_releases_do(guard: DpGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every column gets an equal part, whichever release it is of; leaving some out widens as predicted."""
    cube = "(SELECT vip, city, COUNT(*) AS n, SUM(age) AS s FROM person GROUP BY CUBE (vip, city)) AS c"
    other = "(SELECT age, COUNT(DISTINCT pid) AS u, SUM(age) AS t FROM person GROUP BY age) AS o"
    keyed = "(SELECT icd, COUNT(*) AS n, SUM(fee) AS s FROM claim GROUP BY icd) AS k"
    text = f"SELECT * FROM {cube} CROSS JOIN {other if guard is PURE else keyed}"
    fewer = planned(text, guard)
    with monkeypatch.context() as patched:
        patched.setattr(planning, "spared", lambda built, measure: {})
        every = planned(text, guard)
    assert fewer.rolled and not every.rolled
    assert (guard is PURE) is all(p.release.selection is None for p in every.priced)
    weights, parts = [], []
    for made in (every, fewer):
        divided = [spend(p, made.measure) for p in made.priced]
        columns = [c.noise + c.search + c.far for d in divided for c in d.columns]
        assert max(columns) - min(columns) <= 3  # nano
        chosen = [d.selection for d in divided if d.selection]
        assert all(abs(3 * c - 2 * columns[0]) <= 9 for c in chosen)
        weights.append(sum(p.release.weight for p in made.priced))
        parts.append(columns[0])
    assert math.isclose(parts[1] / parts[0], weights[0] / weights[1], rel_tol=1e-6)
