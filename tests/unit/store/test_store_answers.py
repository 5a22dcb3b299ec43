"""Kept answers: the best one paid for, never changed, purged by age."""

from __future__ import annotations

import datetime as dt
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sandbox.store.answers import Answers, Stored
from sandbox.store.database import Database

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def arrow(value: int) -> bytes:
    table = pa.table({"c0": [value]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def offer(nano: int = 100, value: int = 1, time: dt.datetime = NOW, **key: str) -> Stored:
    names = {"grant": "g", "snapshot": "s", "release_hash": "h", **key}
    return Stored(**names, nano=nano, table=arrow(value), metadata='{"scale":"3"}', time=time)


@pytest.fixture
def answers(database: Database) -> Answers:
    return Answers(database)


def test_a_kept_table_comes_back_as_it_was(answers: Answers) -> None:
    kept = answers.put(offer(value=42))
    assert kept == offer(value=42)
    found = answers.best("g", "s", "h", 100)
    assert found == kept
    assert pa.ipc.open_stream(found.table).read_all().to_pydict() == {"c0": [42]}


def test_the_best_paid_answer_is_given_if_it_is_good_enough(answers: Answers) -> None:
    for nano in (100, 300, 200):
        answers.put(offer(nano, value=nano))
    for at_least, expected in ((0, 300), (250, 300), (300, 300), (301, None)):
        found = answers.best("g", "s", "h", at_least)
        assert (None if found is None else found.nano) == expected


@pytest.mark.parametrize("key", [("x", "s", "h"), ("g", "x", "h"), ("g", "s", "x")])
def test_no_answer_crosses_grants_snapshots_or_releases(answers: Answers, key: tuple[str, str, str]) -> None:
    answers.put(offer())
    assert answers.best(*key, 0) is None


def test_putting_twice_keeps_the_first(answers: Answers) -> None:
    first = answers.put(offer(value=1))
    assert answers.put(offer(value=2, time=NOW + dt.timedelta(1))) == first
    assert answers.best("g", "s", "h", 0) == first


def test_racing_puts_agree_on_one_answer(answers: Answers) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = set(pool.map(lambda value: answers.put(offer(value=value)).table, range(16)))
    assert len(kept) == 1


def test_purge_removes_what_is_older_and_nothing_else(answers: Answers) -> None:
    for hours in range(4):
        answers.put(offer(nano=hours, time=NOW + dt.timedelta(hours=hours)))
    with pytest.raises(ValueError, match="up to now"):
        answers.purge(NOW + dt.timedelta(hours=2), NOW)
    assert answers.purge(NOW + dt.timedelta(hours=2), NOW + dt.timedelta(hours=2)) == 2
    assert answers.purge(NOW + dt.timedelta(hours=2), NOW + dt.timedelta(hours=2)) == 0
    assert answers.best("g", "s", "h", 0) == offer(nano=3, time=NOW + dt.timedelta(hours=3))
    fresh = offer(nano=1, value=7, time=NOW + dt.timedelta(hours=3))
    assert answers.put(fresh) == fresh


@pytest.mark.parametrize("nano", [-1, True, 1.5])
def test_prices_are_whole_numbers(answers: Answers, nano: int) -> None:
    with pytest.raises(ValueError, match="nano"):
        answers.put(replace(offer(), nano=nano))
    with pytest.raises(ValueError, match="at_least"):
        answers.best("g", "s", "h", nano)


def test_the_schema_itself_forbids_changing_an_answer(answers: Answers, path: Path) -> None:
    answers.put(offer())
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("UPDATE answers SET metadata = ''")
    raw.close()


def test_relatives_are_of_one_family_and_dear_enough(answers: Answers) -> None:
    for nano, name, family in (
        (100, "a", "f"),
        (300, "b", "f"),
        (200, "c", "g"),
        (50, "d", "f"),
        (400, "e", ""),
    ):
        answers.put(replace(offer(nano, release_hash=name), family=family))
    answers.put(replace(offer(500, release_hash="h", snapshot="other"), family="f"))
    found = answers.relatives("g", "s", "f", 100)
    assert [(r.release_hash, r.nano) for r in found] == [("b", 300), ("a", 100)]
    assert {r.metadata for r in found} == {'{"scale":"3"}'}
    assert answers.relatives("g", "s", "f", 301) == ()
