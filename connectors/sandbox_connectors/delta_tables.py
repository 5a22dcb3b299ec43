"""Delta tables: the version that is current when a table is first looked at, and no file that it has dropped.

Settings: ``path``, one table or a folder of them; optional ``version``.  Tables with deletion vectors or
mapped columns cannot be read as files and are refused by the library; rewrite them without.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.dataset as ds

from sandbox_connectors import faults
from sandbox_connectors.interface import Condition, Connector, Kind, Options, Place, Table, stream
from sandbox_connectors.parquet_files import batches, filtered, table_of
from sandbox_connectors.statement import every

LOG: Final = "_delta_log"
"""The folder that makes a folder a Delta table."""


class DeltaTables:
    """The tables of one folder."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options = options
        self._place = place
        self._held: dict[str, ds.Dataset] = {}

    def discover(self) -> tuple[Table, ...]:
        """Every table."""
        return tuple(table_of(name, self._dataset(name, path)) for name, path in self._paths().items())

    def open(
        self,
        table: str,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        since: Condition | None = None,
    ) -> pa.RecordBatchReader:
        """The rows, with columns and conditions pushed down to files and row groups."""
        conditions = every(where, since)
        path = self._paths().get(table)
        if path is None:
            raise faults.unknown(table)
        found = self._dataset(table, path)
        wanted = table_of(table, found).only(columns, conditions)
        return stream(wanted, batches(wanted, found, filtered(table, found.schema, conditions)))

    def test(self) -> None:
        """See that there is a table."""
        if not self.discover():
            raise faults.unreachable("delta")

    def close(self) -> None:
        """Forget which version was looked at."""
        self._held.clear()

    def _paths(self) -> dict[str, Path]:
        path = self._place.folder / self._options.text("path")
        if not path.is_dir():
            raise faults.unreachable("delta")
        inside = (path,) if (path / LOG).is_dir() else sorted(path.iterdir())
        return {p.name: p for p in inside if (p / LOG).is_dir()}

    def _dataset(self, table: str, path: Path) -> ds.Dataset:
        if table not in self._held:
            try:
                from deltalake import DeltaTable
                from deltalake.exceptions import DeltaError
            except ImportError:
                raise faults.driver("delta") from None
            written = self._options.text("version")
            if written and not written.isdecimal():
                raise faults.setting("version", "a whole number", "应为整数")
            try:
                found = DeltaTable(path, version=int(written) if written else None)
                self._held[table] = found.to_pyarrow_dataset()
            except (DeltaError, pa.ArrowException, OSError, ValueError):
                raise faults.unreadable(table) from None
        return self._held[table]


def connect(options: Options, place: Place) -> Connector:
    """A connector to Delta tables."""
    return DeltaTables(options, place)


KIND: Final = Kind("delta", connect, required=frozenset({"path"}), optional=frozenset({"version"}))
