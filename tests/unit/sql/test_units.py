"""The unit travels with the row: where it is kept, how many rows it is expected to bring, where it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.catalogue import Catalogue, Kind
from sandbox.errors import Code, Refusal
from sandbox.sql.compile import compile_relation
from sandbox.sql.expressions import Call, Col
from sandbox.sql.parse import parse
from sandbox.sql.relation import Join, Privacy, Relation, walk
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.spec.house import CLAIMS, PERSONS, TOWNS, between, column

LOOSE = replace(CLAIMS, name="loose", rows=None)
CLIPPED = replace(
    CLAIMS,
    name="clipped",
    columns=(*CLAIMS.columns[:1], column("fee", Kind.DOUBLE, clip=between(0, 9)), *CLAIMS.columns[2:]),
)
FAR = replace(CLAIMS, dataset="far", name="far")
CATALOGUE = Catalogue((PERSONS, CLAIMS, LOOSE, CLIPPED, FAR, TOWNS))


def read(sql: str) -> Relation:
    return resolve(parse(sql), CATALOGUE)


def privacy(sql: str) -> Privacy:
    found = read(sql).privacy
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sql", "rows", "single"),
    [
        ("SELECT id FROM persons", 1, True),
        ("SELECT person FROM claims", 12, False),
        ("SELECT person FROM loose", None, False),
        ("SELECT id FROM persons ORDER BY id", 1, True),
        ("SELECT id FROM persons JOIN claims ON person = id", 12, False),
        ("SELECT id FROM persons JOIN loose ON person = id", None, False),
        ("SELECT id FROM persons LEFT JOIN towns ON towns.town = persons.town", 1, True),
        ("SELECT id FROM towns JOIN persons ON towns.town = persons.town", 1, True),
        ("SELECT id FROM persons, towns", 4, False),
        ("SELECT id FROM persons JOIN (VALUES (0, 9), (10, 99)) AS b(l, h) ON age BETWEEN l AND h", 2, False),
        ("SELECT id FROM (SELECT town AS t FROM towns LIMIT 3) AS x, persons", 4, False),
        ("SELECT id FROM (SELECT count(*) AS n FROM towns) AS x, persons", 1, True),
        ("SELECT id FROM (SELECT region, count(*) AS n FROM towns GROUP BY 1) AS x, persons", None, False),
        ("SELECT id FROM (SELECT town FROM towns UNION SELECT town FROM towns) AS x, persons", None, False),
        ("SELECT person FROM loose, towns", None, False),
        ("SELECT person FROM towns, loose", None, False),
        ("SELECT person, count(*) AS n FROM claims GROUP BY person", 1, True),
        ("SELECT person, day, count(*) AS n FROM claims GROUP BY person, day", 12, False),
        ("SELECT id FROM persons UNION ALL SELECT person FROM claims", 13, False),
        ("SELECT id FROM persons UNION ALL SELECT person FROM loose", None, False),
        ("SELECT DISTINCT person, day FROM claims", 12, False),
    ],
)
def test_how_many_rows_a_unit_is_expected_to_bring(sql: str, rows: int | None, single: bool) -> None:
    found = privacy(sql)
    assert (found.rows, found.single) == (rows, single)
    simplified = simplify(read(sql)).privacy
    assert simplified is not None
    assert (simplified.scope, simplified.rows, simplified.single) == (found.scope, rows, single)


@pytest.mark.parametrize(
    "condition",
    [
        "a.person = b.person",
        "a.fee = a.person AND a.person = b.person",
        "b.person = a.person AND a.fee > b.fee",
    ],
)
def test_joins_on_the_unit_get_its_equality_added(condition: str) -> None:
    relation = read(f"SELECT a.fee FROM claims a JOIN claims b ON {condition}")
    (join,) = [n for n in walk(relation) if isinstance(n, Join)]
    assert join.left.privacy is not None and join.right.privacy is not None
    tied = Call("eq", (Col(join.left.privacy.unit), Col(len(join.left.fields) + join.right.privacy.unit)))
    assert isinstance(join.on, Call) and tied in join.on.args


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.fee FROM claims a JOIN claims b ON a.fee = b.fee",
        "SELECT a.fee FROM claims a JOIN claims b ON a.person < b.person",
        "SELECT a.fee FROM claims a JOIN claims b ON a.person = a.fee AND a.fee = b.fee",
        "SELECT a.fee FROM claims a JOIN claims b ON a.person = b.person OR a.fee = 1",
        "SELECT a.fee FROM claims a JOIN (SELECT person + 0 AS p FROM claims) AS b ON a.fee = b.p",
        "SELECT a.fee FROM (SELECT fee + 0 AS p, fee FROM claims) AS a JOIN claims b ON a.p = b.fee",
        "SELECT a.fee FROM claims a, persons p WHERE a.fee = p.age",
        "SELECT a.fee FROM far.far a JOIN persons p ON a.fee = p.age",
        "SELECT id FROM persons WHERE EXISTS (SELECT 1 FROM claims WHERE fee = age)",
    ],
)
def test_other_joins_of_protected_tables_are_refused(sql: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(sql)
    assert caught.value.code is Code.UNIT_JOIN


def test_the_clip_of_a_union_is_the_one_both_sides_have() -> None:
    both = "SELECT person, fee FROM {} UNION ALL SELECT person, fee FROM {}"
    assert read(both.format("claims", "claims")).fields[1].clip == between(0, 500)
    assert read(both.format("claims", "clipped")).fields[1].clip is None
    assert read(both.format("claims", "clipped")).fields[0].unit_scope == "spec/person"


def test_private_sums_are_clamped_and_other_private_aggregates_need_not_be() -> None:
    text = compile_relation(
        simplify(read("SELECT person, avg(fee) AS a, sum(fee) AS s FROM claims GROUP BY person"))
    )
    assert text.count("least(") >= 3
    assert "IS NOT NULL THEN least(greatest((CAST(sum(" in text
    assert "least(greatest(avg(" not in text


def test_offsets_inside_the_calendar_need_no_guard() -> None:
    inside = compile_relation(read("SELECT day + INTERVAL 1 DAY AS d FROM claims"))
    outside = compile_relation(read("SELECT founded + INTERVAL 1 DAY AS d FROM towns"))
    assert "list_transform" not in inside and "list_transform" in outside


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS n FROM claims WHERE person = 'P42'",
        "SELECT count(*) AS n FROM claims WHERE 'P1' < person",
        "SELECT count(*) AS n FROM claims WHERE person IN ('P1', 'P2')",
        "SELECT count(*) AS n FROM claims WHERE person LIKE 'P%'",
        "SELECT count(*) AS n FROM claims WHERE person IN (SELECT town FROM towns)",
        "SELECT count(*) AS n FROM claims WHERE coalesce(person, 'P1') = 'P1'",
        "SELECT count(*) AS n FROM claims WHERE CAST(person AS DATE) = DATE '2025-01-01'",
        "SELECT count(*) AS n FROM claims c JOIN towns t ON c.person = t.town",
        "SELECT count(*) AS n FROM towns t LEFT JOIN claims c ON c.person = t.town",
        "SELECT upper(person) AS u, count(*) AS n FROM claims GROUP BY 1",
        "SELECT person FROM claims UNION ALL SELECT town FROM persons",
        "SELECT string_agg(person, ',') AS s FROM claims GROUP BY person",
        "SELECT bool_and(person) AS s FROM claims GROUP BY person",
    ],
)
def test_a_unit_taken_for_text_is_refused_for_its_use(sql: str) -> None:
    """Not for its type: the catalogue says text, the snapshot holds a number, and no CAST would help."""
    with pytest.raises(Refusal) as caught:
        read(sql)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.subject, reason.column) == (Code.USE, "claims.person", "person")
    assert "only be counted" in reason.hint and "只能去重计数" in reason.hint_zh
