"""Two commits a query: what is on disk when data is read, when an answer leaves, and after a crash in between."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Connection, event

from sandbox import pipeline
from sandbox.context import Context
from sandbox.engine.interface import Engine, EngineFailure
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Answer, Refused, Request
from sandbox.store.audit import Event
from sandbox.store.ledger import State
from sandbox.store.search import LogFilter
from tests.unit.stages.conftest import COUNTED, EXACT, answered, codes, context_of, grant, request

TWICE = "SELECT COUNT(*) AS n FROM visit WHERE fee > (SELECT AVG(fee) FROM visit)"
HALF = Fraction(1, 2)


class Crash(BaseException):
    """The gateway's process ends here: nothing after this point runs."""


@dataclass(slots=True)
class Watched:
    """The real engine, with something to do before each run."""

    engine: Engine
    before: Callable[[int], None]
    runs: int = field(default=0)

    def run(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        self.runs += 1
        self.before(self.runs)
        return self.engine.run(sql, tables)


def watched(context: Context, before: Callable[[int], None]) -> Context:
    return replace(context, engine=Watched(context.engine, before))


def on_disk(home: Home, sql: str) -> list[Any]:
    """What another process would find in the store's file."""
    with sqlite3.connect(home.store) as other:
        return other.execute(sql).fetchall()


def log(gateway: Gateway) -> list[str]:
    entries = gateway.store.search.entries(LogFilter(limit=1000)).entries
    return [entry.kind for entry in reversed(entries) if entry.kind != "policy"]  # when first seen


def state(gateway: Gateway, asked: Request) -> State | None:
    found = gateway.store.ledger.reservation(f"{asked.person.name}/{asked.id}")
    return None if found is None else found.state


def spent(gateway: Gateway) -> dict[str, int]:
    return {account.account: account.spent for account in gateway.store.ledger.balances()}


@contextmanager
def commits(gateway: Gateway) -> Iterator[list[str]]:
    """Every commit of a write: each is one flush to disk."""
    found: list[str] = []

    def note(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            found.append("commit")

    engine = gateway.database._writer
    event.listen(engine, "commit", note)
    yield found
    event.remove(engine, "commit", note)


@pytest.mark.parametrize(("name", "sql"), [("G-EXACT", COUNTED), ("G-DP", COUNTED)])
def test_a_query_is_two_commits_and_a_free_one_too(gateway: Gateway, name: str, sql: str) -> None:
    gateway.documents()  # what is in force is entered when it is first seen
    for _ in range(2):
        with commits(gateway) as found:
            answered(gateway.query(request(name, sql)))
        assert len(found) == 2


def test_intent_and_reservation_are_on_disk_before_data_is_read(home: Home, gateway: Gateway) -> None:
    seen: list[Any] = []

    def look(run: int) -> None:
        log = on_disk(home, "SELECT kind FROM audit WHERE kind <> 'policy' ORDER BY seq")
        seen.append(
            (log, on_disk(home, "SELECT state FROM reservations"), on_disk(home, "SELECT 1 FROM answers"))
        )

    answered(pipeline.query(request("G-DP", COUNTED), watched(context_of(gateway, "G-DP"), look)))
    assert seen[0] == ([("intent",)], [("touched",)], [])
    assert on_disk(home, "SELECT state FROM reservations") == [("committed",)]


def test_a_use_is_counted_on_disk_before_the_cube_is_read(home: Home, gateway: Gateway) -> None:
    seen: list[Any] = []

    def look(run: int) -> None:
        seen.append(
            (
                on_disk(home, "SELECT kind FROM audit WHERE kind <> 'policy'"),
                on_disk(home, "SELECT used FROM uses"),
            )
        )

    answered(pipeline.query(request("G-EXACT", COUNTED), watched(context_of(gateway, "G-EXACT"), look)))
    assert seen == [([("intent",)], [(1,), (1,)])]


@pytest.mark.parametrize("crash_at", [1, 2])
def test_a_crash_while_running_leaves_the_cost_spent_and_a_missing_outcome(
    gateway: Gateway, crash_at: int
) -> None:
    """At the first run the data is read, at the second the answer is made: nothing left in either case."""

    def crash(run: int) -> None:
        if run == crash_at:
            raise Crash

    asked = request("G-DP", COUNTED)
    with pytest.raises(Crash):
        pipeline.query(asked, watched(context_of(gateway, "G-DP"), crash))
    assert log(gateway) == ["intent"] and state(gateway, asked) is State.TOUCHED
    assert [entry.request for entry in gateway.store.search.missing_outcomes()] == [asked.id]
    once = spent(gateway)
    answered(gateway.query(request("G-DP", COUNTED)))  # paid for again: the draw was lost, and nobody saw it
    assert spent(gateway) == {account: 2 * amount for account, amount in once.items()}


def test_a_crash_in_the_last_commit_leaves_no_part_of_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, real = gateway.store.audit, gateway.store.audit.append

    def append(kind: Event, **entry: Any) -> int:
        if kind is Event.OUTCOME:
            raise Crash  # the kept table and the reservation's end are written, and not yet on disk
        return real(kind, **entry)

    monkeypatch.setattr(audit, "append", append)
    asked = request("G-DP", COUNTED)
    with pytest.raises(Crash):
        gateway.query(asked)
    monkeypatch.undo()
    assert log(gateway) == ["intent"] and state(gateway, asked) is State.TOUCHED
    found = answered(gateway.query(request("G-DP", COUNTED)))
    assert found.price is not None and not found.price.free  # nothing was kept


def test_what_was_paid_for_is_kept_though_its_answer_fails(gateway: Gateway) -> None:
    def fail(run: int) -> None:
        if run == 2:
            raise EngineFailure

    asked = request("G-DP", COUNTED)
    assert codes(pipeline.query(asked, watched(context_of(gateway, "G-DP"), fail))) == ["ENGINE"]
    assert state(gateway, asked) is State.COMMITTED and log(gateway) == ["intent", "refusal"]
    found = answered(gateway.query(request("G-DP", COUNTED)))
    assert found.price is not None and found.price.free


def test_a_release_is_kept_before_a_later_one_reads_it(home: Home, gateway: Gateway) -> None:
    kept: list[int] = []
    context = watched(
        context_of(gateway, "G-DP"), lambda run: kept.append(len(on_disk(home, "SELECT 1 FROM answers")))
    )
    answered(pipeline.query(request("G-DP", TWICE), context))
    assert kept == [0, 1, 1]
    assert len(on_disk(home, "SELECT 1 FROM answers")) == 2


def test_two_draws_of_one_release_leave_as_one_answer(gateway: Gateway) -> None:
    """Both queries have read the data before either has kept anything: the first to commit is the answer."""
    both = threading.Barrier(2, timeout=30)
    context = context_of(gateway, "G-DP")
    found: list[Answer | Refused] = []
    asked = [request("G-DP", COUNTED) for _ in range(2)]

    def ask(one: Request) -> None:
        def meet(run: int) -> None:
            if run == 2:
                both.wait()

        found.append(pipeline.query(one, watched(context, meet)))

    threads = [threading.Thread(target=ask, args=(one,)) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = map(answered, found)
    assert first.table.equals(second.table) and first.margins.equals(second.margins)
    assert [state(gateway, one) for one in asked] == [State.COMMITTED] * 2
    assert log(gateway).count("outcome") == 2
    assert answered(gateway.query(request("G-DP", COUNTED))).table.equals(first.table)


def test_a_query_without_room_is_on_record_and_counts_nothing(home: Home, gateway: Gateway) -> None:
    (home.policies / "exact.yaml").write_text(grant("G-EXACT", EXACT.replace("day: 500", "day: 1")), "utf-8")
    answered(gateway.query(request("G-EXACT", COUNTED)))
    assert codes(gateway.query(request("G-EXACT", COUNTED))) == ["QUOTA"]
    assert log(gateway) == ["intent", "outcome", "intent", "refusal"]
    assert gateway.store.ledger.used("G-EXACT", request("G-EXACT", COUNTED).time.date()) == (1, 1)


def test_a_query_beyond_the_budget_is_on_record_and_charges_nothing(gateway: Gateway) -> None:
    before: dict[str, int] = {}
    for number in range(200):
        found = gateway.query(request("G-DP", f"SELECT COUNT(*) AS n FROM visit WHERE fee < {number}"))
        if isinstance(found, Refused):
            break
        before = spent(gateway)
    else:
        pytest.fail("the budget never ended")
    assert codes(found) == ["BUDGET"] and log(gateway)[-2:] == ["intent", "refusal"]
    assert before and spent(gateway) == before
    assert gateway.store.ledger.orphans() == ()
