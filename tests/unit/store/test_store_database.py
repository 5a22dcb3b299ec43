"""The file, its transactions, and how its troubles are told."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import select, text

from sandbox.errors import Code, Refusal
from sandbox.store.database import Database, insert_new, micros, moment
from sandbox.store.schema import metadata, uses
from sandbox.store.sqlite import _demand_writable


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(uses)).all())


def put(database: Database, grant: str) -> bool:
    with database.write() as connection:
        return insert_new(connection, uses, grant_id=grant, day="", used=0)


def test_every_table_is_made_and_the_file_is_private(database: Database, path: Path) -> None:
    put(database, "g")
    with sqlite3.connect(path) as raw:
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    raw.close()
    assert set(metadata.tables) <= names
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_an_existing_file_is_made_private(path: Path) -> None:
    path.touch(0o644)
    Database(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_commits_are_flushed_and_keys_are_enforced(path: Path, database: Database) -> None:
    with database.read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas]
    assert found == ["wal", 2, 1, 30_000]


def test_a_connection_that_can_only_read_is_refused_even_while_another_writes(
    path: Path, database: Database
) -> None:
    """Where only the main file could not be opened to be written, ``BEGIN IMMEDIATE`` alone says nothing."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        for busy in (nullcontext(), database.write()):
            with busy, pytest.raises(sqlite3.OperationalError, match="readonly"):
                _demand_writable(connection)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for busy in (nullcontext(), database.write()):
            with busy:
                _demand_writable(connection)


def test_a_known_store_is_reopened(database: Database, place: str) -> None:
    put(database, "g")
    again = Database(place)
    assert count(again) == 1
    again.close()


def test_a_write_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as connection:
        insert_new(connection, uses, grant_id="g", day="", used=0)
        raise KeyError
    assert count(database) == 0
    assert put(database, "g") is True
    assert put(database, "g") is False
    assert count(database) == 1


def test_an_inner_write_joins_the_outer_one(database: Database) -> None:
    with database.write():
        put(database, "kept")
        with pytest.raises(KeyError), database.write() as inner:
            insert_new(inner, uses, grant_id="undone", day="", used=0)
            raise KeyError
        assert count(database) == 1  # reading inside sees what was written so far
    assert count(database) == 1
    with pytest.raises(KeyError), database.write():
        put(database, "lost with the outer one")
        raise KeyError
    assert count(database) == 1


def test_a_reader_sees_one_moment_and_waits_for_no_writer(database: Database) -> None:
    with database.read() as view:
        before = view.execute(select(uses)).all()
        writer = threading.Thread(target=put, args=(database, "g"))
        writer.start()
        writer.join(10)
        assert not writer.is_alive()
        assert view.execute(select(uses)).all() == before == []
    assert count(database) == 1


def test_many_processes_may_create_the_same_store_at_once(empty: str) -> None:
    script = (
        "import sys\nfrom sandbox.store.database import Database, insert_new\n"
        "from sandbox.store.schema import uses\n"
        "store = Database(sys.argv[1])\n"
        "with store.write() as c: insert_new(c, uses, grant_id=sys.argv[2], day='', used=0)\n"
        "store.close()\n"
    )
    command = [sys.executable, "-c", script, empty]
    children = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    store = Database(empty)
    assert count(store) == 4
    store.close()


def test_a_file_in_use_before_it_is_a_store_is_waited_for(path: Path) -> None:
    raw = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    raw.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, raw.execute, ("COMMIT",))
    timer.start()
    store = Database(path)
    assert put(store, "g")
    store.close()
    timer.join()
    raw.close()


def test_a_lock_that_outlasts_our_patience_is_named(path: Path) -> None:
    store = Database(path, patience=0.05)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(Refusal) as caught:
        put(store, "g")
    assert (caught.value.code, caught.value.reasons[0].subject) == (Code.STORE, "locked")
    raw.execute("ROLLBACK")
    raw.close()
    assert put(store, "g")
    store.close()


def test_what_is_no_store_is_named_without_its_path(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be read as the header of one" * 20)
    (tmp_path / "folder").mkdir()
    cases = (
        (path, "damaged"),
        (tmp_path / "missing" / "store.db", "not writable"),
        (tmp_path / "folder", "not writable"),
    )
    for place, word in cases:
        with pytest.raises(Refusal) as caught:
            Database(place)
        assert (caught.value.code, caught.value.reasons[0].subject) == (Code.STORE, word)
        assert str(tmp_path) not in str(caught.value)


def test_trouble_inside_a_transaction_tells_no_sql(database: Database) -> None:
    with pytest.raises(Refusal) as caught, database.write() as connection:
        connection.execute(text("SELECT secret FROM nowhere"))
    assert caught.value.reasons[0].subject == "failed"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("pragma", "told"), [("max_page_count = 1", "disk full"), ("query_only = 1", "not writable")]
)
def test_a_store_that_cannot_be_written_is_named_and_keeps_nothing(
    path: Path, database: Database, pragma: str, told: str
) -> None:
    put(database, "before")
    with pytest.raises(Refusal) as caught, database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA {pragma}")
        for number in range(200):
            insert_new(connection, uses, grant_id=str(number) * 100, day="", used=0)
    assert caught.value.reasons[0].subject == told
    database.close()  # such a setting is a connection's
    assert count(database) == 1
    assert put(database, "after")


def test_a_store_that_breaks_amid_its_life_is_named(path: Path, database: Database) -> None:
    put(database, "before")
    database.close()
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)
    with pytest.raises(Refusal) as caught:
        put(database, "after")
    assert caught.value.reasons[0].subject == "damaged"
    with pytest.raises(Refusal) as caught:
        count(database)
    assert caught.value.reasons[0].subject == "damaged"


def test_times_are_exact_and_have_a_zone() -> None:
    beijing = dt.timezone(dt.timedelta(hours=8))
    time = dt.datetime(2026, 11, 22, 8, 0, 0, 1, tzinfo=beijing)
    assert moment(micros(time)) == time
    assert moment(micros(time)).tzinfo is dt.UTC
    assert micros(dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)) == -1
    with pytest.raises(ValueError, match="zone"):
        micros(dt.datetime(2026, 11, 22))


def test_opening_leaves_no_descriptor_behind(path: Path) -> None:
    Database(path).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        Database(path).close()
    assert len(os.listdir("/proc/self/fd")) == before
