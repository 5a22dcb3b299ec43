"""The audit log is found again by every filter."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.search import MOST_ENTRIES, LogFilter, LogSearch

NOW = dt.datetime(2026, 11, 22, 12, 30, 15, 250, tzinfo=dt.UTC)


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


@pytest.fixture
def search(database: Database) -> LogSearch:
    return LogSearch(database)


def fill(log: AuditLog) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": Event.LOGIN, "person": "ann", "organisation": "one"},
        {
            "kind": Event.INTENT,
            "person": "ann",
            "organisation": "one",
            "grant": "G-1",
            "datasets": ("med", "geo"),
        },
        {"kind": Event.OUTCOME, "person": "bob", "organisation": "two", "grant": "G-2", "datasets": ("med",)},
        {"kind": Event.REFUSAL, "person": "bob", "codes": ("DS-304", "DS-501"), "decision": "refused"},
        {"kind": Event.REFUSAL, "person": "eve", "codes": ("DS-304",), "text": "SELECT '100%_水' FROM claim"},
    ]
    for number, row in enumerate(rows):
        log.append(time=NOW + dt.timedelta(hours=number), **row)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (LogFilter(), [4, 3, 2, 1, 0]),
        (LogFilter(person="ann"), [1, 0]),
        (LogFilter(organisation="two"), [2]),
        (LogFilter(grant="G-1"), [1]),
        (LogFilter(dataset="med"), [2, 1]),
        (LogFilter(dataset="geo", person="bob"), []),
        (LogFilter(decision="refused"), [3]),
        (LogFilter(code="DS-304"), [4, 3]),
        (LogFilter(code="DS-501", dataset="med"), []),
        (LogFilter(kind=Event.LOGIN), [0]),
        (LogFilter(since=NOW + dt.timedelta(hours=3)), [4, 3]),
        (LogFilter(until=NOW + dt.timedelta(hours=3)), [2, 1, 0]),
        (LogFilter(text="select '100%_水'"), [4]),
        (LogFilter(text="100_%"), []),
        (LogFilter(text="' OR 1=1 --"), []),
        (LogFilter(after=2), [1, 0]),
    ],
)
def test_filters(log: AuditLog, search: LogSearch, filters: LogFilter, expected: list[int]) -> None:
    fill(log)
    assert [entry.seq for entry in search.entries(filters).entries] == expected


def test_pages_follow_each_other_to_the_end(log: AuditLog, search: LogSearch) -> None:
    fill(log)
    first, cursor, _ = search.entries(LogFilter(limit=2))
    assert ([entry.seq for entry in first], cursor) == ([4, 3], 3)
    log.append(Event.LOGIN, time=NOW)  # what comes later does not shift the pages
    second, cursor, _ = search.entries(LogFilter(limit=2, after=cursor))
    assert ([entry.seq for entry in second], cursor) == ([2, 1], 1)
    third, cursor, _ = search.entries(LogFilter(limit=1, after=cursor))
    assert ([entry.seq for entry in third], cursor) == ([0], None)


@pytest.mark.parametrize("limit", [0, -1, MOST_ENTRIES + 1])
def test_a_page_has_a_sensible_length(search: LogSearch, limit: int) -> None:
    with pytest.raises(ValueError, match="page"):
        search.entries(LogFilter(limit=limit))


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (LogFilter(person="p"), "audit_by_person"),
        (LogFilter(organisation="o"), "audit_by_organisation"),
        (LogFilter(grant="g"), "audit_by_grant"),
        (LogFilter(decision="d"), "audit_by_decision"),
        (LogFilter(kind=Event.ALERT), "audit_by_kind"),
        (LogFilter(dataset="d"), "audit_datasets"),
        (LogFilter(code="c"), "audit_codes"),
    ],
)
def test_each_filter_has_its_index(
    path: Path, log: AuditLog, search: LogSearch, database: Database, filters: LogFilter, index: str
) -> None:
    fill(log)
    statements: list[str] = []
    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(statements.append)

    search.entries(filters)  # the pool hands the same connection out again, so this is traced
    select = next(s for s in reversed(statements) if s.startswith("SELECT"))
    driver.set_trace_callback(None)
    with database.read() as connection:
        plan = " ".join(str(row[3]) for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + select))
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_an_intent_without_an_end_is_missed(log: AuditLog, search: LogSearch) -> None:
    story = [
        (Event.INTENT, "done"),
        (Event.INTENT, "crashed"),
        (Event.OUTCOME, "done"),
        (Event.INTENT, "refused"),
        (Event.REFUSAL, "refused"),
        (Event.INTENT, "retried"),
        (Event.INTENT, "retried"),
        (Event.OUTCOME, "retried"),
        (Event.LOGIN, "crashed"),
    ]
    for kind, request in story:
        log.append(kind, time=NOW, request=request)
    assert [(entry.seq, entry.request) for entry in search.missing_outcomes()] == [
        (1, "crashed"),
        (5, "retried"),
    ]
    assert [entry.seq for entry in search.missing_outcomes(start=2)] == [5]
