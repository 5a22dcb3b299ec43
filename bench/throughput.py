"""``python -m bench.throughput [SECONDS]``: the whole gateway over real HTTP, beside DuckDB in one process.

1, 4, 16 and 64 people, each asking without pause, a query at a time, for so many seconds (default 4):

    cached   one DP question again and again: the kept answer
    exact    one question over the cube, again and again: nothing is kept, the worker runs it each time
    dp       DP questions that nobody asked before: plan, charge, scan, noise, two commits

DuckDB is asked the same texts by as many threads, each with a cursor of its own, in this process, right
after; as many threads work for it as a worker has.  ``ratio`` is its rate over ours, ``slower`` our median
time over its.  The service runs with its default settings but two: the line of a grant is long enough for
everybody, and answers leave at once (``release_clock_ms = 0``); the exact grant's quota does not end within a
day.  The last line is one JSON object.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.data import ROOT
from bench.measure import plain
from sandbox.demo import flights
from sandbox.home import EXAMPLE, SETTINGS_FILE, Home, create_home, open_home
from sandbox.model import Person
from sandbox.policy.load import load
from sandbox.snapshot import ingest
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.faults.nursery import Nursery, Serving, free_port
from tests.load.gauge import children
from tests.load.line import Line

CLIENTS: Final = (1, 4, 16, 64)
SECONDS: Final = 4.0
DP, EXACT = "G-FLIGHTS-DP", "G-FLIGHTS-EXACT"
GROUPED: Final = "SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier"


@dataclass(frozen=True, slots=True)
class Rate:
    """Answers a second, and milliseconds of one: the median, what one in a hundred exceeds, processor time
    (of the gateway and its workers, or of DuckDB's threads and those that ask it)."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One kind of query under so many people."""

    kind: str
    clients: int
    ours: Rate
    plain: Rate

    @property
    def ratio(self) -> float:
        """DuckDB's answers a second over ours."""
        return self.plain.rate / self.ours.rate

    @property
    def slower(self) -> float:
        """Our median time over DuckDB's."""
        return self.ours.p50_ms / self.plain.p50_ms


class Texts:
    """What is asked: a text a time, equal for both sides.  Thread-safe."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.grant = EXACT if kind == "exact" else DP
        self._numbers = itertools.count()

    def next(self) -> str:
        """The next text."""
        if self.kind != "dp":
            return GROUPED
        return GROUPED.replace("GROUP", f"WHERE distance < {next(self._numbers) + 20} GROUP")


def rate(ask: list[Callable[[], None]], seconds: float, used: Callable[[], float]) -> Rate:
    """Let each of these be called without pause, by a thread of its own, for so long.

    ``used``: seconds of processor time, so far.
    """
    before = used()
    times: list[list[float]] = [[] for _ in ask]
    begun = time.perf_counter()

    def work(number: int) -> None:
        while (start := time.perf_counter()) < begun + seconds:
            ask[number]()
            times[number].append(time.perf_counter() - start)

    with ThreadPoolExecutor(len(ask)) as people:
        list(people.map(work, range(len(ask))))
    passed = time.perf_counter() - begun
    found = sorted(itertools.chain.from_iterable(times))
    p99 = found[min(len(found) - 1, int(0.99 * len(found)))]
    cpu = (used() - before) / len(found)
    return Rate(len(found) / passed, 1000 * median(found), 1000 * p99, 1000 * cpu)


def ours(serving: Serving, port: int, tokens: list[str], texts: Texts, seconds: float) -> Rate:
    """Everybody over HTTP, once warm."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(contextlib.closing(Line(port, token))) for token in tokens]
        asks = [_asking(line, texts) for line in lines]
        asks[0]()
        return rate(asks, seconds, lambda: _used(serving.pid))


def _used(pid: int) -> float:
    """Seconds of processor time of a process and of all below it, those that have ended included."""
    spent = 0
    for process in (pid, *children(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            spent += sum(map(int, fields[11:15]))
    return spent / os.sysconf("SC_CLK_TCK")


def _asking(line: Line, texts: Texts) -> Callable[[], None]:
    more = {} if texts.grant == EXACT else {"epsilon": "0.001"}

    def ask() -> None:
        reply = line.query(texts.next(), texts.grant, **more)
        if reply.status != 200:
            raise RuntimeError(f"{texts.kind}: {reply.status} {reply.code}")

    return ask


def beside(home: Home, clients: int, texts: Texts, seconds: float) -> Rate:
    """Everybody in this process, each with a cursor of one DuckDB."""
    with plain(home, "flights") as connection, contextlib.ExitStack() as stack:
        cursors = [stack.enter_context(contextlib.closing(connection.cursor())) for _ in range(clients)]

        def asking(number: int) -> Callable[[], None]:
            return lambda: _fetched(cursors[number].execute(texts.next()).fetchall())

        asks = [asking(number) for number in range(clients)]
        asks[0]()
        return rate(asks, seconds, time.process_time)


def _fetched(rows: list[tuple[object, ...]]) -> None:
    assert rows is not None


def made(folder: Path) -> Home:
    """A home with the flights in force."""
    home = create_home(folder / "home")
    text = EXAMPLE.replace("release_clock_ms = 100", "release_clock_ms = 0")
    text = text.replace("waiting = 16", "waiting = 256").replace("patience_s = 30", "patience_s = 600")
    (home.path / SETTINGS_FILE).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "policies" / "flights", home.policies / "flights")
    exact = home.policies / "flights" / f"{EXACT}.yaml"
    exact.write_text(exact.read_text(encoding="utf-8").replace("day: 500", "day: 20000"), encoding="utf-8")
    files = {key.split(".", 1)[1]: path for key, path in flights.write(home.sources / "flights").items()}
    dataset = load([home.policies]).dataset("flights")
    assert dataset is not None
    ingest(dataset, files, home.snapshots, now=dt.datetime.now(dt.UTC))
    return open_home(home.path)


def tokens(home: Home, grant: str, count: int) -> list[str]:
    """Tokens of so many people of the operator that holds a grant."""
    to = load([home.policies]).grant(grant)
    assert to is not None
    with contextlib.closing(Database(home.store)) as database:
        accounts, now = Accounts(database), dt.datetime.now(dt.UTC)
        return [accounts.issue(Person(f"{grant} {n}", "operator", to.to), "bench", now) for n in range(count)]


@contextlib.contextmanager
def served(home: Home) -> Iterator[tuple[Serving, int]]:
    """``sandbox serve`` in a process of its own, and its port."""
    with contextlib.closing(Nursery()) as nursery:
        port = free_port()
        serving = nursery.start(home.path, port)
        try:
            assert serving.ready()
            yield serving, port
        finally:
            serving.kill()
            serving.close()


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    found = []
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        home = made(Path(folder))
        with served(home) as (serving, port):
            print(
                f"{'query':7} {'people':>6} {'ours/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>7} ", end=""
            )
            print(f"{'plain/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>7} {'ratio':>6} {'slower':>6}")
            for kind in ("cached", "exact", "dp"):
                texts = Texts(kind)
                people = tokens(home, texts.grant, max(CLIENTS))
                for clients in CLIENTS:
                    mine = ours(serving, port, people[:clients], texts, seconds)
                    figure = Figure(kind, clients, mine, beside(home, clients, texts, seconds / 2))
                    found.append(figure)
                    _print(figure)
    lines = [{**asdict(f), "ratio": round(f.ratio, 2), "slower": round(f.slower, 2)} for f in found]
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "figures": lines}))


def _print(f: Figure) -> None:
    sides = " ".join(
        f"{r.rate:>8.1f} {r.p50_ms:>8.1f} {r.p99_ms:>8.1f} {r.cpu_ms:>7.1f}" for r in (f.ours, f.plain)
    )
    print(f"{f.kind:7} {f.clients:>6} {sides} {f.ratio:>6.2f} {f.slower:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
