"""Draws depend on their place alone; text columns are built without loss."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from sandbox.demo.draws import Draws, ascii_column, cents, digits, labels, numbered, zipf

INDEX = np.arange(20_000, dtype=np.int64)


def test_a_draw_depends_on_seed_stream_and_index_alone() -> None:
    whole = Draws(7).uniform("fee", INDEX)
    assert (whole[1234:1300] == Draws(7).uniform("fee", INDEX[1234:1300])).all()
    assert (whole != Draws(8).uniform("fee", INDEX)).mean() > 0.99
    assert (whole != Draws(7).uniform("sex", INDEX)).mean() > 0.99


@pytest.mark.parametrize("seed", [0, -1, 2**70])
def test_any_integer_is_a_seed(seed: int) -> None:
    assert len(np.unique(Draws(seed).words("x", INDEX))) == len(INDEX)


def test_shapes_of_the_draws() -> None:
    draws = Draws(7)
    uniform, normal = draws.uniform("u", INDEX), draws.normal("n", INDEX)
    assert uniform.min() > 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    assert draws.pareto("p", INDEX, 1.6).max() > 100 * np.median(draws.pareto("p", INDEX, 1.6))
    picked = np.bincount(draws.pick("k", INDEX, (3, 1)), minlength=2) / len(INDEX)
    assert abs(picked[0] - 0.75) < 0.02
    assert set(draws.below("b", INDEX, 5)) == {0, 1, 2, 3, 4}


def test_text_columns() -> None:
    assert numbered("P", np.array([0, 42, 123456789]), 8).to_pylist() == [
        "P00000000",
        "P00000042",
        "P23456789",
    ]
    assert ascii_column(digits(np.array([7]), 2) + np.uint8(48)).to_pylist() == ["07"]
    assert labels(("太原", "大同"), np.array([1, 0, 1])).to_pylist() == ["大同", "太原", "大同"]
    assert numbered("P", np.array([], dtype=np.int64), 8).to_pylist() == []


def test_cents_are_exact_decimals() -> None:
    assert cents(np.array([1, -5, 10**15])).to_pylist() == [
        Decimal("0.01"),
        Decimal("-0.05"),
        Decimal(10**13),
    ]


def test_zipf_falls_by_rank() -> None:
    assert zipf(3) == (1.0, 0.5, 1 / 3)
