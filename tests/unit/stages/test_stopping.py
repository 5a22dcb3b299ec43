"""A query that is stopped under way: nothing leaves, what was spent stays spent, and the log says why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pytest

from sandbox import pipeline
from sandbox.engine.interface import Engine
from sandbox.gateway import Gateway
from sandbox.model import Answer, Person, Refused
from sandbox.store.freezes import Scope
from sandbox.store.search import LogFilter
from tests.unit.stages.conftest import COUNTED, PERSON, answered, codes, context_of, request

BUREAU = Person("bureau", "bureau", "bureau")


@contextmanager
def held(gateway: Gateway, grant: str) -> Iterator[Future[Answer | Refused]]:
    """A query that is paid for and stands before the engine, as behind a long run of another."""
    context_of(gateway, grant)
    line = gateway._lines.setdefault(grant, threading.Lock())
    with ThreadPoolExecutor(1) as threads:
        with line:
            asked = threads.submit(gateway.query, request(grant, COUNTED))
            _until(lambda: "intent" in [e.kind for e in gateway.log(BUREAU, LogFilter()).entries])
            yield asked
        asked.result(10)


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_asker_cancels(gateway: Gateway) -> None:
    with held(gateway, "G-DP") as asked:
        assert gateway.cancel(replace(PERSON, name="another")) == 0
        assert not asked.done()
        assert gateway.cancel(PERSON) == 1
        assert codes(asked.result(10)) == ["CANCELLED"]
    assert [b.spent > 0 for b in gateway.budget(PERSON)] == [True]
    kinds = [(e.kind, e.codes) for e in gateway.log(BUREAU, LogFilter()).entries]
    assert ("cancel", ()) in kinds and ("refusal", ("DS-704",)) in kinds
    assert not answered(gateway.query(request("G-DP", COUNTED))).price.free  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("scope", "target"),
    [(Scope.GRANT, "G-DP"), (Scope.DATASET, "shop"), (Scope.OPERATOR, "shopkeepers"), (Scope.EVERYTHING, "")],
)
def test_a_freeze_stops_what_runs(gateway: Gateway, scope: Scope, target: str) -> None:
    with held(gateway, "G-DP") as asked:
        gateway.freeze(BUREAU, scope, target, "test")
        assert codes(asked.result(10)) == ["FROZEN"]


def test_a_freeze_of_something_else_stops_nothing(gateway: Gateway) -> None:
    with held(gateway, "G-DP") as asked:
        gateway.freeze(BUREAU, Scope.GRANT, "G-EXACT", "test")
        gateway.watch()
        time.sleep(0.5)
        assert not asked.done()
    answered(asked.result())


def test_another_process_freezes(gateway: Gateway) -> None:
    with held(gateway, "G-DP") as asked:
        gateway.store.freezes.freeze(Scope.GRANT, "G-DP", "test", "bureau", request("", "").time)
        gateway.watch()
        assert codes(asked.result(10)) == ["FROZEN"]


class Freezing:
    """The real engine; while it makes the answer, somebody freezes the grant."""

    def __init__(self, engine: Engine, freeze: Callable[[], object]) -> None:
        self._engine = engine
        self._freeze = freeze
        self.runs = 0

    def run(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        self.runs += 1
        if self.runs == 2:
            self._freeze()
        return self._engine.run(sql, tables)


def test_an_answer_that_is_ready_does_not_leave_a_frozen_grant(gateway: Gateway) -> None:
    context = context_of(gateway, "G-DP")
    freezing = Freezing(
        context.engine,
        lambda: gateway.store.freezes.freeze(Scope.GRANT, "G-DP", "test", "bureau", request("", "").time),
    )
    asked = request("G-DP", COUNTED)
    assert codes(pipeline.query(asked, replace(context, engine=freezing))) == ["FROZEN"]
    frozen = gateway.store.freezes.active()[0].id
    gateway.lift(BUREAU, frozen)
    gateway.lift(replace(BUREAU, name="second"), frozen)
    # What was drawn was paid for and is kept: the same question is free.
    assert answered(gateway.query(request("G-DP", COUNTED))).price.free  # type: ignore[union-attr]


def test_a_closing_gateway_takes_no_more(gateway: Gateway) -> None:
    gateway.drain()
    assert codes(gateway.query(request("G-DP", COUNTED))) == ["CLOSING"]
    entry = gateway.log(BUREAU, LogFilter()).entries[0]
    assert (entry.kind, entry.codes) == ("refusal", ("DS-705",))
