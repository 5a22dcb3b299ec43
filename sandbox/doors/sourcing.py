"""From source documents to what reads them: connectors over a home, and feeds under a dataset's own names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.errors import Code, refuse
from sandbox.home import Home
from sandbox.policy.documents import Dataset, Documents, Load, RowTest, SourceRule, SourceTable
from sandbox.snapshot.manifest import Origin

if TYPE_CHECKING:
    import pyarrow as pa
    from sandbox_connectors.interface import Condition, Connector, Table


MEMORY: Final = Path("/dev/shm")
"""A folder of the system's that is kept in memory; what connectors write there has no name."""


@contextmanager
def connected(home: Home, source: SourceRule) -> Iterator[Connector]:
    """The connector of a source document; relative paths start at the home's ``sources``.

    Where data are kept encrypted, what a connector lays down goes to memory.
    """
    from sandbox_connectors.interface import Place
    from sandbox_connectors.registry import connect

    home.spill.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = MEMORY if home.settings.encryption.key else home.spill
    connector = connect(source.connector, source.options, Place(home.sources, scratch))
    try:
        yield connector
    finally:
        connector.close()


def known(documents: Documents, id: str) -> SourceRule:
    """The source document of this id.  Refuses with ``Code.NOT_FOUND``."""
    source = documents.source(id)
    if source is None:
        raise refuse(Code.NOT_FOUND, f"source {id}")
    return source


def feeding(dataset: Dataset, documents: Documents) -> Mapping[str, SourceRule]:
    """Which source feeds each table of a dataset, for the tables that one feeds.

    Refuses with ``Code.DOCUMENT`` a table that two feed, and one that the dataset has not.
    """
    found: dict[str, SourceRule] = {}
    for source in documents.sources:
        for path in source.tables:
            owner, _, table = path.partition(".")
            if owner != dataset.id:
                continue
            if dataset.table(table) is None or table in found:
                subject = f"source {source.id}: {path}"
                hint = "name each table of the dataset in one source, and no other"
                raise refuse(Code.DOCUMENT, subject, hint, "数据集的每张表只写在一个数据源中，且须存在")
            found[table] = source
    return found


@contextmanager
def feeds(home: Home, dataset: Dataset, documents: Documents) -> Iterator[Mapping[str, SourceFeed]]:
    """A feed for each table that a source document feeds; one connection a source."""
    with ExitStack() as stack:
        connectors: dict[str, Connector] = {}
        found: dict[str, SourceFeed] = {}
        for table, source in feeding(dataset, documents).items():
            if source.id not in connectors:
                connectors[source.id] = stack.enter_context(connected(home, source))
            place = source.tables[f"{dataset.id}.{table}"]
            found[table] = SourceFeed(connectors[source.id], place)
        yield found


def origins(
    dataset: Dataset, documents: Documents, files: Mapping[str, Path], named: frozenset[str]
) -> Mapping[str, Origin]:
    """Where each table is read, in the order of ``ingest``: ``named`` files, then documents, then files."""
    found = {table: Origin("", "file", path.name) for table, path in files.items()}
    for table, source in feeding(dataset, documents).items():
        if table not in named:
            place = source.tables[f"{dataset.id}.{table}"]
            where = tuple(f"{test.column} {test.op} {test.value}" for test in place.where)
            found[table] = Origin(source.id, source.connector, place.name, where, _hash(source))
    return found


def _hash(source: SourceRule) -> str:
    """Changes whenever a source document does; its secrets are references."""
    tables = {
        name: [
            place.name,
            sorted(place.columns.items()),
            [str(test) for test in place.where],
            str(place.load),
        ]
        for name, place in source.tables.items()
    }
    told = [source.id, source.connector, dict(source.options), tables]
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SourceFeed:
    """One table of a source under the dataset's names (a ``sandbox.snapshot.Feed``)."""

    connector: Connector
    place: SourceTable

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that there are, by the dataset's names; a column that is renamed has only that name."""
        there = [c.name for c in table_of(self.connector, self.place.name).columns]
        renamed = {source: own for own, source in self.place.columns.items()}
        return tuple(renamed.get(name, name) for name in there)

    @property
    def load(self) -> Load | None:
        """How the document says that it is read again."""
        return self.place.load

    def open(self, columns: Sequence[str], since: RowTest | None = None) -> pa.RecordBatchReader:
        """The rows that meet the document's conditions, and ``since``, whose column is named as here."""
        own = self.place.columns
        wanted = [own.get(name, name) for name in columns]
        where = [_condition(test) for test in self.place.where]
        later = None
        if since is not None:
            later = _condition(replace(since, column=own.get(since.column, since.column)))
        return self.connector.open(self.place.name, wanted, where, later)


def table_of(connector: Connector, name: str) -> Table:
    """The table of this name; ``public`` may be left out.  Refuses with ``Code.SOURCE_UNKNOWN``."""
    tables = connector.discover()
    for shown in (name, f"public.{name}"):
        for table in tables:
            if table.name == shown:
                return table
    hint = "see `sandbox source discover`"
    raise refuse(Code.SOURCE_UNKNOWN, name, hint, "请查看 sandbox source discover 的结果")


def _condition(test: RowTest) -> Condition:
    from sandbox_connectors.interface import Condition, Op

    return Condition(test.column, Op(test.op), test.value)
