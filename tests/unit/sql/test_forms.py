"""Forms of a query that few write: each means what its plain form means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.catalogue import KeyPath
from sandbox.sql.build import join, scan
from sandbox.sql.expressions import Call, Col
from sandbox.sql.relation import Filter, Relation, walk
from sandbox.sql.simplify import simplify
from tests.spec.house import CLAIMS, PERSONS, on_engine, on_oracle, read, simple

PAIRS = [
    (
        "SELECT t.town FROM towns t WHERE t.people > (SELECT avg(v.n) FROM visits v WHERE t.town = v.town)",
        "SELECT t.town FROM towns t WHERE t.people > (SELECT avg(v.n) FROM visits v WHERE v.town = t.town)",
    ),
    (
        "SELECT town FROM towns WHERE people > (WITH a AS (SELECT n FROM visits) SELECT avg(n) FROM a)",
        "SELECT town FROM towns WHERE people > (SELECT avg(n) FROM visits)",
    ),
    ("SELECT t.town, v.n FROM towns t JOIN visits v", "SELECT t.town, v.n FROM towns t CROSS JOIN visits v"),
    (
        "SELECT t.town, v.n FROM towns t LEFT JOIN visits v",
        "SELECT t.town, v.n FROM towns t LEFT JOIN visits v ON true",
    ),
    ("SELECT region FROM towns GROUP BY region", "SELECT DISTINCT region FROM towns"),
]


@pytest.mark.parametrize(("odd", "plain"), PAIRS)
def test_two_spellings_have_one_answer(odd: str, plain: str) -> None:
    expected = sorted(on_oracle(read(plain)), key=repr)
    assert expected
    for made in (read(odd), simple(odd)):
        assert sorted(on_engine(made), key=repr) == expected


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("flipped", [True, False])
def test_a_key_path_is_found_wherever_it_stands_in_a_condition(first: bool, flipped: bool) -> None:
    """A claim meets the one row that its key leads to: no more rows come out than went in."""
    child = scan(replace(CLAIMS, paths=(KeyPath("person", PERSONS.id, "id"),)))
    parent = scan(replace(PERSONS, rows=5))
    left, right = (parent, child) if flipped else (child, parent)
    width = len(left.fields)
    path, other = Call("eq", (Col(0), Col(width))), Call("lt", (Col(1), Col(width + 1)))
    both = (path, other) if first else (other, path)
    made, apart = (
        join("inner", left, right, Call("and", both)),
        join("inner", left, right, _units(left, right)),
    )
    assert made.privacy is not None and made.privacy.rows == CLAIMS.rows == 12
    assert apart.privacy is not None and apart.privacy.rows == 12 * 5


def _units(left: Relation, right: Relation) -> Call:
    assert left.privacy is not None and right.privacy is not None
    return Call("eq", (Col(left.privacy.unit), Col(len(left.fields) + right.privacy.unit)))


def test_a_unit_that_is_shown_stays_what_it_is_where_a_block_begins() -> None:
    grouped = read(
        "SELECT count(*) AS n FROM (SELECT person FROM claims GROUP BY person HAVING sum(fee) > 3) AS t"
    )
    having = next(r for r in walk(grouped) if isinstance(r, Filter) and r.privacy is not None)
    made = simplify(having)
    assert having.privacy is not None and made.privacy is not None
    before, after = having.fields[having.privacy.unit], made.fields[made.privacy.unit]
    assert (before.name, before.hidden) == (after.name, after.hidden) == ("person", False)
    assert after.unit_scope == "spec/person"
