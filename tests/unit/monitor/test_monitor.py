"""The monitor over a real log: incremental, idempotent, and the same whatever the size of a run."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox.model import LogEntry
from sandbox.monitor import run
from sandbox.monitor.run import Monitor
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.search import LogFilter, LogSearch

NOON = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    store = Database(tmp_path / "store.db")
    yield store
    store.close()


def alerts(database: Database) -> list[LogEntry]:
    return list(LogSearch(database).entries(LogFilter(kind=Event.ALERT, limit=1000)).entries)[::-1]


def told(database: Database) -> list[tuple[str, str, list[int]]]:
    payloads = [json.loads(a.payload) for a in alerts(database)]
    return [(p["rule"], p["subject"], p["evidence"]) for p in payloads]


def refuse(log: AuditLog, person: str, minute: float, code: str = "DS-304") -> int:
    return log.append(
        Event.REFUSAL, time=NOON + dt.timedelta(minutes=minute), request="r", person=person,
        organisation="one", grant="G-1", datasets=["med"], decision="refused", codes=[code],
        text="SELECT name FROM person",
    )  # fmt: skip


def test_an_alert_names_its_evidence_once(database: Database) -> None:
    log, monitor = AuditLog(database), Monitor(database)
    for minute in range(4):
        refuse(log, "ann", minute)
        refuse(log, "bob", 0.5 + minute, code="DS-201")
    raised = monitor.run(NOON + dt.timedelta(hours=1))
    assert told(database) == [
        ("repeated-refusals", "ann", [0, 2, 4, 6]),
        ("refusal-storm", "ann", [0, 2, 4, 6]),
        ("refusal-storm", "bob", [1, 3, 5, 7]),
    ]
    assert raised == (8, 9, 10)
    assert monitor.run(NOON + dt.timedelta(hours=2)) == ()
    first = alerts(database)[0]
    payload = json.loads(first.payload)
    assert (first.person, first.organisation, first.grant) == ("ann", "", "G-1")
    assert (first.decision, payload["severity"], payload["organisation"]) == ("alarm", "medium", "one")
    assert all(payload[part][lang] for part in ("what", "do") for lang in ("zh", "en"))


def test_evidence_is_not_used_twice_and_runs_out_of_the_window(database: Database) -> None:
    log, monitor = AuditLog(database), Monitor(database)
    for minute in (0, 1, 2, 3, 4, 5, 6, 80, 81, 150):
        refuse(log, "ann", minute)
        monitor.run(NOON + dt.timedelta(minutes=minute))
    assert {tuple(evidence) for _, _, evidence in told(database)} == {(0, 1, 2, 3)}


@pytest.mark.parametrize("batch", [1, 7])
def test_the_size_of_a_run_changes_nothing(
    tmp_path: Path, database: Database, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database(tmp_path / "other.db")
    for store in (database, other):
        log, dice = AuditLog(store), random.Random(3)
        for number in range(60):
            refuse(log, dice.choice("ab"), 3 * number, code=dice.choice(("DS-304", "DS-108", "DS-407")))
    Monitor(other).run(NOON + dt.timedelta(hours=9))
    monkeypatch.setattr(run, "BATCH", batch)
    Monitor(database).run(NOON + dt.timedelta(hours=9))
    assert sorted(told(database)) == sorted(told(other))
    assert len(told(database)) == 22
    other.close()


def test_two_monitors_raise_an_alert_once(tmp_path: Path, database: Database) -> None:
    log = AuditLog(database)
    for number in range(40):
        refuse(log, f"p{number % 8}", number)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Monitor(database).run(NOON + dt.timedelta(hours=1)), range(8)))
    found = told(database)
    assert len(found) == 16
    assert len({(rule, subject) for rule, subject, _ in found}) == 16


def test_a_missing_outcome_is_raised_when_it_is_due(database: Database) -> None:
    log, monitor = AuditLog(database), Monitor(database)

    def write(kind: Event, request: str, minute: int, **more: Any) -> int:
        time = NOON + dt.timedelta(minutes=minute)
        return log.append(
            kind, time=time, request=request, person="ann", organisation="one", grant="G-1", **more
        )

    write(Event.INTENT, "ended", 0)
    crashed = write(Event.INTENT, "crashed", 0)
    write(Event.OUTCOME, "ended", 1)
    late = write(Event.INTENT, "late", 5)
    assert monitor.run(NOON + dt.timedelta(minutes=9)) == ()
    assert len(monitor.run(NOON + dt.timedelta(minutes=11))) == 1
    assert told(database) == [("missing-outcome", "crashed", [crashed])]
    write(Event.OUTCOME, "late", 12)
    assert monitor.run(NOON + dt.timedelta(minutes=30)) == ()
    assert late not in {seq for _, _, evidence in told(database) for seq in evidence}


def test_a_grants_burn_rate(database: Database) -> None:
    log, monitor = AuditLog(database), Monitor(database)
    for number in range(5):
        log.append(
            Event.INTENT, time=NOON, request=str(number), person=f"p{number}", organisation="one", grant="G-1",
            nano=100, payload={"limit": 2000},
        )  # fmt: skip
        log.append(Event.OUTCOME, time=NOON, request=str(number), person=f"p{number}", grant="G-1", nano=100)
    monitor.run(NOON)
    assert told(database) == [("burn-rate", "G-1", [0, 2, 4, 6, 8])]
    assert (alerts(database)[0].person, alerts(database)[0].grant) == ("", "G-1")


def test_a_monitor_that_comes_too_late_raises_nothing(database: Database) -> None:
    log, slow = AuditLog(database), Monitor(database)
    for minute in range(4):
        refuse(log, "ann", minute)
    batch = slow._batch()
    assert batch is not None
    findings = list(slow._findings(batch[1]))
    later = NOON + dt.timedelta(hours=1)
    Monitor(database).run(later)
    assert slow._conclude("monitor", batch[0], 4, findings, later) == ()
    assert len(alerts(database)) == 2
