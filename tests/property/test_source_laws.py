"""Laws of reading sources: no row is lost or made, and a fault at any batch leaves what was in force."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_connectors import faults
from sandbox_connectors.interface import Column, Place, Table, stream
from sandbox_connectors.registry import connect

from sandbox.catalogue import Kind, Use
from sandbox.doors.sourcing import SourceFeed
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import (
    ColumnRule,
    Dataset,
    RowTest,
    Share,
    SourceTable,
    TableRule,
    Title,
    UnitRule,
)
from sandbox.snapshot import current, ingest

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
VISIT = TableRule(
    "visit",
    (
        ColumnRule("who", Kind.STRING, 4, frozenset({Use.COUNT})),
        ColumnRule("n", Kind.INTEGER, 1, frozenset({Use.GROUP})),
        ColumnRule("city", Kind.STRING, 1, frozenset({Use.GROUP}), nullable=True),
    ),
    units=(UnitRule("person", "who"),),
)
DATASET = Dataset("d", Title("数", "D"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", (VISIT,))

FIELD = st.text(st.sampled_from('ab0157-.,"\n 太原𠮷'), max_size=4)
LINE = st.one_of(
    st.tuples(st.sampled_from(["p1", "p2", "p3", ""]), st.sampled_from(["1", "07", "x", "1.5", ""]), FIELD),
    st.tuples(st.sampled_from(["p1", "p2"]), FIELD.filter(bool)),  # too few
    st.tuples(FIELD, FIELD, FIELD, FIELD.filter(bool)),  # too many
)
TIMES = settings(max_examples=12, deadline=None)


@TIMES
@given(
    lines=st.lists(LINE, max_size=12),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_rows_in_are_rows_published_and_rows_quarantined(
    lines: list[tuple[str, ...]], encoding: str, delimiter: str
) -> None:
    """Whatever is in a CSV file that can be parted into lines: ragged, empty, numbers that are none."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([("who", "n", "city"), *lines])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "visit.csv").write_bytes(text.getvalue().encode(encoding))
        told = {"path": "visit.csv", "delimiter": delimiter, "encoding": encoding.removesuffix("-sig")}
        connector = connect("csv", told, Place(folder, folder))
        feed = SourceFeed(connector, SourceTable("visit"))
        (facts,) = ingest(DATASET, {"visit": feed}, folder / "s", now=NOW).quarantine.tables
        connector.close()
        # The rule, written again: three fields; a unit; a number that is whole.
        good = [line for line in lines if len(line) == 3 and line[0] and _whole(line[1])]
        assert facts.rows_in == facts.published + facts.quarantined == len(lines)
        assert facts.published == len(good)
        files = [str(f) for f in current(folder / "s", "d").files("visit")]
        (stored,) = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [files]).fetchall()
        assert stored == (len(good),)
        kept = folder / "s" / "d" / "quarantine" / current(folder / "s", "d").id / "visit.parquet"
        held = (
            duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(kept)]).fetchall()
            if kept.exists()
            else [(0,)]
        )
        assert held == [(facts.quarantined,)]


def _whole(text: str) -> bool:
    try:
        return float(text) == int(float(text))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Faulty:
    """A feed that comes to grief at one batch."""

    batches: int
    at: int
    schema: bool

    columns = ("who", "n", "city")
    load = None

    def open(self, columns: Sequence[str], since: RowTest | None = None) -> pa.RecordBatchReader:
        table = Table("visit", tuple(Column(c, pa.string()) for c in columns))
        return stream(table, self._batches(table))

    def _batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        for i in range(self.batches):
            if i == self.at and not self.schema:
                raise faults.dropped("visit")
            kind = pa.large_string() if i == self.at else pa.string()
            values = {"who": f"p{i}", "n": "1", "city": "太原"}
            yield pa.record_batch({c.name: pa.array([values[c.name]] * 1000, kind) for c in table.columns})


@TIMES
@given(batches=st.integers(1, 6), at=st.integers(0, 5), schema=st.booleans(), first=st.booleans())
def test_a_fault_at_any_batch_leaves_what_was_in_force(
    batches: int, at: int, schema: bool, first: bool
) -> None:
    """A snapshot is whole or absent: dropped, or of another schema, at the first batch, the last, or none."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        before = ""
        if not first:
            before = ingest(DATASET, {"visit": Faulty(1, -1, False)}, root, now=NOW).manifest.id
        feed = Faulty(batches, at, schema)
        if at >= batches:
            done = ingest(DATASET, {"visit": feed}, root, now=NOW)
            assert done.quarantine.rows == 0 and done.manifest.tables[0].rows_in == 1000 * batches
            assert current(root, "d").id == done.manifest.id != before
            return
        with pytest.raises(Refusal) as refused:
            ingest(DATASET, {"visit": feed}, root, now=NOW)
        assert refused.value.code is (Code.SOURCE_CHANGED if schema else Code.SOURCE_DROPPED)
        assert not list((root / "d").glob(".staging*"))
        if first:
            with pytest.raises(Refusal) as refused:
                current(root, "d")
            assert refused.value.code is Code.NO_SNAPSHOT
        else:
            assert current(root, "d").id == before
