"""Compiled texts mean what expressions and relations mean: DuckDB's answer is the oracle's, always."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import duckdb
import pytest

from sandbox.catalogue import Kind, Range
from sandbox.errors import Refusal
from sandbox.sql.casts import SPELLED
from sandbox.sql.compile import compile_expr, typed
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Facts, Literal
from sandbox.sql.facts import evaluate, facts_of
from sandbox.sql.functions import FUNCTIONS

D, T = dt.date, dt.datetime
LARGEST, LEAST = 2**63 - 1, -(2**63)

HOSTILE: dict[Kind, tuple[Any, ...]] = {
    Kind.BOOLEAN: (None, True, False),
    Kind.INTEGER: (None, 0, 1, -1, 5, -7, 12, 2**31, 2**53 + 1, LARGEST, LEAST),
    Kind.DOUBLE: (
        None,
        0.0,
        -0.0,
        1.0,
        -1.5,
        2.5,
        0.285,
        0.49999999999999994,
        2.0**63,
        1e308,
        -1e308,
        5e-324,
        1e-308,
        1e22,
        math.inf,
        -math.inf,
        math.nan,
    ),
    Kind.STRING: (
        None,
        "",
        " ",
        "a",
        "A",
        "Straße",
        "ΟΔΟΣ",
        "İi",
        "é\n",
        "　太原 ",
        "a'b\"c;--",
        "50%_",
        "\\",
        "👨‍👩‍👧x",
        "\t\u00a0z",
        "2025-02-30",
        "NaN",
    ),
    Kind.DATE: (None, D(1, 1, 1), D(1999, 12, 31), D(2000, 2, 29), D(2025, 1, 31), D(9999, 12, 31)),
    Kind.TIMESTAMP: (
        None,
        T(1, 1, 1),
        T(2000, 2, 29, 23, 59, 59, 999999),
        T(2025, 3, 31, 12),
        T(9999, 12, 31, 23, 59, 59, 999999),
    ),
}
TAME: dict[Kind, tuple[Any, ...]] = {
    Kind.INTEGER: (None, 1, 2, 7, 50, 99, 100),
    Kind.DOUBLE: (None, 0.01, 0.5, 1.0, 2.675, 12.345, 100.0),
    Kind.DATE: (None, D(2024, 2, 29), D(2024, 12, 31), D(2025, 1, 1), D(2025, 12, 31)),
    Kind.TIMESTAMP: (None, T(2024, 2, 29, 1, 2, 3), T(2024, 12, 31, 23, 59, 59), T(2025, 12, 31)),
    Kind.STRING: (None, "a", "太原"),
}
TAME_RANGE = {
    Kind.INTEGER: Range(Fraction(1), Fraction(100)),
    Kind.DOUBLE: Range(Fraction(1, 100), Fraction(100)),
    Kind.DATE: Range(Fraction(D(2024, 1, 1).toordinal()), Fraction(D(2025, 12, 31).toordinal())),
    Kind.TIMESTAMP: Range(Fraction(D(2024, 1, 1).toordinal()), Fraction(D(2025, 12, 31).toordinal())),
    Kind.STRING: Range(),
}
CONSTANTS: tuple[Literal, ...] = (
    *(Literal(n, Kind.INTEGER) for n in (0, 1, 2, 3, 4, 12, -12, 40_000)),
    Literal(Fraction(5, 2), Kind.DOUBLE),
    *(
        Literal(t, Kind.STRING)
        for t in (
            "",
            "a",
            "%a_",
            "İ%",
            "'",
            "day",
            "week",
            "month",
            "quarter",
            "year",
            "hour",
            "minute",
            "second",
            "%Y-%m-%d %H:%M:%S",
            "%j",
        )
    ),
    Literal(None, Kind.STRING),
)


class Variant:
    """One way to stand for an argument: a column with its values, or a constant."""

    def __init__(self, kind: Kind, values: tuple[Any, ...], known: Facts) -> None:
        self.kind, self.values, self.known = kind, values, known


def columns_of(kind: Kind) -> Iterator[Variant]:
    scale = Fraction(1) if kind is Kind.INTEGER else None
    yield Variant(kind, HOSTILE[kind], Facts(kind, True, Range(), scale))
    if kind in TAME:
        yield Variant(kind, TAME[kind], Facts(kind, True, TAME_RANGE[kind], scale))


COLUMNS = [v for kind in HOSTILE for v in columns_of(kind)]


FEW = [Variant(v.kind, v.values[:4], v.known) for v in COLUMNS if v.values is HOSTILE[v.kind]]


def calls(name: str) -> Iterator[tuple[Expr, list[Variant]]]:
    """Calls of a function on columns (and, where it wants them, constants): some are refused."""
    function = FUNCTIONS[name]
    for width in range(function.low, min(function.high, 3) + 1):
        if name == "clamp":
            yield from clamps()
            return
        columns = FEW if width > 2 and not function.constant else COLUMNS
        places: list[Sequence[Variant | Literal]] = [
            CONSTANTS if i in function.constant else columns for i in range(width)
        ]
        for choice in itertools.product(*places):
            args: list[Expr] = []
            used: list[Variant] = []
            for part in choice:
                if isinstance(part, Variant):
                    args.append(Col(len(used)))
                    used.append(part)
                else:
                    args.append(part)
            yield Call(name, tuple(args)), used


def clamps() -> Iterator[tuple[Expr, list[Variant]]]:
    """Clamping is ours alone: bounds in order, and of the value's kind."""
    for column in COLUMNS:
        if column.kind.numeric:
            for low, high in ((0, 4), (-12, -12), (-12, 40_000)):
                bounds = (Literal(n, column.kind) for n in (low, high))
                yield Call("clamp", (Col(0), *bounds)), [column]


def well_typed(expr: Expr, used: Sequence[Variant]) -> Facts | None:
    try:
        return facts_of(expr, [v.known for v in used])
    except Refusal:
        return None


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def check(engine: duckdb.DuckDBPyConnection, cases: list[tuple[Expr, Facts]], used: list[Variant]) -> None:
    """Evaluate expressions over every combination of values, there and here."""
    known = [v.known for v in used]
    rows = list(itertools.product(*(v.values for v in used))) or [()]
    names = [f'"x{i}"' for i in range(len(used))]
    texts = [compile_expr(e, known, names) for e, _ in cases]
    engine.execute(
        "CREATE OR REPLACE TABLE t (n BIGINT"
        + "".join(f", {n} {SPELLED[v.kind]}" for n, v in zip(names, used, strict=True))
        + ")"
    )
    engine.executemany(
        f"INSERT INTO t VALUES ({', '.join('?' * (len(used) + 1))})", [(i, *r) for i, r in enumerate(rows)]
    )
    result = engine.sql(f"SELECT {', '.join(texts)} FROM t ORDER BY n")
    for (expr, out), kind in zip(cases, result.types, strict=True):
        assert str(kind) == SPELLED[out.kind], (expr, kind)
    for row, answer in zip(rows, result.fetchall(), strict=True):
        for (expr, out), value in zip(cases, answer, strict=True):
            wanted = evaluate(typed(expr, known), row)
            assert same(value, wanted), (expr, row, value, wanted)
            assert holds(out, value), (expr, row, value, out)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float | int) and not isinstance(b, bool):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9)
    return type(a) is type(b) and bool(a == b)


def holds(known: Facts, value: Any) -> bool:
    """Whether a value is one of those that the facts promise."""
    if value is None:
        return known.nullable
    if (
        known.domain is not None
        and value not in known.domain
        and not any(same(value, d) for d in known.domain)
    ):
        return False
    if isinstance(value, dt.date):
        value = value.toordinal()
    if isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value)):
        return not known.range.bounded
    slack = Fraction(abs(value)) / 10**9 if isinstance(value, float) else 0
    lo, hi = known.range.lo, known.range.hi
    return (lo is None or value >= lo - slack) and (hi is None or value <= hi + slack)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_on_hostile_arguments(name: str, engine: duckdb.DuckDBPyConnection) -> None:
    groups: dict[tuple[int, ...], tuple[list[Variant], list[tuple[Expr, Facts]]]] = {}
    for expr, used in calls(name):
        out = well_typed(expr, used)
        if out is not None:
            groups.setdefault(tuple(map(id, used)), (used, []))[1].append((expr, out))
    assert groups
    for used, cases in groups.values():
        check(engine, cases, used)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_cast_on_hostile_values(kind: Kind, engine: duckdb.DuckDBPyConnection) -> None:
    tried = 0
    for source in COLUMNS:
        scale = Fraction(1, 100) if kind is Kind.DECIMAL else None
        expr = Cast(Col(0), kind, scale)
        out = well_typed(expr, [source])
        if out is not None:
            check(engine, [(expr, out)], [source])
            tried += 1
    assert tried


def test_case_with_every_pair_of_branches(engine: duckdb.DuckDBPyConnection) -> None:
    truth = Variant(Kind.BOOLEAN, HOSTILE[Kind.BOOLEAN], Facts(Kind.BOOLEAN, True))
    for a, b in itertools.product(COLUMNS, COLUMNS):
        used = [truth, a, b]
        cases: list[Expr] = [
            Case(((Col(0), Col(1)),), Col(2)),
            Case(((Col(0), Col(1)), (Call("not", (Col(0),)), Literal(None, Kind.STRING))), Col(2)),
        ]
        typed_cases = [(c, out) for c in cases if (out := well_typed(c, used)) is not None]
        if typed_cases:
            check(engine, typed_cases, used)


@pytest.mark.parametrize(("name", "low"), [("sqrt", 0), ("ln", 1), ("log10", 1)])
def test_an_argument_rounded_out_of_the_domain_gives_null(
    name: str, low: int, engine: duckdb.DuckDBPyConnection
) -> None:
    known = Facts(Kind.DOUBLE, True, Range(Fraction(low), Fraction(100)))
    outside = Variant(Kind.DOUBLE, (-1e-17, None, *((0.0,) if low else ())), known)
    call = Call(name, (Col(0),))
    check(engine, [(call, Facts(Kind.DOUBLE))], [outside])
    assert evaluate(call, (-1e-17,)) is None


def test_the_range_of_an_overflowing_exponential_is_unknown() -> None:
    known = Facts(Kind.DOUBLE, True, Range(Fraction(0), Fraction(1000)))
    assert facts_of(Call("exp", (Col(0),)), [known]).range == Range()
    assert evaluate(Call("exp", (Col(0),)), (1000.0,)) == math.inf
