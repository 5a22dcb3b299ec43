"""One small table, as every kind of source holds it; and the same as ingestion must publish it.

``ROWS`` are the truth.  Each ``Case`` writes them into its source and says how the connector is told of it; the
SQL sources have a wider table of types besides.
"""

from __future__ import annotations

import datetime as dt
import gzip
import os
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sandbox_connectors.interface import Connector, Place
from sandbox_connectors.registry import connect

from tests.support import mariadb, postgres

HEADER = ("who", "城市", "fee", "day", "note")
ROWS: tuple[tuple[str, str, str, str, str | None], ...] = tuple(
    (
        f"p{i % 997:04d}",
        ("太原", "大同", "𠮷县")[i % 3],
        f"{i % 1000}.{i % 100:02d}",
        (dt.date(2024, 1, 1) + dt.timedelta(days=i % 366)).isoformat(),
        None if i % 7 == 0 else f'a "quoted", 值 {i}',
    )
    for i in range(2_000)
)


@dataclass(frozen=True, slots=True)
class Case:
    """A source that holds ``ROWS`` under ``table``, and what makes a connector to it."""

    name: str
    kind: str
    table: str
    options: Mapping[str, str]
    types: int = 3
    extra: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def connector(self, folder: Path) -> Iterator[Connector]:
        found = connect(self.kind, self.options, Place(folder, folder))
        try:
            yield found
        finally:
            found.close()


def files(folder: Path) -> Iterator[Case]:
    """Every kind of file."""
    text = _csv(ROWS)
    packed: dict[str, bytes] = {
        "plain.csv": text.encode(),
        "bom.csv": text.encode("utf-8-sig"),
        "gbk.csv": text.encode("gb18030"),
        "semicolon.csv": _csv(ROWS, ";").encode(),
        "tabs.tsv": _csv(ROWS, "\t").encode("gb18030"),
        "crlf.csv": text.replace("\n", "\r\n").encode(),
        "gzip.csv.gz": gzip.compress(text.encode("gb18030")),
        "zstd.csv.zst": pa.compress(text.encode(), codec="zstd", asbytes=True),
    }
    for name, data in packed.items():
        (folder / name).write_bytes(data)
        yield Case(f"csv {name}", "csv", name.partition(".")[0], {"path": name}, 1)
    with zipfile.ZipFile(folder / "zip.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", text)
    yield Case("csv zip.csv.zip", "csv", "zip", {"path": "zip.csv.zip"}, 1)
    parts = folder / "parts" / "visit"
    parts.mkdir(parents=True)
    for i in range(3):
        (parts / f"{i}.csv").write_text(_csv(ROWS[i::3]), encoding=("utf-8", "gb18030", "utf-8-sig")[i])
    yield Case("csv folder", "csv", "visit", {"path": "parts"}, 1)
    yield from _parquet(folder)
    yield _delta(folder)
    yield _sqlite(folder)
    yield _duckdb(folder)
    _excel(folder / "book.xlsx")
    yield Case("excel", "excel", "访问", {"path": "book.xlsx"}, 4)


def _csv(rows: Sequence[Sequence[str | None]], delimiter: str = ",") -> str:
    lines = [delimiter.join(HEADER)]
    for row in rows:
        fields = ("" if v is None else '"' + v.replace('"', '""') + '"' if '"' in v else v for v in row)
        lines.append(delimiter.join(fields))
    return "\n".join(lines) + "\n"


def typed() -> pa.Table:
    """The rows in the types that a database would give them."""
    who, city, fee, day, note = zip(*ROWS, strict=True)
    return pa.table(
        {
            "who": pa.array(who),
            "城市": pa.array(city),
            "fee": pa.array(fee).cast(pa.decimal128(12, 2)),
            "day": pa.array([dt.date.fromisoformat(d) for d in day]),
            "note": pa.array(note),
        }
    )


def _parquet(folder: Path) -> Iterator[Case]:
    pq.write_table(typed(), folder / "flat.parquet")
    yield Case("parquet file", "parquet", "flat", {"path": "flat.parquet"})
    rows = typed()
    for city in ("太原", "大同", "𠮷县"):
        part = folder / "lake" / "visit" / f"城市={city}"
        part.mkdir(parents=True)
        pq.write_table(
            rows.filter(pa.compute.equal(rows["城市"], city)).drop_columns(["城市"]), part / "0.parquet"
        )
    yield Case("parquet hive", "parquet", "visit", {"path": "lake"})


def _delta(folder: Path) -> Case:
    """Three versions: something else, the rows with more, and the rows; only the last may be read."""
    from deltalake import DeltaTable, write_deltalake

    path = folder / "delta" / "visit"
    write_deltalake(path, pa.table({"old": [1]}))
    write_deltalake(path, typed(), mode="overwrite", schema_mode="overwrite", partition_by=["城市"])
    more = typed().slice(0, 10).set_column(0, "who", pa.array(["gone"] * 10))
    write_deltalake(path, more, mode="append")
    DeltaTable(path).delete("who = 'gone'")
    return Case("delta", "delta", "visit", {"path": "delta"})


def _sqlite(folder: Path) -> Case:
    with sqlite3.connect(folder / "s.db") as connection:
        connection.execute('CREATE TABLE visit (who TEXT, "城市" TEXT, fee NUMERIC, day DATE, note TEXT)')
        connection.executemany("INSERT INTO visit VALUES (?, ?, ?, ?, ?)", ROWS)
    connection.close()
    return Case("sqlite", "sqlite", "visit", {"path": "s.db"})


def _duckdb(folder: Path) -> Case:
    with duckdb.connect(str(folder / "d.duckdb")) as connection:
        connection.register("rows", typed())
        connection.execute("CREATE SCHEMA his; CREATE TABLE his.visit AS FROM rows")
    return Case("duckdb", "duckdb", "his.visit", {"path": "d.duckdb"})


def _excel(path: Path) -> None:
    """A workbook written part by part: shared nothing, so that the test needs no other library."""
    lines = []
    for number, row in enumerate((HEADER, *ROWS), start=1):
        cells = []
        for letter, value in zip("ABCDE", row, strict=True):
            if value is None:
                continue
            place = f'r="{letter}{number}"'
            if letter == "C" and number > 1:
                cells.append(f"<c {place}><v>{value}</v></c>")
            elif letter == "D" and number > 1:
                serial = (dt.date.fromisoformat(value) - dt.date(1899, 12, 30)).days
                cells.append(f'<c {place} s="1"><v>{serial}</v></c>')
            else:
                escaped = value.replace("&", "&amp;").replace("<", "&lt;")
                cells.append(f'<c {place} t="inlineStr"><is><t>{escaped}</t></is></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    docs = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    pack = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{pack}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{pack}/relationships">'
        f'<Relationship Id="r1" Type="{docs}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{docs}">'
        '<sheets><sheet name="访问" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{pack}/relationships">'
        f'<Relationship Id="r1" Type="{docs}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{docs}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><dimension ref="A1:E{len(ROWS) + 1}"/>'
        f"<sheetData>{''.join(lines)}</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')


POSTGRESQL_TYPES = {
    "smallint": ("-32768", "-32768"),
    "bigint": ("9223372036854775807", "9223372036854775807"),
    "numeric": ("12345678901234567890.123456789", "12345678901234567890.123456789"),
    "real": ("0.5", "0.5"),
    "double precision": ("1e300", "1e+300"),
    "boolean": ("true", "true"),
    "text": ("'值 ''q'' \\n'", "值 'q' \\n"),
    "varchar(9)": ("'x'", "x"),
    "char(4)": ("'x'", "x"),
    "date": ("'2024-02-29'", "2024-02-29"),
    "timestamp": ("'2024-02-29 23:59:59.123456'", "2024-02-29 23:59:59.123456"),
    "timestamptz": ("'2024-03-01 07:00:00+08'", "2024-02-29 23:00:00+00"),
    "time": ("'23:59:59'", "23:59:59"),
    "interval": ("'1 day'", "1 day"),
    "uuid": ("'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    "jsonb": ("'{\"a\": 1}'", '{"a": 1}'),
    "money": ("'12.50'", "12.50"),
    "bytea": ("'\\xff00'", "\\xff00"),
    "int[]": ("'{1,2}'", "{1,2}"),
    "inet": ("'10.0.0.1'", "10.0.0.1/32"),
}
MARIADB_TYPES = {
    "tinyint": ("-128", "-128"),
    "bigint unsigned": ("18446744073709551615", "18446744073709551615"),
    "decimal(30,9)": ("123456789012345678901.123456789", "123456789012345678901.123456789"),
    "float": ("16777217", "16777216"),
    "double": ("1e300", "1e300"),
    "boolean": ("true", "1"),
    "varchar(20)": ("'值 ''q'''", "值 'q'"),
    "char(4)": ("'x'", "x"),
    "text": ("'长'", "长"),
    "date": ("'0000-00-00'", "0000-00-00"),
    "datetime(6)": ("'2024-02-29 23:59:59.123456'", "2024-02-29 23:59:59.123456"),
    "timestamp": ("'2024-02-29 23:00:00'", "2024-02-29 23:00:00"),
    "time": ("'23:59:59'", "23:59:59"),
    "year": ("2024", "2024"),
    "bit(9)": ("257", "257"),
    "blob": ("x'ff00'", "0xff00"),
    "binary(2)": ("x'ff00'", "0xff00"),
    "json": ("'{\"a\": 1}'", '{"a": 1}'),
    "enum('甲','乙')": ("'乙'", "乙"),
    "point": ("ST_GeomFromText('POINT(1 2)')", "POINT(1 2)"),
}
"""Type -> what is inserted, and the text as which it must arrive."""

SECRET = "SANDBOX_TEST_SOURCE_PASSWORD"


Servers = tuple[postgres.Server, mariadb.Server]


@contextmanager
def servers() -> Iterator[tuple[Servers, tuple[Case, Case]]]:
    """Both servers, with the rows and one table of each type."""
    with postgres.running() as first, mariadb.running() as second:
        yield (first, second), (_postgresql(first), _mariadb(second))


def _postgresql(server: postgres.Server) -> Case:
    import psycopg

    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            'CREATE TABLE visit (who text, "城市" text, fee numeric(12,2), day date, note text)'
        )
        with connection.cursor().copy("COPY visit FROM STDIN") as copy:
            for row in ROWS:
                copy.write_row(row)
        for i, (kind, (value, _)) in enumerate(POSTGRESQL_TYPES.items()):
            connection.execute(
                f"CREATE TABLE t{i} (a int, v {kind}); INSERT INTO t{i} VALUES (1, {value}), (2, NULL)".encode()
            )
    os.environ[SECRET] = postgres.PASSWORD
    told = {
        "host": str(server.folder),
        "database": "postgres",
        "user": postgres.GUARDED,
        "password": f"env:{SECRET}",
    }
    return Case("postgresql", "postgresql", "public.visit", told, len(POSTGRESQL_TYPES))


def _mariadb(server: mariadb.Server) -> Case:
    server.run("CREATE TABLE visit (who text, `城市` text, fee decimal(12,2), day date, note text)")
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO visit VALUES (%s, %s, %s, %s, %s)", ROWS)
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for i, (kind, (value, _)) in enumerate(MARIADB_TYPES.items()):
            cursor.execute(f"CREATE TABLE t{i} (a int, v {kind} NULL)")
            cursor.execute(f"INSERT INTO t{i} VALUES (1, {value}), (2, NULL)")
    path = server.folder / "password"
    path.write_text(mariadb.PASSWORD + "\n", encoding="utf-8")
    told = {
        "socket": server.socket,
        "database": "source",
        "user": mariadb.READER,
        "password": f"file:{path}",
    }
    return Case("mariadb", "mariadb", "visit", told, len(MARIADB_TYPES))
