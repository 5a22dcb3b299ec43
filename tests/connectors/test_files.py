"""Files as sources: every kind there and back, and what a broken one is refused with."""

from __future__ import annotations

import gzip
import sqlite3
import zipfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sandbox_connectors import excel_file, sqlite_file
from sandbox_connectors.interface import MALFORMED, Column, Condition, Connector, Op, Place, Table, stream
from sandbox_connectors.registry import connect, kind, names
from sandbox_connectors.secrets import Secret

from sandbox.errors import Code, Refusal
from tests.connectors import check, detectors, sources


def at(folder: Path, name: str, **options: str) -> Connector:
    return connect(name, options, Place(folder, folder))


def refused_with(code: Code, connector: Connector, table: str = "t", column: str = "a") -> str:
    with pytest.raises(Refusal) as refused:
        connector.open(table, [column]).read_all()
    connector.close()
    assert refused.value.code is code, refused.value
    return str(refused.value)


def test_every_kind_of_file_gives_what_was_put_in(tmp_path: Path) -> None:
    report = check.Report()
    for case in sources.files(tmp_path):
        check.ingested(case, tmp_path, report)
    assert report.failed == []
    assert report.sources == 16
    assert not list(tmp_path.glob("tmp*")), "a spool was left behind"


def test_ragged_lines_come_as_malformed_whatever_columns_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n,,\n", encoding="utf-8")
    for columns in (["a"], ["c", "a"], ["a", "b", "c"]):
        connector = at(tmp_path, "csv", path="t.csv")
        rows = connector.open("t", columns).read_all()
        connector.close()
        assert rows[MALFORMED].to_pylist() == [None, None, None, "1,2", "1,2,3,4"]
        assert rows["a"].to_pylist() == ["1", "4", None, None, None]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a,b\n\xff\xfe\xff,1\n", Code.SOURCE_ENCODING),
        ("a,b\n值,1\n".encode() + "值,2\n".encode("gb18030") + b"\xff\n", Code.SOURCE_ENCODING),
        (b"a,b\n1,\x002\n", Code.SOURCE_ENCODING),
        (b'a,b\n"1,2\n3,4\n', Code.SOURCE),
        (b'a,b\n"1"x,2\n3,4\n', Code.SOURCE),
        (b"a,a\n1,2\n", Code.SOURCE),
        (b"", Code.SOURCE),
    ],
)
def test_broken_csv_is_refused_whole(tmp_path: Path, content: bytes, code: Code) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert str(tmp_path) not in refused_with(code, at(tmp_path, "csv", path="t.csv"))


def test_broken_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:-20])
    refused_with(Code.SOURCE, at(tmp_path, "csv", path="t.csv.gz"))
    (tmp_path / "t.csv.zst").write_bytes(b"not compressed at all")
    refused_with(Code.SOURCE, at(tmp_path, "csv", path="t.csv.zst"))
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("one.csv", "a\n1\n")
        archive.writestr("two.csv", "a\n1\n")
    refused_with(Code.SOURCE, at(tmp_path, "csv", path="t.csv.zip"))


def test_files_of_one_table_must_be_alike(tmp_path: Path) -> None:
    (tmp_path / "c" / "t").mkdir(parents=True)
    (tmp_path / "c" / "t" / "1.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "c" / "t" / "2.csv").write_text("a,c\n1,2\n", encoding="utf-8")
    refused_with(Code.SOURCE_CHANGED, at(tmp_path, "csv", path="c"))
    (tmp_path / "p" / "t").mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "p" / "t" / "1.parquet")
    pq.write_table(pa.table({"a": ["1"]}), tmp_path / "p" / "t" / "2.parquet")
    refused_with(Code.SOURCE_CHANGED, at(tmp_path, "parquet", path="p"))
    pq.write_table(pa.table({"b": [1]}), tmp_path / "p" / "t" / "2.parquet")
    refused_with(Code.SOURCE_CHANGED, at(tmp_path, "parquet", path="p"))


def test_the_files_of_a_delta_table_are_not_parquet(tmp_path: Path) -> None:
    """Files that a table has dropped are still there, and hold rows that were deleted."""
    case = next(c for c in sources.files(tmp_path) if c.kind == "delta")
    refused_with(Code.SOURCE, at(tmp_path, "parquet", **case.options), "visit", "who")
    connector = at(tmp_path, "delta", **case.options, version="0")
    assert connector.open("visit", ["old"]).read_all().num_rows == 1
    refused_with(Code.SOURCE, at(tmp_path, "delta", **case.options, version="99"), "visit", "who")
    refused_with(Code.DOCUMENT, at(tmp_path, "delta", **case.options, version="x"), "visit", "who")
    refused_with(Code.SOURCE_UNKNOWN, at(tmp_path, "delta", **case.options), "nothing")
    refused_with(Code.SOURCE_UNREACHABLE, at(tmp_path, "delta", path="nothing"))


def test_a_batch_of_another_schema_is_refused() -> None:
    table = Table("t", (Column("a", pa.int64()),))
    batches = [pa.record_batch({"a": pa.array([1], t)}) for t in (pa.int64(), pa.int32())]
    rows = stream(table, iter(batches))
    assert rows.read_next_batch().num_rows == 1
    with pytest.raises(Refusal) as refused:
        rows.read_next_batch()
    assert refused.value.code is Code.SOURCE_CHANGED


def test_a_named_encoding_and_delimiter_are_taken(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a^b\n臺北^2\n".encode("big5"))
    connector = at(tmp_path, "csv", path="t.csv", encoding="big5", delimiter="^")
    assert connector.open("t", ["a"]).read_all()["a"].to_pylist() == ["臺北"]
    connector.close()
    refused_with(Code.DOCUMENT, at(tmp_path, "csv", path="t.csv", encoding="no-such"))
    refused_with(Code.DOCUMENT, at(tmp_path, "csv", path="t.csv", encoding="big5", delimiter="^^"))


def test_conditions_are_pushed_down_to_partitions(tmp_path: Path) -> None:
    for month in ("2024-01", "2024-02"):
        (tmp_path / "lake" / "t" / f"month={month}").mkdir(parents=True)
        pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "lake" / "t" / f"month={month}" / "0.parquet")
    connector = at(tmp_path, "parquet", path="lake")
    since = Condition("month", Op.MORE, "2024-01")
    rows = connector.open("t", ["month", "a"], [Condition("a", Op.EQUAL, 2)], since).read_all()
    assert rows.to_pylist() == [{"month": "2024-02", "a": 2}]
    with pytest.raises(Refusal) as refused:
        connector.open("t", ["a"], [Condition("a", Op.EQUAL, "x")])
    assert refused.value.code is Code.SOURCE_UNKNOWN


def test_sqlite_keeps_digits_bytes_and_mixed_types(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
        for value in (9007199254740993, 0.1 + 0.2, "x", b"\xff", None):
            connection.execute("INSERT INTO t VALUES (?)", (value,))
    connection.close()
    connector = at(tmp_path, "sqlite", path="s.db")
    values = connector.open("t", ["a"]).read_all()["a"].to_pylist()
    assert values == ["9007199254740993", "0.30000000000000004", "x", "0xff", None]
    assert connector.open("t", ["a"], [Condition("a", Op.MORE, 10**9)]).read_all().num_rows >= 1
    connector.close()


def test_sqlite_locked_broken_and_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "WAIT_S", 0.1)
    holder = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    holder.execute("CREATE TABLE t (a TEXT)")
    holder.execute("INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
    refused_with(Code.SOURCE_ENCODING, at(tmp_path, "sqlite", path="s.db"))
    holder.execute("BEGIN EXCLUSIVE")
    refused_with(Code.SOURCE_LOCKED, at(tmp_path, "sqlite", path="s.db"))
    holder.close()
    (tmp_path / "b.db").write_bytes(b"not a database, but long enough to be read as one" * 20)
    refused_with(Code.SOURCE, at(tmp_path, "sqlite", path="b.db"))
    refused_with(Code.SOURCE_UNREACHABLE, at(tmp_path, "sqlite", path="none.db"))


def test_duckdb_types_come_through_and_a_writer_locks(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 170141183460469231731687303715884105727 AS h, 1.10::DECIMAL(38, 2) AS d, "
            "[1, 2] AS l, TIMESTAMPTZ '2024-01-01 00:00:00+08' AS z, 1::UTINYINT AS u, DATE '2024-02-29' AS a"
        )
    connector = at(tmp_path, "duckdb", path="d.duckdb")
    (row,) = connector.open("t", ["h", "d", "l", "z", "u", "a"]).read_all().to_pylist()
    assert (
        row["h"] == "170141183460469231731687303715884105727" and row["d"] == "1.10" and row["l"] == "[1, 2]"
    )
    assert row["z"].isoformat() == "2023-12-31T16:00:00+00:00" and row["u"] == 1
    assert row["a"].isoformat() == "2024-02-29"
    connector.close()
    (tmp_path / "b.duckdb").write_bytes(b"x" * 9000)
    refused_with(Code.SOURCE, at(tmp_path, "duckdb", path="b.duckdb"))


def test_excel_far_cells_are_refused_before_they_are_read(tmp_path: Path) -> None:
    sheet = '<worksheet><dimension ref="A1:XFD1048576"/><sheetData/></worksheet>'
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    refused_with(Code.SOURCE, at(tmp_path, "excel", path="b.xlsx"))
    (tmp_path / "c.xlsx").write_bytes(b"not a workbook")
    refused_with(Code.SOURCE, at(tmp_path, "excel", path="c.xlsx"))
    assert excel_file._number("XFD") == 16_384


def test_secrets_are_read_when_needed_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    assert Secret("env:A_SECRET").reveal() == "s3cret"
    (tmp_path / "f").write_text("s3cret\n", encoding="utf-8")
    assert Secret(f"file:{tmp_path}/f").reveal() == "s3cret"
    assert "A_SECRET" not in repr(Secret("env:A_SECRET"))
    for reference in ("env:", "env:NOT_SET_AT_ALL", f"file:{tmp_path}/none", "s3cret"):
        with pytest.raises(Refusal) as refused:
            Secret(reference).reveal()
        assert refused.value.code is Code.SOURCE_SECRET and "s3cret" not in str(refused.value)


def test_kinds_and_their_settings(tmp_path: Path) -> None:
    assert set(names()) >= {"csv", "delta", "duckdb", "excel", "mariadb", "parquet", "postgresql", "sqlite"}
    with pytest.raises(Refusal) as refused:
        kind("nothing")
    assert refused.value.code is Code.SOURCE_UNKNOWN
    for written in ({}, {"path": "x", "speed": "9"}):
        with pytest.raises(Refusal) as refused:
            connect("csv", written, Place(tmp_path, tmp_path))
        assert refused.value.code is Code.DOCUMENT


def test_detectors_hold_their_figures() -> None:
    """The figures of docs/connectors.md, which the generated corpus decides."""
    found = detectors.report()
    assert detectors.table(found) in Path("docs/connectors.md").read_text(encoding="utf-8")
    for name, figures in found.items():
        assert isinstance(figures, dict)
        assert figures["recall"] >= (0.9 if name == "name" else 1.0)
        assert figures["column_recall"] == 1.0
