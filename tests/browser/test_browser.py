"""A few journeys in a real browser, which `make browser` travels all of."""

from __future__ import annotations

from pathlib import Path

from tests.browser.house import house
from tests.browser.journeys import account, ask, freeze
from tests.browser.run import travel


def test_an_answer_and_a_freeze_in_both_languages(tmp_path: Path) -> None:
    with house(tmp_path / "home", residents=2_000) as home:
        found = [
            travel(home, ["zh"], [ask], None),
            travel(home, ["en"], [freeze, account], None),
        ]
    assert [one["failed"] for one in found] == [[], []]
    assert [one["axe_violations"] for one in found] == [[], []]
    assert [one["journeys"] for one in found] == [2, 3]  # each with the one without scripts
