"""One unit's sums do not depend on the order of rows, the number of threads, or other units' rows."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sandbox.catalogue import Kind
from sandbox.errors import Code, Refusal
from sandbox.sql.compile import compile_relation, plain_zero
from sandbox.sql.parse import parse
from sandbox.sql.relation import Aggregate, Relation, walk
from sandbox.sql.resolve.query import resolve
from tests.oracle import SIMPLE
from tests.support.worlds import CATALOGUE

NAMES = ("sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop")
BOUNDED = "least(greatest(f.kwh / 7, 0), 1000)"
PER_UNIT = (
    f"SELECT f.uscc AS u, {', '.join(f'{n}({BOUNDED}) AS {n}' for n in NAMES)} FROM firm AS f GROUP BY f.uscc"
)
WINDOWS = (
    f"SELECT f.uscc AS u, sum({BOUNDED}) OVER (PARTITION BY f.uscc) AS a, avg({BOUNDED}) OVER "
    "(PARTITION BY f.uscc ORDER BY f.kwh ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS b FROM firm AS f"
)
ROWS = 6000
UNITS = 7


def private(text: str) -> Relation:
    """The private part of a query: the input of the release that counts its rows."""
    query = resolve(parse(f"SELECT COUNT(*) FROM ({text}) AS t WHERE t.u IS NOT NULL"), CATALOGUE)
    return next(r for r in walk(query) if isinstance(r, Aggregate) and r.privacy is None).input


def bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else value


def answers(sql: str, rows: list[tuple[int, float]], threads: int) -> list[tuple[Any, ...]]:
    with duckdb.connect() as engine:
        engine.execute(f"SET threads = {threads}; SET error_on_division_by_zero = false; CREATE SCHEMA d")
        loaded = pa.table({"uscc": [u for u, _ in rows], "kwh": [v for _, v in rows]})
        assert loaded.num_rows == len(rows)
        engine.execute("CREATE TABLE d.firm AS SELECT uscc, 'coal' AS sector, kwh, uscc AS _u FROM loaded")
        return sorted(tuple(map(bits, row)) for row in engine.execute(sql).fetchall())


def data(random: Random) -> list[tuple[int, float]]:
    values = [0.1, 1e4, 3e-9, 7.7] + [random.uniform(0, 1e4) for _ in range(40)]
    return [(random.randrange(UNITS), random.choice(values)) for _ in range(ROWS)]


def moved(sql: str) -> int:
    """How many arrangements of the same rows of unit 0 change what is said of it."""
    random = Random(3)
    rows = data(random)
    first = [r for r in answers(sql, rows, 1) if r[0] == 0]
    changes = 0
    for turn in range(6):
        kept = [r for r in rows if turn % 2 == 0 or r[0] != 1 + turn]
        random.shuffle(kept)
        changes += [r for r in answers(sql, kept, 1 + turn % 2) if r[0] == 0] != first
    return changes


@pytest.mark.parametrize("text", [PER_UNIT, WINDOWS], ids=["groups", "windows"])
def test_no_arrangement_of_the_rows_moves_a_unit(text: str) -> None:
    assert moved(compile_relation(private(text))) == 0


def test_plain_sums_of_reals_do_move() -> None:
    """What the law is for: binary64 sums depend on the arrangement."""
    plain = f"SELECT uscc, {', '.join(f'{n}(kwh / 7)' for n in NAMES)} FROM d.firm GROUP BY uscc"
    assert moved(plain) > 0


@pytest.mark.parametrize("name", NAMES)
def test_they_are_the_usual_sums(name: str) -> None:
    random = Random(5)
    values = [random.uniform(0, 1e4) for _ in range(3)]  # as many as the table declares of a unit
    text = f"SELECT f.uscc AS u, {name}(f.kwh) AS v FROM firm AS f GROUP BY f.uscc"
    (row,) = answers(compile_relation(private(text)), [(1, v) for v in values], 1)
    assert struct.unpack("<d", row[1])[0] == pytest.approx(SIMPLE[name](values), rel=1e-7)


def test_of_one_value_there_is_no_sample_variance() -> None:
    text = "SELECT f.uscc AS u, var_samp(f.kwh) AS v, stddev_pop(f.kwh) AS w FROM firm AS f GROUP BY f.uscc"
    (row,) = answers(compile_relation(private(text)), [(1, 2.5)], 1)
    assert row[1:3] == (None, bits(0.0))


@pytest.mark.parametrize("item", ["sum(c.x)", "avg(c.x)", "var_pop(c.big)", "stddev_samp(c.x)"])
def test_sums_without_bounds_are_refused(item: str) -> None:
    with pytest.raises(Refusal) as refused:
        private(f"SELECT c.pid AS u, {item} AS v FROM claim AS c GROUP BY c.pid")
    assert [r.code for r in refused.value.reasons] == [Code.NO_BOUND]
    with pytest.raises(Refusal):
        private("SELECT c.pid AS u, sum(c.x) OVER (PARTITION BY c.pid) AS v FROM claim AS c")


def test_zero_has_one_sign_where_rows_are_merged() -> None:
    text = "SELECT f.uscc AS u, f.kwh AS k, min(f.kwh) AS m FROM firm AS f GROUP BY f.uscc, f.kwh"
    (row,) = answers(compile_relation(private(text)), [(1, -0.0), (1, 0.0)], 1)
    assert row[1:3] == (bits(0.0), bits(0.0))
    assert plain_zero("x", Kind.STRING) == "x"
