"""The gate knows what is quoted or commented as a reader does who goes character by character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import Code, Refusal
from sandbox.sql import parse as gatehouse

PIECES = st.lists(
    st.sampled_from(
        ["'", '"', "--", "-", "/*", "*/", "/", "*", "\n", "\r", "(", ")", "[", "$", "a", "''", "\u3000"]
    )
)


def outside(text: str) -> str:
    """The naive reader: one state, one character at a time."""
    out, at = "", 0
    while at < len(text):
        if text[at] in "'\"":
            end = text.find(text[at], at + 1)
            at = len(text) if end < 0 else end + 1
        elif text.startswith("--", at):
            while at < len(text) and text[at] not in "\n\r":
                at += 1
        elif text.startswith("/*", at):
            at = commented(text, at)
        else:
            out, at = out + text[at], at + 1
    return out


def commented(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return at


@given(PIECES)
def test_what_is_outside(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert gatehouse._outside(text, gatehouse._spans(text)) == outside(text)


@given(PIECES)
def test_a_space_that_only_looks_like_one_may_stand_in_quotes_alone(pieces: list[str]) -> None:
    text = "".join(["1", *pieces])
    try:
        gatehouse.gate(text)
        refused = False
    except Refusal as refusal:
        refused = refusal.reasons[0].code is Code.TEXT_CHARACTER
    assert refused == ("\u3000" in outside(text))


@pytest.mark.parametrize(
    "text",
    ["SELECT 1 /* /* */ ' */, $$a$$ --'", "SELECT 1 /*/ ' */, $$a$$ --'", "SELECT /* ' */ $$a$$ /* ' */"],
)
def test_a_quote_within_a_comment_opens_nothing(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        gatehouse.parse(text)
    assert caught.value.reasons[0].subject == "$"


def test_brackets_count_where_they_bracket() -> None:
    most = gatehouse.MOST_NESTING
    gatehouse.gate("(" * most + ")" * most + "'" + "(" * 99 + "' /*" + "(" * 99 + "*/")
    with pytest.raises(Refusal) as caught:
        gatehouse.gate("[{(" * (most // 3 + 1))
    assert caught.value.reasons[0].code is Code.TEXT_NESTING
