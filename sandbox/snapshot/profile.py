"""What a table of a source looks like, for the person who writes its dataset document.

Everything here is read from data, hence restricted: it is shown to the owner, and what of it becomes public
is what a person declares.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from sandbox.catalogue import Kind
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot.feed import Fed, Feed
from sandbox.snapshot.identifiers import Finding, classify
from sandbox.snapshot.work import scalar, workspace

FEW: Final = 50
"""Most distinct values that are proposed as a domain."""
SAMPLE: Final = 5_000
"""Distinct values of a column from which an identifier is recognised."""

Value = str | int | float | bool | Decimal | dt.date | dt.datetime


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column: its likely kind, how many values are missing, how many are different, and its bounds.

    ``values``: all of them, if they are few; ``digits``: decimal places that occur (of decimals).
    """

    name: str
    kind: Kind
    nulls: int
    distinct: int
    low: Value | None
    high: Value | None
    values: tuple[Value, ...]
    digits: int
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class TableProfile:
    """One table: rows that have columns, rows that have none, and its columns."""

    name: str
    rows: int
    malformed: int
    columns: tuple[ColumnProfile, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns without nulls in which no two rows agree."""
        return tuple(c.name for c in self.columns if self.rows and not c.nulls and c.distinct == self.rows)


_A_DOUBLE: Final = (
    "TRY_CAST({c} AS DOUBLE) IS NOT NULL AND NOT starts_with(ltrim(CAST({c} AS VARCHAR), '-'), '0')"
    " OR TRY_CAST({c} AS DOUBLE) BETWEEN -1 AND 1"
)
_A_DAY: Final = (
    "CAST({c} AS VARCHAR) SIMILAR TO '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}( 00:00:00)?'"
    " AND TRY_CAST({c} AS DATE) IS NOT NULL"
)
_TRIED: Final = (
    (Kind.INTEGER, "CAST({c} AS VARCHAR) SIMILAR TO '-?(0|[1-9][0-9]{{0,17}})'", "BIGINT"),
    (
        Kind.DECIMAL,
        "CAST({c} AS VARCHAR) SIMILAR TO '-?(0|[1-9][0-9]{{0,11}})(\\.[0-9]{{1,6}})?'",
        "DECIMAL(18, 6)",
    ),
    (Kind.DOUBLE, _A_DOUBLE, "DOUBLE"),
    (Kind.DATE, _A_DAY, "DATE"),
    (Kind.TIMESTAMP, "TRY_CAST({c} AS TIMESTAMP) IS NOT NULL", "TIMESTAMP"),
    (Kind.BOOLEAN, "lower(CAST({c} AS VARCHAR)) IN ('true', 'false')", "BOOLEAN"),
)
"""A kind, the condition that every value must meet, and the type of its bounds; the first that fits is taken.

A number with leading zeros is a code, hence text."""


def profile(name: str, feed: Feed, scratch: Path, *, hidden: bool = False) -> TableProfile:
    """Read a table once into a DuckDB of its own under ``scratch``, and look at every column.

    ``hidden``: in memory alone (see ``workspace``).
    """
    with TemporaryDirectory(dir=scratch) as folder, workspace(Path(folder), hidden=hidden) as connection:
        columns = feed.columns
        with Fed(name, feed, columns).attached(connection, columns) as rows:
            connection.execute(f"CREATE TABLE t AS {rows}")
        broken = scalar(connection, "SELECT count(*) FROM t WHERE _malformed IS NOT NULL")
        connection.execute("DELETE FROM t WHERE _malformed IS NOT NULL")
        total = scalar(connection, "SELECT count(*) FROM t")
        found = tuple(_column(connection, shown, f"_r{i}", total) for i, shown in enumerate(columns))
    return TableProfile(name, total, broken, found)


def _column(connection: duckdb.DuckDBPyConnection, name: str, column: str, total: int) -> ColumnProfile:
    at = identifier(column)
    filled = scalar(connection, f"SELECT count({at}) FROM t")
    distinct = scalar(connection, f"SELECT count(DISTINCT {at}) FROM t")
    kind, type_ = _kind(connection, at, filled)
    value = f"CAST({at} AS {type_})"
    bounds = connection.execute(f"SELECT min({value}), max({value}) FROM t").fetchone() or (None, None)
    values: tuple[Value, ...] = ()
    if distinct <= FEW:
        query = f"SELECT DISTINCT {value} FROM t WHERE {at} IS NOT NULL ORDER BY 1"
        values = tuple(v for (v,) in connection.execute(query).fetchall())
    return ColumnProfile(
        name=name,
        kind=kind,
        nulls=total - filled,
        distinct=distinct,
        low=bounds[0],
        high=bounds[1],
        values=values,
        digits=_digits(connection, at) if kind is Kind.DECIMAL else 0,
        finding=_finding(connection, at) if kind in (Kind.STRING, Kind.INTEGER) else None,
    )


def _kind(connection: duckdb.DuckDBPyConnection, at: str, filled: int) -> tuple[Kind, str]:
    """The first kind that every value is of; text if there is none, or nothing to go by."""
    for kind, condition, type_ in _TRIED if filled else ():
        query = f"SELECT count(*) FROM t WHERE {at} IS NOT NULL AND ({condition.format(c=at)})"
        if scalar(connection, query) == filled:
            return kind, type_
    return Kind.STRING, "VARCHAR"


def _digits(connection: duckdb.DuckDBPyConnection, at: str) -> int:
    part = f"split_part(CAST({at} AS VARCHAR), '.', 2)"
    return scalar(connection, f"SELECT max(length(rtrim({part}, '0'))) FROM t")


def _finding(connection: duckdb.DuckDBPyConnection, at: str) -> Finding | None:
    query = f"SELECT DISTINCT CAST({at} AS VARCHAR) FROM t WHERE {at} IS NOT NULL LIMIT {SAMPLE}"
    return classify(v for (v,) in connection.execute(query).fetchall())
