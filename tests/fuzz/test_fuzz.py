"""A short round of the fuzzer finds nothing; and its invariants would see what it looks for."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from sandbox.errors import Code
from tests.corpus.cases import DATA, Canaries, canaries
from tests.corpus.house import build
from tests.fuzz.invariants import faults
from tests.fuzz.mutate import MOST_BYTES, mutated
from tests.fuzz.run import SORTS, Fuzz, Report, aimed, fire, seeds
from tests.fuzz.target import Seen, Sent

EXAMPLES = 40
HOME = Path("/srv/home-of-the-data")


def test_a_round_of_every_sort_finds_nothing(tmp_path: Path) -> None:
    report = Report()
    home = build(tmp_path / "built", DATA / "schema.sql")
    with aimed(home, tmp_path / "house", report) as fuzz:
        for sort in SORTS:
            fire(sort, fuzz, EXAMPLES, 7)
    assert report.finds == []
    assert set(report.sent) == {"openapi", "sql", "grammar", "bytes", "gate"}
    assert sum(report.sent.values()) >= len(SORTS) * EXAMPLES and {200, 400, 403} <= set(report.statuses)


# What follows shows that a fault would be seen.


@pytest.fixture(scope="module")
def planted() -> Canaries:
    return canaries(DATA / "policy.json")


def refusal(code: Code, **more: object) -> bytes:
    words = {"zh": "不行", "en": "no"}
    reason = {"code": code.id, "what": words, "now": words}
    return json.dumps({"code": code.id, "status": code.status, "reasons": [reason], **more}).encode()


def seen(status: int, body: bytes, *, sent: bytes = b"", seconds: float = 0.1, **headers: str) -> Seen:
    kind = "application/json" if status < 400 else "application/problem+json"
    told = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Seen(Sent("POST", "/v1/queries", sent), status, told, body, seconds)


def test_a_proper_answer_and_a_proper_refusal_are_no_fault(planted: Canaries) -> None:
    assert faults(seen(200, b'{"rows": [[1]]}'), planted, HOME) == []
    assert faults(seen(Code.SYNTAX.status, refusal(Code.SYNTAX)), planted, HOME) == []
    assert faults(seen(Code.BUSY.status, refusal(Code.BUSY)), planted, HOME) == []


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (seen(500, b"Internal Server Error"), "status 500"),
        (seen(500, refusal(Code.SYNTAX)), "status 500"),
        (seen(400, refusal(Code.SYNTAX, detail="Binder Error: no such column")), "innards 'Binder Error'"),
        (seen(400, refusal(Code.SYNTAX, detail='File "x.py", line 3, in y')), "innards"),
        (seen(400, refusal(Code.SYNTAX, detail=f"{HOME}/store.db")), "the path"),
        (seen(200, b'{"rows": [["Canary Qx7z"]]}'), "text"),
        (seen(400, refusal(Code.SYNTAX, detail="value 98765.43")), "98765.43"),
        (seen(200, b"{}", x_note="KeyError"), "innards 'KeyError'"),
        (seen(400, b'{"code": "DS-000", "status": 400}'), "unknown code|under the code|without reasons"),
        (seen(403, refusal(Code.SYNTAX)), "status 403 under the code"),
        (seen(400, b"plain", content_type="text/plain"), "a refusal as text/plain"),
        (seen(200, b"{}", seconds=61), "took 61 s"),
    ],
)
def test_what_must_not_come_out_is_a_fault(found: Seen, word: str, planted: Canaries) -> None:
    told = " ".join(faults(found, planted, HOME))
    assert any(part in told for part in word.split("|")), told


def test_words_in_one_language_alone_are_a_fault(planted: Canaries) -> None:
    body = json.loads(refusal(Code.SYNTAX))
    body["reasons"][0]["now"]["zh"] = ""
    assert any("words are missing" in f for f in faults(seen(400, json.dumps(body).encode()), planted, HOME))


def test_an_echo_of_what_was_sent_is_no_fault(planted: Canaries) -> None:
    body = refusal(Code.SYNTAX, detail="KeyError sqlglot 98765.43")
    assert faults(seen(400, body, sent=b'{"sql": "KeyError sqlglot 98765.43"}'), planted, HOME) == []


def test_what_gets_out_of_the_application_is_a_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object, sent: Sent) -> Seen:
        raise KeyError(sent.path)

    monkeypatch.setattr("tests.fuzz.target.Target.send", broken)
    report = Report()
    with aimed(build(tmp_path / "built", DATA / "schema.sql"), tmp_path / "house", report) as fuzz:
        for sort in SORTS[:3]:
            fire(sort, fuzz, 3, 7)
        reads(fuzz)
    assert len(report.finds) >= 3 and all("KeyError got out of the application" in f for f in report.finds)


def reads(fuzz: Fuzz) -> None:
    """The gate takes any bytes."""
    for data in (b"", b"\xff\xfe", b"SELECT 1", b"(" * 100_000):
        fuzz.read(data)


def test_mutations_are_bounded_and_the_same_for_the_same_seed() -> None:
    texts = seeds()
    made = [mutated(texts[n % len(texts)], texts, Random(n)) for n in range(200)]
    assert made == [mutated(texts[n % len(texts)], texts, Random(n)) for n in range(200)]
    assert len(set(made)) > 150 and max(map(len, made)) <= MOST_BYTES
