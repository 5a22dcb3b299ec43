"""Counting whole units by their first row, through projections that nothing has merged yet."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from sandbox.privacy.plan import plan
from sandbox.privacy.release import Release
from sandbox.privacy.statements import tally_sql
from sandbox.sql.parse import parse
from sandbox.sql.relation import Project
from sandbox.sql.resolve.query import resolve
from tests.support.plans import ZCDP, planned
from tests.support.worlds import CATALOGUE, Worlds

OVER_ONE_TABLE = (
    "SELECT t.r, COUNT(*) FROM (SELECT upper(a.region) AS r FROM claim AS a) AS t GROUP BY t.r",
    (
        "SELECT COUNT(*) FILTER (WHERE t.s = 'N'), COUNT(DISTINCT t.p) FROM (SELECT upper(u.r) AS s, u.p FROM "
        "(SELECT region AS r, pid AS p FROM claim WHERE region <> 's') AS u) AS t"
    ),
)
OVER_A_JOIN = (
    "SELECT t.r, COUNT(*) FROM (SELECT upper(a.region) AS r FROM claim AS a JOIN hospital AS h ON a.hosp = h.hosp)"
    " AS t GROUP BY t.r"
)


def unmerged(text: str) -> Release:
    """The release as it is planned of a query that was not simplified."""
    release = plan(resolve(parse(text), CATALOGUE), ZCDP, Fraction(1)).priced[0].release
    assert isinstance(release.input, Project)
    return release


@pytest.mark.parametrize("text", OVER_ONE_TABLE)
def test_projections_do_not_change_what_first_rows_say(text: str) -> None:
    random, merged = Random(11), planned(text).priced[0].release
    asked = [tally_sql(release, laplace=False) for release in (unmerged(text), merged)]
    assert all("_u_ord" in sql for sql in asked)
    for _ in range(3):
        worlds = Worlds(random)
        one, other = (sorted(worlds.run(sql), key=repr) for sql in asked)
        worlds.close()
        assert one == other != []


def test_rows_of_a_join_are_not_counted_by_first_rows() -> None:
    assert "_u_ord" not in tally_sql(unmerged(OVER_A_JOIN), laplace=False)
