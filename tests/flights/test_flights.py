"""Twenty real questions over the flights, asked of the real gateway in fresh runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flights.coverage import Report, measure
from tests.flights.house import build, questions

RUNS = 6


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder: Path = tmp_path_factory.mktemp("flights")
    return measure(build(folder / "home"), RUNS)


def test_every_question_is_answered_for_true_groups_within_its_intervals(report: Report) -> None:
    """One test, so that the runs are made once however tests are spread over processes.

    Stated: 95 %.  A run has some 600 intervals; those of one column share a cap, so single questions are
    held to 80 %, and only where they have enough intervals to judge.
    """
    assert report.refused == ()
    assert report.strange == ()
    assert report.covered >= 0.93
    low = [(x.question, x.column, x.rate) for x in report.lines if x.stated >= 5 * RUNS and x.rate < 0.8]
    assert low == []
    width = {(x.question, x.column): x.width for x in report.lines}
    wanted = {(q.id, column): most for q in questions() for column, most in q.within.items()}
    wide = {c: (width[c], most) for c, most in wanted.items() if (found := width[c]) is None or found > most}
    assert wide == {}
