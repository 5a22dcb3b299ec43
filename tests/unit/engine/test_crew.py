"""Workers together: room, spares, the end of a worker's life, two hundred kills."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.engine.box import Box
from sandbox.engine.crew import Crew
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.found import available
from sandbox.engine.interface import EngineFailure
from sandbox.engine.process import Child
from sandbox.errors import Code

Sources = dict[str, tuple[Path, ...]]

COUNT = 'SELECT count(*) AS n FROM "memory"."med"."people"'
PATIENCE = 10.0


def until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def children() -> int:
    """Processes below this one, zombies too."""
    pid = os.getpid()
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(len((task / "children").read_text().split()) for task in tasks)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_worker_answers_so_many_queries_and_its_successor_is_there_before(sources: Sources) -> None:
    with DuckDBEngine(sources, queries=4) as engine:
        workers = []
        for _ in range(12):
            engine.run(COUNT)
            workers.append(engine._child and engine._child.worker)
            if engine._child is None:  # its life is over; the next one was started half a life ago
                assert until(engine.spare_is_ready)
        assert len({worker for worker in workers if worker is not None}) == 3
        assert [worker is None for worker in workers] == [False, False, False, True] * 3


def test_a_warm_successor_answers_at_once(sources: Sources) -> None:
    with DuckDBEngine(sources, queries=1) as engine:
        engine.run(COUNT)
        assert until(engine.spare_is_ready)
        spare = engine._spare
        assert engine._ready() is spare
        assert engine._child is spare


def test_a_worker_that_worked_long_enough_is_replaced(sources: Sources) -> None:
    with DuckDBEngine(sources, timeout_s=1) as engine:
        engine.start()
        old = engine._child
        assert old is not None
        old.busy_s = 10.0
        assert engine.run(COUNT).to_pylist() == [{"n": 3}]
        assert not old.alive
        assert engine.run(COUNT).to_pylist() == [{"n": 3}]


def test_room_is_made_by_ending_who_was_not_asked_for_longest(sources: Sources) -> None:
    crew = Crew(300)
    engines = [DuckDBEngine(sources, memory_mb=100, crew=crew) for _ in range(4)]
    for engine in engines[:3]:
        engine.run(COUNT)
    engines[0].run(COUNT)
    assert crew.used_mb == 300
    engines[3].run(COUNT)
    assert crew.used_mb == 300
    assert [engine._child is not None for engine in engines] == [True, False, True, True]
    for engine in engines:
        engine.close()
    assert crew.used_mb == 0
    crew.close()


def test_no_room_is_a_limit(sources: Sources) -> None:
    crew = Crew(100)
    with (
        DuckDBEngine(sources, memory_mb=100, crew=crew) as busy,
        DuckDBEngine(sources, memory_mb=100, crew=crew, timeout_s=0.3) as late,
    ):
        busy.start()
        running = threading.Thread(target=_refused, args=(busy, "SELECT sleep_ms(60000)"))
        running.start()
        assert until(lambda: busy._busy)
        with pytest.raises(EngineFailure) as failure:
            late.run(COUNT)
        assert failure.value.code is Code.ENGINE_LIMIT
        busy.cancel()
        running.join(PATIENCE)
        late._timeout_s = PATIENCE  # the other's next worker is starting; it is sent away once it is idle
        assert late.run(COUNT).to_pylist() == [{"n": 3}]


def test_one_worker_larger_than_the_whole_still_runs(sources: Sources) -> None:
    with DuckDBEngine(sources, memory_mb=200, crew=Crew(100)) as engine:
        assert engine.run(COUNT).to_pylist() == [{"n": 3}]


def test_a_spare_sends_nobody_away(sources: Sources) -> None:
    crew = Crew(100)
    with DuckDBEngine(sources, memory_mb=100, crew=crew) as engine:
        engine.run(COUNT)
        engine._prepare()
        assert engine._spare is None
        assert engine._child is not None and engine._child.alive


def test_a_closed_engine_starts_no_spare(sources: Sources) -> None:
    engine = DuckDBEngine(sources)
    engine.run(COUNT)
    engine.close()
    engine._prepare()
    assert engine._spare is None


def test_a_forgotten_worker_gives_its_room_back(sources: Sources) -> None:
    crew = Crew()
    engine = DuckDBEngine(sources, memory_mb=100, crew=crew)
    engine.start()
    assert crew.used_mb == 100
    del engine
    assert crew.used_mb == 0


def test_two_hundred_kills_leave_nothing_behind(tmp_path: Path) -> None:
    """At any moment of a child's life, its box's own start included: nothing of it stays."""
    before = children(), descriptors()
    box = Box(available(), spill=tmp_path, spill_size=1 << 20)
    for number in range(200):
        child = Child("sandbox.engine.greeting", box)
        time.sleep(number % 10 * 0.005)
        if number % 3:
            os.kill(child.worker, signal.SIGKILL)
        elif number % 2:
            os.kill(child.pid, signal.SIGKILL)
        else:
            child.kill()
        child.close()
    assert until(lambda: (children(), descriptors()) == before)
    assert list(tmp_path.iterdir()) == []


def test_killed_workers_cost_one_run_each(sources: Sources, tmp_path: Path) -> None:
    before = children(), descriptors()
    with DuckDBEngine(sources, spill=tmp_path) as engine:
        for _ in range(4):
            threading.Timer(0.1, engine.cancel).start()
            _refused(engine, "SELECT sleep_ms(60000)")
            assert engine.run(COUNT).to_pylist() == [{"n": 3}]
        assert len(list(tmp_path.iterdir())) <= 2
    assert until(lambda: (children(), descriptors()) == before)
    assert list(tmp_path.iterdir()) == []


def _refused(engine: DuckDBEngine, sql: str) -> None:
    with pytest.raises(EngineFailure):
        engine.run(sql)
