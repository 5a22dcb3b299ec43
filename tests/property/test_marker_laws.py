"""Nothing of the user's gets into compiled SQL but string constants, and those only as constants."""

from __future__ import annotations

import datetime as dt
import string

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import TokenType, tokenize

from sandbox.catalogue import Kind
from sandbox.sql.compile import compile_relation, render_literal
from sandbox.sql.expressions import Literal
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.small import CATALOGUE, TABLES, stored

CORE = "mrkq7"
TAILS = st.text(alphabet="'\";-/*\\$() .,%_#@太０" + string.ascii_letters, max_size=12)
MARKERS = TAILS.map(lambda tail: CORE + tail)

NAMED = (
    "SELECT k AS {n} FROM rates",
    "SELECT {n}.k FROM rates AS {n} WHERE {n}.k > 1",
    "WITH {n} AS (SELECT k, q FROM rates) SELECT k, SUM(q) AS {n} FROM {n} GROUP BY k ORDER BY {n} LIMIT 3",
    "SELECT {n} FROM (SELECT q AS {n} FROM rates) AS t WHERE {n} > 0 GROUP BY {n} HAVING COUNT(*) > 1",
    "SELECT a.{n} FROM (SELECT k AS {n} FROM rates) AS a JOIN (SELECT k AS {n} FROM rates) AS b USING ({n})",
    "SELECT row_number() OVER {n} AS {n} FROM rates WINDOW {n} AS (PARTITION BY k ORDER BY q)",
    "SELECT {n}.{n} FROM (VALUES (1), (2)) AS {n}({n})",
    (
        "SELECT age AS {n}, COUNT(*) FROM people AS {n} WHERE EXISTS "
        "(SELECT 1 FROM visits WHERE visits.person = {n}.pid) GROUP BY {n}.age"
    ),
    "SELECT k AS {n} FROM rates UNION SELECT big AS {n} FROM rates",
)
TEXTS = (
    "SELECT {t} AS a",
    "SELECT COUNT(*) FROM people WHERE city = {t}",
    "SELECT COUNT(*) FROM visits WHERE code LIKE {t} OR code IN ({t}, 'a') OR starts_with(code, {t})",
    "SELECT replace(t, {t}, {t}) || {t} FROM rates",
    "SELECT strpos(t, {t}), contains(t, {t}), concat(t, {t}) FROM rates",
    "SELECT CASE WHEN t = {t} THEN {t} ELSE coalesce(t, {t}) END AS a, COUNT(*) FROM rates GROUP BY 1",
    "SELECT string_agg(t, ', ' ORDER BY t) FILTER (WHERE t <> {t}) FROM rates",
    "SELECT lag(t) OVER (PARTITION BY t = {t} ORDER BY nullif(t, {t})) FROM rates",
    "SELECT a FROM (VALUES ({t}), ('x')) AS v(a) ORDER BY a = {t}",
    "SELECT t FROM rates EXCEPT SELECT {t}",
)


def compiled(text: str) -> list[str]:
    relation = resolve(parse(text), CATALOGUE)
    return [compile_relation(relation), compile_relation(simplify(relation))]


@given(st.sampled_from(NAMED), MARKERS)
def test_names_never_get_in(template: str, marker: str) -> None:
    name = '"' + marker.replace('"', '""') + '"'
    for sql in compiled(template.format(n=name)):
        assert CORE not in sql


@given(st.sampled_from(TEXTS), MARKERS)
def test_texts_get_in_as_string_constants_only(template: str, marker: str) -> None:
    constant = "'" + marker.replace("'", "''") + "'"
    for sql in compiled(template.format(t=constant)):
        tokens = tokenize(sql, read="duckdb")
        inside = [t for t in tokens if CORE in t.text]
        assert inside
        assert all(t.token_type is TokenType.STRING for t in inside)
        assert {t.text for t in inside} == {marker}
        # The same text with the constants taken out has nothing left of the marker.
        assert CORE not in sql.replace(constant, "''")


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA d")
    for table in TABLES:
        connection.register("arriving", stored(table, []))
        connection.execute(f'CREATE TABLE d."{table.name}" AS SELECT * FROM arriving')
        connection.unregister("arriving")
    return connection


@given(template=st.sampled_from(TEXTS), marker=MARKERS)
def test_duckdb_reads_the_same_constants(
    engine: duckdb.DuckDBPyConnection, template: str, marker: str
) -> None:
    constant = "'" + marker.replace("'", "''") + "'"
    for sql in compiled(template.format(t=constant)):
        assert len(engine.extract_statements(sql)) == 1
        engine.execute(sql).fetchall()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_a_rendered_text_reads_back(text: str) -> None:
    row = duckdb.execute(f"SELECT {render_literal(Literal(text, Kind.STRING))}").fetchone()
    assert row == (text,)


@given(st.floats(allow_nan=False))
def test_a_rendered_real_reads_back(value: float) -> None:
    row = duckdb.execute(f"SELECT {render_literal(Literal(value, Kind.DOUBLE))}").fetchone()
    assert row == (value,)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_rendered_integer_reads_back(value: int) -> None:
    row = duckdb.execute(f"SELECT {render_literal(Literal(value, Kind.INTEGER))}").fetchone()
    assert row == (value,)


@given(st.datetimes() | st.dates())
def test_a_rendered_time_reads_back(value: dt.date) -> None:
    kind = Kind.TIMESTAMP if isinstance(value, dt.datetime) else Kind.DATE
    row = duckdb.execute(f"SELECT {render_literal(Literal(value, kind))}").fetchone()
    assert row == (value,)
