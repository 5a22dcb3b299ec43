"""Ingestion: from sources to a published snapshot, or to a refusal that leaves all as it was.

The verb is ``ingest``.  Reading, checking, numbering, writing, the cube, the manifest and publication
follow one another; each table is checked after those that its key paths lead to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

import sandbox
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.policy.documents import Dataset, TableRule
from sandbox.policy.effective import grantable
from sandbox.policy.verified import verified
from sandbox.snapshot import checks, grid, units, write
from sandbox.snapshot.checks import TableWork
from sandbox.snapshot.drift import drifts, newest
from sandbox.snapshot.feed import Fed, Feed
from sandbox.snapshot.increment import Bases, Grown
from sandbox.snapshot.manifest import Manifest, Origin, StoredFile, TableFacts
from sandbox.snapshot.progress import Progress, silent
from sandbox.snapshot.publish import NAME, Home, home_of, locked, publish, staging, sweep
from sandbox.snapshot.published import digest
from sandbox.snapshot.sealing import MasterKey, Sealing, fresh, opened
from sandbox.snapshot.source import Source, open_source
from sandbox.snapshot.work import storing, workspace
from sandbox.snapshot.write import Numbering

RESERVED = "_"
"""Column names that begin so are the snapshot's own, or those of the checks."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What was not published, per table, as counts and reasons: no values, fit to be shown."""

    tables: tuple[TableFacts, ...]

    @property
    def rows(self) -> int:
        """Quarantined rows over all tables."""
        return sum(t.quarantined for t in self.tables)

    def lines(self) -> list[str]:
        """The report, one table or reason a line."""
        found = []
        for t in self.tables:
            found.append(f"{t.name}: {t.rows_in} in, {t.published} published, {t.quarantined} quarantined")
            found += [f"  {r.reason} {r.column}".rstrip() + f": {r.rows}" for r in t.reasons]
        return found


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingestion came to: the manifest now in force, and what went to quarantine."""

    manifest: Manifest
    quarantine: Quarantine


def ingest(
    dataset: Dataset,
    sources: Mapping[str, Path | Feed],
    root: Path,
    *,
    now: dt.datetime,
    progress: Progress | None = None,
    announce: Callable[[Manifest], None] | None = None,
    key: MasterKey | None = None,
    origins: Mapping[str, Origin] | None = None,
    full: bool = False,
    drift: bool = False,
) -> Ingested:
    """Publish a snapshot of ``dataset`` from ``sources`` (table -> CSV or Parquet file, folder, or feed).

    ``now`` is aware; it stands in the snapshot's id as UTC.  ``announce`` is told of the manifest when all
    is built and nothing is in force yet, so that who keeps a log has an entry of every snapshot that ever
    comes into force; if it raises, none does.  ``origins`` says of each table, for
    the manifest, where it is read.  With a ``key`` all is encrypted before it is written.  A feed that says
    how it is read again is, on top of what was read before; ``full`` reads all of it.
    Refuses with ``Code.DRIFT`` a source beyond the declared bounds, unless ``drift`` is accepted.
    Refuses with ``Code.SOURCE`` for sources that cannot be read or lack columns,
    ``Code.DOCUMENT`` for documents that cannot be carried out,
    ``Code.SNAPSHOT_DAMAGED`` if the snapshot in force is not whole, ``Code.SNAPSHOT_SEALED`` if what is there
    has another key.  After a refusal or a crash the
    snapshot in force is what it was.
    """
    _check(dataset, sources)
    home = home_of(root, dataset.id)
    with storing(), locked(home):
        last, before = sweep(home), home.in_force()
        earlier = opened(dataset.id, before.seal if before else None, key)
        with staging(home) as stage:
            for name in ("snapshot", "units", "quarantine", "base", "work"):
                (stage / name).mkdir(mode=0o700)
            sealing = fresh(dataset.id, key)
            bases = Bases(home.base, before, earlier, origins or {}, now, full)
            with workspace(stage / "work", hidden=key is not None) as connection:
                run = _Run(dataset, home, stage, connection, progress or silent, sealing, bases)
                tables = run.tables(sources)
                tables = tuple(replace(t, origin=(origins or {}).get(t.name)) for t in tables)
            found = [] if drift else list(run.drifts(tables, before, now))
            if found:
                raise Refusal(*found)
            manifest = Manifest(
                id="",
                dataset=dataset.id,
                sequence=last + 1,
                created=now.astimezone(dt.UTC).isoformat(timespec="seconds"),
                document=dataset.hash,
                verified=verified(dataset),
                code=sandbox.__version__,
                tables=tables,
                files=run.files(),
                seal=sealing.seal,
            ).named(now)
            (stage / "snapshot" / "manifest.json").write_bytes(manifest.encode())
            if announce is not None:
                announce(manifest)
            publish(home, stage, manifest.id)
    return Ingested(manifest, Quarantine(tables))


def _check(dataset: Dataset, sources: Mapping[str, Path | Feed]) -> None:
    """Refuse what no source could mend, before anything is read."""
    for table in dataset.tables:
        if table.name not in sources:
            hint = "name a file or folder for every table of the dataset"
            raise refuse(Code.SOURCE, f"{table.name}: no source", hint, "请为数据集的每张表指定文件或文件夹")
        if table.public and not any(grantable(c, dataset) for c in table.columns):
            hint = "give at least one column a use"
            raise refuse(Code.DOCUMENT, f"{table.name}: nothing could be used", hint, "请至少为一列设置 use")
        bad = [c.name for c in table.columns if c.name.startswith(RESERVED)]
        if bad or not NAME.fullmatch(table.name) or table.name.lower() == "cube":
            subject = f"{table.name}: {', '.join(bad) or 'the table name'}"
            raise refuse(Code.DOCUMENT, subject, "rename it: the name is reserved", "名称为系统保留，请改名")


class _Run:
    """One ingestion under way, inside its staging directory."""

    def __init__(
        self,
        dataset: Dataset,
        home: Home,
        stage: Path,
        connection: duckdb.DuckDBPyConnection,
        progress: Progress,
        sealing: Sealing,
        bases: Bases,
    ) -> None:
        self.dataset = dataset
        self.home = home
        self.stage = stage
        self.connection = connection
        self.progress = progress
        self.sealing = sealing
        self.bases = bases
        self.latest: dict[str, dt.datetime | None] = {}

    def tables(self, sources: Mapping[str, Path | Feed]) -> tuple[TableFacts, ...]:
        """Everything up to the files: the facts of each table, in the document's order."""
        names = units.order(self.dataset)
        kinds = units.kinds(self.dataset)
        work = [self._open(i, rule, sources) for i, rule in enumerate(self.dataset.tables)]
        checks.require(work)
        done: dict[str, TableWork] = {}
        by_name = {w.rule.name: w for w in work}
        for i, name in enumerate(names):
            self.progress("read", name, i, len(names))
            checks.read(self.connection, by_name[name])
            self.progress("check", name, i, len(names))
            units.resolve(self.connection, self.dataset, by_name[name], done)
            done[name] = by_name[name]
        self.progress("units", "", 0, 1)
        maps = {
            k: units.number_units(
                self.connection, work, k, self.home, self.stage / "units", self.sealing.units(k)
            )
            for k in kinds
        }
        numbering = Numbering(maps, units.salt(self.home))
        return tuple(self._finish(w, numbering, len(work)) for w in work)

    def _open(self, number: int, rule: TableRule, sources: Mapping[str, Path | Feed]) -> TableWork:
        wanted = units.needed(self.dataset, rule.name)
        columns = tuple(c for c in rule.columns if c.name in wanted or grantable(c, self.dataset))
        given = sources[rule.name]
        return TableWork(number, rule, self._source(rule.name, given), columns)

    def _source(self, table: str, given: Path | Feed) -> Source | Fed | Grown:
        if isinstance(given, Path):
            return open_source(table, given)
        if given.load is None:
            return Fed(table, given, given.columns)
        target = self.stage / "base" / f"{table}.parquet"
        return self.bases.grown(table, given, given.load, target, self.sealing.base(table))

    def _finish(self, work: TableWork, numbering: Numbering, total: int) -> TableFacts:
        rule, connection = work.rule, self.connection
        self.progress("write", rule.name, work.number, total)
        sealing = self.sealing
        checks.keep_quarantine(connection, work, self.stage / "quarantine", sealing.quarantine(rule.name))
        rows_in, bad, reasons = checks.counts(connection, work)
        connection.execute(f"DROP TABLE s{work.number}")
        columns = write.kept(self.dataset, rule.name)
        folder = self.stage / "snapshot" / rule.name
        folder.mkdir(mode=0o700)
        files = write.write(connection, work, columns, numbering, folder, sealing.table(rule.name))
        domains, unique = write.domains(connection, work, columns) if rule.public else ({}, ())
        self.latest[rule.name] = newest(connection, rule, work.good)
        connection.execute(f"DROP TABLE {work.good}")
        names = {c.name for c in columns}
        self.progress("cube", rule.name, work.number, total)
        cube_file = self.stage / "snapshot" / "cube" / f"{rule.name}.parquet"
        return TableFacts(
            name=rule.name,
            public=rule.public,
            rows_in=rows_in,
            published=rows_in - bad,
            quarantined=bad,
            reasons=reasons,
            columns=columns,
            dropped=tuple(c.name for c in rule.columns if c.name not in names),
            domains=domains,
            unique=unique,
            cube=grid.build(connection, self.dataset, rule, files, cube_file, sealing),
            files=tuple(f"{rule.name}/{f.name}" for f in files),
            seen=tuple(work.source.columns),
            load=work.source.facts if isinstance(work.source, Grown) else None,
        )

    def drifts(
        self, tables: tuple[TableFacts, ...], before: Manifest | None, now: dt.datetime
    ) -> Iterator[Reason]:
        """Where the tables are not what their document expects."""
        for rule, facts in zip(self.dataset.tables, tables, strict=True):
            last = before.table(rule.name) if before else None
            yield from drifts(rule, facts, last, self.latest[rule.name], now)

    def files(self) -> tuple[StoredFile, ...]:
        """Path, hash and size of every file built so far, sorted by path."""
        base = self.stage / "snapshot"
        found = sorted(p for p in base.rglob("*") if p.is_file())
        stored = []
        for i, path in enumerate(found):
            self.progress("hash", "", i, len(found))
            stored.append(StoredFile(str(path.relative_to(base)), digest(path), path.stat().st_size))
        return tuple(stored)
