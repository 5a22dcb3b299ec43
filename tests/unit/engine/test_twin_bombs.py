"""Texts that would eat the planner: each costs at most a few seconds and two processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.engine.twin import PlanFacts, Twin

TABLES = {"d.t": [("a", "BIGINT"), ("b", "DOUBLE")]}
SHORT = 0.3

BOMBS = {
    "string in LIMIT": "SELECT 1 LIMIT len(repeat('a', 4000000000))",
    "list in FROM": "SELECT * FROM range(len(range(100000000)))",
    "string in a quantile": "SELECT quantile(a, len(repeat('a', 4000000000)) / 1e12) FROM d.t",
    "string in a part": "SELECT date_trunc(repeat('a', 4000000000), now())",
    "sort in LIMIT": "SELECT 1 LIMIT list_sort(range(90000000))[1]",
    "sleep in FROM": "SELECT * FROM range(sleep_ms(60000))",
    "text in a text": "SELECT * FROM query(repeat('SELECT 1 UNION ALL ', 100000) || 'SELECT 1')",
    "parentheses": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "additions": "SELECT " + "+".join(["1"] * 20000),
    "negations": "SELECT " + "NOT " * 900 + "true",
    "cases": "SELECT " + "CASE WHEN true THEN " * 400 + "1" + " END" * 400,
    "doubling": "WITH a0 AS (SELECT * FROM d.t) "
    + "".join(f", a{n} AS (SELECT x.* FROM a{n - 1} x, a{n - 1} y)" for n in range(1, 30))
    + " SELECT * FROM a29",
}


def works(twin: Twin) -> bool:
    facts = twin.describe("k", TABLES, "SELECT a FROM t")
    return facts is not None and facts.columns == {("d.t", "a")}


@pytest.fixture(scope="module")
def short() -> Iterator[Twin]:
    with Twin(timeout_s=SHORT) as twin:
        yield twin


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_in_time_and_the_twin_works_again(short: Twin, bomb: str) -> None:
    assert works(short)
    began = time.monotonic()
    facts = short.describe("k", TABLES, BOMBS[bomb])
    assert time.monotonic() - began < SHORT + 1
    assert facts is None or facts.tables <= {"d.t"}
    assert works(short)


@pytest.mark.parametrize("bomb", ["string in LIMIT", "sleep in FROM", "parentheses", "additions"])
def test_what_cannot_be_planned_is_none(twin: Twin, bomb: str) -> None:
    began = time.monotonic()
    assert twin.describe("k", TABLES, BOMBS[bomb]) is None
    assert time.monotonic() - began < 3


def test_folding_waits_for_execution_which_never_comes(twin: Twin) -> None:
    for sql in (
        "SELECT len(repeat('a', 4000000000))",
        "SELECT * FROM range(100000000)",
        "SELECT sleep_ms(60000)",
    ):
        began = time.monotonic()
        facts = twin.describe("k", TABLES, sql)
        assert facts is not None and facts.single_select
        assert time.monotonic() - began < 1


def test_a_twin_killed_from_outside_costs_nothing(twin: Twin) -> None:
    assert works(twin)
    assert twin._child is not None
    os.kill(twin._child.worker, signal.SIGSTOP)  # so that it is killed amid the question
    threading.Timer(0.3, os.kill, (twin._child.worker, signal.SIGKILL)).start()
    assert works(twin)


def test_a_twin_killed_in_a_question_costs_that_question(twin: Twin) -> None:
    assert works(twin)
    assert twin._child is not None
    threading.Timer(0.2, os.kill, (twin._child.pid, signal.SIGKILL)).start()
    assert twin.describe("k", TABLES, BOMBS["sleep in FROM"]) is None
    assert works(twin)


def test_close_reaps_the_process() -> None:
    with Twin() as twin:
        assert works(twin)
        assert twin._child is not None
        pid = twin._child.pid
    assert not Path(f"/proc/{pid}").exists()
    twin.close()


def test_questions_of_many_threads_do_not_mix(twin: Twin) -> None:
    found: dict[int, PlanFacts | None] = {}

    def ask(number: int) -> None:
        for _ in range(10):
            found[number] = twin.describe(
                f"k{number}", {f"d{number}.t": [("a", "BIGINT")]}, "SELECT a FROM t"
            )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(facts is not None for facts in found.values())
    tables = {number: set(facts.tables) for number, facts in found.items() if facts is not None}
    assert tables == {number: {f"d{number}.t"} for number in range(6)}
