"""A small house for crash and fault campaigns: three grants over one table, and clients that never give up."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

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

TO: Final = "shopkeepers"
GRANTS: Final = ("G-DP", "G-TIGHT", "G-EXACT")
"""A budget for every question, one that runs out, and one that needs none."""

_DATASET = """
kind: dataset
id: shop
title: {zh: 小店, en: Shop}
owner: 测试
class: 测试/崩溃
level: 3
share: conditional
why: {reason: 测试, basis: 测试}
snapshot: once
budget: {epsilon: 20, delta: 1.0e-5}
tables:
  visit:
    unit: {person: person_id}
    rows: 4
    per_unit: [city]
    grid: {cells: [city, kind], units: 5, dominance: 30, round: 1}
    columns:
      person_id: {type: integer, level: 3, use: [join, count]}
      city:      {type: integer, level: 1, use: [group, filter], domain: [0, 1, 2]}
      kind:      {type: integer, level: 1, use: [group, filter], domain: [0, 1]}
      fee:       {type: integer, level: 2, use: [measure, filter], range: [0, 1000000], clip: [0, 100], scale: 1}
"""
_GRANT = """
kind: grant
id: ID
to: shopkeepers
scenario: {id: S-1, zh: 测试, en: Test}
purpose: 测试
period: {from: 2025-01-01, until: 2030-12-31}
data:
  shop.visit: [person_id, city, kind, fee]
guard: GUARD
release: auto
"""
_GUARDS: Final = {
    "G-DP": "{mode: dp, epsilon: {query: 1, total: 16}, delta: 1.0e-6, groups: 4, units: 5}",
    "G-TIGHT": "{mode: dp, epsilon: {query: 0.01, total: 0.05}, delta: 1.0e-6, groups: 4, units: 5}",
    "G-EXACT": "{mode: exact, queries: {day: 100000, total: 100000}}",
}
_SETTINGS = """store = "STORE"
release_clock_ms = 0
[worker]
threads = 1
memory_mb = 512
[witness]
every_s = 1
"""


def make_home(folder: Path, store: str = "store.db") -> Home:
    """A home with sixty persons, published, and the log's key made."""
    home = create_home(folder)
    (folder / SETTINGS_FILE).write_text(_SETTINGS.replace("STORE", store), encoding="utf-8")
    (home.policies / "dataset.yaml").write_text(_DATASET, encoding="utf-8")
    for id, guard in _GUARDS.items():
        text = _GRANT.replace("ID", id).replace("GUARD", guard)
        (home.policies / f"{id}.yaml").write_text(text, encoding="utf-8")
    rows = [{"person_id": p, "city": p % 3, "kind": k, "fee": 10 * k + 1} for p in range(60) for k in (0, 1)]
    file = home.sources / "visit.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    dataset = load([home.policies]).dataset("shop")
    assert dataset is not None
    ingest(dataset, {"visit": file}, home.snapshots, now=dt.datetime.now(dt.UTC))
    home = open_home(folder)
    open_gateway(home).close()  # makes the log's key, as `sandbox init` does
    return home


def token(home: Home, name: str, role: str = "operator") -> str:
    """A new token, written straight into the store as the command line does."""
    database = Database(home.store)
    try:
        return Accounts(database).issue(Person(name, role, TO), "test", dt.datetime.now(dt.UTC))
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks under one idempotency key; ``number`` makes it a question that nobody asked before."""

    grant: str
    number: int
    key: str

    @property
    def body(self) -> dict[str, str]:
        """The request's body."""
        cities = "SELECT city, COUNT(*) AS n FROM visit GROUP BY city ORDER BY city"
        counted = f"SELECT city, COUNT(*) AS n FROM visit WHERE fee < {self.number + 20} GROUP BY city"
        body = {"grant": self.grant, "idempotency_key": self.key}
        if self.grant == "G-EXACT":
            return {**body, "sql": cities}
        return {**body, "sql": counted, "epsilon": "0.005"}


@dataclass(frozen=True, slots=True)
class Received:
    """An answer in a client's hands."""

    client: int
    question: Question
    body: dict[str, Any]

    @property
    def cost(self) -> int:
        """What it was charged, in nano; nothing where it was free or exact."""
        price = self.body["price"]
        return 0 if price is None or price["free"] else int(price["nano"])


@dataclass(slots=True)
class Clients:
    """People who ask one question after another, and ask again, by the same key, whenever the line breaks."""

    port: int
    tokens: list[str]
    received: list[Received] = field(default_factory=list)
    cut_off: list[tuple[int, Question]] = field(default_factory=list)
    repeated: list[tuple[Received, httpx.Response]] = field(default_factory=list)
    retries: int = 0
    strange: list[str] = field(default_factory=list)
    enough: int | None = None
    """How many answers there may be before nobody asks on."""
    _numbers: Any = field(default_factory=itertools.count)
    _over: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._pool = ThreadPoolExecutor(len(self.tokens))
        for client in range(len(self.tokens)):
            self._pool.submit(self._run, client)

    def stop(self) -> None:
        """End, after the questions that are being asked."""
        self._over.set()
        assert self._pool is not None
        self._pool.shutdown()

    def _http(self, client: int) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.tokens[client]}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60)

    def _run(self, client: int) -> None:
        dice = random.Random(client)
        with self._http(client) as http:
            while not self._over.is_set():
                if self.enough is not None and len(self.received) >= self.enough:
                    time.sleep(0.01)
                    continue
                number = next(self._numbers)
                grant = dice.choices(GRANTS, (6, 1, 2))[0]
                self._ask(http, client, Question(grant, number, f"key {number}"))

    def _ask(self, http: httpx.Client, client: int, question: Question) -> None:
        found = self._heard(http, question)
        if found is None:
            return
        self._note(client, question, found)
        if found.status_code == 200 and question.number % 3 == 0:
            again = self._heard(http, question)
            if again is not None:
                self.repeated.append((Received(client, question, found.json()), again))

    def _heard(self, http: httpx.Client, question: Question) -> httpx.Response | None:
        """The first reply that arrives, however often the line breaks."""
        while not self._over.is_set():
            try:
                return http.post("/v1/queries", json=question.body)
            except httpx.TransportError:
                self.retries += 1
                time.sleep(0.05)
        return None

    def _note(self, client: int, question: Question, found: httpx.Response) -> None:
        body = found.json()
        if found.status_code == 200:
            self.received.append(Received(client, question, body))
        elif body["code"] == "DS-504":
            self.cut_off.append((client, question))
        elif not (question.grant == "G-TIGHT" and found.status_code == 402):
            self.strange.append(f"{found.status_code} {body['code']} {body['detail']}")
