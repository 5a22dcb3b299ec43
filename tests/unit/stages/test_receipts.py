"""Nothing leaves without proof that it is on record, and what is on record says nothing of durations."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import pipeline
from sandbox.gateway import Gateway, open_gateway
from sandbox.home import Home
from sandbox.model import Refused
from sandbox.store.log.receipt import document
from tests.support.logs import Verifier
from tests.unit.stages.conftest import COUNTED, NOW, PERSON, answered, codes, context_of, grant, request


def test_answers_and_refusals_bear_receipts_that_verify_offline(gateway: Gateway, tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "v", gateway.store.proofs.keys.signer().public.text)
    found = [answered(gateway.query(request(name, COUNTED))) for name in ("G-DP", "G-EXACT", "G-DP")]
    for answer in found:
        assert answer.proof is not None
        assert answer.proof.index == answer.receipt
        entry = json.loads(answer.proof.entry)
        assert (entry["kind"], entry["request"]) == ("outcome", answer.request)
        personal = json.loads(answer.proof.personal or "")
        assert (personal["person"], personal["text"]) == (PERSON.name, COUNTED)
        assert json.loads(personal["payload"])["derivation"] == list(answer.derivation.lines())
        assert verifier.accepts(document(answer.proof))
    for asked in (request("G-EXACT", "SELECT fee FROM visit"), request("G-NONE", "SELECT 1")):
        refused = gateway.query(asked)
        assert isinstance(refused, Refused) and refused.receipt is not None
        entry = json.loads(refused.receipt.entry)
        assert entry["kind"] == "refusal"
        assert entry["codes"] == [reason.code.id for reason in refused.reasons]
        assert verifier.accepts(document(refused.receipt))


def test_an_answer_whose_record_is_not_what_was_written_does_not_leave(
    gateway: Gateway, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = gateway.store.audit.append

    def spoilt(kind: str, **facts: object) -> int:
        seq = append(kind, **facts)  # type: ignore[arg-type]  # passed on as it came
        if kind == "outcome":
            spoil.append(seq)
        return seq

    spoil: list[int] = []
    monkeypatch.setattr(gateway.store.audit, "append", spoilt)
    receipt = gateway.store.proofs.receipt

    def meddled(seq: int) -> object:
        raw = sqlite3.connect(home.store)
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        raw.execute("UPDATE audit SET nano = nano + 1 WHERE kind = 'outcome'")
        raw.commit()
        raw.close()
        return receipt(seq)

    monkeypatch.setattr(gateway.store.proofs, "receipt", meddled)
    refused = gateway.query(request("G-DP", COUNTED))
    assert spoil
    assert codes(refused) == ["LOG_DAMAGED"]


def test_without_its_signing_key_nothing_is_answered(gateway: Gateway, home: Home) -> None:
    answered(gateway.query(request("G-EXACT", COUNTED)))
    (home.log / "keys").rename(home.log / "taken")
    refused = gateway.query(request("G-EXACT", COUNTED))
    assert codes(refused) == ["LOG_KEY", "LOG_KEY"]  # for the answer, and for the refusal's own receipt
    assert isinstance(refused, Refused) and refused.receipt is None
    (home.log / "taken").rename(home.log / "keys")
    answered(gateway.query(request("G-EXACT", COUNTED)))


def test_what_was_touched_is_recorded_on_the_release_clock(home: Home) -> None:
    """Neither the time of an entry nor its place among others' tells how long a query ran."""
    opened = open_gateway(replace(home, settings=replace(home.settings, release_clock_ms=400)))
    asked = [request("G-DP", COUNTED), request("G-DP", "SELECT fee FROM visit")]
    try:
        context = context_of(opened, "G-DP")
        answered(opened.query(request("G-DP", "SELECT COUNT(*) FROM visit")))
        now = dt.datetime.now(dt.UTC)
        for one in asked:
            begun = time.monotonic()
            pipeline.query(replace(one, time=now), context)
            assert (time.monotonic() - begun) % 0.4 < 0.3
            entry = opened.store.audit.entry(opened.store.audit.size() - 1)
            assert entry is not None
            assert (entry.time - now) % dt.timedelta(milliseconds=400) == dt.timedelta(0)
    finally:
        opened.close()


def test_exact_answers_are_dated_as_they_are_made(gateway: Gateway) -> None:
    found = answered(gateway.query(request("G-EXACT", COUNTED)))
    entry = gateway.store.audit.entry(found.receipt)
    assert entry is not None and entry.time > NOW


def test_a_changed_document_is_entered_before_the_next_question(gateway: Gateway, home: Home) -> None:
    answered(gateway.query(request("G-EXACT", COUNTED)))
    document = grant("G-NARROW", "{mode: exact, queries: {day: 5, total: 10}}", "person_id, city")
    (home.policies / "narrow.yaml").write_text(document, encoding="utf-8")
    answered(gateway.query(request("G-EXACT", COUNTED)))
    entries = [gateway.store.audit.entry(seq) for seq in range(gateway.store.audit.size())]
    kinds = [entry.kind for entry in entries if entry is not None]
    assert kinds == ["policy", "intent", "outcome", "policy", "intent", "outcome"]
    changed = entries[3]
    assert changed is not None
    (change,) = json.loads(changed.payload)["changes"]
    assert change["document"] == "grant G-NARROW"
    assert len({change["old"], change["new"], ""}) == 3


def test_a_gateway_leaves_its_head_published(home: Home) -> None:
    opened = open_gateway(home)
    answered(opened.query(request("G-EXACT", COUNTED)))
    head = opened.store.proofs.checkpoint()
    opened.close()
    assert (home.log / "checkpoint").read_text(encoding="utf-8") == head


def test_what_opening_made_again_is_entered(home: Home) -> None:
    opened = open_gateway(home)
    answered(opened.query(request("G-EXACT", COUNTED)))
    size = opened.store.audit.size()
    opened.close()
    (home.log / "tile" / "0" / "000.p" / f"{size}").write_bytes(b"truncated")
    for expected in (size + 1, size + 1):  # mended once
        opened = open_gateway(home)
        assert opened.store.audit.size() == expected
        entry = opened.store.audit.entry(size)
        assert entry is not None and entry.kind == "start"
        assert json.loads(entry.payload)["repaired"] == "tiles"
        opened.close()


def test_a_gateway_closes_though_its_head_cannot_be_published(home: Home) -> None:
    opened = open_gateway(home)
    (home.log / "keys").rename(home.log / "taken")
    opened.close()
    assert not (home.log / "checkpoint").exists()
