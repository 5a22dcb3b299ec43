"""Who runs, who waits, who is sent away; and that what is stopped stops."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.admission import Admission, Stoppable, Turn
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.interface import EngineFailure
from sandbox.errors import Code, Reason, Refusal
from sandbox.home import Queue
from sandbox.model import Person, Request

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
STOP = Reason(Code.CANCELLED, "test")
FOREVER = "SELECT sleep_ms(60000)"


def asked(person: str, grant: str = "G-1") -> Request:
    return Request(f"{person}-{grant}", Person(person, "operator", "o"), grant, "SELECT 1", None, NOW)


class Queries:
    """Threads that each hold a turn until told to go."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._go: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self.order: list[str] = []
        self.refused: dict[str, str] = {}

    def start(self, request: Request) -> None:
        go = self._go[request.id] = threading.Event()

        def run() -> None:
            try:
                with self._admission.turn(request) as turn:
                    self.order.append(request.id)
                    go.wait(20)
                    turn.check()
            except Refusal as refusal:
                self.refused[request.id] = refusal.reasons[0].code.name

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        _until(lambda: any(t.request is request for t in self._admission.turns()) or not thread.is_alive())

    def end(self, name: str) -> None:
        self._go[name].set()

    def close(self) -> None:
        for go in self._go.values():
            go.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@contextmanager
def queries(admission: Admission) -> Iterator[Queries]:
    made = Queries(admission)
    try:
        yield made
    finally:
        made.close()


def _until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_one_of_a_person_so_many_of_a_grant_and_in_all() -> None:
    with queries(Admission(Queue(running=3, each=2))) as line:
        for person, grant in (("a", "G-1"), ("a", "G-2"), ("b", "G-1"), ("c", "G-1"), ("d", "G-2")):
            line.start(asked(person, grant))
        _until(lambda: len(line.order) == 3)
        assert sorted(line.order) == ["a-G-1", "b-G-1", "d-G-2"], "a's second and G-1's third wait"
        line.end("d-G-2")
        time.sleep(0.1)
        assert len(line.order) == 3, "a place is free, but not for a's second, nor for G-1's third"
        line.end("a-G-1")
        _until(lambda: len(line.order) == 5)
        assert set(line.order[3:]) == {"a-G-2", "c-G-1"}


def test_grants_take_turns_however_long_a_line_is() -> None:
    with queries(Admission(Queue(running=1, each=1))) as line:
        for person in "abcd":
            line.start(asked(person))
        line.start(asked("z", "G-2"))
        for name in ("a-G-1", "b-G-1", "z-G-2", "c-G-1"):
            _until(lambda name=name: name in line.order)  # type: ignore[misc]
            line.end(name)
        _until(lambda: len(line.order) == 5)
        assert line.order.index("z-G-2") <= 2


def test_a_full_line_turns_away_and_no_other_grant_shows_in_it() -> None:
    with queries(Admission(Queue(running=1, each=1, waiting=2))) as line:
        line.start(asked("x", "G-2"))
        for person in "abcd":
            line.start(asked(person))
        _until(lambda: "d-G-1" in line.refused)
        assert line.refused == {"d-G-1": "BUSY"}, "three may stand in line, as if G-2 had nothing running"


def test_patience_ends() -> None:
    with queries(Admission(Queue(running=1, each=1, patience_s=1))) as line:
        line.start(asked("a"))
        line.start(asked("b"))
        _until(lambda: line.refused == {"b-G-1": "BUSY"})
        line.start(asked("c"))
        line.end("a-G-1")
        _until(lambda: "c-G-1" in line.order)


def test_who_is_stopped_while_waiting_never_runs() -> None:
    admission = Admission(Queue(running=1, each=1))
    with queries(admission) as line:
        line.start(asked("a"))
        line.start(asked("b"))
        assert admission.stop(lambda request: request.person.name == "b", STOP) == 1
        _until(lambda: line.refused == {"b-G-1": "CANCELLED"})
        assert line.order == ["a-G-1"] and len(admission.turns()) == 1


def test_draining_sends_away_who_waits_and_lets_run_who_runs() -> None:
    admission = Admission(Queue(running=1, each=1))
    with queries(admission) as line:
        line.start(asked("a"))
        line.start(asked("b"))
        admission.drain()
        line.start(asked("c"))
        _until(lambda: line.refused == {"b-G-1": "CLOSING", "c-G-1": "CLOSING"})
        threading.Timer(0.2, line.end, ("a-G-1",)).start()
        assert admission.close(10)
    assert "a-G-1" not in line.refused


def test_closing_stops_what_does_not_end() -> None:
    admission = Admission(Queue(running=1, each=1))
    with queries(admission) as line:
        line.start(asked("a"))
        assert not admission.close(0.1)
        line.end("a-G-1")
        _until(lambda: line.refused == {"a-G-1": "CLOSING"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    file = tmp_path_factory.mktemp("people") / "people.parquet"
    pq.write_table(pa.table({"id": list(range(50))}), file)
    with DuckDBEngine({"med.people": (file,)}, memory_mb=256) as opened:
        opened.start()
        yield opened


def test_a_run_in_progress_ends_at_once_with_the_reason(engine: DuckDBEngine) -> None:
    turn = Turn(asked("a"))
    stoppable = Stoppable(engine, threading.Lock(), turn, engine.cancel)
    begun = time.monotonic()
    threading.Timer(0.5, turn.stop, (STOP,)).start()
    with pytest.raises(Refusal) as caught:
        stoppable.run(FOREVER)
    assert 0.5 <= time.monotonic() - begun < 10, "far from the minute that the run would take"
    assert caught.value.reasons == (STOP,)
    with pytest.raises(Refusal) as caught:
        stoppable.run("SELECT COUNT(*) AS n FROM memory.med.people")
    assert caught.value.reasons == (STOP,)


def test_stopping_one_leaves_the_other_that_runs_alone(engine: DuckDBEngine) -> None:
    line, one, other = threading.Lock(), Turn(asked("a")), Turn(asked("b"))
    first = Stoppable(engine, line, one, engine.cancel)
    second = Stoppable(engine, line, other, engine.cancel)
    with ExitStack() as stack:
        running = threading.Thread(target=_swallowed, args=(first,))
        running.start()
        stack.callback(running.join)
        stack.callback(one.stop, STOP)
        _until(line.locked)
        threading.Timer(0.2, other.stop, (STOP,)).start()
        with pytest.raises(Refusal) as caught:
            second.run("SELECT COUNT(*) AS n FROM memory.med.people")
        assert caught.value.reasons == (STOP,)
        assert running.is_alive()


def _swallowed(engine: Stoppable) -> None:
    with pytest.raises(Refusal):
        engine.run(FOREVER)


def test_a_failure_of_the_engine_stays_one(engine: DuckDBEngine) -> None:
    stoppable = Stoppable(engine, threading.Lock(), Turn(asked("a")), engine.cancel)
    with pytest.raises(EngineFailure):
        stoppable.run("SELECT no_such_column FROM memory.med.people")
    assert stoppable.run("SELECT COUNT(*) AS n FROM memory.med.people").to_pydict() == {"n": [50]}
