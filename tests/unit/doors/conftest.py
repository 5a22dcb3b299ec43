"""A gateway small enough to see through, for what the doors do with whatever a gateway says."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from sandbox.casework.desk import CaseDesk
from sandbox.casework.month import month as month_of
from sandbox.casework.people import People
from sandbox.casework.products import Products
from sandbox.casework.register import register
from sandbox.casework.supervision import Report, supervision
from sandbox.catalogue import Catalogue, Kind
from sandbox.doors.http import App, create_app
from sandbox.errors import Code, Reason
from sandbox.model import (
    Answer,
    AnswerColumn,
    Balance,
    Derivation,
    Explained,
    Person,
    Price,
    Refused,
    Request,
    Words,
)
from sandbox.policy.documents import Documents, Grant
from sandbox.policy.effective import effective
from sandbox.policy.load import load
from sandbox.policy.roles import Action, check
from sandbox.store.accounts import Accounts
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog, Event
from sandbox.store.cases import Cases
from sandbox.store.database import Database
from sandbox.store.freezes import Drill, Freeze, Freezes, Scope, rehearsed
from sandbox.store.log.desk import Desk, Retention
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.log.witness import Witness
from sandbox.store.logbook import Logbook
from sandbox.store.search import LogFilter, Page

NOW = dt.datetime(2026, 3, 4, 22, 0, 0, tzinfo=dt.UTC)
SECRET = "value-that-must-not-leave"
POLICIES = Path(__file__).parents[3] / "policies"

COLUMNS = (
    AnswerColumn("city", Kind.STRING, noisy=False),
    AnswerColumn("n", Kind.INTEGER, noisy=True, predicted="120"),
    AnswerColumn("n_margin", Kind.DECIMAL, noisy=False),
)
GUARANTEE = (Words("差分隐私", "differentially private"),)
TREE = Derivation("query", (("epsilon", "0.5"),), (Derivation("release"),))
PRICE = Price(Fraction(1, 2), 5_000_000, "zcdp", free=False)


def example(request: str = "r1", *, price: Price | None = PRICE) -> Answer:
    """An answer with everything that is awkward: wide integers, NULL, quotes, decimals, a taken name."""
    table = pa.table(
        {
            "c0": pa.array(["太原", 'a "b", c', None]),
            "c1": pa.array([Decimal(4567), Decimal(12345678901234567890), Decimal(-3)], pa.decimal128(38, 0)),
            "c2": pa.array([Decimal("1.10"), None, Decimal("0.30")], pa.decimal128(10, 2)),
        }
    )
    margins = pa.table(
        {
            "c0": pa.nulls(3, pa.float64()),
            "c1": pa.array([118.2, float("inf"), 1.31]),
            "c2": pa.nulls(3, pa.float64()),
        }
    )
    timings = (("parse", 0.0123), ("plan", 0.004), ("execute", 1.5), ("protect", 0.2))
    return Answer(
        request, "G-1", "dp", "med@s1", COLUMNS, table, margins, price, TREE, GUARANTEE, (), 7, timings
    )


@dataclass(frozen=True, slots=True)
class View:
    grant: Grant
    catalogue: Catalogue
    snapshots: tuple[tuple[str, str], ...]


@cache
def documents() -> Documents:
    return load([POLICIES])


@cache
def views() -> tuple[View, ...]:
    datasets, grants = documents().datasets, documents().grants
    return tuple(View(g, effective(g, datasets, {}), (("med", "s1"),)) for g in grants)


class SimpleGateway:
    """Says what the first word of the query asks for, and remembers what it was asked."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._log = AuditLog(database)
        self.logbook = Logbook(database, self._log, lambda: NOW)
        self._freezes = Freezes(database)
        proofs = TransparencyLog(database, self._log, folder)
        self.desk = Desk(
            database,
            self._log,
            Answers(database),
            proofs,
            witness=Witness(proofs, ()),
            kept=Retention(),
            now=lambda: NOW,
        )
        self._database = database
        folder.mkdir(exist_ok=True)
        policies = folder / "policies"
        policies.mkdir(exist_ok=True)
        self.casework = CaseDesk(database, Cases(database, self._log), policies, lambda: NOW)
        self.people = People(database, Accounts(database), self._log, lambda: NOW)
        self.products = Products(database, self._log, self.documents, self.query, lambda: NOW)
        self.asked: list[Request] = []
        self.filters: list[LogFilter] = []
        self.watched = 0
        self.followed = 0
        self.drained = False

    def query(self, request: Request) -> Answer | Refused:
        self.asked.append(request)
        word = request.sql.split(" ", 1)[0]
        if word == "boom":
            raise RuntimeError(SECRET)
        if word == "unknown":
            use = Reason(Code.USE, "age", "a", "b", "p.age", "use")
            return Refused(request.id, (Reason(Code.UNKNOWN_COLUMN, "x"), use))
        if word == "quota":
            return Refused(request.id, (Reason(Code.QUOTA, "500 a day"),))
        if word == "busy":
            return Refused(request.id, (Reason(Code.BUSY, "G-1"),))
        return example(request.id, price=None if word == "exact" else PRICE)

    def explain(self, request: Request) -> Explained | Refused:
        self.asked.append(request)
        if request.sql.startswith("unknown"):
            return Refused(request.id, (Reason(Code.UNKNOWN_TABLE, request.sql[8:]),))
        return Explained(request.id, request.grant, "dp", PRICE, COLUMNS, TREE, GUARANTEE)

    def catalog(self, person: Person) -> tuple[View, ...]:
        return views()

    def budget(self, person: Person) -> tuple[Balance, ...]:
        return (
            Balance("G-1/person", "zcdp", 5, 100, 0.5, 8.0, 1e-7),
            Balance("x/p", "pure", 0, 0, 0.0, 0.0, 0.0),
        )

    def log(self, person: Person, filter: LogFilter) -> Page:
        self.filters.append(filter)
        self._log.append(
            Event.REFUSAL, time=NOW, request="r0", person=person.name, organisation=person.organisation,
            decision="refused", codes=["DS-202"],
            nano=1200, text="SELECT  1\n" + "x" * 200, payload={"a": 1},
        )  # fmt: skip
        return self.logbook.page(person, filter)

    def register(self) -> tuple[dict[str, str], ...]:
        return register(self._database)

    def supervision(self, person: Person, operator: str, month: str) -> Report:
        return supervision(self._database, operator, month_of(month))

    def drill(self, person: Person, scope: Scope, target: str, reason: str) -> Drill:
        return Drill(rehearsed(scope, target, reason, person.name, NOW), ("G-1",), 1)

    def documents(self) -> Documents:
        return documents()

    def course(self, person: Person, account: str) -> tuple[tuple[dt.datetime, int], ...]:
        return ((NOW - dt.timedelta(days=1), 5),)

    def asked_of(self, person: Person, dataset: str, limit: int = 20) -> Page:
        return self.logbook.of_dataset(person, dataset, limit)

    def freezes(self, person: Person) -> tuple[Freeze, ...]:
        return self._freezes.history()

    def monitor(self, person: Person) -> tuple[int, ...]:
        check(person, Action.ALERTS)
        return (7, 9)

    def follow(self) -> None:
        self.followed += 1

    def approve(self, person: Person, account: str) -> Balance:
        check(person, Action.RAISE_BUDGET)
        return replace(self.budget(person)[0], account=account)

    def freeze(self, person: Person, scope: Scope, target: str, reason: str) -> Freeze:
        check(person, Action.FREEZE)
        return self._freezes.freeze(scope, target, reason, person.name, NOW)

    def lift(self, person: Person, id: int) -> Freeze:
        return self._freezes.lift(id, person.name, NOW)

    def cancel(self, person: Person) -> int:
        return len([asked for asked in self.asked if asked.person == person])

    def load(self) -> tuple[int, int]:
        return 1, 2

    def ready(self) -> None:
        self.desk.head()

    def watch(self) -> None:
        self.watched += 1

    def confinement(self) -> tuple[str, ...]:
        return ("limits",)

    def drain(self) -> None:
        self.drained = True

    def close(self, grace_s: float = 0.0) -> None:
        self.asked.clear()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "store.db")
    yield opened
    opened.close()


@pytest.fixture
def gateway(database: Database, tmp_path: Path) -> SimpleGateway:
    return SimpleGateway(database, tmp_path / "log")


class Client:
    """A client of the real application, one request at a time, without a socket."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.headers: dict[str, str] = {}

    def request(self, method: str, path: str, **rest: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, rest))

    def get(self, path: str, **rest: Any) -> httpx.Response:
        return self.request("GET", path, **rest)

    def post(self, path: str, **rest: Any) -> httpx.Response:
        return self.request("POST", path, **rest)

    async def _send(self, method: str, path: str, rest: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://sandbox", headers=self.headers
        ) as http:
            return await http.request(method, path, **rest)


@pytest.fixture
def client(database: Database, gateway: SimpleGateway) -> Client:
    """A client with the token of an analyst."""
    accounts = Accounts(database)
    token = accounts.issue(Person("li", "analyst", "operator-a"), "test", NOW)
    opened = Client(create_app(gateway, accounts, lambda: NOW))
    opened.headers["authorization"] = f"Bearer {token}"
    return opened
