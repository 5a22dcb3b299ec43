"""How many rows public tables can have, and when they may list the groups of a release."""

from __future__ import annotations

import pytest

from sandbox.privacy import groups
from sandbox.sql.listed import rows_of
from sandbox.sql.parse import parse
from sandbox.sql.relation import Released
from sandbox.sql.resolve.query import resolve
from tests.support.plans import planned
from tests.support.worlds import CATALOGUE


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("SELECT hosp FROM hospital", 4),
        ("SELECT a FROM (VALUES (1), (2), (3)) AS v(a)", 3),
        ("SELECT MAX(beds) AS m FROM hospital", 1),
        ("SELECT grade, MAX(beds) AS m FROM hospital GROUP BY grade", 4),
        ("SELECT h.hosp FROM hospital AS h CROSS JOIN zone AS z", 20),
        ("SELECT hosp FROM hospital UNION ALL SELECT zone FROM zone", 20),
        ("SELECT hosp FROM hospital WHERE hosp IN (SELECT zone FROM zone)", 4),
        ("SELECT hosp FROM hospital ORDER BY hosp LIMIT 2", 4),
    ],
)
def test_rows_that_a_public_relation_can_have(text: str, most: int) -> None:
    assert rows_of(resolve(parse(text), CATALOGUE)) == most


def test_a_released_table_has_any_number_of_rows() -> None:
    assert rows_of(Released(0, ())) is None


LISTED = "SELECT h.hosp, COUNT(*) FROM claim AS c JOIN hospital AS h ON c.hosp = h.hosp GROUP BY h.hosp"


def test_public_tables_list_the_groups_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    release = planned(LISTED).priced[0].release
    assert release.selection is None and release.listing is not None and release.listing.most == 4
    monkeypatch.setattr(groups, "MOST_LISTED", 3)
    release = planned(LISTED).priced[0].release
    assert release.selection is not None and release.listing is None


def test_conditions_other_than_equalities_leave_the_list_as_long() -> None:
    text = (
        "SELECT h.hosp, z.zone, COUNT(*) FROM claim AS c JOIN hospital AS h ON c.hosp = h.hosp "
        "JOIN zone AS z ON h.grade = z.city WHERE h.beds > 10 GROUP BY h.hosp, z.zone"
    )
    release = planned(text).priced[0].release
    assert release.listing is not None and release.listing.most == 20


@pytest.mark.parametrize(
    ("where", "domain"), [("IN ('a', 'b')", ("a", "b")), ("= 'a'", ("a",)), ("LIKE 'a%'", None)]
)
def test_a_condition_lists_what_it_names(where: str, domain: tuple[str, ...] | None) -> None:
    (key,) = planned(f"SELECT cid, COUNT(*) FROM claim WHERE cid {where} GROUP BY cid").priced[0].release.keys
    assert key.domain == domain


def test_a_condition_on_reals_lists_nothing() -> None:
    """A real number in a text need not be the one that is stored."""
    (key,) = planned("SELECT x, COUNT(*) FROM claim WHERE x IN (0.5, 1.5) GROUP BY x").priced[0].release.keys
    assert key.domain is None
