"""The second opinion agrees only where the engine saw our tables, our columns and our functions."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.sql.opinion import KNOWN, agrees
from tests.spec.house import read, simple

SQL = "SELECT town, upper(region) AS r FROM Towns WHERE people > 3"
SEEN: dict[str, Any] = {
    "tables": frozenset({"spec.TOWNS"}),
    "columns": frozenset({("spec.towns", c) for c in ("town", "Region", "people", "area")}),
    "functions": frozenset({"upper", "coalesce"}),
    "foreign": frozenset(),
}


def test_the_same_reading_agrees() -> None:
    assert agrees(read(SQL), simple(SQL), **SEEN)


@pytest.mark.parametrize(
    "change",
    [
        {"tables": frozenset({"spec.towns", "spec.visits"})},
        {"tables": frozenset()},
        {"columns": frozenset({("spec.towns", "town"), ("spec.towns", "people")})},
        {"functions": frozenset({"upper", "getenv"})},
        {"foreign": frozenset({"read_csv"})},
    ],
)
def test_any_difference_does_not(change: dict[str, Any]) -> None:
    assert not agrees(read(SQL), simple(SQL), **{**SEEN, **change})


def test_what_only_counts_rows_consumes_no_column() -> None:
    sql = "SELECT count(*) AS n FROM persons"
    seen = {**SEEN, "tables": frozenset({"spec.persons"}), "columns": frozenset()}
    assert agrees(read(sql), simple(sql), **seen)


def test_no_function_that_reads_outside_is_known() -> None:
    assert not KNOWN & {
        "getenv",
        "read_text",
        "read_csv",
        "query",
        "current_setting",
        "nextval",
        "random",
        "now",
    }
