"""Writing one table of a snapshot: columns kept, units in place of identifiers, sorted, in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from sandbox.catalogue import Kind
from sandbox.policy.documents import Dataset
from sandbox.policy.effective import grantable
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot import parquet
from sandbox.snapshot.checks import TableWork
from sandbox.snapshot.manifest import StoredColumn, to_json
from sandbox.snapshot.storage import text
from sandbox.snapshot.units import kind_of
from sandbox.snapshot.work import scalar

PART_ROWS = 4_000_000
"""Rows after which a protected table goes on in another file, at the next unit."""

DOMAIN = 1000
"""Most distinct values of a public column that are told."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """Where unit numbers are: the map table of each kind, and the dataset's secret salt."""

    maps: Mapping[str, str]
    salt: str = field(repr=False)


def kept(dataset: Dataset, table: str) -> tuple[StoredColumn, ...]:
    """The columns that some grant could use, in declared order; identifiers of units are integers."""
    rule = dataset.table(table)
    found = []
    for column in rule.columns if rule else ():
        if grantable(column, dataset):
            kind = kind_of(dataset, table, column.name)
            found.append(StoredColumn(column.name, Kind.INTEGER if kind else column.kind, kind))
    return tuple(found)


def write(
    connection: duckdb.DuckDBPyConnection,
    work: TableWork,
    columns: tuple[StoredColumn, ...],
    numbering: Numbering,
    folder: Path,
    key: bytes | None,
) -> tuple[Path, ...]:
    """Write ``part-<n>.parquet`` into ``folder``, encrypted if there is a key."""
    if not work.rule.units:
        shown = ", ".join(identifier(c.name) for c in columns)
        return (_copy(connection, f"SELECT {shown} FROM {work.good} ORDER BY _row", folder, 0, key),)
    query = _numbered(work, columns, numbering)
    return tuple(
        _copy(connection, query.replace(_SLICE, part), folder, i, key)
        for i, part in enumerate(_parts(connection, work, numbering.maps[work.rule.units[0].kind]))
    )


_SLICE = "/* units of this part */"


def _numbered(work: TableWork, columns: tuple[StoredColumn, ...], numbering: Numbering) -> str:
    """The table as stored, but for the slice of units."""
    maps, joins, units, shown = numbering.maps, "", "", ""
    for place, unit in enumerate(work.rule.units, start=1):
        joins += f" JOIN {maps[unit.kind]} AS m{place} ON k._k{place} = m{place}.id"
        units += f", m{place}.u AS _u" + (str(place) if place > 1 else "")
    for i, column in enumerate(columns):
        name = identifier(column.name)
        if column.unit:
            joins += f" JOIN {maps[column.unit]} AS d{i} ON CAST(k.{name} AS VARCHAR) = d{i}.id"
            shown += f", d{i}.u AS {name}"
        else:
            shown += f", k.{name}"
    order = f"row_number() OVER (PARTITION BY m1.u ORDER BY hash(k._row, {text(numbering.salt)}), k._row) - 1"
    count = "count(*) OVER (PARTITION BY m1.u)"
    selected = f"{shown}{units}, {order} AS _u_ord, {count} AS _u_n"
    return f"SELECT {selected[2:]} FROM {work.good} AS k{joins}{_SLICE} ORDER BY _u, _u_ord"


def _parts(connection: duckdb.DuckDBPyConnection, work: TableWork, units: str) -> list[str]:
    """A condition per part: ranges of units with about ``PART_ROWS`` rows each, together all."""
    if scalar(connection, f"SELECT count(*) FROM {work.good}") <= PART_ROWS:
        return [""]
    starts = [
        start
        for (start,) in connection.execute(
            "SELECT min(u) FROM (SELECT u, (sum(n) OVER (ORDER BY u) - n) // ? AS part FROM "
            f"(SELECT m.u, count(*) AS n FROM {work.good} AS k JOIN {units} AS m ON k._k1 = m.id "
            "GROUP BY m.u)) "
            "GROUP BY part ORDER BY 1",
            [PART_ROWS],
        ).fetchall()
    ]
    ends = [f" AND m1.u < {end}" for end in starts[1:]] + [""]
    return [f" WHERE m1.u >= {start}{end}" for start, end in zip(starts, ends, strict=True)]


def _copy(
    connection: duckdb.DuckDBPyConnection, query: str, folder: Path, number: int, key: bytes | None
) -> Path:
    target = folder / f"part-{number:04d}.parquet"
    parquet.store(connection, query, target, key)
    return target


def domains(
    connection: duckdb.DuckDBPyConnection, work: TableWork, columns: tuple[StoredColumn, ...]
) -> tuple[dict[str, tuple[bool | int | str, ...]], tuple[str, ...]]:
    """Of a public table: the distinct values of columns that have few, and the unique columns.

    Decimal and double columns have no domain: a domain lists values of the catalogue's exact kinds.
    """
    small: dict[str, tuple[bool | int | str, ...]] = {}
    unique = []
    rows = scalar(connection, f"SELECT count(*) FROM {work.good}")
    for column in columns:
        name = identifier(column.name)
        distinct = scalar(connection, f"SELECT count(DISTINCT {name}) FROM {work.good}")
        if distinct == rows:
            unique.append(column.name)
        if distinct <= DOMAIN and column.kind not in (Kind.DECIMAL, Kind.DOUBLE):
            values = connection.execute(
                f"SELECT DISTINCT {name} FROM {work.good} WHERE {name} IS NOT NULL ORDER BY 1"
            ).fetchall()
            small[column.name] = tuple(to_json(v) for (v,) in values)
    return small, tuple(unique)
