from __future__ import annotations

import duckdb
import pytest

from sandbox.privacy.bins import BEYOND, bin_sql, edge, edges, place


def bins(norms: list[int], upper: int, *, power: int, step_bits: int = 0) -> list[int]:
    values = ", ".join(f"(CAST('{n}' AS HUGEINT))" for n in norms)
    text = bin_sql("n", f"CAST('{upper}' AS HUGEINT)", power=power, step_bits=step_bits)
    rows = duckdb.execute(f"SELECT {text} FROM (VALUES {values}) AS t(n)").fetchall()
    return [k for (k,) in rows]


def test_edges_rise_by_the_root_of_two() -> None:
    assert [edge(k) for k in range(8)] == [1, 2, 2, 3, 4, 6, 8, 12]
    assert edges(10) == (1, 2, 3, 4, 6, 8, 10)
    assert edges(1) == (1,)
    with pytest.raises(ValueError, match="at least 1"):
        edges(0)


def test_no_norm_exceeds_the_edge_of_its_bin() -> None:
    """Around every edge, on both sides, up to where totals end."""
    norms = sorted({n for k in range(104) for n in range(edge(k) - 3, edge(k) + 4) if n > 0})
    found = bins(norms, 2**53, power=1)
    for n, k in zip(norms, found, strict=True):
        if n > 2**53:
            assert k == BEYOND
            continue
        assert n <= edge(k)
        assert k == 0 or n >= edge(k - 1) * (1 - 1e-9)
        assert n > 2**20 or edge(k) == next(e for e in edges(2**53) if n <= e)


def test_no_square_exceeds_the_square_of_the_edge_of_its_bin() -> None:
    squares = sorted({2**k + d for k in range(100) for d in (-2, -1, 0, 1, 2) if 2**k + d > 0})
    squares += [n for k in range(42) for n in range(edge(k) ** 2 - 2, edge(k) ** 2 + 3) if n > 0]
    for n, k in zip(squares, bins(squares, 2**101, power=2), strict=True):
        assert n <= edge(k) ** 2
        assert k == 0 or n >= (2**k / 2) * (1 - 1e-9)
        assert n > 2**40 or edge(k) ** 2 == next(e * e for e in edges(2**53) if n <= e * e)


@pytest.mark.parametrize("step_bits", [0, 1, 3])
def test_clipping_at_an_edge_makes_no_small_norm_longer(step_bits: int) -> None:
    """A norm in a higher bin than an edge is longer than that edge."""
    steps = range(1, 5_000)
    for n, k in zip(steps, bins(list(steps), 2**60, power=2, step_bits=step_bits), strict=True):
        assert k == 0 or n * 4**step_bits > edge(k - 1) ** 2 or edge(k - 1) == edge(k)


def test_steps_move_the_bin() -> None:
    assert bins([1, 2, 3], 100, power=1, step_bits=3) == [6, 8, 10]
    assert bins([1, 4, 9], 100, power=2, step_bits=3) == [6, 8, 10]
    assert bins([101], 100, power=2, step_bits=3) == [BEYOND]


def test_places_among_edges() -> None:
    found = edges(10)
    assert [place(k, found) for k in (0, 1, 2, 3, 7)] == [0, 1, 1, 2, 6]
    assert place(BEYOND, found) == len(found)
    assert place(9, (1,)) == 0
