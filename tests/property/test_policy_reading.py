"""Whatever bytes a policy file holds, reading it says what is wrong and where; it never raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.policy.load import Source, read

SOUND = """\
kind: dataset
id: d
title: {zh: 甲, en: A}
owner: 甲局
class: 甲
level: 3
share: unconditional
snapshot: once
tables:
  t:
    unit: {person: id}
    columns:
      id: {type: integer, level: 3, use: [count]}
      n: {type: decimal, level: 1, clip: [0, 1], scale: 0.5}
---
kind: grant
id: G
to: 乙
scenario: {id: S, zh: 丙, en: C}
purpose: 丁
period: {from: 2025-01-01, until: 2025-12-31}
data: {d.t: [id]}
guard: {mode: dp, epsilon: {query: 1, total: 2}, delta: 0}
release: auto
"""
TOKENS = [
    *(
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "\n",
        "\n  ",
        '"',
        "'",
        "&a ",
        "*a",
        "!!x ",
        "|\n",
        "%YAML 1.1\n",
        "---\n",
    ),
    *("? ", "#", '"\\ud800"', "\x00", "\x85", "\ufeff", "1e-30", ".inf", "~", "<<: ", "\t", "9" * 50, " -> "),
]
EDITS = st.lists(
    st.tuples(
        st.integers(0, len(SOUND)),
        st.integers(0, 12),
        st.one_of(st.sampled_from(TOKENS), st.text(max_size=4)),
    ),
    max_size=4,
)


def test_the_text_that_is_edited_is_sound() -> None:
    checked = read([Source("a", SOUND)])
    assert checked.mistakes == ()
    assert (len(checked.documents.datasets), len(checked.documents.grants)) == (1, 1)


@settings(max_examples=150, deadline=None)
@given(EDITS)
def test_reading_never_raises(edits: list[tuple[int, int, str]]) -> None:
    text = SOUND
    for start, length, put in edits:
        text = text[:start] + put + text[start + length :]
    checked = read([Source("a", text)])
    lines = text.count("\n") + len(text.splitlines()) + 1
    for mistake in checked.mistakes:
        assert 1 <= mistake.line <= lines
        assert mistake.reason.subject.startswith("a:")
        assert mistake.expected.zh and mistake.expected.en
