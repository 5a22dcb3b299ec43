"""CSV: dialect and encoding found out, compressed or not, one file a table or a folder of them.

Settings: ``path``; optional ``delimiter`` and ``encoding``.  Encodings are tried in a fixed order over the
whole file, UTF-8 (a byte order mark may stand) before GB18030: statistical detectors take short GBK texts
for Big5 or Korean.  All columns come as text; an empty field is null.  A line with too few or too many fields
comes as ``MALFORMED``; broken quoting makes the rest of a file meaningless, so it refuses the table.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Final, Protocol

import duckdb
import pyarrow as pa

from sandbox_connectors import faults
from sandbox_connectors.duckdb_file import engine, rows_of, spoken
from sandbox_connectors.files import the_tables
from sandbox_connectors.interface import (
    BATCH,
    MALFORMED,
    Condition,
    Connector,
    Kind,
    Options,
    Place,
    Table,
    stream,
    text_table,
)
from sandbox_connectors.statement import every, literal

CHUNK: Final = 1 << 20
"""Most characters that are held at a time, and from which the delimiter is found out."""
SUFFIXES: Final = (".csv", ".csv.gz", ".csv.zst", ".csv.zip", ".tsv", ".txt")
ENCODINGS: Final = ("utf-8-sig", "gb18030")
RAGGED: Final = ("MISSING COLUMNS", "TOO MANY COLUMNS")


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many; none at the end."""


@dataclass(frozen=True, slots=True)
class Text:
    """One file as UTF-8: where DuckDB reads it, its delimiter and header."""

    path: str
    delimiter: str
    header: tuple[str, ...]


class CSVFiles:
    """The tables of one file or folder."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._tables: dict[str, tuple[Path, ...]] | None = None
        self._texts: dict[str, tuple[Text, ...]] = {}
        self._spools: list[IO[bytes]] = []

    def discover(self) -> tuple[Table, ...]:
        """Every table, by the header of its first file."""
        return tuple(text_table(name, self._heads(name)[0].header) for name in self._found())

    def open(
        self,
        table: str,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        since: Condition | None = None,
    ) -> pa.RecordBatchReader:
        """The rows; a condition on a number compares numbers, any other compares texts."""
        conditions = every(where, since)
        if table not in self._found():
            raise faults.unknown(table)
        parts = self._heads(table)
        if any(part.header != parts[0].header for part in parts):
            raise faults.changed(table)
        wanted = text_table(table, parts[0].header).only(columns, conditions)
        batches = (batch for part in parts for batch in self._batches(wanted, part, conditions))
        return stream(wanted, batches, ragged=True)

    def test(self) -> None:
        """See that there is a file with a header."""
        if not self.discover():
            raise faults.unreachable("csv")

    def close(self) -> None:
        """Let go of the spooled texts: they have no names, so they are gone."""
        for spool in self._spools:
            spool.close()
        self._spools.clear()
        self._texts.clear()

    def _found(self) -> dict[str, tuple[Path, ...]]:
        if self._tables is None:
            self._tables = the_tables(self._options, self._place, "csv", SUFFIXES)
        return self._tables

    def _heads(self, table: str) -> tuple[Text, ...]:
        if table not in self._texts:
            self._texts[table] = tuple(self._text(table, path) for path in self._found()[table])
        return self._texts[table]

    def _text(self, table: str, path: Path) -> Text:
        """The file as UTF-8: itself, or decompressed and transcoded into a file without a name."""
        try:
            found = self._encoding(table, path)
            if found == "utf-8-sig" and not path.name.lower().endswith((".gz", ".zst", ".zip")):
                return _looked_at(table, str(path), path.open("rb"), self._options.text("delimiter"))
            spool = self._spool(table, path, found)
            delimiter = self._options.text("delimiter")
            with open(f"/proc/self/fd/{spool.fileno()}", "rb") as again:
                return _looked_at(table, f"/proc/self/fd/{spool.fileno()}", again, delimiter)
        except (OSError, EOFError, zipfile.BadZipFile, csv.Error, RuntimeError):
            raise faults.unreadable(table) from None

    def _encoding(self, table: str, path: Path) -> str:
        """The first encoding in which the whole file can be read, without NUL characters."""
        named = self._options.text("encoding")
        try:
            tried = (codecs.lookup(named).name,) if named else ENCODINGS
        except LookupError:
            raise faults.setting("encoding", "an encoding, as in gb18030", "编码名称，如 gb18030") from None
        for name in tried:
            try:
                for chunk in _decoded(path, name):
                    if "\0" in chunk:
                        raise UnicodeError
            except UnicodeError:
                continue
            return "utf-8-sig" if name == "utf-8" else name
        raise faults.encoding(table)

    def _spool(self, table: str, path: Path, encoding: str) -> IO[bytes]:
        spool: IO[bytes] = tempfile.TemporaryFile(dir=self._place.scratch)  # noqa: SIM115 - closed by close()
        self._spools.append(spool)
        for chunk in _decoded(path, encoding):
            spool.write(chunk.encode())
        spool.flush()
        return spool

    def _batches(self, table: Table, part: Text, conditions: Sequence[Condition]) -> Iterator[pa.RecordBatch]:
        """The good rows in their order, then the lines that are not rows."""
        with spoken(table.name), engine(self._place) as connection:
            good = rows_of(connection, _query(table, part, conditions))
            schema = table.schema.append(pa.field(MALFORMED, pa.string()))
            for batch in good:
                nothing = pa.nulls(batch.num_rows, pa.string())
                yield pa.RecordBatch.from_arrays([*batch.columns[1:], nothing], schema=schema)
            lines = _rejected(connection, table.name)
            for start in range(0, len(lines), BATCH):
                some = lines[start : start + BATCH]
                blank = [pa.nulls(len(some), pa.string()) for _ in table.columns]
                yield pa.RecordBatch.from_arrays([*blank, pa.array(some, pa.string())], schema=schema)


def _query(table: Table, part: Text, conditions: Sequence[Condition]) -> str:
    """Every column is read, so that no line is ragged or not by the columns that were asked for."""
    place = {name: f"c{i}" for i, name in enumerate(part.header)}
    columns = ", ".join(f"'{c}': 'VARCHAR'" for c in place.values())
    tests = " AND ".join(_test(place[c.column], c) for c in conditions)
    shown = "".join(f", {place[c.name]}" for c in table.columns)
    return (
        f"SELECT 0{shown} FROM read_csv({literal(part.path)}, columns = {{{columns}}}, header = true, "
        f"delim = {literal(part.delimiter)}, quote = '\"', escape = '\"', auto_detect = false, "
        "strict_mode = true, nullstr = '', encoding = 'utf-8', compression = 'none', "
        "store_rejects = true, rejects_limit = 0)" + (f" WHERE {tests}" if tests else "")
    )


def _test(column: str, condition: Condition) -> str:
    value = literal(condition.value)
    if isinstance(condition.value, int | Decimal):
        return f"TRY_CAST({column} AS DECIMAL(38, 9)) {condition.op.value} CAST({value} AS DECIMAL(38, 9))"
    return f"{column} {condition.op.value} {value}"


def _rejected(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """The lines that are not rows.  Refuses where the reader lost its place: quoting, a line too long."""
    kinds = connection.execute("SELECT DISTINCT CAST(error_type AS VARCHAR) FROM reject_errors").fetchall()
    if any(kind not in RAGGED for (kind,) in kinds):
        raise faults.unreadable(f"{table}: broken quoting, or a line that is too long")
    lines = connection.execute(
        "SELECT any_value(csv_line) FROM reject_errors GROUP BY scan_id, file_id, line ORDER BY line"
    ).fetchall()
    return [line or "" for (line,) in lines]


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """The file's text, decompressed, in pieces; ``UnicodeError`` where it is not of this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with _bytes(path) as stream_:
        while chunk := stream_.read(CHUNK):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)


@contextmanager
def _bytes(path: Path) -> Iterator[Readable]:
    """The file's bytes, decompressed; of an archive, its only member."""
    name = path.name.lower()
    if name.endswith(".gz"):
        with gzip.open(path) as packed:
            yield packed
    elif name.endswith(".zst"):
        with pa.OSFile(str(path)) as raw, pa.CompressedInputStream(raw, "zstd") as packed:
            yield packed
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) != 1:
                raise zipfile.BadZipFile
            with archive.open(members[0]) as packed:
                yield packed
    else:
        with path.open("rb") as plain:
            yield plain


def _looked_at(table: str, path: str, stream_: IO[bytes], delimiter: str) -> Text:
    """The delimiter, unless it is named, and the header."""
    with io.TextIOWrapper(stream_, encoding="utf-8-sig", newline="") as lines:
        head = lines.read(CHUNK)
    found = delimiter or max(",\t;|", key=lambda d: _fit(head, d))
    if len(found) != 1:
        raise faults.setting("delimiter", "one character", "一个字符")
    header = tuple(next(csv.reader(io.StringIO(head, newline=""), delimiter=found, strict=True), ()))
    text_table(table, header)
    return Text(path, found, header)


def _fit(head: str, delimiter: str) -> tuple[int, int]:
    """How many lines have the header's width, and that width; nothing if the header is not parted."""
    try:
        widths = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)]
    except csv.Error:
        return 0, 0
    if not widths or widths[0] < 2:
        return 0, 0
    return widths.count(widths[0]), widths[0]


def connect(options: Options, place: Place) -> Connector:
    """A connector to CSV files."""
    return CSVFiles(options, place)


KIND: Final = Kind(
    "csv", connect, required=frozenset({"path"}), optional=frozenset({"delimiter", "encoding"})
)
