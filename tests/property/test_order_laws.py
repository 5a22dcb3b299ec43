"""One unit's sums do not depend on the order of rows, the number of threads, or other units' rows."""

from __future__ import annotations

import math
import statistics
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.errors import Code, Refusal
from sandbox.privacy.statements import tally_sql
from sandbox.sql.compile import compile_relation, plain_zero
from sandbox.sql.compile.fixed import moment_text
from sandbox.sql.expressions import Facts
from sandbox.sql.moments import LINEAR_BITS, SQUARED, SQUARED_BITS, step
from sandbox.sql.parse import parse
from sandbox.sql.relation import Aggregate, Relation, walk
from sandbox.sql.resolve.query import resolve
from tests.oracle import SIMPLE
from tests.support.plans import planned
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


@pytest.mark.parametrize("items", ["COUNT(*)", "SUM(f.kwh)", "COUNT(*), COUNT(DISTINCT f.uscc), AVG(f.kwh)"])
def test_a_released_key_does_not_say_which_zero_was_met(items: str) -> None:
    release = planned(f"SELECT f.kwh, {items} FROM firm AS f GROUP BY f.kwh").priced[0].release
    sql = tally_sql(release, laplace=False)
    met = [answers(sql, list(zip((1, 2), zeros, strict=True)), 1) for zeros in ((0.0, -0.0), (-0.0, 0.0))]
    assert met[0] and met[0] == met[1]
    assert not any(bits(-0.0) in row for row in met[0])


def known(kind: Kind, largest: Fraction | int | None, scale: Fraction | None = None) -> Facts:
    return Facts(
        kind,
        range=UNBOUNDED if largest is None else Range(-Fraction(largest), Fraction(largest)),
        scale=scale,
    )


REALS = {
    "cents": known(Kind.DOUBLE, 5000, Fraction(1, 100)),
    "halves of five": known(Kind.DOUBLE, 5000, Fraction(5, 2)),
    "hundreds": known(Kind.DOUBLE, 10**6, Fraction(100)),
    "any real": known(Kind.DOUBLE, 5000),
    "tiny": known(Kind.DOUBLE, Fraction(1, 10**9)),
    "vast": known(Kind.DOUBLE, 10**29),
    "cents of a vast range": known(Kind.DOUBLE, 10**29, Fraction(1, 100)),
    "always zero": known(Kind.DOUBLE, 0),
}
WHOLE = {
    "small": known(Kind.INTEGER, 5000, Fraction(1)),
    "wider than 32 bits": known(Kind.INTEGER, 2**45, Fraction(1)),
    "up to 62 bits": known(Kind.INTEGER, 2**62, Fraction(1)),
}
EXACT: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": statistics.fmean,
    **{name: SIMPLE[name] for name in SQUARED},
}


def drawn(random: Random, facts: Facts) -> list[float]:
    """Values of these facts, the largest among them."""
    high = facts.range.hi
    assert high is not None
    unit = facts.scale or Fraction(1, 10**20)
    most = int(high / unit)
    steps = [most, -most, *(random.randint(-most, most) for _ in range(37))]
    return [int(n * unit) if facts.kind is Kind.INTEGER else float(n * unit) for n in steps]


def aggregated(names: Sequence[str], facts: Facts, values: list[float]) -> list[float | None]:
    """The compiled aggregates over the values, in this order."""
    with duckdb.connect() as engine:
        engine.execute("SET error_on_division_by_zero = false")
        loaded = pa.table({"x": values})
        assert loaded.num_rows == len(values)
        items = ", ".join(moment_text(name, "x", facts, "") for name in names)
        (row,) = engine.execute(f"SELECT {items} FROM loaded").fetchall()
        return [None if value is None else float(value) for value in row]


@pytest.mark.parametrize("facts", [*REALS.values(), *WHOLE.values()], ids=[*REALS, *WHOLE])
def test_sums_in_steps_are_sums_whatever_the_range(facts: Facts) -> None:
    """Within a step of each value, to the bit the same in any order, and nothing overflows."""
    random, high = Random(11), facts.range.hi
    values = drawn(random, facts)
    found = aggregated(NAMES, facts, values)
    random.shuffle(values)
    assert [*map(bits, aggregated(NAMES, facts, values))] == [*map(bits, found)]
    for name, value in zip(NAMES, found, strict=True):
        unit = step(facts, name)
        assert unit is not None and high is not None
        off = float(unit) * (len(values) if name == "sum" else 1)
        if name in ("var_samp", "var_pop"):  # (x + step)^2 - x^2
            off *= 4 * float(high)
        assert value == pytest.approx(EXACT[name](values), rel=1e-6, abs=off)


@pytest.mark.parametrize("facts", [*REALS.values(), *WHOLE.values()], ids=[*REALS, *WHOLE])
def test_steps_leave_room_for_the_sums(facts: Facts) -> None:
    """Values of 60 bits, or of 32 where they are squared; declared steps are kept where they leave room."""
    largest = facts.range.hi
    assert largest is not None
    for name in NAMES:
        unit, room = step(facts, name), 2 ** (SQUARED_BITS if name in SQUARED else LINEAR_BITS)
        assert unit is not None
        if facts.kind is Kind.INTEGER and name not in SQUARED:
            assert unit == 1
            continue
        assert largest <= unit * room
        if facts.scale is not None and largest <= facts.scale * room:
            assert unit == facts.scale
        else:
            assert unit.numerator == 1 or unit.denominator == 1
            assert (unit.numerator * unit.denominator).bit_count() == 1
            assert largest in (0, unit * room) or largest > unit / 2 * room


def test_without_bounds_only_whole_numbers_are_added() -> None:
    free = known(Kind.INTEGER, None, Fraction(1))
    assert [step(free, name) for name in NAMES] == [1, 1, None, None, None, None]
    assert aggregated(["sum"], free, [2**62, 2**62, -(2**62), 3]) == [2.0**62]
    wide = known(Kind.DOUBLE, 10**30 + 1)
    half = Facts(Kind.DOUBLE, range=Range(Fraction(0), None))
    assert {step(facts, name) for facts in (wide, half) for name in NAMES} == {None}
