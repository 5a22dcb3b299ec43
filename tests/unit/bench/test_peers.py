"""The comparison's pure parts: errors, verdicts, and the wire between harness and adapters."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.peers.adapters import protocol
from bench.peers.catalogue import PEERS, QUESTIONS, Peer, Question
from bench.peers.install import REQUIREMENTS
from bench.peers.judge import Line, Pair, behind, error, judged, nearest
from bench.peers.ours import QUERIES
from bench.peers.tool import ADAPTERS, Tool

TRUTH = {1: 100.0, 2: 50.0, 3: 10.0}


def test_error_is_relative_and_a_withheld_group_counts_whole() -> None:
    assert error({1: 110.0, 2: 50.0, 3: 10.0}, TRUTH) == pytest.approx(0.1 / 3)
    assert error({1: 110.0}, TRUTH, 2) == pytest.approx((0.1 + 1) / 2)
    assert error({1: 100.0, 9: 7.0}, TRUTH, 1) == 0, (
        "a key that does not exist is judged by its persons, not here"
    )


def test_line_takes_medians_and_pairs_seconds() -> None:
    question = Question("cities", "", (1, 3))
    pairs = [
        Pair({1: 100.0, 2: 50.0, 3: 10.0}, 4.0, 10.0, 2.0),
        Pair({1: 90.0, 2: 50.0}, 9.0, 30.0, 3.0),
        Pair({1: 80.0, 2: 50.0}, 1.0, 20.0, 1.0),
    ]
    line = judged("peer", question, pairs, TRUTH, {1: 40.0, 2: 30.0, 3: 5.0})
    assert line.status == "answered"
    assert line.errors == pytest.approx((0.1, (0.1 + 1) / 3))
    assert (line.keys, line.fewest, line.seconds, line.ours_s, line.ratio, line.peak_mb) == (
        2,
        5,
        4.0,
        2.0,
        2.0,
        30.0,
    )


def test_an_answer_to_another_question_is_called_wrong() -> None:
    line = judged("peer", Question("units", ""), [Pair({0: 10.0}, 1, 1, 1)], {0: 1.0}, {})
    assert line.status == "wrong"


@pytest.mark.parametrize(
    ("theirs", "mine", "expected"),
    [
        (Line("p", "q", "answered", errors=(0.2,), ratio=2), Line("o", "q", "answered", errors=(0.1,)), []),
        (
            Line("p", "q", "answered", errors=(0.1,), ratio=2),
            Line("o", "q", "answered", errors=(0.2,)),
            ["p/q/error"],
        ),
        (
            Line("p", "q", "answered", errors=(0.2,), ratio=0.5),
            Line("o", "q", "answered", errors=(0.1,)),
            ["p/q/time"],
        ),
        (
            Line("p", "q", "answered", errors=(0.2,), ratio=2),
            Line("o", "q", "unsupported"),
            ["p/q/supported"],
        ),
        (Line("p", "q", "wrong", errors=(0.9,), ratio=0.1), Line("o", "q", "answered", errors=(0.1,)), []),
        (Line("p", "q", "unsupported"), Line("o", "q", "answered", errors=(0.1,)), []),
    ],
)
def test_behind_names_what_a_peer_does_better(theirs: Line, mine: Line, expected: list[str]) -> None:
    assert behind([theirs], {"q": mine}) == expected


def test_peers_are_held_against_the_nearer_of_our_two_grants() -> None:
    wide, near = Line("o", "q", "answered", errors=(0.2,)), Line("o", "q", "answered", errors=(0.1,))
    refused = Line("o", "q", "unsupported")
    assert nearest((wide, near)) == near
    assert nearest((wide, refused)) == wide
    assert nearest((refused, refused)) == refused


def test_every_peer_has_an_adapter_and_pins() -> None:
    for peer in PEERS:
        assert (ADAPTERS / f"{peer.name}.py").is_file()
        pins = (REQUIREMENTS / f"{peer.name}.txt").read_text().splitlines()
        assert pins and all("==" in pin and "/" not in pin for pin in pins)
    assert set(QUERIES) == {question.name for question in QUESTIONS}


def _talk(tmp_path: Path, body: str) -> list[dict[str, object]]:
    script = tmp_path / "adapter.py"
    script.write_text(
        "from protocol import Unsupported, serve\n"
        "class Fake:\n    version, bounds, notes = '1', 'none', {'count': 'said'}\n"
        "    def __init__(self, setting): self.rows = setting.rows\n"
        f"    def ask(self, question):\n        {body}\nserve(Fake)\n"
    )
    setting = json.dumps({"data": str(tmp_path), "rows": 40, "groups": 4, "rows_per_group": 20})
    made = subprocess.run(
        [sys.executable, str(script), setting],
        input="count\n",
        env={**os.environ, "PYTHONPATH": str(ADAPTERS)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in io.StringIO(made.stdout)]


def test_adapter_answers_in_lines_whatever_its_library_prints(tmp_path: Path) -> None:
    ready, answer = _talk(tmp_path, "print('noise'); return [(0, self.rows)]")
    assert ready["bounds"] == "none"
    assert answer["rows"] == [[0, 40.0]] and answer["note"] == "said"
    assert isinstance(answer["peak_mb"], float) and answer["peak_mb"] > 1


@pytest.mark.parametrize(
    "raised", ["Unsupported('no joins')", "type('Panic', (BaseException,), {})('no joins')"]
)
def test_a_refusal_or_a_panic_is_an_answer(tmp_path: Path, raised: str) -> None:
    _, answer = _talk(tmp_path, f"raise {raised}")
    assert str(answer["unsupported"]).endswith("no joins")


def test_a_tool_that_dies_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.peers.tool.ADAPTERS", tmp_path)
    monkeypatch.setattr("bench.peers.tool.CACHE", tmp_path)
    (tmp_path / "gone.py").write_text("raise SystemExit(3)")
    with Tool(Peer("gone", "Gone"), sys.executable, protocol.Setting(str(tmp_path), 40, 4, 20)) as tool:
        assert tool.ask("count") == {"unsupported": "no answer: the process ended (3)"}


def test_pages_of_a_file_count_once() -> None:
    again = protocol._mapped_again([{"/a": 5.0, "/b": 1.0}, {"/a": 3.0}, {"/a": 4.0, "/c": 2.0}])
    assert again == 7.0
