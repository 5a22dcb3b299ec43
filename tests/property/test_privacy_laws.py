"""The neighbour law over random databases and queries; and that it finds every bug planted in a rule."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sandbox.privacy import condensed, distinct, sides, statements, tally
from sandbox.privacy.bins import bin_sql
from sandbox.privacy.release import Release
from sandbox.privacy.statements import tally_sql
from sandbox.sql import listed
from sandbox.sql.build import fan, groups, joins, unions
from sandbox.sql.expressions import TRUE
from sandbox.sql.relation import Join, Relation, SemiJoin, SetOp
from tests.property.laws import any_query, check
from tests.support.plans import ZCDP, planned
from tests.support.worlds import Worlds

CHUNK = 1000


@pytest.mark.parametrize("seed", range(20))
def test_a_unit_changes_a_release_by_no_more_than_its_cap(seed: int) -> None:
    report = check(1000 + seed, CHUNK)
    assert report.violations == []
    assert report.cases >= CHUNK
    assert {"row", "unit", "pairs", "pairs+selection"} <= report.forms.keys()


def test_the_command_ends_with_figures() -> None:
    command = [sys.executable, str(Path(__file__).with_name("laws.py")), "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["cases"] >= 200
    assert figures["violations"] == 0


Patch = pytest.MonkeyPatch


def no_clip(patch: Patch) -> None:
    patch.setattr(statements, "_clip", lambda text, cap: f"CAST({text} AS BIGINT)")


def no_scaling(patch: Patch) -> None:
    patch.setattr(statements, "_direction", lambda measure, j, *, laplace: f"(c.m{j} * 65536)")


def no_sign(patch: Patch) -> None:
    """What is beyond the cap counts as it is, where a unit falls in one group."""
    patch.setattr(tally, "_weighted", lambda part, inside, whole, longest: part.x * whole + 0 * longest)


def low_bins(patch: Patch) -> None:
    """Units stand one bin too low, and so within a cap that they exceed."""
    patch.setattr(statements, "bin_sql", lambda *a, **k: f"greatest(-1, {bin_sql(*a, **k)} - 1)")


def groups_of_nobody(patch: Patch) -> None:
    """Groups are drawn for in which a unit falls but is not counted."""
    original = tally._present
    patch.setattr(tally, "_present", lambda release, rows, counted: original(release, rows, counted | True))


def first_rows(patch: Patch) -> None:
    """A unit's first row speaks for all of them, whatever the query keeps of these."""
    patch.setattr(condensed, "columns", lambda expr: frozenset())


def wrong_norm(patch: Patch) -> None:
    """Always L2, as if pure epsilon were Gaussian."""
    original = statements._pairs_sql
    patch.setattr(statements, "_pairs_sql", lambda r, rows, *, laplace: original(r, rows, laplace=False))


def no_rank(patch: Patch) -> None:
    original = statements._presence_sql
    patch.setattr(
        statements, "_presence_sql", lambda r, joined: original(r, joined).replace("WHERE o <=", "WHERE 0 <=")
    )


def all_values(patch: Patch) -> None:
    """A unit stands for all its distinct values, whatever the cap."""
    _reworded(patch, "min(o) AS o", "1 AS o")


def values_of_all(patch: Patch) -> None:
    """The first values of everybody together, and not of each unit."""
    _reworded(patch, "PARTITION BY u ", "")


def _reworded(patch: Patch, old: str, new: str) -> None:
    original = distinct.distinct_sql

    def changed(release: Release) -> str | None:
        text = original(release)
        assert text is None or old in text
        return None if text is None else text.replace(old, new)

    patch.setattr(statements, "distinct_sql", changed)


def any_zoom(patch: Patch) -> None:
    """What is looked into in one group is looked into in all: a row is met once for each."""
    patch.setattr(sides, "_same", lambda key, other, below: TRUE)


def _everywhere(patch: Patch, name: str, changed: Callable[..., Any]) -> None:
    for module in list(sys.modules.values()):
        if module.__name__.startswith("sandbox.sql") and hasattr(module, name):
            patch.setattr(module, name, changed)


def any_join(patch: Patch) -> None:
    """Protected tables joined on anything, and no tie added."""
    original = joins._both_private

    def changed(kind: Any, left: Relation, right: Relation, on: Any, fields: Any) -> Join:
        made = original(kind, left, right, on, fields)
        assert isinstance(made, Join)
        return replace(made, on=on)

    patch.setattr(joins, "unit_equality", lambda left, right, on: True)
    patch.setattr(joins, "_both_private", changed)


def no_semi_tie(patch: Patch) -> None:
    original = joins.semi_join

    def changed(left: Relation, right: Relation, on: Any, *, anti: bool) -> Relation:
        made = original(left, right, on, anti=anti)
        assert isinstance(made, SemiJoin)
        return replace(made, on=on)

    patch.setattr(joins, "unit_equality", lambda left, right, on: True)
    _everywhere(patch, "semi_join", changed)


def per_unit_keys(patch: Patch) -> None:
    original = groups._key_field
    patch.setattr(
        groups,
        "_key_field",
        lambda i, n, e, *, private: replace(original(i, n, e, private=private), per_unit=private),
    )


def single_after_fan_out(patch: Patch) -> None:
    patch.setattr(joins, "fan_out", lambda public, on, offset, known: 1)


def single_everywhere(patch: Patch) -> None:
    original = joins.join

    def changed(kind: Any, left: Relation, right: Relation, on: Any) -> Relation:
        made = original(kind, left, right, on)
        return made if made.privacy is None else replace(made, privacy=replace(made.privacy, single=True))

    _everywhere(patch, "join", changed)


def widened_keys(patch: Patch) -> None:
    """A unique whole number still counted as unique against a real."""
    patch.setattr(fan, "_as_stored", lambda one, other: True)


def part_of_a_key(patch: Patch) -> None:
    """Columns that are unique together counted as unique one by one."""
    patch.setattr(fan, "_determined", lambda given, keys: any(given.intersection(key) for key in keys))


def union_keeps_padding(patch: Patch) -> None:
    original = unions._private_union

    def changed(op: str, all_: bool, left: Relation, right: Relation) -> SetOp:
        made = original(op, all_, left, right)
        assert isinstance(made, SetOp)
        return replace(made, fields=tuple(replace(f, per_unit=f.unit_scope != "") for f in made.fields))

    patch.setattr(unions, "_private_union", changed)


def single_union(patch: Patch) -> None:
    original = unions._private_union

    def changed(op: str, all_: bool, left: Relation, right: Relation) -> SetOp:
        made = original(op, all_, left, right)
        assert isinstance(made, SetOp)
        assert made.privacy is not None
        return replace(made, privacy=replace(made.privacy, single=True))

    patch.setattr(unions, "_private_union", changed)


def free_windows(patch: Patch) -> None:
    """Windows that need no unit in their partition."""
    _everywhere(patch, "carries_unit", lambda relation, index: True)


def private_listing(patch: Patch) -> None:
    """Groups listed by protected tables too."""
    patch.setattr(listed._Lister, "_is_public", lambda lister, index: True)
    patch.setattr(listed, "rows_of", lambda relation: 4)


def any_part_of_a_grouping(patch: Patch) -> None:
    """Each key of a grouping counted as unique by itself."""
    original = groups._key_field
    patch.setattr(
        groups,
        "_key_field",
        lambda i, n, e, *, private: (
            original(i, n, e, private=private)
            if private
            else replace(original(i, n, e, private=private), keys=((fan.GROUPED,),))
        ),
    )


def texts(*found: str) -> Callable[[Random], str]:
    return lambda random: random.choice(found)


BUGS: dict[Callable[[Patch], None], Callable[[Random], str]] = {
    no_clip: any_query,
    no_scaling: any_query,
    no_sign: any_query,
    low_bins: any_query,
    groups_of_nobody: any_query,
    first_rows: texts("SELECT region, COUNT(*) FROM claim WHERE n > 0 OR fee > 20 GROUP BY region"),
    wrong_norm: any_query,
    no_rank: any_query,
    any_join: texts("SELECT c.icd, COUNT(*) FROM claim AS c JOIN person AS p ON c.n = p.age OR c.n < 4 GROUP BY c.icd"),
    no_semi_tie: texts("SELECT COUNT(*) FROM person WHERE vip IN (SELECT p.vip FROM person AS p WHERE p.age > 50)"),
    per_unit_keys: any_query,
    single_after_fan_out: texts("SELECT COUNT(*), SUM(p.age) FROM person AS p JOIN zone AS z ON p.city = z.city"),
    single_everywhere: any_query,
    widened_keys: texts(
        "SELECT COUNT(*) FROM person AS p JOIN hospital AS h ON p.score = h.beds",
        "SELECT COUNT(*) FROM person AS p JOIN tariff AS t ON p.city = t.city AND p.score = t.code",
    ),
    part_of_a_key: texts(
        "SELECT COUNT(*), SUM(p.age) FROM person AS p JOIN tariff AS t ON p.city = t.city",
        "SELECT COUNT(*) FROM person AS p JOIN (SELECT city AS c, vip AS v FROM tariff WHERE price > 0) AS t ON p.vip = t.v",
        "SELECT COUNT(*) FROM person AS p JOIN tariff AS t ON p.city = t.city AND p.vip = t.vip AND t.price < 30",
    ),
    private_listing: texts(
        "SELECT c.hosp, COUNT(*) FROM claim AS c JOIN hospital AS h ON c.hosp = h.hosp WHERE h.beds > 0 GROUP BY c.hosp"
    ),
    any_part_of_a_grouping: texts(
        "SELECT COUNT(*), SUM(p.age) FROM person AS p JOIN (SELECT city AS c, zone AS z, COUNT(*) AS n FROM zone GROUP BY city, zone) AS g ON p.city = g.c AND g.n > 0"
    ),
    union_keeps_padding: texts(
        "SELECT COUNT(*) FROM (SELECT p0, p1 FROM (SELECT a.pid AS p0, b.pid AS p1 FROM person AS a LEFT JOIN claim AS b "
        "ON a.pid = b.pid AND b.fee > 1 UNION ALL SELECT pid AS p0, pid AS p1 FROM person) AS t GROUP BY p0, p1) AS s"
    ),
    single_union: any_query,
    all_values: texts("SELECT COUNT(DISTINCT cid) FROM claim"),
    values_of_all: texts("SELECT COUNT(DISTINCT icd) FROM claim"),
    any_zoom: texts("SELECT city, QUANTILE_DISC(age * 3.7, 0.5) FROM person GROUP BY city"),
    free_windows: texts("SELECT SUM(r) FROM (SELECT pid, row_number() OVER (PARTITION BY icd ORDER BY fee, cid) AS r FROM claim) AS t WHERE r < 3"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_law_finds_a_planted_bug(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    assert check(5, 3000, 1, BUGS[bug]).violations, "a law that cannot fail is no law"


@pytest.mark.parametrize("ask", {a for a in BUGS.values() if a is not any_query})
def test_without_the_bug_the_same_questions_pass(ask: Callable[[Random], str]) -> None:
    assert check(5, 100, 1, ask).violations == []


CONDENSED = (
    "SELECT COUNT(*) FROM claim",
    "SELECT region, COUNT(*), COUNT(DISTINCT pid) FROM claim GROUP BY region",
    "SELECT COUNT(*) FILTER (WHERE region = 'n'), COUNT(*) FROM claim WHERE region IS NOT NULL",
    "SELECT upper(t.r), COUNT(*) FROM (SELECT region AS r, n FROM claim) AS t WHERE t.r <> 's' GROUP BY 1",
)


@pytest.mark.parametrize("text", CONDENSED)
def test_counting_whole_units_says_what_grouping_by_unit_says(text: str, monkeypatch: Patch) -> None:
    random = Random(7)
    for _ in range(3):
        worlds = Worlds(random)
        release = planned(text, ZCDP).priced[0].release
        assert "_u_ord" in tally_sql(release, laplace=False)
        short = sorted(worlds.run(tally_sql(release, laplace=False)), key=repr)
        with monkeypatch.context() as patch:
            patch.setattr(statements, "condensed", lambda release: None)
            assert "_u_ord" not in tally_sql(release, laplace=False)
            assert sorted(worlds.run(tally_sql(release, laplace=False)), key=repr) == short
        worlds.close()


def test_only_whole_units_are_counted_by_their_first_row() -> None:
    for text in (
        "SELECT COUNT(*) FROM claim WHERE n > 0",
        "SELECT region, SUM(fee) FROM claim GROUP BY region",
        "SELECT region, COUNT(*) FILTER (WHERE icd = 'I') FROM claim GROUP BY region",
        "SELECT COUNT(*) FROM claim AS a JOIN hospital AS h ON a.hosp = h.hosp",
        "SELECT COUNT(*) FROM (SELECT a.n FROM claim AS a JOIN hospital AS h ON a.hosp = h.hosp WHERE a.n > 1) AS t",
    ):
        assert "_u_ord" not in tally_sql(planned(text, ZCDP).priced[0].release, laplace=False)
