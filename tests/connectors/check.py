"""Every kind of source against the real thing: `make connectors`; the last line is the result.

Each source is ingested as a dataset of one table, and what was published compared with the rows that were put in;
of the servers every type is read besides, and compared as text.  Then the faults: each must be refused by its
own code, and show no secret, value or path.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from sandbox_connectors.interface import Condition, Op

from sandbox.catalogue import Kind, Use
from sandbox.doors.sourcing import SourceFeed
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import ColumnRule, Dataset, Load, Share, SourceTable, TableRule, Title, UnitRule
from sandbox.snapshot import current, ingest
from sandbox.snapshot.manifest import Loaded, TableFacts
from tests.connectors import sources
from tests.connectors.sources import Case

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
VISIT = TableRule(
    "visit",
    (
        ColumnRule("who", Kind.STRING, 4, frozenset({Use.COUNT})),
        ColumnRule("city", Kind.STRING, 1, frozenset({Use.GROUP})),
        ColumnRule("fee", Kind.DECIMAL, 3, frozenset({Use.MEASURE})),
        ColumnRule("day", Kind.DATE, 1, frozenset({Use.GROUP})),
        ColumnRule("note", Kind.STRING, 1, frozenset({Use.GROUP}), nullable=True),
    ),
    units=(UnitRule("person", "who"),),
)
DATASET = Dataset("d", Title("数", "D"), "o", ("a",), 4, False, Share.CONDITIONAL, None, "m", (VISIT,))


@dataclass(slots=True)
class Report:
    """What was seen."""

    sources: int = 0
    types: int = 0
    rows: int = 0
    failed: list[str] = field(default_factory=list)

    def held(self, what: str, holds: bool) -> None:
        if not holds:
            self.failed.append(what)

    def line(self) -> str:
        return json.dumps(
            {"sources": self.sources, "types": self.types, "rows": self.rows, "failed": len(self.failed)}
        )


def run(folder: Path) -> Report:
    """All sources."""
    report = Report()
    for case in sources.files(folder):
        ingested(case, folder, report)
        report.types += case.types
    with sources.servers() as (_, cases):
        asked(cases, folder, report)
    return report


def asked(cases: tuple[Case, Case], folder: Path, report: Report) -> None:
    """The two servers."""
    for case, types in zip(cases, (sources.POSTGRESQL_TYPES, sources.MARIADB_TYPES), strict=True):
        ingested(case, folder, report)
        typed(case, folder, types, report)
        denied(case, folder, report)


def ingested(case: Case, folder: Path, report: Report) -> None:
    """A snapshot of the source holds exactly the rows, with the dataset's own names."""
    report.sources += 1
    place = SourceTable(case.table, {"city": "城市"})
    root = folder / "snapshots" / str(report.sources)
    with case.connector(folder) as connector:
        connector.test()
        done = ingest(DATASET, {"visit": SourceFeed(connector, place)}, root, now=NOW)
        where = Condition("fee", Op.AT_LEAST, 500)
        some = connector.open(case.table, ["who", "fee"], [where]).read_all()
    (facts,) = done.quarantine.tables
    report.rows += facts.rows_in
    report.held(f"{case.name}: counts", (facts.rows_in, facts.quarantined) == (len(sources.ROWS), 0))
    report.held(f"{case.name}: rows", published(root) == truth())
    report.held(
        f"{case.name}: filter", some.num_rows == sum(float(fee) >= 500 for _, _, fee, _, _ in sources.ROWS)
    )
    again(case, folder, report)


def again(case: Case, folder: Path, report: Report) -> None:
    """A load on top of a load: the source is asked for its last day alone, and the rows are the same."""
    place = SourceTable(case.table, {"city": "城市"}, load=Load("day"))
    root = folder / "loads" / str(report.sources)
    tables: list[TableFacts] = []
    for when in (NOW, NOW + dt.timedelta(days=1)):
        with case.connector(folder) as connector:
            feed = SourceFeed(connector, place)
            tables += ingest(DATASET, {"visit": feed}, root, now=when).manifest.tables
    last = max(day for *_, day, _ in sources.ROWS)
    read = sum(day == last for *_, day, _ in sources.ROWS)
    expected = Loaded("append", "day", (), read, len(sources.ROWS) - read, 0, 0, 0)
    report.held(f"{case.name}: load", tables[-1].load == expected and published(root) == truth())


def truth() -> list[tuple[str, ...]]:
    """What must be published, without the units' own numbers."""
    return sorted((city, f"{float(fee):.2f}", day, note or "") for _, city, fee, day, note in sources.ROWS)


def published(root: Path) -> list[tuple[str, ...]]:
    """What was."""
    files = [str(f) for f in current(root, "d").files("visit")]
    rows = duckdb.execute(
        "SELECT city, CAST(CAST(fee AS DECIMAL(12, 2)) AS VARCHAR), CAST(day AS VARCHAR), coalesce(note, '') "
        "FROM read_parquet(?)",
        [files],
    )
    return sorted(rows.fetchall())


def typed(case: Case, folder: Path, types: Mapping[str, tuple[str, str]], report: Report) -> None:
    """One row of each type and a null, through to their text."""
    with case.connector(folder) as connector, duckdb.connect() as reader:
        reader.execute("SET TimeZone = 'UTC'")
        for i, (kind, (_, text)) in enumerate(types.items()):
            table = connector.open(f"t{i}", ["v", "a"]).read_all()
            reader.register("t", table)
            rows = reader.execute("SELECT CAST(v AS VARCHAR) FROM t ORDER BY a").fetchall()
            report.held(f"{case.name}: {kind}", rows == [(text,), (None,)])
            report.types += 1


def denied(case: Case, folder: Path, report: Report) -> None:
    """A wrong password, and no server: each its own code, and no word of either."""
    for code, more in faults(folder):
        wrong = Case(case.name, case.kind, case.table, {**case.options, **more})
        try:
            with wrong.connector(folder) as connector:
                connector.test()
        except Refusal as refusal:
            told = str(refusal) + repr(refusal.reasons)
            shown = [word for word in (*more.values(), "wrong-horse-5512") if word in told]
            report.held(f"{case.name}: {code.id}", refusal.code is code and not shown)
        else:
            report.failed.append(f"{case.name}: {code.id} was not refused")


def faults(folder: Path) -> Iterator[tuple[Code, Mapping[str, str]]]:
    password = folder / "wrong-password"
    password.write_text("wrong-horse-5512", encoding="utf-8")
    yield Code.SOURCE_CREDENTIALS, {"password": f"file:{password}"}
    yield Code.SOURCE_SECRET, {"password": f"file:{folder}/nothing-here"}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder))
    print("\n".join(report.failed) or "every source gave what was put in")
    print(report.line())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
