"""Group commit: what threads share of a transaction, and what they do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select, text

from sandbox.errors import Code, Refusal
from sandbox.store import group
from sandbox.store.database import Database, insert_new
from sandbox.store.schema import uses

ENOUGH = 20.0


def put(connection: Connection, name: str) -> None:
    insert_new(connection, uses, grant_id=name, day="", used=0)


def write(database: Database, name: str) -> None:
    with database.write() as connection:
        put(connection, name)


def kept(place: str) -> set[str]:
    """What another process would find."""
    other = Database(place)
    try:
        with other.read() as connection:
            return set(connection.execute(select(uses.c.grant_id)).scalars())
    finally:
        other.close()


@contextmanager
def commits() -> Iterator[list[Connection]]:
    """The writing commits made meanwhile, by any store of this process."""
    found: list[Connection] = []

    def note(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            found.append(connection)

    event.listen(Engine, "commit", note)
    try:
        yield found
    finally:
        event.remove(Engine, "commit", note)


class Crowd:
    """Threads that arrive while one is at work, so that their parts share its transaction."""

    def __init__(self, database: Database, parts: list[Callable[[], object]]) -> None:
        self.database = database
        self.parts = parts
        self.pool = ThreadPoolExecutor(len(parts))
        self.futures: list[Future[object]] = []

    def arrive(self) -> None:
        """Called by the thread at work: returns when all others wait for their turn."""
        line: Any = self.database._group
        before = line._waiting
        self.futures = [self.pool.submit(part) for part in self.parts]
        until = time.monotonic() + ENOUGH
        while line._waiting < before + len(self.parts):
            assert time.monotonic() < until
            time.sleep(0.001)

    def end(self) -> list[BaseException | None]:
        """How each of them ended."""
        found = [future.exception(ENOUGH) for future in self.futures]
        self.pool.shutdown()
        return found


def writers(database: Database, names: range) -> list[Callable[[], object]]:
    return [lambda name=name: write(database, f"p{name}") for name in names]  # type: ignore[misc]  # bound per name


def test_threads_that_wait_share_one_flush(database: Database, place: str) -> None:
    crowd = Crowd(database, writers(database, range(8)))
    with commits() as made:
        with database.write() as connection:
            put(connection, "first")
            crowd.arrive()
        assert crowd.end() == [None] * 8
    assert len(made) == 1
    assert kept(place) == {"first", *(f"p{n}" for n in range(8))}


def test_no_transaction_takes_more_parts_than_its_most(
    database: Database, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "MOST", 3)
    crowd = Crowd(database, writers(database, range(8)))
    with commits() as made:
        with database.write():
            crowd.arrive()
        assert crowd.end() == [None] * 8
    assert len(made) == 3
    assert len(kept(place)) == 8


def test_a_part_that_fails_is_undone_alone(database: Database, place: str) -> None:
    def fail() -> None:
        with database.write() as connection:
            put(connection, "undone")
            raise KeyError

    def refuse_by_sql() -> None:
        with database.write() as connection:
            put(connection, "undone too")
            connection.execute(text("SELECT nothing FROM nowhere"))

    for parts in ([fail, *writers(database, range(3)), refuse_by_sql], [*writers(database, range(3)), fail]):
        crowd = Crowd(database, list(parts))
        with database.write() as connection:
            put(connection, "first")
            crowd.arrive()
        ends = crowd.end()
        assert [type(end) for end, part in zip(ends, parts, strict=True) if part is fail] == [KeyError]
        assert all(
            isinstance(e, Refusal) for e, part in zip(ends, parts, strict=True) if part is refuse_by_sql
        )
        assert ends.count(None) == 3
    assert kept(place) == {"first", "p0", "p1", "p2"}


def test_when_the_first_fails_the_others_are_kept(database: Database, place: str) -> None:
    crowd = Crowd(database, writers(database, range(3)))
    with pytest.raises(KeyError), database.write() as connection:
        put(connection, "undone")
        crowd.arrive()
        raise KeyError
    assert crowd.end() == [None] * 3
    assert kept(place) == {"p0", "p1", "p2"}


def test_nobody_returns_before_the_flush(database: Database, place: str) -> None:
    """At the moment of the commit nobody has returned and no one else sees anything; then all is there."""
    crowd = Crowd(database, writers(database, range(4)))
    seen: list[tuple[int, set[str]]] = []

    def at_commit(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            time.sleep(0.05)  # whoever did not wait would be back by now
            seen.append((sum(f.done() for f in crowd.futures), kept_now()))

    def kept_now() -> set[str]:
        with database.read() as connection:
            return set(connection.execute(select(uses.c.grant_id)).scalars())

    def look() -> None:
        event.listen(Engine, "commit", at_commit)
        crowd.arrive()

    try:
        # The reader above is another thread's: this one's would see its own transaction.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_with_part, database, look).result(ENOUGH)
        assert crowd.end() == [None] * 4
    finally:
        event.remove(Engine, "commit", at_commit)
    assert seen[0] == (0, set())
    assert len(kept(place)) == 4


def _with_part(database: Database, body: Callable[[], None]) -> None:
    with database.write():
        body()


def test_a_flush_that_fails_is_told_to_all_who_waited(database: Database, place: str) -> None:
    def failing(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            connection.exec_driver_sql("no longer a statement")

    crowd = Crowd(database, writers(database, range(5)))
    event.listen(Engine, "commit", failing)
    try:
        with pytest.raises(Refusal) as caught, database.write() as connection:
            put(connection, "first")
            crowd.arrive()
        ends = crowd.end()
    finally:
        event.remove(Engine, "commit", failing)
    assert caught.value.code is Code.STORE
    assert [type(end) for end in ends] == [Refusal] * 5
    assert kept(place) == set()
    write(database, "after")  # and the store is of use again
    assert kept(place) == {"after"}


def test_a_transaction_lost_beneath_a_part_is_lost_for_all(database: Database, place: str) -> None:
    """As after an I/O error, on which SQLite undoes the whole transaction by itself."""

    def lose() -> None:
        with database.write() as connection:
            put(connection, "lost")
            connection.exec_driver_sql("ROLLBACK")

    crowd = Crowd(database, [*writers(database, range(2)), lose])
    ends: list[BaseException | None] = []
    try:
        with database.write() as connection:
            put(connection, "first")
            crowd.arrive()
    except Refusal as refusal:
        ends.append(refusal)
    ends += crowd.end()
    told = {name for name, end in zip(("first", "p0", "p1", "lost"), ends, strict=False) if end is None}
    assert isinstance(ends[-1], Refusal)
    assert kept(place) >= told  # nobody was told of what is not there
    write(database, "after")
    assert "lost" not in kept(place) and "after" in kept(place)


def test_one_who_stops_waiting_leaves_nobody_behind(database: Database, place: str) -> None:
    """Whoever leaves the line in an exception closes the transaction if nobody else is about to."""
    line: Any = database._group

    class Stop(BaseException):
        pass

    stopped = threading.Event()

    def impatient() -> None:
        wait = line._turn.wait_for
        line._turn.wait_for = lambda _: (_ for _ in ()).throw(Stop)
        try:
            write(database, "never")
        except Stop:
            stopped.set()
        finally:
            line._turn.wait_for = wait

    with database.write() as connection:
        put(connection, "first")
        thread = threading.Thread(target=impatient)
        thread.start()
        thread.join(ENOUGH)
    assert stopped.is_set()
    assert kept(place) == {"first"}
    impatient()
    write(database, "last")
    assert kept(place) == {"first", "last"}


def test_an_open_transaction_is_closed_by_the_last_to_leave_the_line(path: Path, database: Database) -> None:
    """Its members wait, the one for whom it was left open is interrupted: he closes it for them."""
    line: Any = database._group
    member = threading.Thread(target=write, args=(database, "member"))
    line._waiting += 1  # somebody is about to come ...
    member.start()
    until = time.monotonic() + ENOUGH
    while line._batch is None or line._batch.parts == 0:
        assert time.monotonic() < until
        time.sleep(0.001)
    line._waiting -= 1

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    wait, line._turn.wait_for = line._turn.wait_for, interrupted
    with pytest.raises(KeyboardInterrupt):
        write(database, "never")
    line._turn.wait_for = wait
    member.join(ENOUGH)
    assert not member.is_alive()
    assert kept(str(path)) == {"member"}


def test_parts_of_a_thread_are_nested_as_before(database: Database, place: str) -> None:
    with commits() as made, database.write():
        write(database, "kept")
        with pytest.raises(KeyError), database.write() as inner:
            put(inner, "undone")
            raise KeyError
        assert len(made) == 0
    assert kept(place) == {"kept"}


def test_what_a_part_sees_is_what_was_done_before_it(database: Database, place: str) -> None:
    """A part that follows another in one transaction acts on it, as it would in a transaction of its own."""

    def claim(number: int) -> bool:
        with database.write() as connection:
            return insert_new(connection, uses, grant_id="one", day="", used=number)

    results: list[bool] = []
    crowd = Crowd(database, [lambda n=n: results.append(claim(n)) for n in range(6)])  # type: ignore[misc]  # bound
    with database.write():
        crowd.arrive()
    assert crowd.end() == [None] * 6
    assert sorted(results) == [False] * 5 + [True]
    assert kept(place) == {"one"}
