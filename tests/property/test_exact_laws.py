"""Exact mode over a grid equals plain SQL over the rows of surviving cells, whatever cells survive."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sandbox.catalogue import Table, Unit
from sandbox.errors import Code, Refusal
from sandbox.privacy.exact import cube_table, over_cubes
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.relation import walk
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.support.grids import PRIVATE, PUBLIC, alike, database, random_query


@pytest.mark.parametrize("seed", range(4))
def test_answers_from_the_cube_are_those_from_the_rows(seed: int) -> None:
    random, outcomes = Random(seed), Counter[str]()
    for _ in range(12):
        connection = database(random)
        for _ in range(12):
            text = random_query(random)
            try:
                exact = over_cubes(simplify(resolve(parse(text), PRIVATE)))
            except Refusal as refusal:
                outcomes[refusal.reasons[0].code.name] += 1
                continue
            assert all(node.privacy is None for node in walk(exact))
            answers = [
                connection.execute(compile_relation(r)).fetchall()
                for r in (exact, simplify(resolve(parse(text), PUBLIC)))
            ]
            one, two = (sorted(rows, key=repr) for rows in answers)
            assert len(one) == len(two), text
            assert all(
                alike(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
            ), (text, one, two)
            outcomes["answered"] += 1
    assert outcomes["answered"] > 60, outcomes


OFF_GRID = (
    "SELECT COUNT(*) FROM usage WHERE kwh > 3",
    "SELECT note, COUNT(*) FROM usage GROUP BY note",
    "SELECT kwh, COUNT(*) FROM usage GROUP BY kwh",
    "SELECT COUNT(*) FROM usage WHERE uscc = 3",
    "SELECT SUM(kwh * kwh) FROM usage",
    "SELECT SUM(kwh + month) FROM usage",
    "SELECT SUM(CASE WHEN kwh > 3 THEN 1 ELSE 0 END) FROM usage",
    "SELECT SUM(CASE WHEN city = 't' THEN kwh ELSE 1 END) FROM usage",
    "SELECT COUNT(note) FROM usage",
    "SELECT COUNT(*) FILTER (WHERE kwh > 3) FROM usage",
    "SELECT COUNT(DISTINCT uscc) FROM usage",
    "SELECT u.month, COUNT(DISTINCT u.uscc) FROM usage AS u JOIN tag AS t ON t.city = u.city GROUP BY u.month",
    "SELECT SUM(random_is_no_column) FROM (SELECT kwh + 1 AS random_is_no_column FROM usage) AS t",
    "SELECT COUNT(*) FROM usage AS a JOIN usage AS b ON a.uscc = b.uscc",
    "SELECT COUNT(*) FROM usage AS u JOIN area AS a ON a.city = u.note",
    "SELECT COUNT(*) FROM usage AS u WHERE u.note IN (SELECT a.city FROM area AS a)",
    "SELECT COUNT(*) FROM usage AS u WHERE u.kwh IN (SELECT a.extent FROM (SELECT 1 AS extent) AS a)",
    "SELECT COUNT(*) FROM (SELECT uscc, COUNT(*) AS n FROM usage GROUP BY uscc) AS t",
    "SELECT COUNT(*) FROM (SELECT uscc, month FROM usage UNION ALL SELECT uscc, month FROM usage) AS t",
    "SELECT SUM(uscc) FROM usage",
    "SELECT SUM(2.5) FROM usage",
    "SELECT COUNT(*) FROM usage AS u WHERE u.uscc IN (SELECT a.n FROM (SELECT 1 AS n) AS a)",
)


@pytest.mark.parametrize("text", OFF_GRID)
def test_off_the_grid_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        over_cubes(simplify(resolve(parse(text), PRIVATE)))
    assert caught.value.reasons[0].code is Code.OFF_GRID


@pytest.mark.parametrize(("text", "code"), [
    ("SELECT MIN(kwh) FROM usage", Code.AGGREGATE),
    ("SELECT COUNT(DISTINCT city) FROM usage", Code.AGGREGATE),
    ("SELECT city FROM usage", Code.RAW_OUTPUT),
    ("SELECT uscc, COUNT(*) FROM usage GROUP BY uscc", Code.RAW_OUTPUT),
])  # fmt: skip
def test_other_refusals(text: str, code: Code) -> None:
    with pytest.raises(Refusal) as caught:
        over_cubes(simplify(resolve(parse(text), PRIVATE)))
    assert caught.value.reasons[0].code is code


def test_a_protected_table_without_a_grid_has_no_cube() -> None:
    with pytest.raises(Refusal) as caught:
        cube_table(Table("d", "t", (), Unit("person", "d/person", None)))
    assert caught.value.reasons[0].code is Code.OFF_GRID


def test_public_tables_pass_as_they_are() -> None:
    relation = simplify(resolve(parse("SELECT region, COUNT(*) FROM area GROUP BY region"), PRIVATE))
    assert over_cubes(relation) == relation
