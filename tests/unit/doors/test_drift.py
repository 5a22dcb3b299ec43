"""A source that is not what it was: refused, an alert, what is in force stays; a person may accept it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from sandbox.catalogue import Kind
from sandbox.doors.cli import app
from sandbox.policy.documents import ColumnRule, Expect, TableRule
from sandbox.policy.load import Source, read
from sandbox.snapshot.drift import drifts, newest
from sandbox.snapshot.manifest import TableFacts
from tests.faults.ingest_crash import _DATASET, Campaign

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
DAY = ColumnRule("day", Kind.DATE, 1, frozenset())


def facts(rows: int, bad: int = 0, seen: tuple[str, ...] = ("a", "day")) -> TableFacts:
    return TableFacts("t", False, rows, rows - bad, bad, (), (), (), {}, (), None, (), seen=seen)


@pytest.mark.parametrize(
    ("expect", "now", "before", "age", "count"),
    [
        (None, facts(1), facts(99), 99, 0),
        (Expect(), facts(1, 1), facts(99), 99, 0),
        (Expect(), facts(1, seen=("a", "new")), facts(1), 0, 2),
        (Expect(), facts(1), facts(1, seen=()), 0, 0),
        (Expect(change=10), facts(110), facts(100), 0, 0),
        (Expect(change=10), facts(111), facts(100), 0, 1),
        (Expect(change=10), facts(89), facts(100), 0, 1),
        (Expect(change=0), facts(5), None, 0, 0),
        (Expect(quarantined=5), facts(100, 5), None, 0, 0),
        (Expect(quarantined=5), facts(100, 6), None, 0, 1),
        (Expect(fresh="day", days=3), facts(1), None, 3, 0),
        (Expect(fresh="day", days=3), facts(1), None, 4, 1),
        (Expect(fresh="day", days=3), facts(1), None, None, 1),
    ],
)
def test_bounds(
    expect: Expect | None, now: TableFacts, before: TableFacts | None, age: int | None, count: int
) -> None:
    rule = TableRule("t", (DAY,), expect=expect)
    latest = None if age is None else NOW - dt.timedelta(days=age)
    assert len(list(drifts(rule, now, before, latest, NOW))) == count


def test_the_newest_value() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE k AS SELECT DATE '2025-06-30' AS day")
        assert newest(
            connection, TableRule("t", (DAY,), expect=Expect(fresh="day")), "k"
        ) == NOW - dt.timedelta(1)
        assert newest(connection, TableRule("t", (DAY,)), "k") is None
        connection.execute("DELETE FROM k")
        assert newest(connection, TableRule("t", (DAY,), expect=Expect(fresh="day")), "k") is None


def test_a_document_says_what_is_expected() -> None:
    def of(expect: str) -> tuple[Expect | None, list[str]]:
        text = _DATASET.replace("    rows: 1\n", f"    rows: 1\n    expect: {expect}\n")
        text = text.replace("      city:", "      day: {type: date, level: 1, use: [group]}\n      city:")
        found = read([Source("a", text)])
        tables = [d.tables[0] for d in found.documents.datasets]
        return (tables[0].expect if tables else None), [m.key for m in found.mistakes]

    assert of("{change: 30, quarantined: 5, fresh: {column: day, days: 40}}") == (
        Expect(30, 5, "day", 40),
        [],
    )
    assert of("{change: 0}") == (Expect(0), [])
    assert of("{fresh: {column: city, days: 1}}")[1] == ["tables.person.expect.fresh.column"]
    assert of("{fresh: {column: none, days: 1}}")[1] == ["tables.person.expect.fresh.column"]
    assert of("{fresh: {days: 1}}")[1] == ["tables.person.expect.fresh.column"]


def test_a_drifted_source_is_refused_with_an_alert_until_a_person_accepts_it(tmp_path: Path) -> None:
    with contextlib.closing(Campaign(tmp_path, seed=10)) as campaign:
        document = campaign.home.policies / "clinic.yaml"
        text = document.read_text(encoding="utf-8")
        document.write_text(
            text.replace("    grid:", "    expect: {change: 30}\n    grid:"), encoding="utf-8"
        )
        campaign.repeat(campaign.source())
        now = campaign.source()  # as many rows again
        assert "DS-616" in campaign.ran("ingest", "clinic", "--lang", "en")
        assert len(campaign.truth) == 1
        (alert,) = entries(campaign, "alert")
        assert "DS-616" in json.dumps(alert) and alert["datasets"] == ["clinic"]
        assert "published" in campaign.ran("ingest", "clinic", "--accept-drift", "--lang", "en")
        campaign.look(now)
        assert len(campaign.truth) == 2 and not campaign.found.mismatched
        assert "accepted" in json.dumps(entries(campaign, "ingest"))


def entries(campaign: Campaign, kind: str) -> list[dict[str, object]]:
    words = ["log", "--kind", kind, "--json", "--home", str(campaign.home.path)]
    found: list[dict[str, object]] = json.loads(CliRunner().invoke(app, words).stdout)["entries"]
    return found
