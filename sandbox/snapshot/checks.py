"""Row checks: from a source to typed rows and, for each bad row, every reason against it.

Invariant: a source row is in ``published`` or in ``quarantined``, never both, never neither.
For table number ``i`` the work database holds ``s<i>`` (every row that could be read: ``_row``, typed
columns, ``_raw`` text of rows that failed a row check), ``k<i>`` (rows good so far, with unit texts
``_k1`` …) and ``b<i>`` (bad row, reason number).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from sandbox.errors import Code, Reason, Refusal
from sandbox.policy.documents import ColumnRule, TableRule
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot import parquet
from sandbox.snapshot.feed import Fed
from sandbox.snapshot.increment import Grown
from sandbox.snapshot.manifest import ReasonCount
from sandbox.snapshot.source import Source, rejected
from sandbox.snapshot.storage import cast, literal, outside, text
from sandbox.snapshot.work import scalar


@dataclass(slots=True)
class TableWork:
    """One table under way: its number in the work database, and the reasons found so far."""

    number: int
    rule: TableRule
    source: Source | Fed | Grown
    columns: tuple[ColumnRule, ...]
    reasons: list[tuple[str, str]] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)

    @property
    def good(self) -> str:
        """The table of rows that are good so far."""
        return f"k{self.number}"

    def reason(self, code: str, column: str) -> int:
        """The number under which this reason is kept."""
        self.reasons.append((code, column))
        return len(self.reasons) - 1


def require(work: Sequence[TableWork]) -> None:
    """Refuse with ``Code.SOURCE``, all at once, if a source lacks columns that the document needs."""
    missing = tuple(
        Reason(
            Code.SOURCE,
            f"{w.rule.name}: column {c.name} is missing",
            "add it to the source, or take it out of the dataset document",
            "请在数据源中补充此列，或从数据集文件中删除",
            column=c.name,
        )
        for w in work
        for c in w.columns
        if c.name not in w.source.columns
    )
    if missing:
        raise Refusal(*missing)


def read(connection: duckdb.DuckDBPyConnection, work: TableWork) -> None:
    """Fill ``s<i>`` and ``b<i>`` from the source, in one pass over it."""
    typed = "".join(f", {cast(c, f'_r{i}')} AS {identifier(c.name)}" for i, c in enumerate(work.columns))
    tests = [
        f"CASE WHEN {condition} THEN {work.reason(code, c.name)} END"
        for i, c in enumerate(work.columns)
        for code, condition in _tests(c, f"_r{i}")
    ]
    why = f"list_filter([{', '.join(tests)}], lambda reason: reason IS NOT NULL)" if tests else "[]"
    if not isinstance(work.source, Source):
        why = f"CASE WHEN _malformed IS NULL THEN {why} ELSE [{work.reason('malformed', '')}] END"
    raw = ", ".join(f"CAST(_r{i} AS VARCHAR)" for i in range(len(work.columns)))
    names = "".join(f", {identifier(c.name)}" for c in work.columns)
    with work.source.attached(connection, [c.name for c in work.columns]) as rows:
        connection.execute(
            f"CREATE TABLE s{work.number} AS "
            f"SELECT _row{names}, _why, CASE WHEN len(_why) > 0 THEN [{raw}] END AS _raw, _malformed "
            f"FROM (SELECT *, {why} AS _why FROM (SELECT *{typed} FROM ({rows})))"
        )
    connection.execute(f"CREATE TABLE b{work.number} (_row BIGINT, reason BIGINT)")
    connection.execute(f"INSERT INTO b{work.number} SELECT _row, unnest(_why) FROM s{work.number}")
    if isinstance(work.source, Source) and not work.source.parquet:
        work.malformed = rejected(connection, work.rule.name)


def _tests(column: ColumnRule, raw: str) -> list[tuple[str, str]]:
    """Reason code and SQL condition of each test on one column."""
    name = identifier(column.name)
    tests = [("type", f"{raw} IS NOT NULL AND {name} IS NULL")]
    if not column.nullable:
        tests.append(("null", f"{raw} IS NULL"))
    if beyond := outside(column):
        tests.append(("range", beyond))
    if column.domain is not None:
        values = ", ".join(literal(column, v) for v in column.domain if v is not None)
        inside = f"{name} IN ({values})" if values else "false"
        tests.append(("domain", f"{name} IS NOT NULL AND NOT coalesce({inside}, false)"))
    return tests


def duplicates(connection: duckdb.DuckDBPyConnection, work: TableWork, code: str, *columns: str) -> None:
    """Mark every row but the first that has the values of these columns (or a unit text) again.

    A row with a NULL among them equals no other.
    """
    names, good = [identifier(c) for c in columns], work.good
    shown = ", ".join(c for c in columns if not c.startswith("_k"))
    same = " AND ".join(f"k.{n} = f.{n}" for n in names)
    connection.execute(
        f"INSERT INTO b{work.number} SELECT _row, {work.reason(code, shown)} FROM {good} AS k JOIN "
        f"(SELECT {', '.join(names)}, min(_row) AS _first FROM {good} GROUP BY ALL HAVING count(*) > 1) AS f "
        f"ON {same} WHERE _row > _first"
    )


def functional(connection: duckdb.DuckDBPyConnection, work: TableWork, column: str) -> None:
    """Mark all rows of every unit in which ``column`` takes more than one value (``per_unit``).

    Which of several values is true cannot be known, so none of the unit's rows is kept.
    """
    name = identifier(column)
    connection.execute(
        f"INSERT INTO b{work.number} SELECT _row, {work.reason('per_unit', column)} FROM {work.good} "
        f"WHERE _k1 IN (SELECT _k1 FROM {work.good} GROUP BY _k1 HAVING min({name}) <> max({name}) "
        f"OR count({name}) NOT IN (0, count(*)))"
    )


def drop_bad(connection: duckdb.DuckDBPyConnection, work: TableWork) -> None:
    """Take the rows marked so far out of the good ones."""
    connection.execute(f"DELETE FROM {work.good} WHERE _row IN (SELECT _row FROM b{work.number})")


def keep_quarantine(
    connection: duckdb.DuckDBPyConnection, work: TableWork, folder: Path, key: bytes | None
) -> None:
    """Write the quarantined rows, as text, with their reasons, for the owner; then forget ``s<i>``."""
    sentences = [text(f"{code} {column}".strip()) for code, column in work.reasons]
    raw = "".join(
        f", coalesce(_raw[{i + 1}], CAST({identifier(c.name)} AS VARCHAR)) AS {identifier(c.name)}"
        for i, c in enumerate(work.columns)
    )
    told = f"list_sort(list([{', '.join(sentences)}][reason + 1]))"
    if key is not None:  # DuckDB 2.0 cannot read back an encrypted column of lists, nor those after it
        told = f"array_to_string({told}, '; ')"
    if scalar(connection, f"SELECT count(*) FROM b{work.number}"):
        query = (
            f"SELECT _row, _reasons{raw}{_broken(work)} FROM s{work.number} JOIN (SELECT _row, "
            f"{told} AS _reasons FROM b{work.number} "
            f"GROUP BY _row) USING (_row) ORDER BY _row"
        )
        parquet.store(connection, query, folder / f"{work.rule.name}.parquet", key)
    if work.malformed and key is not None:
        connection.execute("CREATE OR REPLACE TABLE broken (line VARCHAR)")
        connection.execute("INSERT INTO broken SELECT unnest(?)", [work.malformed])
        parquet.store(connection, "FROM broken", folder / f"{work.rule.name}.malformed.parquet", key)
    elif work.malformed:
        told = "\n".join(work.malformed)
        (folder / f"{work.rule.name}.malformed.txt").write_text(told, encoding="utf-8")


def _broken(work: TableWork) -> str:
    """The text of rows without columns, where a source hands them over as rows."""
    return ", _malformed" if not isinstance(work.source, Source) else ""


def counts(
    connection: duckdb.DuckDBPyConnection, work: TableWork
) -> tuple[int, int, tuple[ReasonCount, ...]]:
    """Rows in, rows quarantined, and rows per reason, sorted by reason and column."""
    seen = scalar(connection, f"SELECT count(*) FROM s{work.number}")
    bad = scalar(connection, f"SELECT count(DISTINCT _row) FROM b{work.number}")
    found = connection.execute(
        f"SELECT reason, count(DISTINCT _row) FROM b{work.number} GROUP BY reason"
    ).fetchall()
    reasons = [ReasonCount(work.reasons[n][0], work.reasons[n][1], rows) for n, rows in found]
    broken = len(work.malformed)
    if broken:
        reasons.append(ReasonCount("malformed", "", broken))
    return seen + broken, bad + broken, tuple(sorted(reasons, key=lambda r: (r.reason, r.column)))
