"""Privacy units: followed along key paths, and numbered densely over the whole dataset.

Invariants
- A unit keeps its number in every snapshot of the dataset: the map only grows.
- The order of new numbers is that of a keyed hash, so a number says nothing about the identifier.
- Map and salt stay in ``units/`` beside the snapshots, mode 0600; they are never part of a snapshot.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import duckdb

from sandbox.errors import Code, refuse
from sandbox.policy.documents import Dataset, UnitRule
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot import checks, parquet
from sandbox.snapshot.checks import TableWork
from sandbox.snapshot.publish import NAME, Home, write_file
from sandbox.snapshot.work import scalar


def order(dataset: Dataset) -> list[str]:
    """Table names such that a key path leads to tables already done.  Refuses paths in a circle."""
    graph = {t.name: {step.table for unit in t.units for step in unit.path} for t in dataset.tables}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError:
        hint = "let key paths lead away from the table, and never back"
        raise refuse(Code.DOCUMENT, "key paths go in a circle", hint, "键路径不得成环") from None


def keys_of(dataset: Dataset, table: str) -> tuple[str, ...]:
    """The columns of ``table`` that key paths point at; each must be unique there."""
    steps = (step for t in dataset.tables for unit in t.units for step in unit.path)
    return tuple(sorted({step.key for step in steps if step.table == table}))


def needed(dataset: Dataset, table: str) -> frozenset[str]:
    """Columns of ``table`` that finding units and comparing rows takes, whether or not they are kept."""
    names = set(keys_of(dataset, table))
    for other in dataset.tables:
        if other.name == table:
            names.update(other.per_unit, *other.unique)
        for unit in other.units:
            places = [other.name, *(step.table for step in unit.path)]
            columns = [*(step.column for step in unit.path), unit.column]
            names.update(c for place, c in zip(places, columns, strict=True) if place == table)
    return frozenset(names)


def kind_of(dataset: Dataset, table: str, column: str) -> str:
    """The kind of unit that a column identifies: its own, or that of the key it points at; else ""."""
    rule = dataset.table(table)
    for unit in rule.units if rule else ():
        if not unit.path and unit.column == column:
            return unit.kind
    for unit in rule.units if rule else ():
        if unit.path and unit.path[0].column == column:
            return kind_of(dataset, unit.path[0].table, unit.path[0].key)
    return ""


def resolve(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, work: TableWork, done: Mapping[str, TableWork]
) -> None:
    """Make ``k<i>``: the good rows with the text of each unit; mark what breaks a rule of units."""
    rule = work.rule
    joins, shown = "", ""
    for place, unit in enumerate(rule.units, start=1):
        more, found = _follow(unit, place, done)
        joins += more
        shown += f", CAST({found} AS VARCHAR) AS _k{place}"
    connection.execute(
        f"CREATE TABLE {work.good} AS SELECT s.* EXCLUDE (_why, _raw, _malformed){shown} "
        f"FROM s{work.number} AS s{joins} WHERE len(s._why) = 0"
    )
    for place, unit in enumerate(rule.units, start=1):
        column = unit.path[0].column if unit.path else unit.column
        number = work.reason("path" if unit.path else "unit", column)
        connection.execute(
            f"INSERT INTO b{work.number} SELECT _row, {number} FROM {work.good} WHERE _k{place} IS NULL"
        )
    # A row without a unit is gone before rows are compared with one another.
    checks.drop_bad(connection, work)
    _compare(connection, dataset, work)
    checks.drop_bad(connection, work)


def _follow(unit: UnitRule, place: int, done: Mapping[str, TableWork]) -> tuple[str, str]:
    """The joins along a key path, and the expression of the unit at its end."""
    joins, at = "", "s"
    for hop, step in enumerate(unit.path):
        to = f"h{place}_{hop}"
        left = f"CAST({at}.{identifier(step.column)} AS VARCHAR)"
        right = f"CAST({to}.{identifier(step.key)} AS VARCHAR)"
        joins += f" LEFT JOIN {done[step.table].good} AS {to} ON {left} = {right}"
        at = to
    return joins, f"{at}.{identifier(unit.column)}"


def _compare(connection: duckdb.DuckDBPyConnection, dataset: Dataset, work: TableWork) -> None:
    """Checks of rows against one another: keys, declared uniqueness, rows per unit, per_unit."""
    keys = keys_of(dataset, work.rule.name)
    for column in keys:
        checks.duplicates(connection, work, "duplicate_key", column)
    for rule in work.columns:
        if rule.unique and work.rule.public and rule.name not in keys:
            checks.duplicates(connection, work, "unique", rule.name)
    for together in work.rule.unique:
        checks.duplicates(connection, work, "unique", *together)
    if not work.rule.units:
        return
    if work.rule.rows == 1:
        checks.duplicates(connection, work, "rows", "_k1")
    for column in work.rule.per_unit:
        checks.functional(connection, work, column)


def kinds(dataset: Dataset) -> tuple[str, ...]:
    """The kinds of unit of a dataset, sorted.  A kind names a file, so odd names are refused."""
    found = sorted({unit.kind for t in dataset.tables for unit in t.units})
    if any(not NAME.fullmatch(kind) for kind in found):
        hint = "use letters, digits, - and _ in the names of unit kinds"
        raise refuse(Code.DOCUMENT, "the name of a unit kind", hint, "隐私单元类别名只能用字母、数字、- 和 _")
    return tuple(found)


def salt(home: Home) -> str:
    """The dataset's secret salt, made at the first ingestion."""
    path = home.units / "salt"
    if not path.exists():
        home.units.mkdir(mode=0o700, exist_ok=True)
        write_file(path, secrets.token_hex(32).encode(), 0o600)
    return path.read_text(encoding="ascii")


def number_units(
    connection: duckdb.DuckDBPyConnection,
    work: Sequence[TableWork],
    kind: str,
    home: Home,
    stage: Path,
    key: bytes | None,
) -> str:
    """Extend the map of one kind by the units seen now; stage its file; return its table's name."""
    name = identifier(f"map {kind}")
    known, fresh = home.units / f"{kind}.parquet", stage / f"{kind}.parquet"
    connection.execute(f"CREATE TABLE {name} (id VARCHAR, u BIGINT)")
    if known.exists():
        rows = parquet.stored(connection, [known], key)
        connection.execute(f"INSERT INTO {name} SELECT id, u FROM {rows}")
    seen = " UNION ALL ".join(
        f"SELECT _k{place} AS id FROM {w.good}"
        for w in work
        for place, unit in enumerate(w.rule.units, start=1)
        if unit.kind == kind
    )
    first = scalar(connection, f"SELECT max(u) + 1 FROM {name}")
    connection.execute(
        f"INSERT INTO {name} SELECT id, {first} - 1 + row_number() OVER (ORDER BY sha256(? || id)) "
        f"FROM (SELECT DISTINCT id FROM ({seen}) AS seen ANTI JOIN {name} AS known USING (id))",
        [salt(home)],
    )
    parquet.store(connection, f"SELECT id, u FROM {name} ORDER BY u", fresh, key)
    return name
