"""A random query's compiled text gives the oracle's rows, before and after ``simplify``."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from sandbox.errors import Refusal
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.grammar import Grammar
from tests.oracle import Oracle
from tests.small import CATALOGUE, DATA, TABLES, Data, stored
from tests.support.compare import comparable, difference

outcomes: Counter[str] = Counter()


def database(data: Data) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA d")
    for table in TABLES:
        rows = stored(table, data[table.id])
        connection.register("arriving", rows)
        connection.execute(f'CREATE TABLE d."{table.name}" AS SELECT * FROM arriving')
        connection.unregister("arriving")
    return connection


def check(
    connection: duckdb.DuckDBPyConnection, data: Data, relation: Relation, asked: Relation | None = None
) -> None:
    """``asked``: the relation before it was rewritten."""
    text = compile_relation(relation)
    assert compile_relation(relation) == text
    note(text)
    wanted = Oracle(data).run(asked or relation)
    found = difference(asked or relation, connection.sql(text).fetchall(), wanted)
    assert found is None, found


# No shrinking: a query has so many parts that it takes minutes.  The notes show the failing text.
@settings(
    max_examples=300,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data(), DATA)
def test_compiled_text_gives_the_oracles_rows(choices: st.DataObject, data: Data) -> None:
    text = Grammar(lambda options: choices.draw(st.sampled_from(options))).query(2).text
    note(text)
    try:
        relation = resolve(parse(text), CATALOGUE)
        simple = simplify(relation)
    except Refusal as refusal:
        outcomes[refusal.reasons[0].code.name] += 1
        return
    outcomes["answered"] += 1
    connection = database(data)
    check(connection, data, relation)
    check(connection, data, simple, comparable(relation, simple))


def test_most_random_queries_are_answered() -> None:
    if not outcomes:
        pytest.skip("counts what the test above did")
    assert outcomes["answered"] > 0.3 * outcomes.total(), outcomes
