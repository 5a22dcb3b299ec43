"""PostgreSQL: its password, its server's absence, its states, and the line of writers of several gateways."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text

from sandbox.errors import Code, Refusal
from sandbox.store import postgres
from sandbox.store.database import Database, insert_new
from sandbox.store.schema import uses
from tests.support.postgres import GUARDED, PASSWORD, Server, running


def put(database: Database, name: str) -> bool:
    with database.write() as connection:
        return insert_new(connection, uses, grant_id=name, day="", used=0)


def word(caught: pytest.ExceptionInfo[Refusal]) -> str:
    assert caught.value.code is Code.STORE
    return caught.value.reasons[0].subject


@pytest.fixture
def guarded(server: Server) -> str:
    """The URL of a store whose user needs a password."""
    return server.database().replace("owner@", f"{GUARDED}@")


@pytest.fixture
def no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))


def test_the_password_comes_from_a_file(guarded: str, tmp_path: Path, no_password: None) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:{GUARDED}:{PASSWORD}\n")
    file.chmod(0o600)
    store = Database(f"{guarded}&passfile={file}")
    assert put(store, "g")
    assert PASSWORD not in repr(store._writer) + repr(store._writer.url)
    store.close()


def test_the_password_comes_from_the_environment(
    guarded: str, no_password: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    store = Database(guarded)
    assert put(store, "g")
    store.close()


@pytest.mark.parametrize("given", ["", "another-one-55"])
def test_who_is_not_let_in_is_told_no_more(
    guarded: str, no_password: None, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("PGPASSWORD", given)
    with pytest.raises(Refusal) as caught:
        Database(guarded)
    assert word(caught) == "not reachable"
    told = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in told and (not given or given not in told)


def test_a_password_in_the_url_is_refused_and_not_repeated(server: Server) -> None:
    url = server.url("postgres").replace("owner@", f"owner:{PASSWORD}@")
    with pytest.raises(Refusal) as caught:
        Database(url)
    assert "password file" in word(caught)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["postgresql://u@/nowhere?host=/nonexistent", "postgresql://u@h:port/d"])
def test_a_server_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(Refusal) as caught:
        Database(url)
    assert word(caught) == "not reachable"


def test_a_database_that_is_not_there_is_named(server: Server) -> None:
    with pytest.raises(Refusal) as caught:
        Database(server.url("nowhere"))
    assert word(caught) == "not reachable"


def test_a_lock_that_outlasts_our_patience_is_named(server: Server) -> None:
    url = server.store()
    store = Database(url, patience=0.05)
    other = Database(url)
    with other.write():
        with pytest.raises(Refusal) as caught:
            put(store, "g")
        assert word(caught) == "locked"
    assert put(store, "g")
    store.close()
    other.close()


def test_a_writer_waits_its_turn_before_it_reads(server: Server) -> None:
    """Gateways stand in one line: the second acts on what the first has left, never on what was before it."""
    url = server.store()
    stores = Database(url), Database(url)
    at_work, found = threading.Event(), []

    def second() -> None:
        at_work.wait(20)
        with stores[1].write() as connection:
            found.append(connection.execute(text("SELECT count(*) FROM uses")).scalar_one())

    thread = threading.Thread(target=second)
    thread.start()
    with stores[0].write() as connection:
        at_work.set()
        thread.join(0.2)
        assert thread.is_alive()
        insert_new(connection, uses, grant_id="g", day="", used=0)
    thread.join(20)
    assert found == [1]
    for store in stores:
        store.close()


def test_sessions_flush_whatever_the_server_was_told(server: Server) -> None:
    url = server.database()
    name = url.split("@/")[1].split("?")[0]
    server.run(f"ALTER DATABASE {name} SET synchronous_commit = off", "postgres")
    server.run(f"ALTER DATABASE {name} SET default_transaction_isolation = serializable", "postgres")
    store = Database(url)
    with store.write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
    with store.read() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "repeatable read"
        with pytest.raises(Refusal) as caught, store.read() as other:
            insert_new(other, uses, grant_id="g", day="", used=0)
        assert word(caught) == "not writable"
    store.close()


def test_options_of_the_url_are_kept(server: Server) -> None:
    store = Database(server.store() + "&options=-c%20application_name%3Dgateway7")
    with store.read() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "gateway7"
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "30s"
    store.close()


def test_readers_keep_no_writer_waiting_and_too_many_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "READERS", 2)
    store = Database(server.store(), patience=0.1)
    with store.read(), store.read():
        assert put(store, "g")
        with pytest.raises(Refusal) as caught, store.read():
            pass
        assert word(caught) == "not reachable"
    store.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that a test may stop."""
    with running() as found:
        yield found


def test_a_server_that_went_away_is_named_and_found_again(own_server: Server) -> None:
    store = Database(own_server.store())
    with pytest.raises(Refusal) as caught, store.write() as connection:
        insert_new(connection, uses, grant_id="lost", day="", used=0)
        own_server.stop()
    assert word(caught) == "not reachable"
    with pytest.raises(Refusal) as caught:
        put(store, "nobody there")
    assert word(caught) == "not reachable"
    own_server.start()
    assert put(store, "after")
    with store.read() as connection:
        assert connection.execute(text("SELECT grant_id FROM uses")).scalars().all() == ["after"]
    store.close()


def test_a_server_that_does_not_flush_is_refused(own_server: Server) -> None:
    own_server.stop()
    own_server.start("fsync=off")
    with pytest.raises(Refusal) as caught:
        Database(own_server.database())
    assert "flush" in word(caught)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.LockNotAvailable, "locked"),
        (errors.DeadlockDetected, "locked"),
        (errors.DataCorrupted, "damaged"),
        (errors.IndexCorrupted, "damaged"),
        (errors.DiskFull, "disk full"),
        (errors.IoError, "disk error"),
        (errors.ReadOnlySqlTransaction, "not writable"),
        (errors.InsufficientPrivilege, "not writable"),
        (errors.AdminShutdown, "not reachable"),
        (errors.CannotConnectNow, "not reachable"),
        (errors.TooManyConnections, "not reachable"),
        (errors.InvalidPassword, "not reachable"),
        (errors.UndefinedTable, None),
        (psycopg.OperationalError, "not reachable"),
        (psycopg.DataError, None),
        (ValueError, None),
    ],
)
def test_states_have_the_same_words_as_in_sqlite(error: type[Exception], told: str | None) -> None:
    made: Any = error("with a value that nobody is told")
    assert postgres.word(made) == told
