"""Exact mode's cube over the data: runs the rules of ``sandbox.privacy.cube``, writes, prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from sandbox.catalogue import Grid
from sandbox.errors import Code, refuse
from sandbox.policy.documents import Dataset, TableRule
from sandbox.policy.effective import grantable
from sandbox.policy.floor import FLOOR
from sandbox.privacy import cube, cube_sql
from sandbox.privacy.cube import Cell, Totals, UnitStats
from sandbox.privacy.cube_sql import Measure
from sandbox.snapshot import parquet
from sandbox.snapshot.manifest import CubeFacts
from sandbox.snapshot.published import Snapshot
from sandbox.snapshot.sealing import MasterKey, Sealing
from sandbox.snapshot.work import scalar, workspace


@dataclass(frozen=True, slots=True)
class GridPrice:
    """What a candidate grid would cost.  Shares are of the whole table, between 0 and 1.

    ``units_lost``: units of the first kind that no surviving cell holds.  ``value_lost``: per measure,
    absolute value in withheld cells.
    """

    grid: Grid
    cells: int
    withheld: int
    units_lost: Fraction
    value_lost: tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True, slots=True)
class _Measured:
    """A grid over data: tables ``cells``, ``pairs0`` …, and the decision."""

    grid: Grid
    measures: tuple[Measure, ...]
    cells: tuple[Cell, ...]
    withheld: frozenset[int]


def in_force(grid: Grid) -> Grid:
    """The grid with the platform's floor applied: the strictest number wins."""
    dominance = max(grid.dominance, Fraction(FLOOR.dominance))
    return replace(grid, units=max(grid.units, FLOOR.units), dominance=dominance)


def build(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    rule: TableRule,
    files: Sequence[Path],
    target: Path,
    sealing: Sealing,
) -> CubeFacts | None:
    """Compute the cube over a table's files and write its surviving cells to ``target``.

    ``None``, and no file, for a table without a grid.
    """
    if rule.grid is None or not rule.units:
        return None
    target.parent.mkdir(mode=0o700, exist_ok=True)
    rows = parquet.stored(connection, files, sealing.table(rule.name))
    done = _measure(connection, dataset, rule, in_force(rule.grid), rows)
    survivors = [c for c in done.cells if c.id not in done.withheld]
    numbers = [c.id for c in survivors], [c.kinds[0].units for c in survivors]
    _table(connection, "survivors", {"cell": numbers[0], "units": numbers[1]})
    query = cube_sql.published_sql("cells", "survivors", done.grid, done.measures)
    for measure in done.measures:
        name = cube_sql.identifier("sum_" + measure.name)
        if scalar(connection, f"SELECT count(*) FROM ({query}) WHERE {name} IS NULL"):
            hint = "declare a narrower clip or a coarser scale"
            subject = f"{rule.name}.{measure.name}: a sum of the grid does not fit"
            raise refuse(Code.DOCUMENT, subject, hint, "请声明更窄的 clip 或更粗的 scale")
    parquet.store(connection, query, target, sealing.cube(rule.name))
    _forget(connection, rule)
    return _facts(done, f"cube/{target.name}")


def _facts(done: _Measured, path: str) -> CubeFacts:
    rows = sum(c.rows for c in done.cells)
    lost = sum(c.rows for c in done.cells if c.id in done.withheld)
    return CubeFacts(
        path=path,
        cells=done.grid.cells,
        measures=tuple(m.name for m in done.measures),
        units=done.grid.units,
        dominance=str(done.grid.dominance),
        round=done.grid.round,
        surviving=len(done.cells) - len(done.withheld),
        withheld=len(done.withheld),
        rows_withheld_percent=round(Fraction(100 * lost, rows)) if rows else 0,
    )


def price(
    snapshot: Snapshot,
    dataset: Dataset,
    table: str,
    candidates: Sequence[Grid],
    key: MasterKey | None = None,
) -> tuple[GridPrice, ...]:
    """Price candidate grids over a published table, in their order.  For the owner only.

    Refuses with ``Code.DOCUMENT`` if a grid names a column that the snapshot does not hold.
    """
    rule = dataset.table(table)
    if rule is None or not rule.units or not snapshot.files(table):
        hint = "name a protected table of the snapshot"
        raise refuse(Code.DOCUMENT, table, hint, "请写快照中的受保护表")
    found = []
    sealing = snapshot.sealing(key)
    with TemporaryDirectory() as folder, workspace(Path(folder), hidden=key is not None) as connection:
        rows = parquet.stored(connection, snapshot.files(table), sealing.table(table))
        for grid in candidates:
            done = _measure(connection, dataset, rule, in_force(grid), rows)
            found.append(_price(connection, done))
            _forget(connection, rule)
    return tuple(found)


def _price(connection: duckdb.DuckDBPyConnection, done: _Measured) -> GridPrice:
    lost_cells = [c for c in done.cells if c.id in done.withheld]
    _table(connection, "withheld", {"cell": sorted(done.withheld)})
    everyone = scalar(connection, "SELECT count(DISTINCT unit) FROM pairs0")
    held = "SELECT count(DISTINCT unit) FROM pairs0 WHERE cell NOT IN (SELECT cell FROM withheld)"
    lost = everyone - scalar(connection, held)
    values = [
        (m.name, _share(_value(lost_cells, i), _value(done.cells, i))) for i, m in enumerate(done.measures)
    ]
    return GridPrice(done.grid, len(done.cells), len(lost_cells), _share(lost, everyone), tuple(values))


def _value(cells: Sequence[Cell], measure: int) -> int:
    return sum(c.kinds[0].measures[measure].total for c in cells)


def _share(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)


def _measure(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    rule: TableRule,
    grid: Grid,
    rows: str,
) -> _Measured:
    """Make ``cells`` and one ``pairs<i>`` per kind of unit, and decide what is withheld."""
    shared = [c.name for c in rule.columns if grantable(c, dataset)]
    measures = cube_sql.measures(replace(rule, grid=grid), shared)
    _check(rule, grid, measures, shared)
    connection.execute(f"CREATE TABLE cells AS {cube_sql.cells_sql(rows, grid, measures)}")
    for i in range(len(rule.units)):
        unit = "_u" + (str(i + 1) if i else "")
        pairs = cube_sql.pairs_sql(rows, "cells", grid, measures, unit)
        connection.execute(f"CREATE TABLE pairs{i} AS {pairs}")

    def statistics(groups: Mapping[int, int]) -> dict[int, tuple[UnitStats, ...]]:
        return _statistics(connection, len(rule.units), len(measures), groups)

    names = ", ".join(cube_sql.identifier(name) for name in grid.cells)
    keys = connection.execute(f"SELECT _cell, _n, {names} FROM cells ORDER BY _cell").fetchall()
    found = statistics({number: number for number, *_ in keys})
    cells = tuple(Cell(number, tuple(key), rows_, found[number]) for number, rows_, *key in keys)
    return _Measured(grid, measures, cells, cube.withhold(cells, grid, statistics))


def _check(rule: TableRule, grid: Grid, measures: Sequence[Measure], shared: Sequence[str]) -> None:
    """Refuse a grid over columns that are not stored, or whose names would meet those of the cube."""
    own = {"rows", "units", *(p + m.name for m in measures for p in ("sum_", "count_"))}
    hidden = {unit.column for unit in rule.units if not unit.path}
    for name in {*grid.cells, *(n for margin in grid.outside_totals for n in margin)}:
        if name not in shared or name not in grid.cells or name in hidden or name.lower() in own:
            hint = "use shared columns that are no unit, with totals over cell columns"
            raise refuse(Code.DOCUMENT, f"grid of {rule.name}: {name}", hint, "请使用可共享且非隐私单元的列")


def _statistics(
    connection: duckdb.DuckDBPyConnection, kinds: int, measures: int, groups: Mapping[int, int]
) -> dict[int, tuple[UnitStats, ...]]:
    _table(connection, "parts", {"cell": list(groups), "part": list(groups.values())})
    found: dict[int, list[UnitStats]] = {}
    for i in range(kinds):
        sql = cube_sql.statistics_sql(f"pairs{i}", "parts", measures)
        for part, units, *totals in connection.execute(sql).fetchall():
            parts = [Totals(*(int(x) for x in totals[j : j + 3])) for j in range(0, 3 * measures, 3)]
            found.setdefault(part, []).append(UnitStats(units, tuple(parts)))
    return {part: tuple(stats) for part, stats in found.items()}


def _table(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, list[int]]) -> None:
    """Make a table of integers from Python values, replacing an older one of this name."""
    data = pa.table({column: pa.array(values, pa.int64()) for column, values in columns.items()})
    connection.register("incoming", data)
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM incoming")
    connection.unregister("incoming")


def _forget(connection: duckdb.DuckDBPyConnection, rule: TableRule) -> None:
    for name in ["cells", *(f"pairs{i}" for i in range(len(rule.units)))]:
        connection.execute(f"DROP TABLE {name}")
