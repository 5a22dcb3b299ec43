"""Random queries give the naive engine's exact answers; and a planted bug is found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.privacy import statements
from sandbox.privacy.release import Measure
from sandbox.sql.relation import Filter, Relation, inputs, with_inputs
from tests.property import fuzz
from tests.property.fuzz import Report, check

QUERIES = 250
Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("seed", range(8))
def test_random_queries_have_the_naive_answers(seed: int) -> None:
    report = check(2000 + seed, QUERIES)
    assert report.mismatches == []
    assert report.queries == QUERIES == report.answered + report.refused
    assert report.answered > 0.35 * QUERIES, report.outcomes


def test_the_command_ends_with_figures() -> None:
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["queries"] == 60 == figures["answered"] + figures["refused"]
    assert figures["mismatches"] == 0


def unfiltered_counts(patch: Patch) -> None:
    """FILTER forgotten where a unit's rows are counted."""
    original = statements._total

    def changed(measure: Measure, j: int) -> str:
        return original(measure, j).replace(f" FILTER (WHERE w{j})", "")

    patch.setattr(statements, "_total", changed)


def dropped_conditions(patch: Patch) -> None:
    """A simplification that loses conditions."""

    def changed(relation: Relation) -> Relation:
        if isinstance(relation, Filter):
            return changed(relation.input)
        return with_inputs(relation, changed) if inputs(relation) else relation

    patch.setattr(fuzz, "simplify", changed)


def longer_directions(patch: Patch) -> None:
    """Vectors that are shortened to more than the cap."""
    patch.setattr(statements, "SHRINK", 1.05)


@pytest.mark.parametrize("bug", [unfiltered_counts, dropped_conditions, longer_directions])
def test_the_fuzzer_finds_a_planted_bug(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    report = Report()
    for seed in range(12):
        report.add(check(seed, 100, 1))
        if report.mismatches:
            break
    assert report.mismatches, "a search that finds nothing planted finds nothing"
