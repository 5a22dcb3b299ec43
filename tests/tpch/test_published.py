"""TPC-H's 22 published texts: what becomes of each, that we read them as DuckDB does, and a small run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench.tpch.ask import Asker
from bench.tpch.data import GRANTS, HERE, UNITS, generated, home, texts
from sandbox.catalogue import Catalogue
from sandbox.errors import Refusal
from sandbox.policy.authorize import authorize
from sandbox.policy.documents import Documents, DpGuard
from sandbox.policy.effective import PublicFacts, effective
from sandbox.policy.floor import guard_in_force
from sandbox.policy.load import load
from sandbox.privacy.plan import Plan, plan
from sandbox.sql.compile import compile_relation
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify

EXTENTS = {
    "part": 200_000, "supplier": 10_000, "partsupp": 800_000, "customer": 150_000, "orders": 1_500_000,
    "nation": 25, "region": 5,
}  # fmt: skip
KEYS = {"p_partkey", "s_suppkey", "c_custkey", "o_orderkey", "n_nationkey", "r_regionkey", "n_name", "r_name"}
REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
NATIONS = (*(f"NATION {i:02}" for i in range(21)), "CANADA", "FRANCE", "GERMANY", "SAUDI ARABIA")
LISTED = {"n_name": NATIONS, "r_name": REGIONS}

# How each text ends: exact (public tables alone), the form of its releases, or the code that refuses it.
# "+" marks a release whose groups public tables list, "?" one whose groups are selected by a threshold.
CUSTOMER = """
q01 pairs | q02 exact | q03 pairs? | q04 pairs | q05 pairs+ | q06 unit | q07 pairs+ | q08 pairs | q09 pairs+
q10 RAW_OUTPUT | q11 exact | q12 pairs | q13 row | q14 unit | q15 pairs? | q16 exact | q17 pairs+ unit
q18 RAW_OUTPUT | q19 unit | q20 pairs+ | q21 pairs+ | q22 row row
"""
SUPPLIER = """
q01 pairs | q02 CROSS_UNIT | q03 pairs+ | q04 SUBQUERY | q05 pairs+ | q06 unit | q07 pairs+ | q08 pairs+
q09 pairs | q10 pairs+ | q11 pairs? unit | q12 pairs | q13 exact | q14 unit | q15 RAW_OUTPUT | q16 pairs+
q17 pairs+ unit | q18 pairs? pairs+ | q19 unit | q20 RAW_OUTPUT | q21 UNIT_JOIN | q22 exact
"""


def ends(text: str) -> dict[str, str]:
    return dict(
        part.strip().split(" ", 1) for line in text.split("\n") for part in line.split("|") if part.strip()
    )


EXPECTED = {"customer": ends(CUSTOMER), "supplier": ends(SUPPLIER)}


def documents(unit: str) -> Documents:
    return load([HERE / "policies" / unit])


def catalogue(found: Documents) -> Catalogue:
    """As over a snapshot at scale 1, whose public contents are as the specification says."""
    (dataset,) = found.datasets
    facts = {
        f"{dataset.id}.{t.name}": PublicFacts(
            EXTENTS[t.name],
            {c.name: LISTED[c.name] for c in t.columns if c.name in LISTED},
            frozenset(c.name for c in t.columns if c.name in KEYS),
        )
        for t in dataset.tables
        if t.public
    }
    return effective(found.grants[0], found.datasets, facts)


def read(text: str, known: Catalogue) -> Relation:
    return simplify(resolve(parse(text), known))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", texts())
def test_each_published_text_is_answered_or_refused_as_expected(unit: str, name: str) -> None:
    found = documents(unit)
    known = catalogue(found)
    guard = guard_in_force(found.grants[0], found.datasets)
    assert isinstance(guard, DpGuard)
    assert outcome(texts()[name], known, guard) == EXPECTED[unit][name]


def outcome(text: str, known: Catalogue, guard: DpGuard) -> str:
    try:
        relation = read(text, known)
        if reasons := authorize(relation, known):
            raise Refusal(*reasons)
        return forms(plan(relation, guard, Fraction(1)))
    except Refusal as refusal:
        return refusal.reasons[-1].code.name


def forms(made: Plan) -> str:
    ways = [
        f"{p.release.bounding}{'+' if p.release.listing else '?' if p.release.selection else ''}"
        for p in made.priced
    ]
    return " ".join(ways) or "exact"


@pytest.mark.parametrize("name", ["q10", "q18"])
def test_a_list_of_single_customers_names_the_nearest_form(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(texts()[name], catalogue(documents("customer")))
    (reason,) = refused.value.reasons
    assert "the nearest allowed form is GROUP BY" in reason.now("en")
    assert "c_custkey" in reason.now("en")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tpch")


@pytest.fixture(scope="module")
def stored(cache: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The generated tables twice: as they are, and as a snapshot has them, with the unit beside each row."""
    connection = duckdb.connect()
    units = {"customer": "c_custkey", "orders": "o_custkey", "lineitem": "o_custkey"}
    connection.execute("CREATE SCHEMA tpch")
    for file in sorted(generated("0.01", cache).glob("*.parquet")):
        name = file.stem
        connection.execute(f"CREATE TABLE {name} AS FROM read_parquet('{file}')")
    for name in EXTENTS.keys() | {"lineitem"}:
        unit = f", {units[name]} AS _u" if name in units else ""
        source = f"{name} JOIN orders ON o_orderkey = l_orderkey" if name == "lineitem" else name
        connection.execute(f"CREATE TABLE tpch.{name} AS SELECT {name}.*{unit} FROM {source}")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", [n for n, end in EXPECTED["customer"].items() if end != "RAW_OUTPUT"])
def test_a_published_text_means_what_duckdb_makes_of_it(name: str, stored: duckdb.DuckDBPyConnection) -> None:
    text = texts()[name]
    relation = read(text, catalogue(documents("customer")))
    mine = stored.execute(compile_relation(relation)).fetchall()
    theirs = stored.execute(text).fetchall()
    assert len(mine) == len(theirs)
    for one, other in zip(sorted(mine, key=in_order), sorted(theirs, key=in_order), strict=True):
        assert all(alike(a, b) for a, b in zip(one, other, strict=True)), (one, other)


def in_order(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{float(v):.4g}" if is_real(v) else str(v) for v in row)


def alike(a: Any, b: Any) -> bool:
    """DuckDB's sums of decimals are decimals, ours binary64."""
    return math.isclose(a, b, rel_tol=1e-9) if is_real(a) and is_real(b) else bool(a == b)


def is_real(value: Any) -> bool:
    return isinstance(value, float | Decimal)


def test_a_small_run_over_the_whole_journey(cache: Path) -> None:
    asker = Asker(home("0.01", "customer", cache), GRANTS["customer"], generated("0.01", cache))
    try:
        lines = {
            name: asker.line(name, texts()[name], 0) for name in ("q04", "q05", "q10", "q13", "q16", "q20")
        }
    finally:
        asker.close()
    assert {n: line.status for n, line in lines.items()} == dict.fromkeys(lines, "answered") | {
        "q10": "refused"
    }
    assert (lines["q05"].shown, lines["q05"].stated) == (5, 5)
    assert not lines["q16"].noisy and lines["q20"].noisy
    assert lines["q13"].predicted is not None and lines["q13"].predicted < 1
