"""Outlines: what makes two questions near-identical, or one condition apart."""

from __future__ import annotations

from pathlib import Path

from sandbox.policy.effective import effective
from sandbox.policy.load import load
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from sandbox.stages.outline import Outline, outline

POLICIES = Path(__file__).parents[2] / "corpus" / "policies"


def drawn(sql: str) -> Outline:
    documents = load([POLICIES])
    grant = next(g for g in documents.grants if g.id == "G-CORPUS-DP")
    ids = {table.split(".", 1)[0] for table, _ in grant.data}
    catalogue = effective(grant, tuple(d for d in documents.datasets if d.id in ids), {})
    return outline(simplify(resolve(parse(sql), catalogue)))


TOTAL = "SELECT SUM(salary) FROM people"


def test_constants_do_not_make_a_shape() -> None:
    one = drawn(
        "SELECT county, COUNT(*) FROM people WHERE age > 30 AND county IN ('Harju', 'Tartu') GROUP BY county"
    )
    two = drawn(
        "SELECT county, COUNT(*) AS n FROM people p WHERE p.county IN ('Hiiu') AND 41 < age GROUP BY county LIMIT 3"
    )
    assert one.shape == two.shape
    assert one.base == two.base
    assert not set(one.terms) & set(two.terms)
    assert one.shape != drawn("SELECT county, COUNT(*) FROM people WHERE age > 30 GROUP BY county").shape
    case = "SELECT SUM(CASE WHEN age > {} THEN salary ELSE 0 END) FROM people"
    assert drawn(case.format(30)).shape == drawn(case.format(31)).shape
    assert drawn(case.format(30)).base != drawn(case.format(31)).base


def test_a_condition_more_keeps_the_base() -> None:
    whole, part = drawn(TOTAL), drawn(f"{TOTAL} WHERE age <= 90")
    smaller = drawn(f"{TOTAL} WHERE age <= 90 AND county = 'Harju'")
    assert whole.base == part.base == smaller.base
    assert whole.terms == ()
    assert set(part.terms) < set(smaller.terms)
    assert len(smaller.terms) == 2
    assert drawn("SELECT SUM(salary) FROM people WHERE county = 'Harju' AND age <= 90") == smaller
    assert drawn("SELECT COUNT(*) FROM people").base != whole.base


def test_a_constant_that_looks_like_a_column_is_none() -> None:
    one, two = (drawn(f"SELECT COUNT(*) FROM people WHERE county = '{c}'") for c in ("#999", "#0"))
    assert one.terms != two.terms
    assert one.shape == two.shape


def test_totals_are_told_from_groups() -> None:
    assert not drawn(TOTAL).grouped
    assert drawn("SELECT county, COUNT(*) FROM people GROUP BY county").grouped
    inner = (
        "WITH v AS (SELECT person_id, COUNT(*) AS n FROM claims GROUP BY person_id) SELECT COUNT(*) FROM v"
    )
    assert not drawn(inner).grouped
