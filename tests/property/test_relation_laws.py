"""A random query's compiled text gives the oracle's rows, before and after ``simplify``."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from sandbox.errors import Refusal
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.relation import Order, Project, Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.grammar import Grammar
from tests.oracle import Oracle
from tests.small import CATALOGUE, DATA, TABLES, Data, stored

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


def shown(value: Any) -> str:
    """A text that is equal for values that are equal up to rounding."""
    if isinstance(value, float):
        return f"{value + 0.0:.9g}"
    return f"{type(value).__name__} {value!r}"


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9)
    return type(a) is type(b) and bool(a == b)


def in_order(relation: Relation) -> bool:
    return isinstance(relation, Order) or (isinstance(relation, Project) and in_order(relation.input))


def check(connection: duckdb.DuckDBPyConnection, data: Data, relation: Relation) -> None:
    text = compile_relation(relation)
    assert compile_relation(relation) == text
    note(text)
    answer = connection.sql(text).fetchall()
    wanted = Oracle(data).run(relation)
    if not in_order(relation):
        answer, wanted = (sorted(rows, key=lambda r: [shown(v) for v in r]) for rows in (answer, wanted))
    assert len(answer) == len(wanted), (answer, wanted)
    for got, want in zip(answer, wanted, strict=True):
        assert all(alike(a, b) for a, b in zip(got, want, strict=True)), (got, want)


# No shrinking: a query has so many parts that it takes minutes.  The notes show the failing text.
@settings(
    max_examples=300,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data(), DATA)
def test_compiled_text_gives_the_oracles_rows(choices: st.DataObject, data: Data) -> None:
    text = Grammar(choices.draw).query(2).text
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
    check(connection, data, simple)


def test_most_random_queries_are_answered() -> None:
    if not outcomes:
        pytest.skip("counts what the test above did")
    assert outcomes["answered"] > 0.3 * outcomes.total(), outcomes
