"""Nobody can tell from outside whether the planted rows are there; and whoever could, would be seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.corpus import noninterference
from tests.corpus.asker import Reply

STRIDE = 20


def test_two_worlds_look_the_same() -> None:
    report = noninterference.run(stride=STRIDE)
    assert not report.differences, report.differences
    assert report.refused > 60 and report.answered > 10
    assert report.unaligned < report.asked / 2, "hardly any proof was compared"


REFUSED: dict[str, Any] = {
    "status": 403,
    "code": "DS-202",
    "detail": "no column of this name is open to this grant: name",
    "request": "5ed8e2d1",
    "proof": {"index": 2, "salt": "46", "proof": ["9HI="], "checkpoint": "log\n3\nroot"},
}
ANSWERED: dict[str, Any] = {
    "grant": "G",
    "mode": "dp",
    "columns": [{"name": "n", "kind": "integer", "noisy": True, "predicted": "±12"}],
    "price": {"nano": 5},
    "guarantee": [],
    "notes": [],
    "derivation": ["release r0"],
    "rows": [[3]],
}


def reply(
    told: dict[str, Any], status: int = 403, seconds: float = 0.11, headers: dict[str, str] | None = None
) -> Reply:
    body = json.dumps(told)
    sent = {"content-length": str(len(body)), "x-frame": "no", **(headers or {})}
    return Reply("G", "SELECT COUNT(*) FROM people", status, body, sent, seconds, (), told)


def parts(one: Reply, other: Reply) -> set[str]:
    return {part for part, _, _ in noninterference.apart(one, other)}


def test_what_belongs_to_a_request_may_differ_in_all_but_length() -> None:
    same = {**REFUSED, "request": "00000000", "proof": {**REFUSED["proof"], "salt": "99"}}
    assert parts(reply(REFUSED), reply(same)) == set()
    assert "own" in parts(reply(REFUSED), reply({**REFUSED, "request": "000000001"}))
    longer = {**REFUSED["proof"], "proof": ["9HI=", "9HI="]}
    assert {"own", "size"} <= parts(reply(REFUSED), reply({**REFUSED, "proof": longer}))


def test_a_longer_log_is_told_by_the_proof_and_excuses_nothing_else() -> None:
    moved = {**REFUSED, "proof": {**REFUSED["proof"], "index": 12, "checkpoint": "log\n13\nroot"}}
    assert not noninterference.aligned(reply(REFUSED), reply(moved))
    assert parts(reply(REFUSED), reply(moved)) == set()
    assert parts(reply(REFUSED), reply({**moved, "detail": "98765.43"})) == {"body"}


@pytest.mark.parametrize(
    ("other", "part"),
    [
        (reply({**REFUSED, "detail": "no column of this name is open to this grant: nome"}), "body"),
        (reply({**REFUSED, "code": "DS-203"}), "code"),
        (reply(REFUSED, 404), "status"),
        (reply(REFUSED, headers={"x-frame": "yes"}), "headers"),
        (reply(REFUSED, headers={"x-more": "1"}), "header names"),
        (reply({**REFUSED, "rows": 3}), "size"),
    ],
)
def test_every_part_of_a_refusal_is_looked_at(other: Reply, part: str) -> None:
    assert part in parts(reply(REFUSED), other)


@pytest.mark.parametrize("name", ["columns", "price", "guarantee", "derivation"])
def test_every_public_part_of_an_answer_is_looked_at(name: str) -> None:
    assert parts(reply(ANSWERED, 200), reply({**ANSWERED, name: ["other"]}, 200)) == {name}


def test_what_noise_chose_may_differ_where_an_answer_follows_from_a_kept_one() -> None:
    def follows(cells: int, paid: int, name: str = "n") -> dict[str, Any]:
        columns = [{**ANSWERED["columns"][0], "name": name, "predicted": f"±{cells}"}]
        derivation = [f"  derived r0  of={cells} kept cells  paid={paid}  nano=0"]
        return {**ANSWERED, "columns": columns, "derivation": derivation}

    assert parts(reply(follows(8, 5), 200), reply(follows(9, 7), 200)) == set()
    assert parts(reply(follows(8, 5), 200), reply(follows(8, 5, "m"), 200)) == {"columns"}
    assert parts(reply(follows(8, 5), 200), reply(ANSWERED, 200)) == {"columns", "derivation"}


def test_rows_are_counted_where_domains_decide_which_there_are() -> None:
    more = {**ANSWERED, "rows": [[3], [4]]}
    assert parts(reply(ANSWERED, 200), reply(more, 200)) == {"row count"}
    selected = {"derivation": ["    selection: rule=a key appears"]}
    assert parts(reply({**ANSWERED, **selected}, 200), reply({**more, **selected}, 200)) == set()
    having = [replace(reply(told, 200), sql="SELECT COUNT(*) FROM p HAVING COUNT(*) > 3") for told in (ANSWERED, more)]  # fmt: skip
    assert parts(*having) == set()


def test_ticks_are_those_of_the_release_clock() -> None:
    assert [noninterference.tick(reply(REFUSED, seconds=s)) for s in (0.02, 0.199, 0.201)] == [0, 1, 2]
