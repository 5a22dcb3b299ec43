from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import duckdb
import pytest

from sandbox.policy.documents import DpGuard
from sandbox.privacy.release import Release
from sandbox.privacy.statements import exact_sql, norms_sql
from tests.support.plans import PURE, planned
from tests.support.worlds import Worlds


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


def run(
    connection: duckdb.DuckDBPyConnection, made: Release, *caps: int, laplace: bool = False
) -> list[tuple[Any, ...]]:
    return sorted(connection.execute(exact_sql(made, caps, laplace=laplace)).fetchall(), key=repr)


def test_a_vector_at_its_cap_is_kept_and_one_beyond_is_scaled(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 3.0), (1, "b", 4.0))
    made = release("SELECT fee > 3.5, SUM(fee) FROM claim GROUP BY 1")
    assert run(empty, made, 500) == [(False, 300), (True, 400)]
    assert run(empty, made, 499) == [(False, 299), (True, 399)]
    assert run(empty, made, 250) == [(False, 176), (True, 176)]  # cells are first cut to the cap
    assert run(empty, made, 700, laplace=True) == [(False, 300), (True, 400)]
    assert run(empty, made, 350, laplace=True) == [(False, 161), (True, 188)]


def test_caps_beyond_the_finest_step_still_bound(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, *((1, str(i), 1.0) for i in range(40)))
    empty.execute("UPDATE d.claim SET big = 1099511627776")
    made = release("SELECT icd, SUM(least(greatest(big, 0), 1099511627776)) FROM claim GROUP BY icd")
    cap = made.measures[0].upper
    assert cap > 2**41
    made = replace(made, selection=None)
    found = [row[-1] for row in run(empty, made, cap)]
    assert 0.99 * cap**2 < sum(v * v for v in found) <= cap**2


def test_a_great_many_large_totals_do_not_overflow(empty: duckdb.DuckDBPyConnection) -> None:
    empty.execute(
        "INSERT INTO d.claim (pid, cid, icd, x, _u) SELECT 1, '', 'i' || i, 1e300, 1 FROM range(20000) AS t(i)"
    )
    made = release("SELECT icd, SUM(least(greatest(x, 0), 1e29)) FROM claim GROUP BY icd")
    cap = made.measures[0].upper
    for laplace in (False, True):
        assert len(run(empty, made, cap, laplace=laplace)) == 3
        wanted = ((0, (cap // 2, cap)),)
        assert empty.execute(norms_sql(made, wanted, laplace=laplace)).fetchall() == [(0, 1, 1)]


def test_norms_fall_in_one_bin_a_unit(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 3.0), (1, "b", 4.0), (2, "a", 1.0), (3, "a", 0.0))
    made = release("SELECT SUM(fee) FROM claim")
    wanted = ((0, (100, 500, 800)),)
    assert sorted(empty.execute(norms_sql(made, wanted, laplace=False)).fetchall()) == [(0, 0, 1), (0, 2, 1)]
    made = release("SELECT fee > 3.5, SUM(fee) FROM claim GROUP BY 1")
    assert sorted(empty.execute(norms_sql(made, wanted, laplace=False)).fetchall()) == [(0, 0, 1), (0, 1, 1)]
    assert empty.execute(norms_sql(made, ((0, (800,)),), laplace=True)).fetchall() == [(0, 0, 2)]


def test_nulls_and_conditions_count_nothing(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, None, 3.0), (2, "a", 4.0))
    empty.execute("UPDATE d.claim SET fee = NULL WHERE pid = 2")
    assert run(
        empty,
        release("SELECT SUM(fee), COUNT(fee) FILTER (WHERE icd = 'a'), COUNT(*) FROM claim"),
        10**6,
        4,
        4,
    ) == [(300, 0, 2)]


def test_not_a_number_is_the_upper_bound(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 0.0))
    empty.execute("UPDATE d.claim SET x = 'nan'")
    assert run(empty, release("SELECT SUM(least(greatest(x, 0), 8)) FROM claim"), 10**10)[0][0] * 1.0 > 0


def test_presence_counts_few_groups(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, *((1, str(i), 1.0) for i in range(9)), (2, None, 1.0), (2, "0", 1.0))
    made = release("SELECT icd, COUNT(*) FROM claim GROUP BY icd")
    assert made.selection is not None
    counted = run(empty, made, 10**6)
    assert sum(row[1] for row in counted) == made.selection.groups + 2
    assert all(row[2] > 0 for row in counted)


def test_a_release_of_keys_alone(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 1.0), (2, "a", 1.0))
    assert run(empty, release("SELECT DISTINCT icd FROM claim")) == [("a", 2)]
    assert run(empty, release("SELECT DISTINCT n > 3 FROM claim", PURE), laplace=True) == [(None,)]


def test_where_a_unit_has_one_row_its_values_are_clamped(empty: duckdb.DuckDBPyConnection) -> None:
    empty.execute("INSERT INTO d.person VALUES (1, '太原', 90, TRUE, 0, 1), (2, '太原', 30, NULL, 0, 2)")
    made = release("SELECT city, COUNT(*), SUM(age) FROM person GROUP BY city")
    assert run(empty, made, 1, 50) == [("太原", 2, 80)]


def test_distinct_units_count_once(empty: duckdb.DuckDBPyConnection) -> None:
    claims(empty, (1, "a", 3.0), (1, "b", 4.0), (2, "a", 1.0))
    assert run(empty, release("SELECT COUNT(DISTINCT pid) FROM claim"), 1) == [(2,)]
    assert run(empty, release("SELECT fee > 2, COUNT(DISTINCT pid) FROM claim GROUP BY 1"), 768) == [
        (False, 256),
        (True, 256),
    ]
