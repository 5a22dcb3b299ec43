"""Laws of incremental loads: a load on top of loads is a full load, whatever happened in between.

A source lives: rows come, with a key they change and move ``since`` on, lines come that are no rows.  After
every turn it is loaded; some loads break midway and are repeated, some are full, some are sealed.  What
is published and what is in quarantine must then be, by checksum, what a full load into an empty root gives.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_connectors import faults

from sandbox.catalogue import Kind, Use
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import ColumnRule, Dataset, Load, RowTest, Share, TableRule, Title, UnitRule
from sandbox.snapshot import MasterKey, current, ingest, parquet
from sandbox.snapshot.feed import MALFORMED
from sandbox.snapshot.manifest import Loaded, Manifest, Origin
from sandbox.snapshot.publish import home_of

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
KEY = MasterKey(bytes(32))
GROUP = frozenset({Use.GROUP})
VISIT = TableRule(
    "visit",
    (
        ColumnRule("who", Kind.STRING, 4, frozenset({Use.COUNT})),
        ColumnRule("n", Kind.INTEGER, 1, GROUP, domain=(1, 2, 3)),
    ),
    units=(UnitRule("person", "who"),),
)
DATASET = Dataset("d", Title("数", "D"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", (VISIT,))

Row = dict[str, Any]
KINDS: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    "number": (pa.int64(), lambda tick: tick),
    "digits": (pa.string(), str),
    "decimal": (pa.decimal128(12, 2), lambda tick: tick),
    "day": (pa.date32(), lambda tick: dt.date(2025, 1, 1) + dt.timedelta(days=tick)),
    "moment": (pa.timestamp("s"), lambda tick: dt.datetime(2025, 1, 1) + dt.timedelta(hours=7 * tick)),
    "text": (
        pa.string(),
        lambda tick: (dt.datetime(2025, 1, 1) + dt.timedelta(hours=7 * tick)).isoformat(" "),
    ),
}
"""How ``since`` may come: its type, and its value after so many ticks of the source's clock."""


@dataclass(slots=True)
class Living:
    """A source over time; a feed that tells rows from a value on as a database would, and may break off."""

    kind: str
    load: Load | None
    rows: list[Row] = field(default_factory=list)
    lines: int = 0
    tick: int = 0
    broken: bool = False
    asked: RowTest | None = None
    columns: tuple[str, ...] = ("who", "n", "at", "id")

    def open(self, columns: Sequence[str], since: RowTest | None = None) -> pa.RecordBatchReader:
        self.asked = since
        kind, value = KINDS[self.kind]
        types = {"who": pa.string(), "n": pa.string(), "at": kind, "id": pa.int64()}
        names = [*columns, MALFORMED]
        schema = pa.schema([(c, types.get(c, pa.string())) for c in names])
        told = [{**row, "at": value(row["at"])} for row in self.rows]
        if since is not None:
            told = [row for row in told if _meets(row["at"], since)]
        told += [{MALFORMED: f"line {i}"} for i in range(self.lines)]

        def batches() -> Iterator[pa.RecordBatch]:
            for row in told:
                yield pa.RecordBatch.from_pylist([{c: row.get(c) for c in names}], schema)
            if self.broken:
                raise faults.dropped("visit")

        return pa.RecordBatchReader.from_batches(schema, batches())


def _meets(value: Any, since: RowTest) -> bool:
    """As a server compares: by the column's own type; moments with midnight of the day."""
    if isinstance(since.value, str):
        return str(value) >= since.value
    return int(value) >= since.value


turns = st.lists(
    st.fixed_dictionaries(
        {
            "rows": st.lists(
                st.tuples(
                    st.sampled_from(["p1", "p2", "p3", ""]), st.sampled_from(["1", "2", "3", "4", "x"])
                ),
                max_size=4,
            ),
            "changed": st.lists(st.integers(0, 9), max_size=2),
            "lines": st.integers(0, 1),
            "time": st.integers(0, 3),
            "broken": st.booleans(),
            "full": st.sampled_from([False, False, True]),
        }
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=6, deadline=None)
@given(
    turns=turns,
    kind=st.sampled_from(sorted(KINDS)),
    upsert=st.booleans(),
    overlap=st.integers(0, 2),
    sealed=st.booleans(),
)
def test_loads_on_loads_are_a_full_load(
    turns: list[dict[str, Any]], kind: str, upsert: bool, overlap: int, sealed: bool
) -> None:
    source = Living(kind, Load("at", ("id",) if upsert else (), overlap))
    key = KEY if sealed else None
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number, turn in enumerate(turns):
            before = [dict(row) for row in source.rows]
            live(source, turn, upsert)
            when = NOW + dt.timedelta(days=number)
            if turn["broken"]:
                interrupted(source, folder / "grown", when, key)
            made_now = load(source, folder / "grown", when, key, full=turn["full"])
            whole = replace(source, load=None)
            load(whole, folder / f"full{number}", when, key)
            assert checksum(folder / "grown", key) == checksum(folder / f"full{number}", key)
            told(made_now, before, source.rows)


def live(source: Living, turn: dict[str, Any], upsert: bool) -> None:
    """Time passes; rows come, and where there is a key some change, which ``since`` tells."""
    source.tick += turn["time"]
    source.lines += turn["lines"]
    if upsert:
        for place in turn["changed"]:
            if place < len(source.rows):
                source.rows[place] = {**source.rows[place], "n": "3", "at": source.tick}
    for who, n in turn["rows"]:
        source.rows.append({"who": who, "n": n, "at": source.tick, "id": len(source.rows)})


def load(
    source: Living, root: Path, when: dt.datetime, key: MasterKey | None, *, full: bool = False
) -> Manifest:
    origins = {"visit": Origin("s", "living", "visit", (), "h")}
    made = ingest(DATASET, {"visit": source}, root, now=when, key=key, origins=origins, full=full).manifest
    current(root, "d").verify()
    (facts,) = made.tables
    assert facts.rows_in == facts.published + facts.quarantined == len(source.rows) + source.lines
    return made


def interrupted(source: Living, root: Path, when: dt.datetime, key: MasterKey | None) -> None:
    """A load that breaks off leaves what was in force, base and all."""
    home = home_of(root, "d")
    before = home.in_force()
    with pytest.raises(Refusal) as refused:
        load(replace(source, broken=True), root, when, key)
    assert refused.value.code is Code.SOURCE_DROPPED
    assert home.in_force() == before
    assert [p.name for p in home.base.glob("*")] == ([before.id] if before else [])


def told(made: Manifest, before: list[Row], now: list[Row]) -> None:
    """The manifest's counts of rows that came, changed and went are those of the source."""
    (facts,) = made.tables
    assert facts.load is not None
    old = {row["id"]: row for row in before}
    changed = sum(row["id"] in old and row != old[row["id"]] for row in now)
    # Lines that are no rows count as rows that come.
    added = facts.load.added + facts.load.changed - (facts.load.removed if not facts.load.key else 0)
    assert facts.load.removed == 0 and facts.load.restated is (changed > 0)
    assert facts.load.changed == changed
    assert added - changed >= len(now) - len(before)


def checksum(root: Path, key: MasterKey | None) -> str:
    """Of the rows published, under their units' own names, and of those in quarantine."""
    snapshot, home = current(root, "d"), home_of(root, "d")
    keys = snapshot.sealing(key)
    with duckdb.connect() as connection:
        rows = parquet.stored(connection, snapshot.files("visit"), keys.table("visit"))
        units = parquet.stored(connection, [home.units / "person.parquet"], keys.units("person"))
        found = connection.execute(
            f"SELECT id, n, _u_n, _u_ord < _u_n FROM {rows} JOIN {units} ON u = _u ORDER BY ALL"
        ).fetchall()
        kept = home.quarantine / snapshot.id / "visit.parquet"
        if kept.exists():
            bad = parquet.stored(connection, [kept], keys.quarantine("visit"))
            found += connection.execute(f"SELECT * EXCLUDE (_row) FROM {bad} ORDER BY ALL").fetchall()
    return hashlib.sha256(repr(found).encode()).hexdigest()


def first(root: Path, **more: Any) -> Living:
    source = Living("number", Load("at", ("id",)), [{"who": "p1", "n": "1", "at": 5, "id": 0}], **more)
    load(source, root, NOW, None)
    return source


def test_only_what_is_new_is_asked_for_and_the_cut_shows_nowhere(tmp_path: Path) -> None:
    source = first(tmp_path)
    source.rows.append({"who": "p2", "n": "1", "at": 1007, "id": 1})
    source.load = Load("at", ("id",), 2)
    made = load(source, tmp_path, NOW, None)
    assert source.asked == RowTest("at", ">=", Decimal(3))
    assert made.tables[0].load == Loaded("upsert", "at", ("id",), 2, 0, 1, 0, 0)
    load(source, tmp_path, NOW, None)
    assert source.asked == RowTest("at", ">=", Decimal(1005))
    told_here = [made.tables, current(tmp_path, "d").manifest.tables]
    assert not any(value in repr(told_here) for value in ("1007", "1005"))


def test_what_is_gone_is_seen_by_a_full_load_and_told_as_a_restatement(tmp_path: Path) -> None:
    source = first(tmp_path)
    source.rows = [{"who": "p2", "n": "2", "at": 9, "id": 7}]
    made = load(source, tmp_path, NOW, None, full=True)
    assert made.tables[0].load == Loaded("full", "at", ("id",), 1, 0, 1, 0, 1)
    assert made.tables[0].load.restated and len(list(home_of(tmp_path, "d").base.iterdir())) == 1


def test_another_document_or_type_reads_everything(tmp_path: Path) -> None:
    source = first(tmp_path)
    source.kind = "digits"
    assert mode(load(source, tmp_path, NOW, None)) == "full"
    assert mode(load(source, tmp_path, NOW, None)) == "upsert"
    source.load = Load("at")
    assert mode(load(source, tmp_path, NOW, None)) == "full"
    other = {"visit": Origin("s", "living", "visit", (), "other")}
    made = ingest(DATASET, {"visit": source}, tmp_path, now=NOW, origins=other).manifest
    assert mode(made) == "full"


def mode(made: Manifest) -> str:
    (facts,) = made.tables
    assert facts.load is not None
    return facts.load.mode


def test_a_day_to_come_does_not_hide_what_comes_before_it(tmp_path: Path) -> None:
    source = Living("day", Load("at"), [{"who": "p1", "n": "1", "at": 9999, "id": 0}])
    load(source, tmp_path, NOW, None)
    source.rows.append({"who": "p2", "n": "1", "at": 182, "id": 1})
    load(source, tmp_path, NOW, None)
    assert source.asked == RowTest("at", ">=", NOW.date().isoformat())


@pytest.mark.parametrize(
    ("more", "load_rule", "code"),
    [
        ({"id": 0}, Load("at", ("id",)), Code.SOURCE),
        ({"id": None}, Load("at", ("id",)), Code.SOURCE),
        ({"who": "p9"}, Load("who"), Code.SOURCE),
        ({"n": None}, Load("n"), Code.SOURCE),
        ({}, Load("nothing"), Code.SOURCE_UNKNOWN),
    ],
)
def test_columns_that_are_not_what_they_are_declared_to_be(
    more: Row, load_rule: Load, code: Code, tmp_path: Path
) -> None:
    row = {"who": "p1", "n": "1", "at": 1, "id": 0}
    source = Living("number", load_rule, [row, {**row, "id": 1, **more}])
    with pytest.raises(Refusal) as refused:
        load(source, tmp_path, NOW, None)
    assert refused.value.code is code and "p9" not in str(refused.value)
    assert home_of(tmp_path, "d").in_force() is None
