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

from sandbox.privacy import statements, tally
from sandbox.sql import build
from sandbox.sql.relation import Join, Relation, SemiJoin, SetOp
from tests.property.laws import any_query, check

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
    original = statements.bin_sql
    patch.setattr(statements, "bin_sql", lambda *a, **k: f"greatest(-1, {original(*a, **k)} - 1)")


def groups_of_nobody(patch: Patch) -> None:
    """Groups are drawn for in which a unit falls but is not counted."""
    original = tally._present
    patch.setattr(tally, "_present", lambda release, rows, counted: original(release, rows, counted | True))


def wrong_norm(patch: Patch) -> None:
    """Always L2, as if pure epsilon were Gaussian."""
    original = statements._pairs_sql
    patch.setattr(statements, "_pairs_sql", lambda r, rows, *, laplace: original(r, rows, laplace=False))


def no_rank(patch: Patch) -> None:
    original = statements._presence_sql
    patch.setattr(
        statements, "_presence_sql", lambda r, joined: original(r, joined).replace("WHERE o <=", "WHERE 0 <=")
    )


def _everywhere(patch: Patch, name: str, changed: Callable[..., Any]) -> None:
    for module in list(sys.modules.values()):
        if module.__name__.startswith("sandbox.sql") and hasattr(module, name):
            patch.setattr(module, name, changed)


def any_join(patch: Patch) -> None:
    """Protected tables joined on anything, and no tie added."""
    original = build._both_private

    def changed(kind: Any, left: Relation, right: Relation, on: Any, fields: Any) -> Join:
        made = original(kind, left, right, on, fields)
        assert isinstance(made, Join)
        return replace(made, on=on)

    patch.setattr(build, "unit_equality", lambda left, right, on: True)
    patch.setattr(build, "_both_private", changed)


def no_semi_tie(patch: Patch) -> None:
    original = build.semi_join

    def changed(left: Relation, right: Relation, on: Any, *, anti: bool) -> Relation:
        made = original(left, right, on, anti=anti)
        assert isinstance(made, SemiJoin)
        return replace(made, on=on)

    patch.setattr(build, "unit_equality", lambda left, right, on: True)
    _everywhere(patch, "semi_join", changed)


def per_unit_keys(patch: Patch) -> None:
    original = build._key_field
    patch.setattr(
        build,
        "_key_field",
        lambda i, n, e, *, private: replace(original(i, n, e, private=private), per_unit=private),
    )


def single_after_fan_out(patch: Patch) -> None:
    patch.setattr(build, "fan_out", lambda public, on, offset, known: 1)


def single_everywhere(patch: Patch) -> None:
    original = build.join

    def changed(kind: Any, left: Relation, right: Relation, on: Any) -> Relation:
        made = original(kind, left, right, on)
        return made if made.privacy is None else replace(made, privacy=replace(made.privacy, single=True))

    _everywhere(patch, "join", changed)


def widened_keys(patch: Patch) -> None:
    """A unique whole number still counted as unique against a real."""
    patch.setattr(build, "_as_stored", lambda one, other: True)


def union_keeps_padding(patch: Patch) -> None:
    original = build._private_union

    def changed(op: str, all_: bool, left: Relation, right: Relation) -> SetOp:
        made = original(op, all_, left, right)
        assert isinstance(made, SetOp)
        return replace(made, fields=tuple(replace(f, per_unit=f.unit_scope != "") for f in made.fields))

    patch.setattr(build, "_private_union", changed)


def single_union(patch: Patch) -> None:
    original = build._private_union

    def changed(op: str, all_: bool, left: Relation, right: Relation) -> SetOp:
        made = original(op, all_, left, right)
        assert isinstance(made, SetOp)
        assert made.privacy is not None
        return replace(made, privacy=replace(made.privacy, single=True))

    patch.setattr(build, "_private_union", changed)


def free_windows(patch: Patch) -> None:
    """Windows that need no unit in their partition."""
    patch.setattr(build, "_carries_unit", lambda relation, index: True)


def texts(*found: str) -> Callable[[Random], str]:
    return lambda random: random.choice(found)


BUGS: dict[Callable[[Patch], None], Callable[[Random], str]] = {
    no_clip: any_query,
    no_scaling: any_query,
    no_sign: any_query,
    low_bins: any_query,
    groups_of_nobody: any_query,
    wrong_norm: any_query,
    no_rank: any_query,
    any_join: texts("SELECT c.icd, COUNT(*) FROM claim AS c JOIN person AS p ON c.n = p.age OR c.n < 4 GROUP BY c.icd"),
    no_semi_tie: texts("SELECT COUNT(*) FROM person WHERE vip IN (SELECT p.vip FROM person AS p WHERE p.age > 50)"),
    per_unit_keys: any_query,
    single_after_fan_out: texts("SELECT COUNT(*), SUM(p.age) FROM person AS p JOIN zone AS z ON p.city = z.city"),
    single_everywhere: any_query,
    widened_keys: texts("SELECT COUNT(*) FROM person AS p JOIN hospital AS h ON p.score = h.beds"),
    union_keeps_padding: texts(
        "SELECT COUNT(*) FROM (SELECT p0, p1 FROM (SELECT a.pid AS p0, b.pid AS p1 FROM person AS a LEFT JOIN claim AS b "
        "ON a.pid = b.pid AND b.fee > 1 UNION ALL SELECT pid AS p0, pid AS p1 FROM person) AS t GROUP BY p0, p1) AS s"
    ),
    single_union: any_query,
    free_windows: texts("SELECT SUM(r) FROM (SELECT pid, row_number() OVER (PARTITION BY icd ORDER BY fee, cid) AS r FROM claim) AS t WHERE r < 3"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_law_finds_a_planted_bug(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    assert check(5, 3000, 1, BUGS[bug]).violations, "a law that cannot fail is no law"


@pytest.mark.parametrize("ask", {a for a in BUGS.values() if a is not any_query})
def test_without_the_bug_the_same_questions_pass(ask: Callable[[Random], str]) -> None:
    assert check(5, 100, 1, ask).violations == []
