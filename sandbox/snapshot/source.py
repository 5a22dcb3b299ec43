"""Sources: CSV and Parquet files or folders, opened strictly, as relations of the ingesting DuckDB.

CSV is RFC 4180 with a comma, a header and UTF-8 (a byte order mark may stand).  An empty field is NULL.
A line with too few or too many fields is *malformed* and goes to quarantine; broken quoting makes the
rest of a file meaningless, so it refuses the whole ingestion, as do other encodings.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.errors import Code, Refusal, refuse
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot.storage import text

CHUNK = 1 << 20
RAGGED = ("MISSING COLUMNS", "TOO MANY COLUMNS")


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one table, all of one format, with the columns that every one of them has."""

    table: str
    files: tuple[Path, ...]
    parquet: bool
    columns: tuple[str, ...]

    @contextmanager
    def attached(self, _connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> Iterator[str]:
        """A query for ``_row`` (place in the source, from 0), columns as ``_r0`` …, and ``_malformed``.

        The last is null: ragged lines are found among the reader's rejects (``rejected``).
        """
        names = [identifier(n) if self.parquet else f"c{self.columns.index(n)}" for n in wanted]
        shown = "".join(f", {name} AS _r{i}" for i, name in enumerate(names))
        nothing = "CAST(NULL AS VARCHAR) AS _malformed"
        yield f"SELECT row_number() OVER () - 1 AS _row{shown}, {nothing} FROM {self._relation()}"

    def _relation(self) -> str:
        files = "[" + ", ".join(text(str(f)) for f in self.files) + "]"
        if self.parquet:
            return f"read_parquet({files}, union_by_name = true)"
        columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(self.columns)))
        return (
            f"read_csv({files}, columns = {{{columns}}}, header = true, delim = ',', quote = '\"', "
            "escape = '\"', auto_detect = false, strict_mode = true, nullstr = '', encoding = 'utf-8', "
            "store_rejects = true, rejects_limit = 0)"
        )


def open_source(table: str, path: Path) -> Source:
    """Find and look at a table's files.  Refuses with ``Code.SOURCE``, naming table and file number."""
    files = _files(table, path)
    suffixes = {f.suffix.lower() for f in files}
    if suffixes == {".parquet"}:
        heads = [_parquet_columns(table, i, f) for i, f in enumerate(files)]
        # Files may order or add columns differently: what all have is what may be used.
        return Source(table, files, True, tuple(n for n in heads[0] if all(n in head for head in heads)))
    if suffixes != {".csv"}:
        raise _bad(table, "files are neither all CSV nor all Parquet", "文件须全部为 CSV 或全部为 Parquet")
    heads = [_csv_columns(table, i, f) for i, f in enumerate(files)]
    if any(head != heads[0] for head in heads):
        raise _bad(table, "the CSV files do not share one header", "各 CSV 文件的表头不一致")
    return Source(table, files, False, heads[0])


def _files(table: str, path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    found = sorted(f for f in path.glob("*") if f.suffix.lower() in (".csv", ".parquet") and f.is_file())
    if not found:
        raise _bad(table, "there is no CSV or Parquet file", "没有 CSV 或 Parquet 文件")
    return tuple(found)


def _parquet_columns(table: str, number: int, file: Path) -> tuple[str, ...]:
    try:
        names = tuple(pq.read_schema(file).names)
    except (pa.ArrowException, OSError):
        raise _bad(
            table, f"file {number + 1} is not Parquet", f"第 {number + 1} 个文件不是 Parquet"
        ) from None
    return _distinct(table, names)


def _csv_columns(table: str, number: int, file: Path) -> tuple[str, ...]:
    """The header, after the whole file was seen to be UTF-8 without NUL characters."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                if "\0" in decoder.decode(chunk):
                    raise UnicodeError
            decoder.decode(b"", final=True)
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = tuple(next(csv.reader(lines, strict=True), []))
    except UnicodeError:
        raise refuse(
            Code.SOURCE,
            f"{table}: file {number + 1} is not UTF-8 text",
            "convert it first, for example with: iconv -f GB18030 -t UTF-8",
            "请先转换编码，例如：iconv -f GB18030 -t UTF-8",
        ) from None
    except (csv.Error, OSError):
        raise _bad(table, f"the header of file {number + 1}", f"第 {number + 1} 个文件的表头") from None
    return _distinct(table, header)


def _distinct(table: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse empty and repeated names; engines fold case, so names may not differ by case alone."""
    if not names or not all(names) or len({n.lower() for n in names}) < len(names):
        raise _bad(table, "column names are missing or repeated", "列名缺失或重复")
    return names


def rejected(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """The malformed lines of the CSV read last, which are forgotten here.

    Refuses with ``Code.SOURCE`` where the reader lost its place (quoting, a line too long).
    """
    kinds = connection.execute("SELECT DISTINCT CAST(error_type AS VARCHAR) FROM reject_errors").fetchall()
    if any(kind not in RAGGED for (kind,) in kinds):
        raise _bad(table, "broken quoting, or a line that is too long", "引号不匹配或行过长")
    lines = connection.execute(
        "SELECT any_value(csv_line) FROM reject_errors GROUP BY scan_id, file_id, line ORDER BY file_id, line"
    ).fetchall()
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    return [line or "" for (line,) in lines]


def _bad(table: str, what: str, what_zh: str) -> Refusal:
    hint = "see the owner's guide on sources"
    return refuse(Code.SOURCE, f"{table}: {what}", hint, f"{what_zh}；请参阅数据源说明")
