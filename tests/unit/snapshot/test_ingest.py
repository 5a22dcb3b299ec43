"""Ingestion of a small dataset with key paths over two hops, two kinds of unit and a public table."""

from __future__ import annotations

import datetime as dt
import fcntl
import stat
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.catalogue import KeyPath, Kind, Range, Use
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import ColumnRule, Dataset, Share, TableRule, Title, UnitRule, Why
from sandbox.snapshot import Ingested, Snapshot, current, history, ingest, work, write

NOW = dt.datetime(2025, 7, 1, 12, 0, tzinfo=dt.UTC)
ANY = frozenset({Use.GROUP, Use.FILTER})
ID = frozenset({Use.JOIN, Use.COUNT})

PERSON = UnitRule("person", "person_id")
TO_CLAIM = KeyPath("claim_id", "claim", "claim_id")
TO_PERSON = KeyPath("person_id", "person", "person_id")

TABLES = (
    TableRule(
        "item",
        (
            ColumnRule("claim_id", Kind.STRING, 4, frozenset({Use.JOIN})),
            ColumnRule("drug", Kind.STRING, 3, ANY),
            ColumnRule("amount", Kind.DECIMAL, 3, frozenset({Use.MEASURE}), scale=Fraction(1, 100)),
        ),
        units=(UnitRule("person", "person_id", (TO_CLAIM, TO_PERSON)),),
    ),
    TableRule(
        "claim",
        (
            ColumnRule("claim_id", Kind.STRING, 4, frozenset({Use.JOIN})),
            ColumnRule("person_id", Kind.STRING, 4, ID),
            ColumnRule("uscc", Kind.STRING, 4, ID),
            ColumnRule("day", Kind.DATE, 2, ANY, range=Range(Fraction(738000), Fraction(739500))),
            ColumnRule("fee", Kind.DOUBLE, 3, frozenset({Use.MEASURE}), range=Range(Fraction(0), None)),
        ),
        units=(UnitRule("person", "person_id", (TO_PERSON,)), UnitRule("enterprise", "uscc")),
    ),
    TableRule(
        "person",
        (
            ColumnRule("person_id", Kind.STRING, 4, ID),
            ColumnRule("city", Kind.STRING, 1, ANY, domain=("太原", "大同")),
            ColumnRule("id_no", Kind.STRING, 4, frozenset(), share=Share.NONE, why=Why("x", "y")),
            ColumnRule("unused", Kind.STRING, 4, frozenset()),
        ),
        units=(PERSON,),
        per_unit=("city",),
        rows=1,
    ),
    TableRule(
        "hospital",
        (
            ColumnRule("hospital_id", Kind.INTEGER, 1, ANY, unique=True),
            ColumnRule("opened", Kind.DATE, 1, ANY, nullable=True),
        ),
        public=True,
    ),
)

GOOD = {
    "person": "person_id,city,id_no,undeclared\np1,太原,1,x\np2,大同,2,x\np3,太原,3,x\n",
    "claim": (
        "claim_id,person_id,uscc,day,fee\nc1,p1,e1,2023-01-05,1.5\nc2,p1,e2,2023-01-06,2.5\n"
        "c3,p2,e1,2023-02-05,3.5\nc4,p3,e1,2023-02-05,4.5\n"
    ),
    "item": "claim_id,drug,amount\nc1,a,1.25\nc1,b,2.00\nc3,a,3.00\nc4,b,0.5\n",
    "hospital": "hospital_id,opened\n1,2001-01-01\n2,\n",
}


def dataset_of(tables: tuple[TableRule, ...] = TABLES, name: str = "med") -> Dataset:
    return Dataset(
        name, Title("医", "M"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", tables, hash="h"
    )


class Bench:
    """A root directory, and a way to ingest texts into it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.folder = folder

    def sources(self, texts: dict[str, str]) -> dict[str, Path]:
        found = {}
        for name, content in texts.items():
            found[name] = self.folder / f"{name}.csv"
            found[name].write_text(content, encoding="utf-8")
        return found

    @property
    def now(self) -> Snapshot:
        return current(self.root, "med")

    def rows(self, table: str, columns: str = "*") -> list[tuple[object, ...]]:
        files = [str(f) for f in self.now.files(table)]
        sql = f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL"
        return duckdb.connect().execute(sql, [files]).fetchall()

    def units(self, kind: str = "person") -> dict[str, int]:
        path = str(self.root / "med" / "units" / f"{kind}.parquet")
        return dict(duckdb.connect().execute("SELECT id, u FROM read_parquet(?)", [path]).fetchall())

    def run(self, tables: tuple[TableRule, ...] = TABLES, **texts: str) -> Ingested:
        return ingest(dataset_of(tables), self.sources({**GOOD, **texts}), self.root, now=NOW)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def reasons(done: Ingested, table: str) -> dict[str, int]:
    facts = done.manifest.table(table)
    assert facts is not None
    assert facts.rows_in == facts.published + facts.quarantined
    return {f"{r.reason} {r.column}".strip(): r.rows for r in facts.reasons}


def test_good_sources_are_published_whole(bench: Bench) -> None:
    done = bench.run()
    assert done.quarantine.rows == 0
    assert [t.rows_in for t in done.manifest.tables] == [4, 4, 3, 2]
    bench.now.verify()
    assert bench.now.id == done.manifest.id == bench.now.manifest.id


def test_units_are_dense_and_shared_over_tables(bench: Bench) -> None:
    bench.run()
    units = bench.units()
    assert sorted(units.values()) == [0, 1, 2]
    assert sorted(bench.units("enterprise").values()) == [0, 1]
    # Over two hops: item -> claim -> person.
    assert {(u, d) for u, d in bench.rows("item", "_u, drug")} == {
        (units["p1"], "a"),
        (units["p1"], "b"),
        (units["p2"], "a"),
        (units["p3"], "b"),
    }
    # The visible identifier is the dense number, also where it only points at the unit's own table.
    assert all(p == u for p, u in bench.rows("claim", "person_id, _u"))
    assert all(e == u for e, u in bench.rows("claim", "uscc, _u2"))
    assert all(p == u for p, u in bench.rows("person", "person_id, _u"))


def test_helper_columns_count_a_units_rows(bench: Bench) -> None:
    bench.run()
    got = bench.rows("claim", "_u, _u_n, _u_ord")
    for unit in {u for u, _, _ in got}:
        mine = [(n, o) for u, n, o in got if u == unit]
        assert mine == [(len(mine), i) for i in range(len(mine))]


def test_what_no_grant_could_use_is_not_stored(bench: Bench) -> None:
    done = bench.run()
    facts = done.manifest.table("person")
    assert facts is not None
    assert [c.name for c in facts.columns] == ["person_id", "city"]
    assert facts.dropped == ("id_no", "unused")
    for path in (bench.root / "med" / done.manifest.id).rglob("*.parquet"):
        assert not {"id_no", "unused", "undeclared"} & set(pq.read_schema(path).names)


def test_only_public_tables_tell_facts(bench: Bench) -> None:
    bench.run()
    facts = bench.now.facts()
    assert set(facts) == {"med.hospital"}
    assert facts["med.hospital"].extent == 2
    assert facts["med.hospital"].unique == {"hospital_id"}
    assert facts["med.hospital"].domains == {"hospital_id": (1, 2), "opened": (dt.date(2001, 1, 1),)}


def test_each_row_check_has_its_reason(bench: Bench) -> None:
    bad = (
        "k1,p1,e1,2023-13-01,1\nk2,p1,e1,2023-01-01,NaN\nk3,p1,e1,2023-01-01,inf\n"
        "k4,p1,e1,1990-01-01,-1\nk5,p1,,2023-01-01,1\nk6,p1,e1,2023-01-01 10:00:00,1\nk7,p1\n"
        "k8,p1,e1,2023-01-01,\nk9,p1,e1,2023-01-01,x,y\n"
    )
    done = bench.run(claim=GOOD["claim"] + bad)
    assert reasons(done, "claim") == {
        "type day": 2,
        "type fee": 2,
        "range day": 1,
        "range fee": 1,
        "null uscc": 1,
        "null fee": 1,
        "malformed": 2,
    }
    assert len(bench.rows("claim")) == 4


def test_units_and_paths_must_be_there(bench: Bench) -> None:
    claim = ColumnRule("uscc", Kind.STRING, 4, ID, nullable=True)
    columns = tuple(claim if c.name == "uscc" else c for c in TABLES[1].columns)
    tables = (TABLES[0], replace(TABLES[1], columns=columns), *TABLES[2:])
    done = bench.run(
        tables,
        claim=GOOD["claim"] + "c5,p1,,2023-01-01,1\nc6,p99,e1,2023-01-01,1\n",
        item=GOOD["item"] + "c5,a,1\nc6,a,1\nc7,a,1\n",
    )
    assert reasons(done, "claim") == {"unit uscc": 1, "path person_id": 1}
    # A row whose target went to quarantine has lost its unit too.
    assert reasons(done, "item") == {"path claim_id": 3}


def test_keys_that_paths_point_at_are_unique(bench: Bench) -> None:
    done = bench.run(claim=GOOD["claim"] + "c1,p3,e1,2023-01-01,9\n")
    assert reasons(done, "claim") == {"duplicate_key claim_id": 1}
    assert (9.0,) not in bench.rows("claim", "fee")


def test_one_row_per_unit_and_functions_of_it(bench: Bench) -> None:
    done = bench.run(person=GOOD["person"] + "p1,太原,1,x\np2,太原,2,x\np9,北京,3,x\n")
    found = reasons(done, "person")
    assert found == {"duplicate_key person_id": 2, "rows": 2, "per_unit city": 2, "domain city": 1}
    assert len(bench.rows("person")) == 2


def test_declared_unique_columns_of_public_tables(bench: Bench) -> None:
    done = bench.run(hospital="hospital_id,opened\n1,\n1,2001-01-01\n3.0,\n4.5,\n")
    assert reasons(done, "hospital") == {"unique hospital_id": 1, "type hospital_id": 1}
    assert bench.rows("hospital") == [(1, None), (3, None)]


def test_columns_of_public_tables_that_are_unique_together(bench: Bench) -> None:
    hidden = replace(TABLES[3].columns[1], use=frozenset())  # compared, though never stored
    columns = (replace(TABLES[3].columns[0], unique=False, nullable=True), hidden)
    table = replace(TABLES[3], columns=columns, unique=(("hospital_id", "opened"),))
    rows = "1,2001-01-01\n1,2002-01-01\n2,2001-01-01\n1,2001-01-01\n2,\n2,\n,2001-01-01\n,2001-01-01\n"
    done = bench.run((*TABLES[:3], table), hospital="hospital_id,opened\n" + rows)
    assert reasons(done, "hospital") == {"unique hospital_id, opened": 1}
    assert bench.rows("hospital") == [(1,), (1,), (2,), (2,), (2,), (None,), (None,)]


def test_report_holds_no_values(bench: Bench) -> None:
    done = bench.run(person=GOOD["person"] + "p-secret,北京,7,x\n")
    shown = "\n".join(done.quarantine.lines()) + done.manifest.encode().decode()
    assert "secret" not in shown and "北京" not in shown
    assert "  domain city: 1" in shown


def test_quarantined_rows_are_kept_for_the_owner(bench: Bench) -> None:
    done = bench.run(claim=GOOD["claim"] + "k1,p1,e1,someday,1\nk2,p99,e1,2023-01-01,1\nk3\n")
    folder = bench.root / "med" / "quarantine" / done.manifest.id
    kept = pq.read_table(folder / "claim.parquet").to_pylist()
    assert [(r["_row"], r["_reasons"], r["day"]) for r in kept] == [
        (4, ["type day"], "someday"),
        (5, ["path person_id"], "2023-01-01"),
    ]
    assert (folder / "claim.malformed.txt").read_text() == "k3"
    for path in [*folder.iterdir(), *(bench.root / "med" / "units").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_unit_keeps_its_number(bench: Bench) -> None:
    bench.run()
    before = bench.units()
    bench.run(person="person_id,city\np7,太原\np2,大同\n", claim="claim_id,person_id,uscc,day,fee\n")
    after = bench.units()
    assert before.items() <= after.items() and after["p7"] == 3
    assert {u for (u,) in bench.rows("person", "_u")} == {before["p2"], 3}
    assert len(history(bench.root, "med")) == 2


def test_missing_columns_are_refused_all_at_once(bench: Bench) -> None:
    bench.run()
    before = bench.now.id
    with pytest.raises(Refusal) as refusal:
        bench.run(claim="claim_id,person_id\n", person="person_id\np1\n")
    assert [r.column for r in refusal.value.reasons] == ["uscc", "day", "fee", "city"]
    assert bench.now.id == before
    assert not list((bench.root / "med").glob(".staging-*"))


@pytest.mark.parametrize(
    "content",
    [
        "person_id,city\np1,大同\n".encode("gb18030"),
        b"person_id,city\np1,\xff\n",
        b"person_id,city\np1,\x00\n",
        b"person_id,city\np1,\xe5\xa4",
        b'person_id,city\n"p1,x\n',
        b'person_id,"city\n',
        b"person_id,City,city\np1,a,b\n",
        b"person_id,,city\np1,a,b\n",
        b"",
    ],
)
def test_broken_text_is_refused(bench: Bench, content: bytes) -> None:
    sources = bench.sources(GOOD)
    sources["person"].write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        ingest(dataset_of(), sources, bench.root, now=NOW)
    assert refusal.value.code is Code.SOURCE
    assert refusal.value.reasons[0].subject.startswith("person: ")
    assert str(bench.folder) not in str(refusal.value) and "p1" not in str(refusal.value)


def test_byte_order_mark_and_quoting(bench: Bench) -> None:
    person = '\ufeffperson_id,city\r\n"p,1",太原\r\n"p""2","大同"\r\n'
    bench.run(person=person, claim="claim_id,person_id,uscc,day,fee\n")
    assert set(bench.units()) == {"p,1", 'p"2'}


def test_parquet_and_csv_give_the_same(bench: Bench, tmp_path: Path) -> None:
    bench.run()
    shown = {t.name: "* EXCLUDE (_u_ord)" if t.units else "*" for t in TABLES}
    before = {name: bench.rows(name, columns) for name, columns in shown.items()}
    sources = bench.sources(GOOD)
    for name, path in sources.items():
        folder = tmp_path / f"{name}-parquet"
        folder.mkdir()
        rows = f"(SELECT row_number() OVER () AS n, * FROM read_csv('{path}'))"
        for part, which in (("a", "n = 1"), ("b", "n > 1")):
            target = folder / f"{part}.parquet"
            duckdb.connect().execute(f"COPY (SELECT * EXCLUDE (n) FROM {rows} WHERE {which}) TO '{target}'")
        (folder / "README").write_text("not data")
        sources[name] = folder
    ingest(dataset_of(), sources, bench.root, now=NOW)
    assert {name: bench.rows(name, columns) for name, columns in shown.items()} == before


def test_folders_must_agree(bench: Bench, tmp_path: Path) -> None:
    sources = bench.sources(GOOD)
    folder = sources["person"] = tmp_path / "persons"
    for made, words in [
        (None, "no CSV or Parquet"),
        (("a.csv", GOOD["person"]), None),
        (("b.csv", "city,person_id\n太原,p1\n"), "one header"),
        (("c.parquet", "x"), "all CSV nor all Parquet"),
    ]:
        folder.mkdir(exist_ok=True)
        if made:
            (folder / made[0]).write_text(made[1], encoding="utf-8")
        if words is None:
            ingest(dataset_of(), sources, bench.root, now=NOW)
            continue
        with pytest.raises(Refusal, match=words):
            ingest(dataset_of(), sources, bench.root, now=NOW)
    sources["person"] = folder / "c.parquet"
    with pytest.raises(Refusal, match="is not Parquet"):
        ingest(dataset_of(), sources, bench.root, now=NOW)


def test_parquet_values_are_cast_without_loss(bench: Bench, tmp_path: Path) -> None:
    kinds = {
        "i": Kind.INTEGER,
        "d": Kind.DECIMAL,
        "h": Kind.DECIMAL,
        "f": Kind.DOUBLE,
        "b": Kind.BOOLEAN,
        "t": Kind.TIMESTAMP,
        "s": Kind.STRING,
    }
    scales = {"d": Fraction(1, 100), "h": Fraction(1, 2)}
    rule = TableRule(
        "p",
        tuple(ColumnRule(n, k, 1, ANY, nullable=True, scale=scales.get(n)) for n, k in kinds.items()),
        public=True,
    )
    when = dt.datetime(2025, 1, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    source = tmp_path / "p.parquet"
    pq.write_table(
        pa.table(
            {
                "i": [2.0, 1.5],
                "d": ["1.239", "x"],
                "h": [1.3, 10.0**30],
                "f": [1.5, float("nan")],
                "b": ["true", "maybe"],
                "t": [when, None],
                "s": [7, 8],
            }
        ),
        source,
    )
    done = ingest(dataset_of((rule,)), {"p": source}, bench.root, now=NOW)
    assert bench.rows("p") == [(2, Decimal("1.24"), Decimal("1.5"), 1.5, True, dt.datetime(2025, 1, 1), "7")]
    assert reasons(done, "p") == {"type b": 1, "type d": 1, "type f": 1, "type h": 1, "type i": 1}
    assert bench.now.facts()["med.p"].domains["t"] == (dt.datetime(2025, 1, 1),)


@pytest.mark.parametrize(
    ("kind", "bounds", "good", "bad"),
    [
        (Kind.INTEGER, Range(Fraction(1, 2), Fraction(7, 2)), ["1", "3"], ["0", "4"]),
        (Kind.INTEGER, Range(None, Fraction(10**30)), ["9223372036854775807"], ["9223372036854775808"]),
        (Kind.DECIMAL, Range(Fraction(-5, 2), Fraction(1, 3)), ["-2.5", "0.333333"], ["-2.51", "0.34"]),
        (Kind.DOUBLE, Range(Fraction(0), Fraction(1)), ["0", "1"], ["-1e-9", "1.0001"]),
        (
            Kind.TIMESTAMP,
            Range(None, Fraction(dt.date(2024, 12, 31).toordinal())),
            ["2024-12-31 23:59:59"],
            ["2025-01-01 00:00:00"],
        ),
        (
            Kind.DATE,
            Range(Fraction(dt.date(2024, 12, 31).toordinal()), None),
            ["2024-12-31"],
            ["2024-12-30", "infinity"],
        ),
        (
            Kind.DATE,
            Range(),
            ["0001-01-01", "9999-12-31"],
            [
                "10000-01-01",
                "0044-03-15 (BC)",
                "5881580-07-10",
                "5877642-06-25 (BC)",
                "-infinity",
                "2025-02-30",
            ],
        ),
        (
            Kind.TIMESTAMP,
            Range(),
            ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"],
            ["10000-01-01 00:00:00", "290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54", "infinity"],
        ),
        (Kind.STRING, Range(Fraction(0), Fraction(1)), ["x"], []),
    ],
)
def test_ranges(bench: Bench, kind: Kind, bounds: Range, good: list[str], bad: list[str]) -> None:
    rule = TableRule("p", (ColumnRule("x", kind, 1, ANY, range=bounds),), public=True)
    source = bench.folder / "p.csv"
    source.write_text("\n".join(["x", *good, *bad, ""]), encoding="utf-8")
    [facts] = ingest(dataset_of((rule,)), {"p": source}, bench.root, now=NOW).manifest.tables
    assert (facts.published, facts.quarantined) == (len(good), len(bad))


def test_domains_are_typed(bench: Bench) -> None:
    columns = (
        ColumnRule("n", Kind.INTEGER, 1, ANY, nullable=True, domain=(1, 2)),
        ColumnRule("d", Kind.DATE, 1, ANY, domain=(dt.date(2025, 1, 1),)),
        ColumnRule("e", Kind.STRING, 1, ANY, nullable=True, domain=()),
    )
    source = bench.folder / "p.csv"
    source.write_text("n,d,e\n1,2025-01-01,\n,2025-01-01,\n3,2025-01-02,x\n", encoding="utf-8")
    rule = TableRule("p", columns, public=True)
    done = ingest(dataset_of((rule,)), {"p": source}, bench.root, now=NOW)
    assert reasons(done, "p") == {"domain n": 1, "domain d": 1, "domain e": 1}


def test_large_tables_are_split_at_units(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "PART_ROWS", 100)
    persons = [f"p{i}" for i in range(50)]
    claims = [f"c{i},{persons[i * i % 50]},e{i % 3},2023-01-05,1" for i in range(500)]
    bench.run(
        person="\n".join(["person_id,city", *(f"{p},太原" for p in persons), ""]),
        claim="\n".join(["claim_id,person_id,uscc,day,fee", *claims, ""]),
        item="claim_id,drug,amount\n",
    )
    files = bench.now.files("claim")
    assert len(files) > 3 and sum(pq.read_metadata(f).num_rows for f in files) == 500
    seen = [pq.read_table(f, columns=["_u"]).column("_u").to_pylist() for f in files]
    assert all(part == sorted(part) for part in seen)
    assert all(left[-1] < right[0] for left, right in pairwise(seen))


def test_every_kind_of_damage_is_found(bench: Bench) -> None:
    def damaged(act: str) -> None:
        done = bench.run()
        home = bench.root / "med" / done.manifest.id
        bench.now.verify()
        if act == "change":
            home.joinpath("person/part-0000.parquet").write_bytes(b"PAR1")
        elif act == "remove":
            home.joinpath("person/part-0000.parquet").unlink()
        elif act == "add":
            home.joinpath("extra").write_text("x")
        else:
            manifest = home / "manifest.json"
            text = manifest.read_text(encoding="utf-8")
            manifest.write_text(text.replace('"published":3', '"published":4') if act == "edit" else "{}")
        with pytest.raises(Refusal) as refusal:
            bench.now.verify()
        assert refusal.value.code is Code.SNAPSHOT_DAMAGED

    for act in ("change", "remove", "add", "edit"):
        bench.root = bench.folder / act
        damaged(act)
    bench.root = bench.folder / "garbage"
    damaged("garbage")
    with pytest.raises(Refusal):
        bench.run()


def test_no_snapshot_yet(bench: Bench) -> None:
    for name in ("med", "../med", ".staging-1"):
        with pytest.raises(Refusal) as refusal:
            current(bench.root, name)
        assert refusal.value.code is Code.NO_SNAPSHOT
    assert history(bench.root, "med") == ()


def test_a_lost_pointer_does_not_delete_history(bench: Bench) -> None:
    bench.run()
    bench.run()
    (bench.root / "med" / "CURRENT").unlink()
    with pytest.raises(Refusal) as refusal:
        bench.run()
    assert refusal.value.code is Code.SNAPSHOT_DAMAGED
    assert len(list((bench.root / "med").glob("2*"))) == 2


def test_a_pointer_to_elsewhere_is_damage(bench: Bench) -> None:
    bench.run()
    (bench.root / "med" / "CURRENT").write_text("../../etc")
    with pytest.raises(Refusal, match="med"):
        current(bench.root, "med")


def test_a_manifest_under_another_name_is_damage(bench: Bench) -> None:
    bench.run()
    home = bench.root / "med"
    (home / bench.now.id).rename(home / "20990101T000000Z-000000000000")
    (home / "CURRENT").write_text("20990101T000000Z-000000000000\n")
    with pytest.raises(Refusal) as refusal:
        current(bench.root, "med")
    assert refusal.value.code is Code.SNAPSHOT_DAMAGED


def test_running_out_of_memory_says_so(tmp_path: Path) -> None:
    def run_out() -> None:
        with work.workspace(tmp_path) as connection:
            connection.execute("SET memory_limit = '8MB'")
            connection.execute("SELECT len(list(hash(range))) FROM range(3000000)")

    with pytest.raises(Refusal) as refusal:
        run_out()
    assert refusal.value.reasons[0].subject == "out of memory or disk space"


def test_two_ingestions_at_once_are_refused(bench: Bench) -> None:
    bench.run()
    with (bench.root / "med" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refusal, match="another ingestion"):
            bench.run()


def test_documents_that_cannot_be_carried_out(bench: Bench) -> None:
    loop = UnitRule("person", "person_id", (KeyPath("claim_id", "item", "claim_id"),))
    for tables in (
        (TABLES[0], replace(TABLES[1], units=(loop,)), *TABLES[2:]),
        (*TABLES[:3], replace(TABLES[3], columns=(ColumnRule("_u", Kind.STRING, 1, ANY),))),
        (*TABLES[:3], replace(TABLES[3], columns=(ColumnRule("x", Kind.STRING, 1, frozenset()),))),
        (*TABLES[:2], replace(TABLES[2], units=(UnitRule("a/b", "person_id"),)), TABLES[3]),
    ):
        with pytest.raises(Refusal) as refusal:
            bench.run(tables)
        assert refusal.value.code is Code.DOCUMENT
    with pytest.raises(Refusal) as refusal:
        ingest(dataset_of(), {}, bench.root, now=NOW)
    assert refusal.value.code is Code.SOURCE


def test_progress_tells_every_stage(bench: Bench) -> None:
    seen: list[str] = []
    ingest(
        dataset_of(),
        bench.sources(GOOD),
        bench.root,
        now=NOW,
        progress=lambda stage, table, done, total: seen.append(stage),
    )
    assert list(dict.fromkeys(seen)) == ["read", "check", "units", "write", "cube", "hash"]


def test_unknown_tables_have_nothing(bench: Bench) -> None:
    bench.run()
    assert bench.now.files("nowhere") == () and bench.now.cube("nowhere") is None


def test_engine_errors_tell_nothing(bench: Bench) -> None:
    sources = bench.sources(GOOD)
    good = bench.folder / "person.parquet"
    pq.write_table(pa.table({"person_id": ["p-secret"] * 1000, "city": ["太原"] * 1000}), good)
    data = bytearray(good.read_bytes())
    data[8:60] = b"\xff" * 52
    good.write_bytes(data)
    with pytest.raises(Refusal) as refusal:
        ingest(dataset_of(), {**sources, "person": good}, bench.root, now=NOW)
    assert refusal.value.code is Code.SOURCE and "secret" not in str(refusal.value)
