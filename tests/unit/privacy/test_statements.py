from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import duckdb
import pytest

from sandbox.policy.documents import DpGuard
from sandbox.privacy.release import Release
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import Tally, fine_bits, found_edges, tally
from tests.support.plans import PURE, planned
from tests.support.worlds import Worlds, counted


@pytest.fixture
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    worlds = Worlds(Random(1))
    connection = worlds.connection()
    for table in ("person", "claim", "item", "firm"):
        connection.execute(f"DELETE FROM d.{table}")
    yield connection
    worlds.close()


def claims(connection: duckdb.DuckDBPyConnection, *rows: tuple[int, str | None, float]) -> None:
    for unit, icd, fee in rows:
        connection.execute(
            "INSERT INTO d.claim (pid, cid, icd, fee, x, _u) VALUES (?, '', ?, ?, ?, ?)",
            [unit, icd, fee, fee, unit],
        )


def release(text: str, guard: DpGuard | None = None) -> Release:
    return (planned(text) if guard is None else planned(text, guard)).priced[0].release


def found(connection: duckdb.DuckDBPyConnection, made: Release, *, laplace: bool = False) -> Tally:
    for table in ("person", "claim", "item", "firm"):
        counted(connection, table)
    return tally(made, connection.sql(tally_sql(made, laplace=laplace)).to_arrow_table())


def run(
    connection: duckdb.DuckDBPyConnection, made: Release, *caps: int, laplace: bool = False
) -> list[tuple[Any, ...]]:
    """Groups with their bounded totals, in steps of the measures' scales."""
    seen = found(connection, made, laplace=laplace)
    keys = [seen.keys.column(i).to_pylist() for i in range(len(made.keys))]
    totals = [[v / (1 << fine_bits(made, c)) for v in seen.totals(j, c)] for j, c in enumerate(caps)]
    units = [seen.units.tolist()] if made.selection is not None else []
    return sorted(zip(*keys, *units, *totals, strict=True), key=repr)


def edge_near(made: Release, value: int, j: int = 0) -> int:
    return next(e for e in found_edges(made.measures[j]) if e >= value)


def test_a_vector_within_its_cap_is_kept_and_one_beyond_is_scaled(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 3.0), (1, "b", 4.0))
    made = release("SELECT fee > 3.5, SUM(fee) FROM claim GROUP BY 1")
    assert run(empty, made, edge_near(made, 500)) == [(False, 300.0), (None, 0.0), (True, 400.0)]
    cap = edge_near(made, 250)
    (_, low), _, (_, high) = run(empty, made, cap)
    assert math.hypot(low, high) <= cap
    assert (low, high) == pytest.approx((0.6 * cap, 0.8 * cap), rel=1e-3)
    assert run(empty, made, edge_near(made, 700), laplace=True) == [
        (False, 300.0),
        (None, 0.0),
        (True, 400.0),
    ]
    (_, low), _, (_, high) = run(empty, made, cap, laplace=True)
    assert low + high <= cap
    assert (low, high) == pytest.approx((3 / 7 * cap, 4 / 7 * cap), rel=1e-3)


def test_caps_beyond_the_finest_step_still_bound(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, *((1, str(i), 1.0) for i in range(40)))
    empty.execute("UPDATE d.claim SET big = 1099511627776")
    made = release("SELECT icd, SUM(least(greatest(big, 0), 1099511627776)) FROM claim GROUP BY icd")
    assert made.selection is not None
    made = replace(made, selection=replace(made.selection, groups=1000))
    cap = edge_near(made, 2**42)
    values = [row[-1] for row in run(empty, made, cap)]
    assert 0.99 * cap**2 < sum(v * v for v in values) <= cap**2


def test_a_great_many_large_totals_do_not_overflow(empty: duckdb.DuckDBPyConnection) -> None:
    empty.execute(
        "INSERT INTO d.claim (pid, cid, icd, x, _u) SELECT 1, '', 'i' || i, 1e300, 1 FROM range(20000) AS t(i)"
    )
    made = release("SELECT icd, SUM(least(greatest(x, 0), 1e29)) FROM claim GROUP BY icd")
    for laplace in (False, True):
        seen = found(empty, made, laplace=laplace)
        assert sum(seen.histograms[0]) == seen.histograms[0].count(1) == 1  # one unit, in one bin
        assert sum(seen.histograms[0]) == 1
        assert len(seen.totals(0, made.measures[0].upper)) == 3


def test_norms_fall_in_one_bin_a_unit(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 3.0), (1, "b", 4.0), (2, "a", 1.0), (3, "a", 0.0))
    made = release("SELECT SUM(fee) FROM claim")

    def norms(made: Release, *, laplace: bool) -> list[int]:
        edges = (*found_edges(made.measures[0]), -1)
        counts = found(empty, made, laplace=laplace).histograms[0]
        return [e for e, n in zip(edges, counts, strict=True) for _ in range(n)]

    near = [edge_near(made, v) for v in (100, 500, 700)]
    assert norms(made, laplace=False) == [near[0], near[2]]
    made = release("SELECT fee > 3.5, SUM(fee) FROM claim GROUP BY 1")
    assert norms(made, laplace=False) == near[:2]
    assert norms(made, laplace=True) == [near[0], near[2]]


def test_what_is_beyond_the_declared_norm_is_seen_to_be(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, *((1, "a", 500.0) for _ in range(9)))
    made = release("SELECT SUM(fee) FROM claim")
    top = found_edges(made.measures[0])[-1]
    seen = found(empty, made)
    assert seen.histograms[0][-1] == (top < 9 * 50_000)


def test_nulls_and_conditions_count_nothing(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, None, 3.0), (2, "a", 4.0))
    empty.execute("UPDATE d.claim SET fee = NULL WHERE pid = 2")
    made = release("SELECT SUM(fee), COUNT(fee) FILTER (WHERE icd = 'a'), COUNT(*) FROM claim")
    caps = [found_edges(m)[-1] for m in made.measures]
    assert run(empty, made, *caps) == [(300.0, 0.0, 2.0)]


def test_not_a_number_is_the_upper_bound(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 0.0))
    empty.execute("UPDATE d.claim SET x = 'nan'")
    made = release("SELECT SUM(least(greatest(x, 0), 8)) FROM claim")
    assert run(empty, made, found_edges(made.measures[0])[-1])[0][0] > 0


def test_presence_counts_few_groups(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, *((1, str(i), 1.0) for i in range(9)), (2, None, 1.0), (2, "0", 1.0))
    made = release("SELECT icd, COUNT(*) FROM claim GROUP BY icd")
    assert made.selection is not None
    counted = run(empty, made, found_edges(made.measures[0])[-1])
    assert sum(row[1] for row in counted) == made.selection.groups + 2
    assert all(row[1] > 0 and row[2] > 0 for row in counted)


def test_a_release_of_keys_alone(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 1.0), (2, "a", 1.0))
    assert run(empty, release("SELECT DISTINCT icd FROM claim")) == [("a", 2)]
    declared = run(empty, release("SELECT DISTINCT n > 3 FROM claim", PURE), laplace=True)
    assert declared == [(False,), (None,), (True,)]


def test_where_a_unit_has_one_row_its_values_are_clamped(empty: duckdb.DuckDBPyConnection) -> None:
    empty.execute("INSERT INTO d.person (pid, city, age, _u) VALUES (1, '太原', 90, 1), (2, '太原', 30, 2)")
    made = release("SELECT city, COUNT(*), SUM(age) FROM person GROUP BY city")
    rows = {row[0]: row[1:] for row in run(empty, made, 1, made.measures[1].upper)}
    assert rows["太原"] == (2.0, 120.0)
    assert rows["大同"] == (0.0, 0.0)


def test_an_empty_table_has_no_total(empty: duckdb.DuckDBPyConnection) -> None:
    for text in ("SELECT COUNT(*), SUM(age) FROM person", "SELECT COUNT(*), SUM(fee) FROM claim"):
        made = release(text)
        assert run(empty, made, *(m.upper for m in made.measures)) == [(0.0, 0.0)]


def test_distinct_units_count_once(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 3.0), (1, "b", 4.0), (2, "a", 1.0))
    assert run(empty, release("SELECT COUNT(DISTINCT pid) FROM claim"), 1) == [(2.0,)]
    assert run(empty, release("SELECT COUNT(DISTINCT pid) FILTER (WHERE fee > 2) FROM claim"), 1) == [(1.0,)]
    made = release("SELECT fee > 2, COUNT(DISTINCT pid) FROM claim GROUP BY 1")
    assert run(empty, made, made.measures[0].upper) == [(False, 1.0), (None, 0.0), (True, 1.0)]
