"""Pages of the log against a plain reading of every entry: filters, combinations, both directions, cut short."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, text

from sandbox.model import LogEntry
from sandbox.store import text_index
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.schema import audit_personal
from sandbox.store.search import PATIENCE_S, LogFilter, LogSearch
from tests.support.postgres import Server

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
TEXTS = (
    "SELECT age FROM person WHERE city = '太原'",
    "SELECT \"a b\" FROM 用电量 WHERE x LIKE '100%_'",
    "select count(*) from claim -- 原",
    "SELECT É, é, 'ß' FROM t",
    "",
)
WANTED = (
    "age",
    "太原",
    "原",
    "用电量",
    "电",
    "AGE FROM",
    "100%_",
    "é",
    "É",
    "zz",
    "没有",
    'a b"',
    "claim -- 原x",
)


def fill(log: AuditLog, count: int, seed: int) -> list[LogEntry]:
    dice = random.Random(seed)
    for number in range(count):
        log.append(
            dice.choice((Event.INTENT, Event.OUTCOME, Event.REFUSAL)),
            time=START + number * dt.timedelta(minutes=1),
            request=f"r{number}",
            person=dice.choice(("ann", "bob", "eve")),
            organisation=dice.choice(("one", "two")),
            grant=dice.choice(("G-1", "G-2", "G-3")),
            datasets=dice.sample(("med", "geo", "power"), dice.randrange(3)),
            decision=dice.choice(("answered", "refused", "")),
            codes=dice.sample(("DS-101", "DS-304", "DS-501"), dice.randrange(3)),
            nano=dice.choice((0, 5, 7, 10**12)),
            text=dice.choice(TEXTS),
        )
    return [entry for seq in range(log.size()) if (entry := log.entry(seq)) is not None]


def folded(words: str) -> str:
    """ASCII's letter case set aside."""
    return "".join(c.lower() if c.isascii() else c for c in words)


def meets(entry: LogEntry, wanted: LogFilter, *, unicode_case: bool) -> bool:
    """What a filter means, said plainly."""
    fold = str.lower if unicode_case else folded
    checks = (
        wanted.person in (None, entry.person),
        wanted.organisation in (None, entry.organisation),
        wanted.grant in (None, entry.grant),
        wanted.dataset is None or wanted.dataset in entry.datasets,
        wanted.decision in (None, entry.decision),
        wanted.code is None or wanted.code in entry.codes,
        wanted.kind is None or wanted.kind == entry.kind,
        wanted.since is None or entry.time >= wanted.since,
        wanted.until is None or entry.time < wanted.until,
        wanted.least is None or entry.nano >= wanted.least,
        wanted.most is None or entry.nano <= wanted.most,
        wanted.text is None or fold(wanted.text) in fold(entry.text),
    )
    return all(checks)


def some_filters(dice: random.Random) -> LogFilter:
    choices: dict[str, tuple[Any, ...]] = {
        "person": ("ann", "bob", "nobody"),
        "organisation": ("one", "none"),
        "grant": ("G-1", "G-2"),
        "dataset": ("med", "power"),
        "decision": ("answered", "refused"),
        "code": ("DS-101", "DS-304"),
        "kind": (Event.INTENT, Event.ALERT),
        "since": (START, START + dt.timedelta(minutes=70)),
        "until": (START + dt.timedelta(minutes=5), START + dt.timedelta(minutes=150)),
        "least": (0, 5, 10**13),
        "most": (0, 7),
        "text": WANTED,
    }
    names = dice.sample(sorted(choices), dice.randrange(4))
    return LogFilter(**{name: dice.choice(choices[name]) for name in names})


def older(search: LogSearch, wanted: LogFilter) -> Iterator[LogEntry]:
    """Page by page to the beginning."""
    page = search.entries(wanted)
    yield from page.entries
    while page.next is not None:
        page = search.entries(replace(wanted, after=page.next))
        yield from page.entries


def newer(search: LogSearch, wanted: LogFilter) -> Iterator[LogEntry]:
    """Page by page from the beginning."""
    cursor: int | None = -1
    while cursor is not None:
        page = search.entries(replace(wanted, before=cursor))
        yield from reversed(page.entries)
        cursor = page.previous


@pytest.mark.parametrize(("followed", "commoner"), [(0, 32), (100, 0), (100, 2)])
def test_every_filter_finds_what_a_plain_reading_finds(
    database: Database, followed: int, commoner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in ("sandbox.store.search._FIRST_SLICE", "sandbox.store.criteria._NEAR"):
        monkeypatch.setattr(width, 8)
    monkeypatch.setattr("sandbox.store.criteria._PROBE", 10)
    monkeypatch.setattr("sandbox.store.criteria._FEW", 40)
    monkeypatch.setattr("sandbox.store.criteria._COMMONER", commoner)
    log, search, dice = AuditLog(database), LogSearch(database), random.Random(5)
    entries = fill(log, 120, seed=9)
    with database.read() as connection:
        unicode_case = connection.dialect.name != "sqlite"
    search.follow(followed)
    for _ in range(40):
        wanted = replace(some_filters(dice), limit=dice.choice((1, 7, 300)))
        expected = [e.seq for e in entries if meets(e, wanted, unicode_case=unicode_case)]
        assert [e.seq for e in newer(search, wanted)] == expected, wanted
        assert [e.seq for e in older(search, wanted)] == expected[::-1], wanted


def test_cursors_lead_back_and_forth(database: Database) -> None:
    log, search = AuditLog(database), LogSearch(database)
    for number in range(10):
        log.append(Event.LOGIN, time=START, request=str(number))
    first = search.entries(LogFilter(limit=3))
    assert (first.next, first.previous) == (7, None)
    second = search.entries(LogFilter(limit=3, after=7))
    assert ([e.seq for e in second.entries], second.next, second.previous) == ([6, 5, 4], 4, 6)
    again = search.entries(LogFilter(limit=3, before=6))
    assert ([e.seq for e in again.entries], again.next, again.previous) == ([9, 8, 7], 7, None)
    middle = search.entries(LogFilter(limit=3, before=2))
    assert ([e.seq for e in middle.entries], middle.next, middle.previous) == ([5, 4, 3], 3, 5)
    assert search.entries(LogFilter(after=0)) == ((), None, -1)
    assert search.entries(LogFilter(before=9)) == ((), 10, None)
    with pytest.raises(ValueError, match="page"):
        search.entries(LogFilter(after=1, before=1))


@pytest.mark.parametrize("backwards", [True, False])
def test_a_page_is_cut_short_and_read_on(
    database: Database, backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.store.search._FIRST_SLICE", 4)
    log = AuditLog(database)
    for number in range(20):
        log.append(Event.LOGIN, time=START, person="ann" if number in (1, 18) else "bob")
    ticks = itertools.count()
    search = LogSearch(database, lambda: next(ticks) * PATIENCE_S)
    wanted = LogFilter(person="ann", limit=2) if backwards else LogFilter(person="ann", limit=2, before=-1)
    page = search.entries(wanted)
    assert len(page.entries) == 1
    assert (page.next if backwards else page.previous) == (16 if backwards else 3)
    found = older(search, wanted) if backwards else newer(search, wanted)
    assert sorted(e.seq for e in found) == [1, 18]


def test_the_text_index_forgets_with_the_log(database: Database) -> None:
    log, search = AuditLog(database), LogSearch(database)
    for words in ("SELECT 王芳 FROM t", "", "SELECT 李雷 FROM t"):
        log.append(Event.REFUSAL, time=START, text=words)
    assert search.follow(10) in {0, 3}
    log.append(Event.REFUSAL, time=START, text="王芳 later")
    with database.write() as connection:
        connection.execute(delete(audit_personal).where(audit_personal.c.seq.in_((0, 1, 3))))
        lite = connection.dialect.name == "sqlite"
        left = connection.execute(text("SELECT term FROM audit_grams")).scalars().all() if lite else []
    assert not any("王" in term for term in left)
    assert not search.entries(LogFilter(text="王芳")).entries
    assert [e.seq for e in search.entries(LogFilter(text="李雷")).entries] == [2]
    assert search.follow(10) in {0, 1}
    assert search.follow(10) == 0


def test_a_common_pair_of_characters_is_read_from_the_log(path: Any, database: Database) -> None:
    log, search = AuditLog(database), LogSearch(database)
    for number in range(80):
        log.append(Event.REFUSAL, time=START, text=f"电{chr(0x4E00 + number)}量")
    search.follow(100)
    with database.read() as connection:
        assert text_index.question(connection, "电") is None
        assert text_index.question(connection, "丁量") == '"丁量 "'
        assert text_index.question(connection, "氢") == '"' + "\U0010ffff" * 3 + '"'
        assert text_index.question(connection, "é") is None
        assert text_index.question(connection, "ab") is None
        assert text_index.question(connection, 'a"b') == '"a""b"'


def test_postgresql_searches_texts_by_trigrams_where_it_can(server: Server) -> None:
    store = Database(server.store())
    log, search = AuditLog(store), LogSearch(store)
    indexes = text("SELECT count(*) FROM pg_indexes WHERE indexname = 'audit_text_grams'")
    has = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")
    log.append(Event.REFUSAL, time=START, text="SELECT 太原")
    found, can = [], -1
    for _ in range(2):
        assert search.follow(10) == 0
        assert len(search.entries(LogFilter(text="select 太")).entries) == 1
        with store.write() as connection:
            found.append(connection.execute(indexes).scalar_one())
            can = connection.execute(has).scalar_one()
            if can:
                connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    store.close()
    assert found == [0, can]
