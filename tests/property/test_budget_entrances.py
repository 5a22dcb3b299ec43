"""No budget that is no budget gets in, by any entrance: zero, negative, infinite, NaN, too small, too large."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sandbox.doors.asking import read_body
from sandbox.doors.cli import app
from sandbox.errors import Code, Refusal
from sandbox.home import create_home
from sandbox.policy.documents import Budget
from sandbox.policy.load import check
from sandbox.privacy.accounting import account, parse_epsilon, query_cost
from sandbox.store.ledger import MOST, Charge

NUMBERS = (
    "0", "0.0", "-0", "-0.0", "-1", "-0.5", "5e-324", "1e-320", "2.2250738585072014e-308", "1e309", "1e400", "99999999999999999999", "20.000001", "21",
)  # fmt: skip
"""Text that JSON (and nearly all of it YAML) reads as a number.  5e-324 is the least denormal float."""
TINY = ("1e-9", "0.0000001", "0.0009")
WORDS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "inf",
    "-inf",
    ".nan",
    ".inf",
    "-.inf",
    "1e-1000",
    "",
    " 1",
    "+1",
    "1_0",
    "٣",
)


@pytest.mark.parametrize("number", [*NUMBERS, *TINY])
@pytest.mark.parametrize("quoted", [False, True])
def test_http_refuses_them(number: str, quoted: bool) -> None:
    value = f'"{number}"' if quoted else number
    body = f'{{"sql": "SELECT 1", "grant": "G", "epsilon": {value}}}'
    with pytest.raises(Refusal) as caught:
        read_body(body.encode())
    assert caught.value.code is Code.EPSILON


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "null", "true", "[]", "{}"])
def test_http_refuses_what_is_no_number(word: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_body(f'{{"sql": "SELECT 1", "grant": "G", "epsilon": {word}}}'.encode())
    assert caught.value.code is Code.EPSILON


@pytest.mark.parametrize("text", [*NUMBERS, *TINY, *WORDS])
def test_the_command_line_refuses_them(text: str, tmp_path: Any) -> None:
    home = create_home(tmp_path / "home")
    words = ["query", "SELECT 1", "--grant", "G", f"--epsilon={text}", "--home", str(home.path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    assert Code.EPSILON.id in done.output


DATASET = """
kind: dataset
id: shop
title: {{zh: 小店, en: Shop}}
owner: 测试
class: 测试/预算
level: 3
share: conditional
why: {{reason: 测试, basis: 测试}}
snapshot: once
budget: {{epsilon: {epsilon}, delta: {delta}}}
tables:
  visit:
    unit: {{person: person_id}}
    rows: 4
    columns:
      person_id: {{type: integer, level: 3, use: [join, count]}}
"""
GRANT = """
kind: grant
id: G-1
to: shopkeepers
scenario: {{id: S-1, zh: 测试, en: Test}}
purpose: 测试
period: {{from: 2025-01-01, until: 2030-12-31}}
data:
  shop.visit: [person_id]
guard: {{mode: dp, epsilon: {{query: {query}, total: {total}}}, delta: {delta}, groups: 4, units: 5}}
release: auto
"""
PLAIN = {"epsilon": "20", "query": "1", "total": "4"}


def mistakes(tmp_path: Any, dataset: dict[str, str], guard: dict[str, str]) -> int:
    (tmp_path / "dataset.yaml").write_text(DATASET.format(**dataset), encoding="utf-8")
    (tmp_path / "grant.yaml").write_text(GRANT.format(**guard), encoding="utf-8")
    return len(check([tmp_path]).mistakes)


@pytest.mark.parametrize("value", [*NUMBERS, ".nan", ".inf", "-.inf", "1e-1000", "true", "null", "''"])
@pytest.mark.parametrize("field", ["epsilon", "query", "total"])
def test_policy_documents_refuse_them(tmp_path: Any, field: str, value: str) -> None:
    told = {**PLAIN, "delta": "1.0e-6"}
    assert mistakes(tmp_path, told, told) == 0
    assert mistakes(tmp_path, {**told, field: value}, {**told, field: value}) > 0


@pytest.mark.parametrize(
    "value",
    ["-1e-9", "-0.5", "1", "2", "1e-4", "5e-324", "1e-320", ".nan", ".inf", "-.inf", "1e-1000", "true"],
)
def test_policy_documents_refuse_deltas_that_are_none(tmp_path: Any, value: str) -> None:
    assert mistakes(tmp_path, {**PLAIN, "delta": value}, {**PLAIN, "delta": "1.0e-6"}) > 0
    assert mistakes(tmp_path, {**PLAIN, "delta": "1.0e-6"}, {**PLAIN, "delta": value}) > 0


@given(st.floats() | st.integers() | st.decimals().map(str) | st.text(max_size=8))
def test_what_gets_in_is_a_budget(value: float | str) -> None:
    """Whatever is said: refused, or a number within the range that the ledger counts in at least one unit."""
    epsilon = None
    with contextlib.suppress(Refusal):
        epsilon = parse_epsilon(value)
    if epsilon is None:
        return
    assert Fraction(1, 1000) <= epsilon <= 20
    for budget in (Budget(epsilon, Fraction(0)), Budget(epsilon, Fraction(1, 10**6))):
        limit = account(budget).limit_nano
        assert 1 <= query_cost(epsilon, budget).nano <= limit <= MOST


@pytest.mark.parametrize("tiny", TINY)
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 10**6)])
def test_a_document_may_say_a_budget_that_covers_nothing(tiny: str, delta: Fraction) -> None:
    """It is a number above zero, and no question is cheap enough for it."""
    budget = Budget(Fraction(tiny), delta)
    assert query_cost(Fraction(1, 1000), budget).nano > account(budget).limit_nano


@pytest.mark.parametrize("epsilon", [Fraction(0), Fraction(-1)])
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 10**6)])
def test_the_accountant_refuses_them(epsilon: Fraction, delta: Fraction) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        account(Budget(epsilon, delta))


@given(st.floats() | st.integers(max_value=0) | st.integers(min_value=MOST + 1) | st.booleans())
def test_the_ledger_refuses_what_is_no_amount(amount: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        Charge("g/person", "pure", amount, 0, MOST, 0)
