"""The audit log: gapless, sealed, fenced, and found again by every filter."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import Refusal
from sandbox.model import LogEntry
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.search import MOST_ENTRIES, LogFilter, LogSearch

NOW = dt.datetime(2026, 11, 22, 12, 30, 15, 250, tzinfo=dt.UTC)


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


@pytest.fixture
def raw(log: AuditLog, path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's hands on the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def full(log: AuditLog) -> int:
    return log.append(
        Event.OUTCOME,
        time=NOW,
        request="q-1",
        person="王芳",
        organisation="晋数金科",
        grant="G-1",
        datasets=("power", "med", "power"),
        decision="answered",
        codes=("DS-501",),
        nano=2**60,
        text="SELECT 1",
        payload={"plan": {"scale": "1/2"}, "cells": 3},
    )


def test_an_entry_reads_back_as_written(log: AuditLog) -> None:
    assert full(log) == 0
    assert log.entry(0) == LogEntry(
        seq=0,
        time=NOW,
        kind="outcome",
        request="q-1",
        person="王芳",
        organisation="晋数金科",
        grant="G-1",
        datasets=("power", "med"),
        decision="answered",
        codes=("DS-501",),
        nano=2**60,
        text="SELECT 1",
        payload='{"cells":3,"plan":{"scale":"1/2"}}',
    )
    assert log.entry(1) is None
    assert log.size() == 1


def test_the_leaf_is_the_rfc_6962_hash_of_the_canonical_entry(log: AuditLog) -> None:
    full(log)
    sealed = log.sealed(0)
    assert sealed is not None
    assert sealed.leaf == hashlib.sha256(b"\x00" + sealed.data).digest()
    expected = (
        '{"codes":["DS-501"],"commitment":"%s","datasets":["power","med"],"decision":"answered",'
        '"format":1,"grant":"G-1","kind":"outcome","nano":"1152921504606846976","organisation":"晋数金科",'
        '"request":"q-1","seq":0,"time":"2026-11-22T12:30:15.000250Z"}'
    )
    assert sealed.data.decode() == expected % sealed.commitment
    assert sealed.intact
    assert log.sealed(1) is None


def test_personal_data_is_only_committed_to_and_may_be_deleted(
    log: AuditLog, raw: sqlite3.Connection
) -> None:
    full(log)
    sealed = log.sealed(0)
    assert sealed is not None
    assert sealed.salt is not None
    assert sealed.opening is not None
    assert len(sealed.salt) == 32
    assert sealed.commitment == hashlib.sha256(sealed.salt + sealed.opening).hexdigest()
    assert json.loads(sealed.opening)["person"] == "王芳"
    assert "王芳" not in sealed.data.decode()
    raw.execute("DELETE FROM audit_personal WHERE seq = 0")
    forgotten, entry = log.sealed(0), log.entry(0)
    assert forgotten is not None
    assert (forgotten.data, forgotten.salt, forgotten.opening) == (sealed.data, None, None)
    assert forgotten.intact
    assert entry is not None
    assert (entry.person, entry.text, entry.payload, entry.grant) == ("", "", "", "G-1")


@pytest.mark.parametrize(
    ("statement", "fence"),
    [
        ("UPDATE audit SET decision = 'refused'", "audit_no_update"),
        ("UPDATE audit SET time = time + 1", "audit_no_update"),
        ("UPDATE audit SET datasets = '[]'", "audit_no_update"),
        ("UPDATE audit SET leaf = x'00'", "audit_no_update"),
        ("UPDATE audit_personal SET person = 'x'", "audit_personal_no_update"),
        ("UPDATE audit_personal SET text = 'x'", "audit_personal_no_update"),
    ],
)
def test_edits_are_fenced_off_and_show_without_the_fence(
    log: AuditLog, raw: sqlite3.Connection, statement: str, fence: str
) -> None:
    full(log)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.execute(f"DROP TRIGGER {fence}")
    raw.execute(statement)
    sealed = log.sealed(0)
    assert sealed is not None
    assert not sealed.intact


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit",
        "DELETE FROM audit_datasets",
        "DELETE FROM audit_codes",
        "UPDATE audit_codes SET code = 'x'",
        "UPDATE audit_datasets SET dataset = 'x'",
        "REPLACE INTO audit SELECT * FROM audit WHERE seq = 0",
        (
            "INSERT INTO audit SELECT seq + 2, time, kind, request, organisation, grant_id, datasets, decision,"
            " codes, nano, commitment, leaf FROM audit"
        ),
    ],
)
def test_deletes_replacements_and_gaps_are_fenced_off(
    log: AuditLog, raw: sqlite3.Connection, statement: str
) -> None:
    full(log)
    before = log.entry(0)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    assert log.entry(0) == before


def test_the_log_is_gapless_under_threads_and_rollbacks(log: AuditLog, database: Database) -> None:
    def write(number: int) -> int | None:
        if number % 5 == 0:
            with pytest.raises(KeyError), database.write():
                log.append(Event.ALERT, time=NOW)
                raise KeyError
            return None
        return log.append(Event.LOGIN, time=NOW, request=str(number))

    with ThreadPoolExecutor(8) as pool:
        given = [seq for seq in pool.map(write, range(50)) if seq is not None]
    assert sorted(given) == list(range(40))
    page = LogSearch(database).entries(LogFilter(limit=MOST_ENTRIES))
    assert [entry.seq for entry in page.entries] == list(range(39, -1, -1))
    assert all(entry.kind == "login" for entry in page.entries)
    assert log.size() == 40


WRITER = """
import datetime as dt, pathlib, sys
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
store = Database(pathlib.Path(sys.argv[1]))
for number in range(25):
    AuditLog(store).append(Event.START, time=dt.datetime.now(dt.UTC), request=sys.argv[2])
store.close()
"""


def test_the_log_is_gapless_under_processes(database: Database, path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    page = LogSearch(database).entries(LogFilter(limit=MOST_ENTRIES))
    assert [entry.seq for entry in page.entries] == list(range(49, -1, -1))
    assert sorted(entry.request for entry in page.entries) == ["a"] * 25 + ["b"] * 25


def test_hostile_text_is_logged_all_the_same(log: AuditLog) -> None:
    bad = "a\x00\ud800'; DROP TABLE audit; --"
    seq = log.append(
        Event.REFUSAL,
        time=NOW,
        request=bad,
        person=bad,
        grant=bad,
        datasets=[bad],
        text=bad,
        payload={bad: bad},
    )
    entry, sealed = log.entry(seq), log.sealed(seq)
    assert entry is not None
    assert sealed is not None
    assert entry.text == entry.person == entry.datasets[0] == "a\\x00\\ud800'; DROP TABLE audit; --"
    assert json.loads(entry.payload) == {bad: bad}
    assert sealed.intact


@pytest.mark.parametrize(
    "change",
    [
        {"payload": {"a": 0.5}},
        {"nano": -1},
        {"nano": 1.0},
        {"time": NOW.replace(tzinfo=None)},
        {"kind": "gossip"},
    ],
)
def test_what_cannot_be_sealed_is_refused_and_leaves_no_gap(log: AuditLog, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"canonical|nano|zone|gossip"):
        log.append(**{"kind": Event.LOGIN, "time": NOW, **change})
    assert log.append(Event.LOGIN, time=NOW) == 0


def test_an_intent_and_a_charge_share_one_transaction(log: AuditLog, database: Database) -> None:
    with pytest.raises(Refusal), database.write() as connection:
        log.append(Event.INTENT, time=NOW)
        connection.exec_driver_sql("SELECT * FROM nothing")
    assert log.size() == 0
