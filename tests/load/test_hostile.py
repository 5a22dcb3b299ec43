"""The siege in its short form; ``make hostile REQUESTS=10000`` runs it at length."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from sandbox.errors import Code
from tests.load.bombs import FORMS, generated, public
from tests.load.hostile import SLOWEST_S, Siege, siege
from tests.load.line import Reply


def refusal(code: Code) -> Reply:
    return Reply(code.status, json.dumps({"code": code.id}).encode())


def test_others_are_answered_while_texts_try_to_eat_the_gateway(tmp_path: Path) -> None:
    found = siege(tmp_path, 120)
    assert found.wrong == [] and found.grown() == []
    assert found.line()["requests"] == 120 and len(found.refused) > 5
    assert len(found.waits_ms) > 20


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(0), 1.0),
        (Reply(500, b"{}"), 1.0),
        (Reply(502), 1.0),
        (Reply(404), 1.0),
        (Reply(200), SLOWEST_S + 1),
    ],
)
def test_an_attack_that_does_not_end_as_it_should_is_wrong(reply: Reply, seconds: float) -> None:
    found = Siege(1)
    for fine in (Reply(200, b"{}"), refusal(Code.FUNCTION), refusal(Code.ENGINE_LIMIT), refusal(Code.BUSY)):
        found.attacked("SELECT 1", fine, 1.0)
    assert found.wrong == []
    found.attacked("SELECT 1", reply, seconds)
    assert len(found.wrong) == 1


@pytest.mark.parametrize("reply", [Reply(0), refusal(Code.ENGINE_LIMIT), Reply(200, b'{"rows": [[1]]}')])
def test_one_of_the_others_who_is_not_served_is_wrong(reply: Reply) -> None:
    found = Siege(1)
    found.asked(Reply(200, b'{"rows": [[2]]}'), [[2]], 0.1)
    found.asked(refusal(Code.BUSY), [[2]], 0.1)
    assert (found.wrong, len(found.waits_ms), found.put_off) == ([], 1, 1)
    found.asked(reply, [[2]], 0.1)
    assert len(found.wrong) == 1


def test_texts_are_of_every_form_and_of_many_sizes() -> None:
    dice = Random(1)
    texts = [generated(dice) for _ in range(2000)]
    assert len(public()) >= 20 and len(set(texts)) > 500
    for most, form in FORMS:
        assert form(1) in texts or any(t.startswith(form(2)[:12]) for t in texts), most
    assert min(map(len, texts)) < 100 and max(map(len, texts)) > 20_000
