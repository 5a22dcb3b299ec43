"""Timeouts, kills, memory, spill, orphans: a query costs at most its worker."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.interface import EngineFailure
from sandbox.engine.scratch import Scratch
from sandbox.errors import Code

Sources = dict[str, tuple[Path, ...]]

FOREVER = "SELECT sleep_ms(60000)"
PATIENCE = 10.0


def gone(pid: int) -> bool:
    """No such process, or a zombie that waits for a foreign init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def pid_of(engine: DuckDBEngine) -> int:
    engine.start()
    assert engine._child is not None
    return engine._child.worker


def still_answers(engine: DuckDBEngine) -> bool:
    return bool(engine.run('SELECT count(*) AS n FROM "memory"."med"."people"').to_pylist() == [{"n": 3}])


@pytest.mark.parametrize(
    "sql",
    [
        FOREVER,
        "SELECT levenshtein(repeat('ab', 200000), repeat('ba', 200000))",
        "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT -a FROM r) SELECT count(*) FROM r",
    ],
)
def test_a_run_ends_at_its_time(sources: Sources, sql: str) -> None:
    with DuckDBEngine(sources, timeout_s=0.3) as engine:
        worker = pid_of(engine)
        began = time.monotonic()
        with pytest.raises(EngineFailure) as failure:
            engine.run(sql)
        assert time.monotonic() - began < 2
        assert failure.value.code is Code.ENGINE_LIMIT
        assert gone(worker)
        assert still_answers(engine)


def test_memory_outside_the_engines_own_accounting_is_bounded(sources: Sources) -> None:
    with DuckDBEngine(sources, memory_mb=128) as engine:
        with pytest.raises(EngineFailure) as failure:
            engine.run("SELECT len(repeat('a', 4000000000))")
        assert failure.value.code is Code.ENGINE_LIMIT
        assert still_answers(engine)


def test_a_worker_killed_while_idle_is_replaced(sources: Sources) -> None:
    with DuckDBEngine(sources) as engine:
        worker = pid_of(engine)
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: engine._child is not None and not engine._child.alive)
        assert still_answers(engine)
        assert pid_of(engine) != worker


def test_a_worker_killed_in_a_run_costs_that_run(sources: Sources) -> None:
    with DuckDBEngine(sources) as engine:
        worker = pid_of(engine)
        threading.Timer(0.3, os.kill, (worker, signal.SIGKILL)).start()
        with pytest.raises(EngineFailure) as failure:
            engine.run(FOREVER)
        assert failure.value.code is Code.ENGINE
        assert still_answers(engine)


def test_cancel_stops_the_run_in_progress_only(sources: Sources) -> None:
    with DuckDBEngine(sources) as engine:
        worker = pid_of(engine)
        engine.cancel()
        assert pid_of(engine) == worker
        threading.Timer(0.3, engine.cancel).start()
        with pytest.raises(EngineFailure):
            engine.run(FOREVER)
        assert still_answers(engine)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process started in the background of a shell ignores SIGINT, and so does what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_leaves_no_answer_behind(sources: Sources) -> None:
    """Ctrl-C in the gateway: the next run must not read the answer of the one before."""
    with DuckDBEngine(sources) as engine:
        pid_of(engine)
        threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            engine.run("SELECT sleep_ms(1000) AS n")
        assert still_answers(engine)


def test_close_ends_the_run_and_reaps_the_worker(sources: Sources) -> None:
    engine = DuckDBEngine(sources)
    worker = pid_of(engine)
    failures: list[EngineFailure] = []

    def ask() -> None:
        try:
            engine.run(FOREVER)
        except EngineFailure as failure:
            failures.append(failure)

    asking = threading.Thread(target=ask)
    asking.start()
    assert eventually(lambda: engine._busy)
    engine.close()
    asking.join(PATIENCE)
    assert len(failures) == 1
    assert not Path(f"/proc/{worker}").exists()
    engine.close()


def test_a_forgotten_engine_takes_its_worker_along(sources: Sources) -> None:
    engine = DuckDBEngine(sources)
    worker = pid_of(engine)
    del engine
    gc.collect()
    assert not Path(f"/proc/{worker}").exists()


def test_spill_stays_in_a_private_folder_that_goes_with_the_worker(sources: Sources, tmp_path: Path) -> None:
    sql = "SELECT count(*) AS n FROM (SELECT DISTINCT i, hash(i) FROM (SELECT unnest(range(3000000)) AS i))"
    with DuckDBEngine(sources, memory_mb=80, threads=1, spill=tmp_path) as engine:
        used: list[int] = []
        watching = threading.Event()

        def watch() -> None:
            while not watching.wait(0.01):
                used.append(sum(1 for file in tmp_path.glob("spill-*/*") if file.is_file()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert engine.run(sql).to_pylist() == [{"n": 3000000}]
        watching.set()
        watcher.join()
        (scratch,) = tmp_path.iterdir()
        assert scratch.stat().st_mode & 0o777 == 0o700
        assert max(used) > 0
    assert list(tmp_path.iterdir()) == []


def test_without_spill_the_same_query_meets_the_limit(sources: Sources) -> None:
    sql = "SELECT count(*) AS n FROM (SELECT DISTINCT i, hash(i) FROM (SELECT unnest(range(3000000)) AS i))"
    with DuckDBEngine(sources, memory_mb=80, threads=1) as engine:
        with pytest.raises(EngineFailure) as failure:
            engine.run(sql)
        assert failure.value.code is Code.ENGINE_LIMIT
        assert still_answers(engine)


GATEWAY = """
import sys, threading, time
sys.path.append({root!r})
from pathlib import Path
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.twin import Twin
engine = DuckDBEngine({{}}, spill=Path({spill!r}))
def begin():  # in a thread that ends before the test does: workers must not end with it
    engine.start()
    twin.describe("k", {{"d.t": [("a", "BIGINT")]}}, "SELECT a FROM d.t")
twin = Twin(timeout_s=60)
starter = threading.Thread(target=begin)
starter.start()
starter.join()
threading.Thread(target=engine.run, args=({sql!r},), daemon=True).start()
asleep = ("k", {{}}, "SELECT * FROM range(sleep_ms(60000))")
threading.Thread(target=twin.describe, args=asleep, daemon=True).start()
time.sleep(0.3)
print(engine._child.worker, twin._child.worker, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("sql", ["SELECT sleep_ms(60000)", "SELECT list_sort(range(30000000))[1]"])
def test_no_worker_outlives_a_killed_gateway(tmp_path: Path, sql: str) -> None:
    root = str(Path(sys.modules["sandbox"].__file__ or "").resolve().parent.parent)
    script = GATEWAY.format(root=root, spill=str(tmp_path), sql=sql)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        workers = [int(pid) for pid in gateway.stdout.readline().split()]
        assert len(workers) == 2
        assert not any(gone(worker) for worker in workers)
        gateway.kill()
    assert eventually(lambda: all(gone(worker) for worker in workers))
    Scratch(tmp_path, None).remove()  # what the next gateway does first
    assert list(tmp_path.iterdir()) == []


def test_a_spill_folder_that_was_removed_is_made_again(sources: Sources, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    with DuckDBEngine(sources, spill=spill, threads=1) as engine:
        engine.start()
        engine.close()
        shutil.rmtree(spill)
        engine.start()
        assert len(list(spill.iterdir())) == 1


def test_cancel_reaches_a_run_whose_worker_is_still_starting(sources: Sources) -> None:
    with DuckDBEngine(sources) as engine:
        begun = time.monotonic()
        threading.Timer(0.05, engine.cancel).start()
        with pytest.raises(EngineFailure):
            engine.run(FOREVER)
        assert time.monotonic() - begun < PATIENCE
        assert still_answers(engine)
