"""Incremental loads: what was read before is kept, and of a source only what is new is read again.

The *base* of a table holds its source's rows as they were read: the columns that ingestion reads, that by
which it is read on, and its key.  It lies beside the quarantine, as restricted and as encrypted, belongs to
one snapshot, and comes into force with it.

Invariants
- The next base is the rows of the last that are not asked for again, and the rows that are read now; all of
  it is validated anew.  So the snapshot is that of a full load, if the source moves ``since`` forward with
  every change (append: changes nothing before the cut) and deletes nothing.  ``full`` reads all, always.
- The cut, a value of the data, goes to the source alone: into no manifest, log or message.
- Where the base cannot serve (none, another document, other columns or types) everything is read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from sandbox.errors import Code, Refusal, refuse
from sandbox.policy.documents import Load, RowTest
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot import parquet
from sandbox.snapshot.feed import MALFORMED, Fed, Feed
from sandbox.snapshot.manifest import Loaded, Manifest, Origin
from sandbox.snapshot.sealing import Sealing
from sandbox.snapshot.storage import text
from sandbox.snapshot.work import scalar

ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
NUMBER = "DECIMAL(38, 9)"
NO_VALUE = ("a value is missing, or no day, moment or number", "有空值或无法比较的值")
COARSE = frozenset({"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})


@dataclass(frozen=True, slots=True)
class Base:
    """The rows that an earlier load kept: a file, and its key if it is encrypted."""

    file: Path
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Bases:
    """The bases of the snapshot in force (``before``, whose keys are ``sealing``), and how they serve a load.

    ``origins`` say where the tables are read now: another document than before makes the load a full one.
    """

    folder: Path
    before: Manifest | None
    sealing: Sealing
    origins: Mapping[str, Origin]
    now: dt.datetime
    full: bool = False

    def grown(self, table: str, feed: Feed, load: Load, target: Path, key: bytes | None) -> Grown:
        """The table, to be read on top of what is there."""
        last = self.before.table(table) if self.before else None
        base, same = None, False
        if self.before is not None and last is not None and last.load is not None:
            base = Base(self.folder / self.before.id / f"{table}.parquet", self.sealing.base(table))
            as_before = (last.load.since, last.load.key) == (load.since, load.key)
            same = as_before and last.origin == self.origins.get(table)
        return Grown(table, feed, load, base, target, key, self.now, self.full or not same)


@dataclass(slots=True)
class Grown:
    """A table read on top of what was read before; a counterpart of ``Source`` and ``Fed``.

    ``before`` is the base to go on from, ``target`` where the next one is written under ``key``.  ``facts``
    is there once the rows were read.  ``full``: all is read, and the base of before only compared with.
    """

    table: str
    feed: Feed
    load: Load
    before: Base | None
    target: Path
    key: bytes | None
    now: dt.datetime
    full: bool = False
    facts: Loaded | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that there are."""
        return self.feed.columns

    @contextmanager
    def attached(self, connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> Iterator[str]:
        """A query for ``_row``, the wanted columns as ``_r0`` …, and ``_malformed``, over the next base.

        Refuses with ``Code.SOURCE`` where ``since`` or the key are not what they are declared to be, with
        ``Code.SOURCE_UNKNOWN`` where they are not there.
        """
        columns = tuple(dict.fromkeys((*wanted, self.load.since, *self.load.key)))
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise refuse(Code.SOURCE_UNKNOWN, f"{self.table}: load: {', '.join(missing)}"[:120])
        self._read(connection, columns)
        rows = parquet.stored(connection, [self.target], self.key)
        shown = "".join(f", {identifier(name)} AS _r{i}" for i, name in enumerate(wanted))
        yield f"SELECT row_number() OVER () - 1 AS _row{shown}, {MALFORMED} FROM {rows}"

    def _read(self, connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> None:
        """Write the next base, and tell how it came to be."""
        old = self._old(connection, columns)
        cut = None if old is None or self.full else self._cut(connection, old)
        self._fetch(connection, columns, cut)
        if old is not None and _shape(connection, old) != _shape(connection, "fresh"):
            old = cut = None  # a type is another now: nothing of before can be told from what is read
            self._fetch(connection, columns, None)
        kept = "false" if cut is None else self._kept(cut)
        try:
            connection.execute(
                f"CREATE VIEW carried AS FROM {old} AS b WHERE {kept}"
                if old
                else "CREATE VIEW carried AS FROM fresh LIMIT 0"
            )
            both = "SELECT * FROM carried UNION ALL SELECT * FROM fresh"
            parquet.store(connection, both, self.target, self.key)
            self._check(connection)
            self.facts = self._told(connection, old, kept, cut)
        finally:
            connection.execute("DROP VIEW IF EXISTS carried")
            connection.execute("DROP TABLE IF EXISTS fresh")

    def _old(self, connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> str | None:
        """The rows of before, if they have the columns that are wanted now."""
        if self.before is None or not self.before.file.exists():
            return None
        rows = parquet.stored(connection, [self.before.file], self.before.key)
        there = [name for name, _ in _shape(connection, rows)]
        return rows if there == [*columns, MALFORMED] else None

    def _fetch(
        self, connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...], cut: RowTest | None
    ) -> None:
        """The table ``fresh``: what the source gives, from the cut on."""
        connection.execute("DROP TABLE IF EXISTS fresh")
        names = "".join(f"_r{i} AS {identifier(name)}, " for i, name in enumerate(columns))
        with Fed(self.table, self.feed, self.columns, cut).attached(connection, columns) as rows:
            connection.execute(f"CREATE TABLE fresh AS SELECT {names}{MALFORMED} FROM ({rows})")
        for name, kind in _shape(connection, "fresh"):
            if kind in COARSE:  # Parquet files keep no such types
                connection.execute(f"ALTER TABLE fresh ALTER {identifier(name)} TYPE TIMESTAMP")
        if cut is not None:  # a source may give more than it was asked for
            connection.execute(f"DELETE FROM fresh WHERE {MALFORMED} IS NULL AND {_before(cut)}")

    def _cut(self, connection: duckdb.DuckDBPyConnection, rows: str) -> RowTest | None:
        """From where on the source is asked: the newest value, less the overlap; days begin at midnight.

        A moment that lies in the future would hide what comes until then: today is the latest.
        """
        typed = self._typed(connection, rows)
        found = connection.execute(f"SELECT max({typed}) FROM {rows}").fetchone()
        newest = found[0] if found else None
        if newest is None:
            return None
        if isinstance(newest, Decimal):
            whole = newest - self.load.overlap
            bare = whole.to_integral_value() if whole == whole.to_integral_value() else whole.normalize()
            return RowTest(self.load.since, ">=", Decimal(f"{bare:f}"))
        day = min(newest.date(), self.now.astimezone(dt.UTC).date())
        back = min(self.load.overlap, day.toordinal() - 1)
        return RowTest(self.load.since, ">=", (day - dt.timedelta(days=back)).isoformat())

    def _typed(self, connection: duckdb.DuckDBPyConnection, rows: str) -> str:
        """``since`` as a number or a moment.  Refuses with ``Code.SOURCE`` what is neither, everywhere."""
        name = identifier(self.load.since)
        kind = dict(_shape(connection, rows))[self.load.since]
        number, moment = f"TRY_CAST({name} AS {NUMBER})", f"TRY_CAST({name} AS TIMESTAMP)"
        if kind != "VARCHAR":
            return moment if kind.startswith(("DATE", "TIMESTAMP")) else number
        named = f"FROM {rows} WHERE {MALFORMED} IS NULL"
        if not scalar(connection, f"SELECT count(*) {named} AND {number} IS NULL"):
            return number
        iso = f"regexp_full_match({name}, {text(ISO)})"
        if scalar(connection, f"SELECT count(*) {named} AND ({moment} IS NULL OR NOT {iso})"):
            raise self._wrong(
                "since", "a value is missing, or no day, moment or number", "有空值或无法比较的值"
            )
        return moment

    def _kept(self, cut: RowTest) -> str:
        """Which rows of before (``b``) stay: those of other keys, or those before the cut."""
        whole = f"b.{MALFORMED} IS NULL"  # lines without columns come again with every load
        if self.load.key:
            same = " AND ".join(f"f.{identifier(k)} = b.{identifier(k)}" for k in self.load.key)
            return f"{whole} AND NOT EXISTS (FROM fresh AS f WHERE {same})"
        return f"{whole} AND {_before(cut)}"

    def _check(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Refuse a base by which the next load would go wrong."""
        rows = f"(FROM {parquet.stored(connection, [self.target], self.key)} WHERE {MALFORMED} IS NULL)"
        typed = self._typed(connection, rows)
        if scalar(connection, f"SELECT count(*) FROM {rows} WHERE {typed} IS NULL"):
            raise self._wrong(
                "since", "a value is missing, or no day, moment or number", "有空值或无法比较的值"
            )
        keys = ", ".join(identifier(k) for k in self.load.key)
        if keys:
            empty = " OR ".join(f"{identifier(k)} IS NULL" for k in self.load.key)
            twice = f"SELECT {keys} FROM {rows} GROUP BY ALL HAVING count(*) > 1"
            bad = scalar(connection, f"SELECT count(*) FROM {rows} WHERE {empty}")
            if bad or scalar(connection, f"SELECT count(*) FROM ({twice})"):
                raise self._wrong("key", "a value is missing, or stands twice", "有空值或重复值")

    def _told(
        self, connection: duckdb.DuckDBPyConnection, old: str | None, kept: str, cut: RowTest | None
    ) -> Loaded:
        """What was read and what it changed, as counts."""
        mode = "full" if cut is None else "upsert" if self.load.key else "append"
        read = scalar(connection, "SELECT count(*) FROM fresh")
        carried = scalar(connection, "SELECT count(*) FROM carried")
        if old is None:
            return Loaded(mode, self.load.since, self.load.key, read, carried, read, 0, 0)
        gone = f"SELECT * FROM {old} AS b WHERE NOT coalesce(({kept}), false)"
        connection.execute(f"CREATE TABLE new AS SELECT * FROM fresh EXCEPT ALL {gone}")
        connection.execute(f"CREATE TABLE lost AS {gone} EXCEPT ALL SELECT * FROM fresh")
        added, removed = (scalar(connection, f"SELECT count(*) FROM {t}") for t in ("new", "lost"))
        changed = 0
        if self.load.key:
            names = ", ".join(identifier(k) for k in self.load.key)
            changed = scalar(connection, f"SELECT count(*) FROM new SEMI JOIN lost USING ({names})")
        connection.execute("DROP TABLE new; DROP TABLE lost")
        told = (added - changed, changed, removed - changed)
        return Loaded(mode, self.load.since, self.load.key, read, carried, *told)

    def _wrong(self, what: str, why: str, why_zh: str) -> Refusal:
        column = self.load.since if what == "since" else ", ".join(self.load.key)
        hint = "choose columns that always have a value, `since` one that grows, `key` one that is unique"
        subject = f"{self.table}: load.{what} {column}: {why}"
        return refuse(
            Code.SOURCE, subject[:200], hint, f"load.{what}：{why_zh}；since 须只增，key 须唯一且非空"
        )


def _shape(connection: duckdb.DuckDBPyConnection, rows: str) -> list[tuple[str, str]]:
    """Names and types of a relation's columns."""
    return [(name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE FROM {rows}").fetchall()]


def _before(cut: RowTest) -> str:
    """Whether a row lies before the cut; never so where it cannot be told."""
    kind = NUMBER if isinstance(cut.value, Decimal) else "TIMESTAMP"
    value = f"CAST({text(str(cut.value))} AS {kind})"
    return f"coalesce(TRY_CAST({identifier(cut.column)} AS {kind}) < {value}, false)"
