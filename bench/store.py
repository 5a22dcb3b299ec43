"""``python -m bench.store``: what the ledger and the log cost, beside plain inserts of the same durability.

- plain: one row in SQLite (WAL, ``synchronous=FULL``), one transaction each: what a durable write costs here;
- decision: the ledger's yes or no, on record;
- pair: what a query writes: intent with reservation before data is touched, then outcome with the kept answer
  and the reservation's end.

Each alone and with 64 clients, on SQLite and on PostgreSQL, in turns.  ``flushes`` are commits per operation:
a pair has two, which clients share.  The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, event

from sandbox.store.answers import Answers, Stored
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger, Reservation
from tests.support.postgres import running

CLIENTS: Final = 64
SECONDS: Final = 3.0
ROUNDS: Final = 3
SQL: Final = "SELECT county, COUNT(*) AS n, SUM(fee) AS s FROM claim WHERE age > 60 GROUP BY county"
LIMIT: Final = 10**18

Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """Operations a second; milliseconds of one at the median and the 99th percentile; commits of one."""

    store: str
    what: str
    clients: int
    per_second: float
    p50_ms: float
    p99_ms: float
    flushes: float


class Books:
    """The ledger, the log and the answers over one store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ledger = Ledger(database)
        self._audit = AuditLog(database)
        self._answers = Answers(database)

    def decision(self, number: int) -> None:
        """Reserve."""
        self._reserve(f"d{number}")

    def pair(self, number: int) -> None:
        """Both commits of a query."""
        request, now = f"q{number}", dt.datetime.now(dt.UTC)
        with self._database.write():
            self._note(Event.INTENT, request, now)
            made = self._ledger.touch(self._reserve(request))
        with self._database.write():
            self._answers.put(Stored("G-1", "snapshot", request, 1, b"x" * 2000, "{}", now))
            self._ledger.commit(made)
            self._note(Event.OUTCOME, request, now)

    def _reserve(self, request: str) -> Reservation:
        charges = tuple(
            Charge(account, "zcdp", 1, 0, LIMIT, 0) for account in ("G-1/person@med", "med/person")
        )
        made = self._ledger.reserve(request, charges, dt.datetime.now(dt.UTC))
        assert isinstance(made, Reservation)
        return made

    def _note(self, kind: Event, request: str, now: dt.datetime) -> None:
        about = {"request": request, "person": "li", "organisation": "operator-a", "grant": "G-1"}
        self._audit.append(
            kind, time=now, datasets=("med",), nano=1, text=SQL, payload={"mode": "dp"}, **about
        )


class Plain:
    """One durable row at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
            self._connection.execute(statement)
        self._connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, text TEXT)")

    def insert(self, number: int) -> None:
        """One row, on disk."""
        self._connection.execute("INSERT INTO t VALUES (?, ?)", (f"r{number}", SQL))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def commits() -> Iterator[list[int]]:
    """Counts the writing commits of this process."""
    found = [0]

    def note(connection: Connection) -> None:
        found[0] += bool(connection.get_execution_options().get("writing"))

    event.listen(Engine, "commit", note)
    try:
        yield found
    finally:
        event.remove(Engine, "commit", note)


def measure(store: str, what: str, clients: int, step: Step, numbers: Iterator[int]) -> Figure:
    """As many steps as fit into ``SECONDS``."""
    end = time.perf_counter() + SECONDS

    def client(_: int) -> list[float]:
        taken = []
        while (begun := time.perf_counter()) < end:
            step(next(numbers))
            taken.append(time.perf_counter() - begun)
        return taken

    with commits() as made:
        begun = time.perf_counter()
        if clients == 1:
            times = client(0)
        else:
            with ThreadPoolExecutor(clients) as pool:
                times = list(itertools.chain.from_iterable(pool.map(client, range(clients))))
        wall = time.perf_counter() - begun
    cuts = statistics.quantiles(times, n=100)
    flushes = 1.0 if what == "plain" else made[0] / len(times)
    return Figure(store, what, clients, len(times) / wall, 1000 * cuts[49], 1000 * cuts[98], flushes)


def middle(figures: list[Figure]) -> Figure:
    """The round of median speed."""
    return sorted(figures, key=lambda f: f.per_second)[len(figures) // 2]


def main() -> None:
    """Measure in turns, print."""
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder, running() as server:
        plain = Plain(Path(folder) / "plain.db")
        stores = {"sqlite": Database(Path(folder) / "store.db"), "postgresql": Database(server.database())}
        steps: list[tuple[str, str, int, Step]] = [("sqlite", "plain", 1, plain.insert)]
        for name, database in stores.items():
            books = Books(database)
            for clients in (1, CLIENTS):
                steps += [(name, "decision", clients, books.decision), (name, "pair", clients, books.pair)]
        rounds = [[measure(*step, numbers) for step in steps] for _ in range(ROUNDS)]
        found = [middle(list(figures)) for figures in zip(*rounds, strict=True)]
        plain.close()
        for database in stores.values():
            database.close()
    _print(found)


def _print(found: list[Figure]) -> None:
    base = found[0].per_second
    heads = ("store", "operation", "clients", "a second", "of plain", "p50 ms", "p99 ms", "flushes")
    print("".join(f"{head:>11}" for head in heads))
    for f in found:
        told = f"{f.store:>11}{f.what:>11}{f.clients:>11}{f.per_second:>11.0f}{f.per_second / base:>11.2f}"
        print(f"{told}{f.p50_ms:>11.2f}{f.p99_ms:>11.2f}{f.flushes:>11.2f}")
    print(json.dumps({"cores": os.cpu_count(), "figures": [asdict(f) for f in found]}))


if __name__ == "__main__":
    main()
