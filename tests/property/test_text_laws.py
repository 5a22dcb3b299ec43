"""No text, however hostile, does anything but mean a relation or be refused; and never for long."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import Refusal
from sandbox.policy.effective import effective
from sandbox.policy.load import load
from sandbox.sql.canonical import canonical
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.spec.house import CATALOGUE, cases, rules

CORPUS = Path(__file__).parents[1] / "corpus"
MOST_SECONDS = 5.0
SEEDS = [c.sql for c in cases()] + [r.sql for part in ("protected", "refused") for r in rules(part)]
WORDS = r"""
    SELECT FROM WHERE GROUP BY ORDER HAVING JOIN ON USING WITH AS UNION ALL NOT IN EXISTS CASE WHEN THEN END
    OVER PARTITION ROWS BETWEEN NULL TRUE INTERVAL DATE CAST DISTINCT LIMIT VALUES QUALIFY FILTER
    RECURSIVE ROLLUP towns visits persons claims town people
    region fee id ( ) , ; . * + - / % = <> < > || :: [ ] { } ' "
    -- /* */ 1 0 1e400 1e999999999 99999999999999999999 0x1F 1_000 '²' 'a'
    '太' $1 ? @ # ^ & | ! ~ =>
    -> ** // := sum( count(*) upper( power( exp( lag( first( replace(
    date_trunc( nullif(
    unnest( read_csv(
"""
PIECES = st.sampled_from(WORDS.split())


def judge(text: str) -> None:
    """Read, simplify and compile: the only exception is a refusal."""
    start = time.perf_counter()
    try:
        relation = simplify(resolve(parse(text), CATALOGUE))
    except Refusal:
        pass
    else:
        assert canonical(relation)
        assert "SELECT" in compile_relation(relation)
    assert time.perf_counter() - start < MOST_SECONDS


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    judge(text)


@given(st.lists(PIECES, max_size=40).map(" ".join))
def test_any_heap_of_words(text: str) -> None:
    judge(text)


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS),
    st.integers(0, 400),
    st.integers(0, 12),
    st.one_of(PIECES, st.characters(), st.sampled_from(SEEDS)),
)
def test_any_query_with_a_part_exchanged(text: str, at: int, length: int, piece: str) -> None:
    at %= len(text) + 1
    judge(text[:at] + piece + text[at + length :])


@settings(max_examples=60)
@given(
    st.sampled_from(["(", "NOT ", "-", "CASE WHEN ", "SELECT ", "[", "x AS (", "1 + ", "a.", "NULL AND "]),
    st.integers(1, 3000),
)
def test_any_depth(piece: str, times: int) -> None:
    judge("SELECT " + piece * times + "1 AS x")
    judge("WITH " + piece * times)


@pytest.mark.parametrize("file", ["legitimate_public.jsonl", "attacks_public.jsonl"])
def test_the_corpora_are_read_or_refused(file: str) -> None:
    documents = load([CORPUS / "policies"])
    grant = next(g for g in documents.grants if g.id == "G-CORPUS-DP")
    catalogue = effective(grant, documents.datasets, {})
    answered = 0
    lines = (CORPUS / "data" / file).read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        for step in row.get("steps", [row]):
            try:
                assert compile_relation(simplify(resolve(parse(step.get("sql", "")), catalogue)))
                answered += 1
            except Refusal:
                assert file.startswith("attacks")
    assert answered
