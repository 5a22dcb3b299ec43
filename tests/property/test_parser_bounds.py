"""Reading a text ends: the parser's trials are bounded, whatever is written again and again."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.errors import SqlglotError

from sandbox.errors import Code, Refusal
from sandbox.sql.bounded import MOST_REREAD, Bounded
from sandbox.sql.parse import DUCKDB, MOST_TOKENS, parse

WORDS = """
a , . ( ) [ { + - * / = < || :: -> ? AND OR NOT IN LIKE BETWEEN IS NULL CASE WHEN THEN ELSE END CAST( AS INT DATE
1 '1' SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT JOIN LEFT RIGHT FULL CROSS NATURAL ASOF SEMI ON USING LATERAL
UNNEST( VALUES UNION EXCEPT DISTINCT WITH EXISTS( OVER ROWS FILTER( INTERVAL EXTRACT( PIVOT QUALIFY WINDOW
COLUMNS( STRUCT( MAP( ARRAY[ REPLACE COLLATE AT TIME ZONE ESCAPE ROLLUP( f( sum( :=
"""
STARTS = (
    "SELECT ",
    "SELECT 1 FROM a ",
    "SELECT 1 FROM ",
    "SELECT 1 FROM a WHERE ",
    "SELECT 1 FROM a GROUP BY ",
)
FAULTS = (SqlglotError, RecursionError, IndexError, AttributeError, TypeError, ValueError, KeyError)
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Counting(Bounded):
    """Counts the tokens that it steps over, forth and back."""

    def __init__(self, **options: Any) -> None:
        self.steps = 0
        super().__init__(**options)

    def _advance(self, times: int = 1) -> None:
        self.steps += abs(times)
        super()._advance(times)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "words", ["JOIN a ", "JOIN RIGHT ", "NATURAL JOIN a ", "LEFT JOIN a ", "ASOF JOIN a "]
)
def test_trials_within_trials_end(start: str, words: str) -> None:
    """Each of these once doubled the work with every word."""
    with pytest.raises(Refusal):
        parse(start + words * 1_000)


def test_what_was_read_too_often_says_what_to_write() -> None:
    with pytest.raises(Refusal) as refused:
        parse("SELECT 1 FROM a " + "JOIN b " * 30)
    assert refused.value.reasons[0].code is Code.CONSTRUCT
    assert "its ON" in refused.value.reasons[0].hint


def test_many_joins_with_their_conditions_are_read_at_once() -> None:
    tied = parse("SELECT 1 FROM a " + "".join(f"JOIN b AS b{n} ON a.x = b{n}.x " for n in range(40)))
    free = parse("SELECT 1 FROM a " + "CROSS JOIN b " * 40)
    assert len(tied.args["joins"]) == len(free.args["joins"]) == 40


@given(
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=4),
    st.integers(1, 40),
)
def test_any_words_again_and_again_take_bounded_steps(start: str, words: list[str], times: int) -> None:
    closing = "".join(CLOSING.get(word[-1], "") for word in reversed(words))
    text = start + " ".join(words * times) + " a " + closing * times
    reader = Counting(dialect=DUCKDB)
    with contextlib.suppress(Refusal, *FAULTS):
        reader.parse(DUCKDB.tokenize(text), text)
    assert reader.steps <= 3 * (MOST_TOKENS + MOST_REREAD)
