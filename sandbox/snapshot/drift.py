"""Drift: a source that is not what it was is published by nobody's oversight.

Where a table's document says what is expected of it, the columns that its source has, how many rows it gives,
how many of them are left out and how recent they are are held against the snapshot in force and the declared
bounds.  A type that changed shows as values that are left out.  Messages name no value and no count.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb

from sandbox.errors import Code, Reason
from sandbox.policy.documents import TableRule
from sandbox.privacy.cube_sql import identifier
from sandbox.snapshot.manifest import TableFacts


def newest(connection: duckdb.DuckDBPyConnection, rule: TableRule, rows: str) -> dt.datetime | None:
    """The newest value (UTC) of the column that tells how recent the rows are; ``None`` without one."""
    if rule.expect is None or not rule.expect.fresh:
        return None
    name = identifier(rule.expect.fresh)
    found = connection.execute(f"SELECT CAST(max({name}) AS TIMESTAMP) FROM {rows}").fetchone()
    value: dt.datetime | None = found[0] if found else None
    return value and value.replace(tzinfo=dt.UTC)


def drifts(
    rule: TableRule, now: TableFacts, before: TableFacts | None, latest: dt.datetime | None, at: dt.datetime
) -> Iterator[Reason]:
    """Every way in which the table is not as expected; ``before`` is what is in force of it."""
    expect = rule.expect
    if expect is None:
        return
    if before is not None and before.seen:
        for name in sorted(set(now.seen) ^ set(before.seen)):
            what = "a new column" if name in now.seen else "a column that is gone"
            yield _reason(rule, f"{what}, {name}")
    most = expect.change
    if before and most is not None and abs(now.rows_in - before.rows_in) * 100 > most * before.rows_in:
        yield _reason(rule, "the number of rows")
    if expect.quarantined is not None and now.quarantined * 100 > expect.quarantined * now.rows_in:
        yield _reason(rule, "the share of rows in quarantine")
    if expect.fresh and (latest is None or at - latest > dt.timedelta(days=expect.days)):
        yield _reason(rule, f"the newest {expect.fresh} is too old")


def _reason(rule: TableRule, what: str) -> Reason:
    return Reason(Code.DRIFT, f"{rule.name}: {what}"[:120])
