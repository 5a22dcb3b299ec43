"""Counts with caps found privately: intervals cover, and errors are near what an all-knowing cap would give.

A part of ``python -m bench.accuracy``, which has the whole suite.
"""

from __future__ import annotations

from math import exp, log

import pytest

from bench.accuracy import SHAPES, Case, Line, measure

RUNS = 8
FORMS = (
    ("total", 1, 100_000, "1", False, None),
    ("unit", 12, 20_000, "1", False, None),
    ("unit", 12, 20_000, "0.5", True, 64),
    ("unit", 12, 3_000, "1", False, 10),
    ("pairs", 12, 3_000, "1", False, None),
)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return [
        measure(Case(shape, units, form, cells, epsilon, pure, rows), RUNS)
        for shape in SHAPES
        for form, cells, units, epsilon, pure, rows in FORMS
    ]


def mean(values: list[float]) -> float:
    return exp(sum(map(log, values)) / len(values))


def test_intervals_cover_and_errors_are_near_the_best(lines: list[Line]) -> None:
    """One test, so that the runs are made once.  A lone total of a heavy tail has 8 intervals here: two may miss.

    For cells a sample's misses are shared, since one cap serves all.
    """
    assert sum(x.covered for x in lines) / len(lines) >= 0.95
    assert [(x.case, x.covered) for x in lines if x.covered < 0.74] == []
    assert mean([x.error / x.best for x in lines]) < 1.6
    assert mean([x.width / x.error for x in lines]) < 15
    light = [
        x for x in lines if x.case.form == "total" and x.case.shape in ("constant", "bounded", "poisson")
    ]
    assert all(x.error < 0.0005 for x in light)


def test_a_declaration_that_is_exceeded_is_covered_too(lines: list[Line]) -> None:
    """Ten rows are declared, and most shapes bring more."""
    exceeded = [x for x in lines if x.case.rows == 10]
    assert sum(x.covered for x in exceeded) / len(exceeded) >= 0.95
