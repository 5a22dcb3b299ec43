"""The race for a budget: ``python tests/faults/race.py [REQUESTS]``.

64 clients ask two gateways, in processes of their own over one home, for twice as much as the budget holds:
every answer is paid for, and what is granted equals the budget to the unit.  On SQLite, then on PostgreSQL.
Amounts are micro-epsilon.  The last line is one JSON object.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.gateway import open_gateway
from sandbox.home import SETTINGS_FILE, Home, create_home, open_home
from sandbox.model import Person
from sandbox.policy.load import load
from sandbox.snapshot import ingest
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.ledger import Ledger
from tests.corpus.house import OPERATOR, Outside
from tests.support.postgres import running

CLIENTS = 64
REQUESTS = 640
EPSILON = 2_000
"""Of one answer, in micro-epsilon; in nano-epsilon, a thousand times that, as the ledger counts it."""

POLICY = """
kind: dataset
id: race
title: {zh: 竞争, en: Race}
owner: 测试
class: 测试/竞争
level: 3
share: conditional
why: {reason: 测试, basis: 测试}
snapshot: once
budget: {epsilon: 20, delta: 1.0e-5}
tables:
  visit:
    unit: {person: person_id}
    rows: 1
    columns:
      person_id: {type: integer, level: 3, use: [join, count]}
      fee:       {type: integer, level: 2, use: [measure, filter], range: [0, 100000], scale: 1}
---
kind: grant
id: G-RACE
to: OPERATOR
scenario: {id: S-1, zh: 测试, en: Test}
purpose: 测试
period: {from: 2025-01-01, until: 2030-12-31}
data:
  race.visit: [person_id, fee]
guard: {mode: dp, epsilon: {query: QUERY, total: TOTAL}, delta: 0, groups: 1, units: 5}
release: auto
"""
QUEUE = "[queue]\nrunning = 64\neach = 64\nwaiting = 256\npatience_s = 600\n"


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests made; micro-epsilon that answers were priced at, that the ledger holds as spent, and its limit."""

    requests: int
    granted: int
    spent: int
    budget: int


def decimal(micro: int) -> str:
    """Micro-epsilon as a decimal."""
    return f"{micro // 10**6}.{micro % 10**6:06d}"


def make_home(folder: Path, store: str, budget: int) -> Home:
    """A home with one table of invented visits, and a pure grant that holds ``budget`` micro-epsilon."""
    home = create_home(folder)
    settings = f'store = "{store}"\nrelease_clock_ms = 0\n[worker]\nthreads = 1\nmemory_mb = 512\n{QUEUE}'
    (folder / SETTINGS_FILE).write_text(settings, encoding="utf-8")
    named = {"OPERATOR": OPERATOR, "QUERY": decimal(EPSILON), "TOTAL": decimal(budget)}
    text = POLICY
    for name, value in named.items():
        text = text.replace(name, value)
    for number, document in enumerate(text.split("---")):
        (home.policies / f"{number}.yaml").write_text(document, encoding="utf-8")
    file = home.sources / "visit.parquet"
    pq.write_table(pa.table({"person_id": range(500), "fee": range(500)}), file)
    dataset = load([home.policies]).dataset("race")
    assert dataset is not None
    ingest(dataset, {"visit": file}, home.snapshots, now=dt.datetime.now(dt.UTC))
    home = open_home(folder)
    open_gateway(home).close()  # makes the log's key, as `sandbox init` does
    return home


class Race:
    """Clients that ask in turns the one and the other gateway, each a question that nobody asked before."""

    def __init__(self, home: Home, ports: tuple[int, ...], requests: int) -> None:
        self._ports = ports
        self._requests = requests
        self._lock = threading.Lock()
        self._next = 0
        self.nano = 0
        database = Database(home.store)
        accounts, now = Accounts(database), dt.datetime.now(dt.UTC)
        people = [Person(f"client-{n}", "operator", OPERATOR) for n in range(CLIENTS)]
        self._tokens = [accounts.issue(person, "race", now) for person in people]
        database.close()

    def run(self) -> None:
        """Until every request has its answer or its refusal."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._client, range(CLIENTS)))

    def _client(self, number: int) -> None:
        headers = {"authorization": f"Bearer {self._tokens[number]}"}
        with httpx.Client(headers=headers, timeout=600) as http:
            while (question := self._question()) is not None:
                port = self._ports[(question + number) % len(self._ports)]
                nano = self._ask(http, f"http://127.0.0.1:{port}/v1/queries", question)
                with self._lock:
                    self.nano += nano

    def _question(self) -> int | None:
        with self._lock:
            if self._next == self._requests:
                return None
            self._next += 1
            if self._next % 64 == 0:
                print(f"  {self._next} of {self._requests} requests", flush=True)
            return self._next - 1

    def _ask(self, http: httpx.Client, url: str, question: int) -> int:
        """What was charged for the answer; nothing where the budget did not cover it."""
        sql = f"SELECT COUNT(*) AS n FROM visit WHERE fee > {question}"
        body = {"sql": sql, "grant": "G-RACE", "epsilon": decimal(EPSILON)}
        answer = http.post(url, json=body)
        if answer.status_code == 402:
            return 0
        if answer.status_code != 200:
            raise RuntimeError(f"status {answer.status_code}: {answer.text[:500]}")
        return 0 if answer.json()["price"]["free"] else int(answer.json()["price"]["nano"])


@contextlib.contextmanager
def stores() -> Iterator[dict[str, str]]:
    """A place for a store of each kind."""
    with running() as server:
        yield {"sqlite": "store.db", "postgresql": server.database()}


def race(store: str, requests: int) -> Figures:
    """Ask for twice what the budget holds; what came of it."""
    budget = requests // 2 * EPSILON
    with tempfile.TemporaryDirectory(prefix="race-") as folder:
        home = make_home(Path(folder) / "home", store, budget)
        gateways = [Outside(home), Outside(home)]
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(Outside.start, gateways))
            run = Race(home, tuple(gateway.port for gateway in gateways), requests)
            run.run()
        finally:
            for gateway in gateways:
                gateway.close()
        return _figures(home, requests, run.nano)


def _figures(home: Home, requests: int, nano: int) -> Figures:
    database = Database(home.store)
    try:
        (held,) = (a for a in Ledger(database).balances() if a.account.startswith("G-RACE/"))
    finally:
        database.close()
    amounts = (nano, held.spent, held.limit)
    assert all(amount % 1000 == 0 for amount in amounts)
    return Figures(requests, *(amount // 1000 for amount in amounts))


def main() -> None:
    """Both stores; fails where what was granted is not the budget."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    found = {}
    with stores() as places:
        for kind, store in places.items():
            print(f"{kind}: {CLIENTS} clients, 2 gateways, {requests} requests", flush=True)
            begun = time.monotonic()
            found[kind] = race(store, requests)
            print(f"  {time.monotonic() - begun:.1f} s, {found[kind]}", flush=True)
    print(json.dumps({"stores": {kind: asdict(figures) for kind, figures in found.items()}}))
    if any(not f.granted == f.spent == f.budget for f in found.values()):
        sys.exit("granted, spent and budget differ")


if __name__ == "__main__":
    main()
