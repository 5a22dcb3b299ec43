"""The rules of the published grid, on hand-made cells, and its SQL on small tables."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import duckdb
import pytest

from sandbox.catalogue import UNBOUNDED, Grid, Kind, Range, Use
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import ColumnRule, TableRule
from sandbox.privacy import cube, cube_sql
from sandbox.privacy.cube import Cell, Key, Totals, UnitStats
from sandbox.privacy.cube_sql import Measure

Data = dict[Key, dict[str, int]]


def grid(
    cells: tuple[str, ...], units: int = 3, dominance: int = 0, totals: tuple[tuple[str, ...], ...] = ()
) -> Grid:
    return Grid(cells, units, Fraction(dominance), 0, totals)


def stats(parts: list[dict[str, int]]) -> tuple[UnitStats, ...]:
    """Statistics of a union, unit by unit, the slow way."""
    sums: dict[str, int] = {}
    for part in parts:
        for unit, value in part.items():
            sums[unit] = sums.get(unit, 0) + value
    top = [*sorted(sums.values(), reverse=True), 0, 0]
    return (UnitStats(len(sums), (Totals(sum(top), top[0], top[1]),)),)


def decide(data: Data, rules: Grid, asked: list[int] | None = None) -> set[Key]:
    """Keys of the withheld cells; ``asked`` takes the number of cells of each look at the data."""
    keys = list(data)

    def statistics(groups: Mapping[int, int]) -> dict[int, tuple[UnitStats, ...]]:
        if asked is not None:
            asked.append(len(groups))
        return {
            g: stats([data[keys[c]] for c, of in groups.items() if of == g]) for g in set(groups.values())
        }

    cells = [Cell(i, key, len(data[key]), stats([data[key]])) for i, key in enumerate(keys)]
    return {keys[i] for i in cube.withhold(cells, rules, statistics)}


def people(count: int, start: int = 0) -> dict[str, int]:
    return {f"u{i}": 1 for i in range(start, start + count)}


def test_p_percent_rule() -> None:
    rules = grid(("a",), units=1, dominance=10)
    at = (UnitStats(3, (Totals(100 + 50 + 10, 100, 50),)),)
    below = (UnitStats(3, (Totals(100 + 50 + 9, 100, 50),)),)
    assert cube.passes(at, rules)
    assert not cube.passes(below, rules)


def test_every_kind_counts() -> None:
    rules = grid(("a",), units=3)
    assert cube.passes([UnitStats(3, ()), UnitStats(4, ())], rules)
    assert not cube.passes([UnitStats(4, ()), UnitStats(2, ())], rules)


def test_nothing_is_withheld_where_all_pass() -> None:
    assert decide({("A",): people(3), ("B",): people(5, 9)}, grid(("a",))) == set()


def test_a_lone_small_cell_takes_the_smallest_survivor_with_it() -> None:
    data: Data = {("A",): people(2), ("B",): people(9, 10), ("C",): people(4, 30)}
    assert decide(data, grid(("a",))) == {("A",), ("C",)}


def test_small_cells_that_pass_together_take_none() -> None:
    data: Data = {("A",): people(2), ("B",): people(2, 10), ("C",): people(4, 30)}
    assert decide(data, grid(("a",))) == {("A",), ("B",)}


def test_remainder_counts_distinct_units() -> None:
    """The same two people in both small cells are two people, not four."""
    data: Data = {("A",): people(2), ("B",): people(2), ("C",): people(4, 30)}
    assert decide(data, grid(("a",))) == {("A",), ("B",), ("C",)}


def test_margin_slices_pass_each() -> None:
    data: Data = {
        ("A", 1): people(2),
        ("A", 2): people(5, 100),
        ("A", 3): people(4, 200),
        ("B", 1): people(2, 300),
        ("B", 2): people(6, 400),
    }
    got = decide(data, grid(("city", "month"), totals=(("city",),)))
    assert got == {("A", 1), ("A", 3), ("B", 1), ("B", 2)}


def test_nothing_left_to_withhold_ends() -> None:
    assert decide({("A",): people(1)}, grid(("a",))) == {("A",)}
    assert decide({}, grid(("a",))) == set()


@pytest.mark.parametrize(("largest", "withheld"), [(10**9, 2000), (3_000, 52), (20, 2)])
def test_few_looks_at_the_data_find_how_many_cells_are_needed(largest: int, withheld: int) -> None:
    """A remainder that one unit dominates takes in many cells: 60 n - 20 of the others against the largest."""
    data: Data = {("big",): {"big": largest}}
    data |= {(f"c{i}",): {f"u{i}{part}": 20 for part in "abc"} for i in range(1_999)}
    asked: list[int] = []
    assert len(decide(data, grid(("a",), units=1, dominance=100), asked)) == withheld
    assert len(asked) <= 25


def test_dominance_of_a_remainder() -> None:
    """Two cells that pass together by units, but where one contributor outweighs the rest."""
    data: Data = {
        ("A",): {"big": 1000, "x": 1},
        ("B",): {"y": 1, "z": 1},
        ("C",): {f"c{i}": 50 for i in range(9)},
    }
    assert decide(data, grid(("a",), dominance=10)) == {("A",), ("B",), ("C",)}


def test_crossing_margins_are_seen_through() -> None:
    """City and month remainders each pass, yet their difference would isolate (A, 2)."""
    data: Data = {
        ("A", 1): people(2),
        ("A", 2): people(2, 10),
        ("B", 2): people(2, 20),
        ("B", 1): people(3, 30),
        ("C", 1): people(7, 40),
        ("C", 2): people(8, 50),
    }
    both = decide(data, grid(("city", "month"), totals=(("city",), ("month",))))
    assert both >= {("A", 1), ("A", 2), ("B", 2), ("B", 1)}


def test_crossing_margins_with_nothing_more_to_withhold_end() -> None:
    data: Data = {("A", 1): people(1), ("B", 2): people(1, 5)}
    assert decide(data, grid(("a", "b"), totals=(("a",), ("b",)))) == set(data)


def test_one_span_that_passes_is_left_alone() -> None:
    """A whole city withheld, all in the small: its total is a passing set and nothing else can be had."""
    data: Data = {("A", m): people(2, 10 * m) for m in (1, 2)}
    data |= {("B", m): people(9, 100 * m) for m in (1, 2)}
    data |= {("C", m): people(8, 1000 * m) for m in (1, 2)}
    got = decide(data, grid(("a", "m"), totals=(("a",), ("m",))))
    assert got == {("A", 1), ("A", 2), ("C", 1), ("C", 2)}


@pytest.mark.parametrize(
    ("margins", "crossing"),
    [((), False), ((("a",),), False), ((("a",), ("a", "b")), False), ((("a",), ("b",)), True)],
)
def test_cross(margins: tuple[tuple[str, ...], ...], crossing: bool) -> None:
    assert cube.cross(margins) is crossing


def _at(*keys: str) -> frozenset[tuple[int, Key]]:
    return frozenset((i, (key,)) for i, key in enumerate(keys))


def test_derivable_finds_a_bridge() -> None:
    """A path of pieces: every one of them follows from the totals."""
    pieces = {0: _at("A", "1"), 1: _at("A", "2"), 2: _at("B", "2")}
    assert {s.support for s in cube.derivable(pieces, {0, 1, 2})} == {frozenset({i}) for i in range(3)}


def test_derivable_joins_vectors_that_meet() -> None:
    pieces = {i: _at(a, b) for i, (a, b) in enumerate([("A", "1"), ("A", "2"), ("B", "1"), ("B", "2")])}
    [span] = cube.derivable(pieces, {0, 1, 2, 3})
    assert (span.vectors, span.support) == (3, frozenset(range(4)))


def test_derivable_is_empty_where_passing_pieces_hide_the_failing() -> None:
    pieces = {i: _at(a, b) for i, (a, b) in enumerate([("A", "1"), ("A", "2"), ("B", "1"), ("B", "2")])}
    assert cube.derivable(pieces, {0}) == []


def test_derivable_finds_a_difference_of_two_pieces() -> None:
    """In a square, the difference of opposite corners follows from the four totals less the others."""
    pieces = {i: _at(a, b) for i, (a, b) in enumerate([("A", "1"), ("A", "2"), ("B", "1"), ("B", "2")])}
    assert cube.derivable(pieces, {0, 3}) == [cube.Span(1, frozenset({0, 3}))]


def column(name: str, kind: Kind, clip: Range = UNBOUNDED, scale: Fraction | None = None) -> ColumnRule:
    return ColumnRule(name, kind, 1, frozenset({Use.MEASURE}), clip=clip, scale=scale)


def test_measures_are_shared_and_no_cells() -> None:
    columns = (
        column("a", Kind.INTEGER, clip=Range(Fraction(1, 2), Fraction(9, 2))),
        column("b", Kind.DECIMAL, scale=Fraction(1, 100), clip=Range(Fraction(0), None)),
        column("c", Kind.DOUBLE),
        column("d", Kind.DOUBLE),
    )
    rule = TableRule("t", columns, grid=grid(("d",)))
    assert cube_sql.measures(rule, ["a", "b", "d"]) == (
        Measure("a", Kind.INTEGER, 0, 1, 4),
        Measure("b", Kind.DECIMAL, 2, 0, None),
    )
    assert cube_sql.measures(TableRule("t", columns), ["c"]) == (Measure("c", Kind.DOUBLE, 6, None, None),)


@pytest.mark.parametrize(("scale", "digits"), [("0.5", 1), ("5", 0), ("0.01", 2), ("0.25", 2)])
def test_digits_of(scale: str, digits: int) -> None:
    assert cube_sql.digits_of(column("x", Kind.DECIMAL, scale=Fraction(scale))) == digits


def test_scale_without_digits_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        cube_sql.digits_of(column("x", Kind.DECIMAL, scale=Fraction(1, 3)))
    assert refusal.value.code is Code.DOCUMENT


def value(sql: str) -> object:
    row = duckdb.connect().execute(sql).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("measure", "stored", "expected"),
    [
        (Measure("x", Kind.INTEGER, 0, None, None), "7::BIGINT", 7),
        (Measure("x", Kind.INTEGER, 0, 0, 5), "7::BIGINT", 5),
        (Measure("x", Kind.DECIMAL, 2, -100, None), "-1.25::DECIMAL(18,2)", -100),
        (Measure("x", Kind.DECIMAL, 2, None, None), "NULL::DECIMAL(18,2)", None),
        (
            Measure("x", Kind.DECIMAL, 18, None, None),
            "0.123456789012345678::DECIMAL(18,18)",
            123456789012345678,
        ),
        (Measure("x", Kind.DOUBLE, 2, None, None), "1.239::DOUBLE", 124),
        (Measure("x", Kind.DOUBLE, 2, None, 100), "NULL::DOUBLE", None),
        (Measure("x", Kind.DOUBLE, 0, None, 100), "1e300::DOUBLE", 100),
    ],
)
def test_fixed_point(measure: Measure, stored: str, expected: int | None) -> None:
    assert value(f"SELECT {cube_sql.fixed_point(measure)} FROM (SELECT {stored} AS x)") == expected


@pytest.mark.parametrize(
    ("steps", "to", "expected"),
    [
        (15, 10, 20),
        (25, 10, 20),
        (-15, 10, -20),
        (-25, 10, -20),
        (24, 10, 20),
        (26, 10, 30),
        (7, 1, 7),
        (7, 0, 7),
    ],
)
def test_rounding_is_half_to_even(steps: int, to: int, expected: int) -> None:
    assert value(f"SELECT {cube_sql.rounded(f'{steps}::HUGEINT', to)}") == expected


def test_sums_that_do_not_fit_are_null() -> None:
    big = f"{2**64}::HUGEINT"
    assert value(f"SELECT {cube_sql.sum_value(big, Measure('x', Kind.INTEGER, 0, None, None), 0)}") is None
    assert (
        value(f"SELECT {cube_sql.sum_value(big, Measure('x', Kind.DECIMAL, 2, None, None), 0)}")
        == Decimal(2**64) / 100
    )


def test_sql_from_rows_to_published_cells() -> None:
    connection = duckdb.connect()
    connection.execute(
        """CREATE TABLE t AS SELECT * FROM (VALUES
        ('A', 1, 1.50::DECIMAL(18,2)), ('A', 1, -2.00), ('A', 2, 4.00), ('A', 3, NULL), (NULL, 1, 1.00))
        AS t("ci""ty", _u, fee)"""
    )
    rules = Grid(('ci"ty',), 2, Fraction(0), 2, ())
    found = [Measure("fee", Kind.DECIMAL, 2, None, None)]
    connection.execute(f"CREATE TABLE cells AS {cube_sql.cells_sql('t', rules, found)}")
    pairs = cube_sql.pairs_sql("t", "cells", rules, found, "_u")
    connection.execute(f"CREATE TABLE pairs AS {pairs}")
    connection.execute("CREATE TABLE parts AS SELECT * FROM (VALUES (0, 7), (1, 8)) AS v(cell, part)")
    statistics = connection.execute(
        cube_sql.statistics_sql("pairs", "parts", 1) + " ORDER BY part"
    ).fetchall()
    assert statistics == [(7, 1, 100, 100, 0), (8, 3, 750, 400, 350)]
    connection.execute("CREATE TABLE survivors AS SELECT 1 AS cell, 3 AS units")
    published = connection.execute(cube_sql.published_sql("cells", "survivors", rules, found))
    assert [c[0] for c in published.description] == ['ci"ty', "rows", "units", "sum_fee", "count_fee"]
    assert published.fetchall() == [("A", 4, 3, Decimal("4.00"), 3)]
