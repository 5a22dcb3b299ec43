"""Counting distinct values: what the statement finds at every cap, and what bounds it."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from sandbox.privacy.distinct import distinct_sql
from sandbox.privacy.release import Bounding, Release, What
from sandbox.privacy.statements import tally_sql
from sandbox.privacy.tally import Tally, fine_bits, found_edges, tally
from tests.support.plans import planned

ROWS = [
    (1, "I", "h1"),
    (1, "I", "h1"),
    (1, "J", "h2"),
    (1, "K", "h3"),
    (2, "I", "h1"),
    (2, None, "h2"),
    (3, "J", None),
]


def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA d")
    connection.execute(
        "CREATE TABLE d.claim (icd VARCHAR, hosp VARCHAR, region VARCHAR, x DOUBLE, _u BIGINT)"
    )
    for unit, icd, hosp in ROWS:
        connection.execute(
            "INSERT INTO d.claim VALUES (?, ?, 'n', ?, ?)", [icd, hosp, -0.0 if icd == "I" else 0.0, unit]
        )
    return connection


def released(text: str, upper: int, *, search: bool = True) -> Release:
    release = next(
        p.release
        for p in planned(text).priced
        if p.release.measures and p.release.measures[0].what is What.DISTINCT
    )
    (measure,) = release.measures
    return replace(release, measures=(replace(measure, upper=upper, search=search),), listing=None)


def found(release: Release) -> Tally:
    return tally(release, database().sql(tally_sql(release, laplace=False)).to_arrow_table())


def test_at_a_large_cap_all_values_count_and_at_a_small_one_fewer() -> None:
    seen = found(released("SELECT COUNT(DISTINCT icd) FROM claim", 8))
    counts = [seen.totals(0, cap)[0] for cap in found_edges(seen.release.measures[0])]
    assert counts == sorted(counts)
    assert counts[-1] == 3
    assert counts[0] <= 3
    assert found_edges(seen.release.measures[0])[:3] == (1, 2, 3)
    # Units by how many values they bring: one has three, two have one.
    assert seen.histograms[0][:4] == (2, 0, 1, 0)  # edges 1, 2, 3, 4


def test_values_count_in_each_group_and_the_cap_spans_all_groups() -> None:
    release = released("SELECT region, COUNT(DISTINCT hosp) FROM claim GROUP BY region", 8)
    assert release.bounding is Bounding.UNIT
    seen = found(release)
    places = [i for i, region in enumerate(seen.keys.column(0).to_pylist()) if region == "n"]
    top = found_edges(release.measures[0])[-1]
    assert [seen.totals(0, top)[i] >> fine_bits(release, top) for i in places] == [3]


def test_a_fixed_cap_and_a_filter() -> None:
    seen = found(
        released("SELECT COUNT(DISTINCT icd) FILTER (WHERE hosp = 'h2') FROM claim", 1, search=False)
    )
    assert seen.totals(0, 1) == [1]
    assert seen.histograms == ((),)
    one = found(released("SELECT COUNT(DISTINCT icd) FROM claim", 1, search=False))
    assert one.totals(0, 1)[0] in (2, 3)


def test_zero_has_one_sign() -> None:
    assert found(released("SELECT COUNT(DISTINCT x) FROM claim", 4)).totals(0, 4) == [1]


def test_nothing_distinct_no_statement() -> None:
    assert distinct_sql(planned("SELECT COUNT(*) FROM claim").priced[0].release) is None


@pytest.mark.parametrize(
    ("text", "domain"),
    [("SELECT COUNT(DISTINCT region) FROM claim", True), ("SELECT COUNT(DISTINCT icd) FROM claim", False)],
)
def test_no_more_values_than_a_column_can_have(text: str, domain: bool) -> None:
    assert ("least" in str(planned(text).post)) is domain
