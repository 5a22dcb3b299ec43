"""Parquet: a file, or folders of files with hive partitions (``month=2024-01/part-0.parquet``).

Settings: ``path``.  A folder's entries are tables; a folder whose files lie in partitions is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sandbox_connectors import faults
from sandbox_connectors.files import the_tables
from sandbox_connectors.interface import (
    BATCH,
    Column,
    Condition,
    Connector,
    Kind,
    Op,
    Options,
    Place,
    Table,
    stream,
)
from sandbox_connectors.statement import every

_COMPARE: Final = {
    Op.EQUAL: pc.equal,
    Op.DIFFERENT: pc.not_equal,
    Op.LESS: pc.less,
    Op.AT_MOST: pc.less_equal,
    Op.MORE: pc.greater,
    Op.AT_LEAST: pc.greater_equal,
}


class ParquetFiles:
    """The tables of one file or folder."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place

    def discover(self) -> tuple[Table, ...]:
        """Every table, by the columns of its first file and its partitions."""
        names = the_tables(self._options, self._place, "parquet", (".parquet",))
        return tuple(table_of(name, self._dataset(name)) for name in names)

    def open(
        self,
        table: str,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        since: Condition | None = None,
    ) -> pa.RecordBatchReader:
        """The rows, with columns and conditions pushed down to row groups and partitions."""
        conditions = every(where, since)
        found = self._dataset(table)
        wanted = table_of(table, found).only(columns, conditions)
        _alike(table, found)
        return stream(wanted, batches(wanted, found, filtered(table, found.schema, conditions)))

    def test(self) -> None:
        """See that there is a table."""
        if not self.discover():
            raise faults.unreachable("parquet")

    def close(self) -> None:
        """Nothing is held."""

    def _dataset(self, table: str) -> ds.Dataset:
        files = the_tables(self._options, self._place, "parquet", (".parquet",)).get(table)
        if files is None:
            raise faults.unknown(table)
        _plain(table, files)
        base = self._place.folder / self._options.text("path") / table
        try:
            return ds.dataset(
                [str(f) for f in files],
                format="parquet",
                partitioning=ds.HivePartitioning.discover(infer_dictionary=False),
                partition_base_dir=str(base) if base.is_dir() else None,
            )
        except (pa.ArrowException, OSError):
            raise faults.unreadable(table) from None


def _plain(table: str, files: Sequence[Path]) -> None:
    """Refuse the files of a Delta or Iceberg table: among them are files whose rows were deleted."""
    for folder in {parent for file in files for parent in (file.parent, *list(file.parents)[1:4])}:
        if (folder / "_delta_log").is_dir() or any(folder.glob("metadata/*.metadata.json")):
            raise faults.unreadable(f"{table}: the files of a Delta or Iceberg table")


def table_of(name: str, found: ds.Dataset) -> Table:
    """A dataset's columns."""
    return Table(name, tuple(Column(f.name, f.type) for f in found.schema))


def _alike(table: str, found: ds.Dataset) -> None:
    """Refuse files that lack a column or have it in another type: Arrow would fill in nulls."""
    for fragment in found.get_fragments():
        try:
            there = pq.read_schema(fragment.path)
        except (pa.ArrowException, OSError):
            raise faults.unreadable(table) from None
        parted = ds.get_partition_keys(fragment.partition_expression)
        for column in found.schema:
            if column.name not in parted and (
                column.name not in there.names or there.field(column.name).type != column.type
            ):
                raise faults.changed(table)


def filtered(table: str, schema: pa.Schema, conditions: Sequence[Condition]) -> pc.Expression | None:
    """The conditions on a dataset's columns; a value that is none of the column's type is refused."""
    tests = None
    for condition in conditions:
        try:
            value = pa.scalar(str(condition.value)).cast(schema.field(condition.column).type)
        except pa.ArrowException:
            raise faults.unknown(f"{table}: {condition.column}") from None
        test = _COMPARE[condition.op](pc.field(condition.column), value)
        tests = test if tests is None else tests & test
    return tests


def batches(table: Table, found: ds.Dataset, rows: pc.Expression | None) -> Iterator[pa.RecordBatch]:
    """The rows of a dataset, a batch and a file ahead at most."""
    try:
        yield from found.scanner(
            columns=[c.name for c in table.columns],
            filter=rows,
            batch_size=BATCH,
            batch_readahead=1,
            fragment_readahead=1,
        ).to_reader()
    except (pa.ArrowException, OSError):
        raise faults.unreadable(table.name) from None


def connect(options: Options, place: Place) -> Connector:
    """A connector to Parquet files."""
    return ParquetFiles(options, place)


KIND: Final = Kind("parquet", connect, required=frozenset({"path"}))
