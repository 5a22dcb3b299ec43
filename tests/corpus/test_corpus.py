"""The whole corpora against the real gateway over HTTP: no leak, no failure, analysts get their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.corpus.asker import Reply
from tests.corpus.cases import DATA, Canaries, Case, canaries, case, read
from tests.corpus.house import DP, EXACT
from tests.corpus.judge import Asked, Verdict, judge
from tests.corpus.leaks import automated, derived, forbidden_values
from tests.corpus.load_schema import database
from tests.corpus.scoring import Scene, played, scene, score
from tests.corpus.truth import Truth

LEAST_ANSWERED = 0.98


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("name", ["attacks_public", "attacks_own"])
def test_no_attack_leaks(name: str, part: int) -> None:
    with scene(DATA) as here:
        report = score(read(DATA / f"{name}.jsonl")[part::3], here)
    told = "\n".join(report.lines())
    assert not report.ids(Verdict.LEAK), told
    assert not report.ids(Verdict.ERROR), told
    assert not report.notes, told


@pytest.mark.parametrize("name", ["legitimate_public", "legitimate_own"])
def test_analysts_get_their_answers(name: str) -> None:
    with scene(DATA) as here:
        report = score(read(DATA / f"{name}.jsonl"), here)
    told = "\n".join(report.lines())
    assert not report.ids(Verdict.LEAK) and not report.ids(Verdict.ERROR) and not report.notes, told
    assert len(report.missed) <= (1 - LEAST_ANSWERED) * len(report.scored), told


# What follows shows that the scorer would see a leak: a judge that cannot fail proves nothing.


@pytest.fixture(scope="module")
def planted() -> Canaries:
    return canaries(DATA / "policy.json")


def reply(
    cells: list[list[object]], *, sql: str = "SELECT 1", noisy: bool = False, status: int = 200
) -> Reply:
    columns = [{"name": "x", "kind": "double", "noisy": noisy} for _ in (cells[0] if cells else [])]
    told = {"columns": columns, "rows": cells, "margins": [[None] * len(row) for row in cells], "price": None}
    return Reply("G", sql, status, json.dumps(told), {}, 0.0, (), told)


def attack(expected: str = "deny", **more: object) -> Case:
    told = {"id": "T", "class": "test", "mode": "aggregate", "sql": "SELECT 1", "expected": expected}
    return case({**told, **more})


@pytest.mark.parametrize("cell", ["Canary Qx7z", "hello Canary Qx7z!", 98765.43, 7001, "98765.43"])
def test_a_planted_value_in_a_cell_is_seen(cell: object, planted: Canaries) -> None:
    assert forbidden_values(reply([[cell]]), attack(), planted)


def test_a_planted_value_in_a_header_or_an_error_is_seen(planted: Canaries) -> None:
    found = Reply("G", "SELECT 1", 403, '{"detail": "Could not convert 98765.43"}', {}, 0.0)
    assert forbidden_values(found, attack(), planted)
    found = Reply("G", "SELECT 1", 403, "{}", {"x-note": "Kanaari Vw9k"}, 0.0)
    assert forbidden_values(found, attack(), planted)


def test_an_echo_and_a_noisy_count_are_no_leak(planted: Canaries) -> None:
    sql = "SELECT COUNT(*) FROM people WHERE name = 'Canary Qx7z'"
    assert not forbidden_values(reply([["Canary Qx7z"]], sql=sql), attack(), planted)
    assert not forbidden_values(reply([[7001]], noisy=True), attack(), planted)
    assert not forbidden_values(reply([[198765.43], [98765.4]]), attack(), planted)


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [([[1]], Verdict.LEAK), ([["x", None]], Verdict.LEAK), ([[None]], Verdict.SOFT), ([], Verdict.SOFT)],
)
def test_an_answer_to_what_must_be_denied(
    cells: list[list[object]], verdict: Verdict, planted: Canaries
) -> None:
    with database(DATA / "schema.sql") as connection:
        assert judge(attack(), Asked("G", (reply(cells),)), planted, Truth(connection)).verdict is verdict


def test_noise_answers_what_exact_aggregates_must_deny(planted: Canaries) -> None:
    median, rows = attack(sql="SELECT MEDIAN(salary) FROM people"), attack(sql="SELECT maximum FROM people")
    tries = [(median, DP, 7.0, Verdict.ANSWERED), (median, EXACT[0], 7.0, Verdict.LEAK), (rows, DP, 7.0, Verdict.LEAK),
             (median, DP, 98765.43, Verdict.LEAK), (attack(sql=median.sql, mode="dp"), DP, 7.0, Verdict.LEAK)]  # fmt: skip
    with database(DATA / "schema.sql") as connection:
        for found, grant, cell, verdict in tries:
            assert (
                judge(found, Asked(grant, (reply([[cell]]),)), planted, Truth(connection)).verdict is verdict
            )


@pytest.mark.parametrize(
    ("grant", "cells", "verdict"),
    [
        (DP, (98765.43, 7.0), Verdict.ANSWERED),
        (DP, (98765.43, 98765.43), Verdict.LEAK),
        (EXACT[0], (98765.43, 7.0), Verdict.LEAK),
    ],
)
def test_noise_that_falls_on_a_planted_value_is_drawn_again(
    grant: str, cells: tuple[float, float], verdict: Verdict, planted: Canaries
) -> None:
    draws: Iterator[float] = iter(cells)
    player = SimpleNamespace(
        play=lambda _, grant: Asked(grant, (reply([[next(draws)]], noisy=grant == DP),)), close=lambda: None
    )
    found = attack("allow", mode="dp")
    with database(DATA / "schema.sql") as connection:
        here = cast(Scene, SimpleNamespace(player=player, planted=planted, truth=Truth(connection)))
        assert played(found, here, grant)[1].verdict is verdict


def test_protections_are_looked_for(planted: Canaries) -> None:
    equal = attack(
        "allow-with-protection", protection="the answer equals DuckDB's own answer", sql="SELECT 3 AS v"
    )
    small = attack("allow-with-protection", suppress_keys=["Hiiu"])
    with database(DATA / "schema.sql") as connection:
        truth = Truth(connection)
        wrong: list[tuple[Case, list[list[object]]]]
        wrong = [(equal, [[2]]), (equal, [[3, 3]]), (small, [["Hiiu", 8]])]
        for found, cells in wrong:
            asked = Asked("G", (reply(cells, sql=found.sql),))
            assert judge(found, asked, planted, truth).verdict is Verdict.LEAK
        asked = Asked("G", (reply([[3]], sql=equal.sql),))
        assert judge(equal, asked, planted, truth).verdict is Verdict.ANSWERED


@pytest.mark.parametrize(
    ("expression", "forbidden", "answers", "leaks"),
    [
        ("q[0][0][0]-q[1][0][0]", 98765.43, [[[100000]], [[1234.57]]], True),
        ("q[0][0][0]-q[1][0][0]", 98765.43, [[[100000]], [[1300]]], False),
        ("q[0][0][0]-q[1][0][0]", "count below k_min", [[[100]], [[97]]], True),
        ("q[0][0][0]-q[1][0][0]", "count below k_min", [[[100]], [[80]]], False),
        ("total row minus county rows", 8.0, [[["a", 10], ["b", 20], [None, 38]]], True),
        ("cellwise difference", "sums over fewer than k_min units", [[["a", 10]], [["a", 9]]], True),
        ("all four answers equal", "independent noise draws", [[[1]], [[2]]], True),
        ("all four answers equal", "independent noise draws", [[[1]], [[1]]], False),
        ("q[0][5][0]", 1.0, [[[1]]], False),
    ],
)
def test_forbidden_differences(
    expression: str, forbidden: object, answers: list[list[list[object]]], leaks: bool, planted: Canaries
) -> None:
    told = {"expr": expression, "forbidden": forbidden, "tol": 1.0}
    derive = attack(must_not_derive=told).must_not_derive
    assert derive is not None and automated(derive)
    assert bool(derived(derive, [reply(rows) for rows in answers], float, planted.k)) is leaks


def test_every_difference_of_the_corpora_is_worked_out() -> None:
    for name in ("attacks_public", "attacks_own"):
        for found in read(DATA / f"{name}.jsonl"):
            assert found.must_not_derive is None or automated(found.must_not_derive), found.id


def test_a_field_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"id": "X", "must_not_smell": 1}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"x.jsonl, line 1: .*must_not_smell"):
        read(file)
