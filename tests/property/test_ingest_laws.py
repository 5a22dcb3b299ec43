"""Laws of ingestion over random tables with random faults.

- Every source row is published or quarantined, and the counts say so.
- What is published is what a slow, row-at-a-time reading of the rules would publish.
- The snapshot is whole, or there is none.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.catalogue import KeyPath, Kind, Range, Use
from sandbox.policy.documents import ColumnRule, Dataset, Share, TableRule, Title, UnitRule
from sandbox.snapshot import Snapshot, current, ingest

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
GROUP = frozenset({Use.GROUP})
PERSON = TableRule(
    "person",
    (
        ColumnRule("id", Kind.STRING, 4, frozenset({Use.JOIN})),
        ColumnRule("city", Kind.STRING, 1, GROUP, domain=("a", "b")),
    ),
    units=(UnitRule("person", "id"),),
    per_unit=("city",),
)
FEE = ColumnRule(
    "fee", Kind.INTEGER, 3, frozenset({Use.MEASURE, Use.GROUP}), range=Range(Fraction(0), Fraction(9))
)
CLAIM = TableRule(
    "claim",
    (ColumnRule("who", Kind.STRING, 4, frozenset({Use.JOIN})), FEE),
    units=(UnitRule("person", "id", (KeyPath("who", "person", "id"),)),),
)
DATASET = Dataset("d", Title("数", "D"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", (CLAIM, PERSON))

Fields = list[str]
persons = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["p1", "p2", "p3", "p4", ""]), st.sampled_from(["a", "b", "a", "x", ""])),
        st.tuples(st.sampled_from(["p1", "p5"])),
    ).map(list),
    max_size=10,
)
claims = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["p1", "p2", "p3", "p9", ""]),
            st.sampled_from(["0", "9", "10", "-1", "1.0", "1.5", "nan", "1e1", "", " 3 "]),
        ),
        st.tuples(st.sampled_from(["p1"]), st.just("1"), st.just("2")),
    ).map(list),
    max_size=14,
)


def good_persons(rows: list[Fields]) -> list[Fields]:
    """The rules of ``person``, read slowly."""
    whole = [r for r in rows if len(r) == 2 and r[0] and r[1] in ("a", "b")]
    cities = {who: {c for w, c in whole if w == who} for who, _ in whole}
    first = {who: next(i for i, r in enumerate(whole) if r[0] == who) for who in cities}
    return [r for i, r in enumerate(whole) if first[r[0]] == i and len(cities[r[0]]) == 1]


def fee_of(text: str) -> int | None:
    try:
        value = Fraction(text.strip())
    except ValueError:
        return None
    return int(value) if value.denominator == 1 and 0 <= value <= 9 else None


def good_claims(rows: list[Fields], known: set[str]) -> list[int]:
    """The fees of good claims."""
    found = [fee_of(r[1]) for r in rows if len(r) == 2 and r[0] in known]
    return [fee for fee in found if fee is not None]


def csv(path: Path, header: str, rows: list[Fields]) -> Path:
    path.write_text("\n".join([header, *(",".join(r) for r in rows), ""]), encoding="utf-8")
    return path


def read(snapshot: Snapshot, table: str, columns: str) -> list[tuple[object, ...]]:
    files = [str(f) for f in snapshot.files(table)]
    return duckdb.connect().execute(f"SELECT {columns} FROM read_parquet(?)", [files]).fetchall()


@settings(max_examples=40, deadline=None)
@given(persons, claims)
def test_rows_in_are_published_or_quarantined(person: list[Fields], claim: list[Fields]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = {
            "person": csv(folder / "person.csv", "id,city", person),
            "claim": csv(folder / "claim.csv", "who,fee", claim),
        }
        done = ingest(DATASET, sources, folder / "root", now=NOW)
        snapshot = current(folder / "root", "d")
        snapshot.verify()
        assert snapshot.id == done.manifest.id

        expected = good_persons(person)
        fees = good_claims(claim, {who for who, _ in expected})
        assert Counter(read(snapshot, "person", "city")) == Counter((city,) for _, city in expected)
        assert Counter(read(snapshot, "claim", "fee")) == Counter((fee,) for fee in fees)
        for table, rows, published in (("person", person, len(expected)), ("claim", claim, len(fees))):
            facts = done.manifest.table(table)
            assert facts is not None
            assert (facts.rows_in, facts.published) == (len(rows), published)
            assert facts.quarantined == facts.rows_in - facts.published
            assert sum(r.rows for r in facts.reasons) >= facts.quarantined
            assert len(read(snapshot, table, "_u")) == published
        check_units(read(snapshot, "claim", "_u, _u_ord, _u_n"))


def check_units(rows: list[tuple[object, ...]]) -> None:
    """``_u_ord`` counts a unit's rows from 0 and ``_u_n`` is how many there are."""
    count = Counter(unit for unit, _, _ in rows)
    assert all(n == count[unit] for unit, _, n in rows)
    assert Counter((u, place) for u, place, _ in rows) == Counter(
        (u, i) for u, n in count.items() for i in range(n)
    )
