"""The supervision report: made from the log alone, before and after a purge; and drills, which stop nothing."""

from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy import insert, select

from sandbox.casework.month import ZONE, month
from sandbox.casework.supervision import as_json, supervision
from sandbox.doors.report_pdf import as_pdf
from sandbox.doors.report_words import sections
from sandbox.errors import Code, Refusal
from sandbox.gateway import Gateway, open_gateway
from sandbox.home import Home
from sandbox.model import Answer, Person
from sandbox.store.audit import Event
from sandbox.store.database import Database
from sandbox.store.freezes import Scope
from sandbox.store.log.retention import purge_personal
from sandbox.store.schema import audit, audit_personal
from tests.unit.stages.conftest import COUNTED, PERSON, answered, codes, request
from tests.unit.stages.test_casework import BANK, GRANT, OPERATOR, granted, published

BUREAU = Person("bea", "bureau", "bureau")
SECOND = Person("bob", "bureau", "bureau")
RIVAL = Person("dan", "operator", "rivals")
THIS = f"{dt.datetime.now(ZONE):%Y-%m}"
SECRET = "SELECT city, COUNT(*) AS tell_nobody FROM visit GROUP BY city"


def lived(gateway: Gateway) -> None:
    """A month with a little of everything."""
    granted(gateway)
    published(gateway)
    answered(gateway.query(request("G-DP", SECRET)))
    answered(gateway.query(request("G-DP", SECRET)))
    assert codes(gateway.query(request("G-DP", "SELECT fee FROM visit")))
    assert codes(gateway.query(request("G-NOWHERE", COUNTED)))
    gateway.explain(request("G-DP", COUNTED))
    gateway.cancel(PERSON)
    assert isinstance(gateway.products.deliver(BANK, "P-1", {"kind": "1"}), Answer)
    frozen = gateway.freeze(BUREAU, Scope.GRANT, "G-DP", "查")
    assert codes(gateway.query(request("G-DP", COUNTED)))
    gateway.lift(BUREAU, frozen.id)
    gateway.lift(SECOND, frozen.id)
    gateway.drill(BUREAU, Scope.DATASET, "shop", "演练")
    gateway.store.audit.append(Event.ALERT, time=dt.datetime.now(dt.UTC), grant="G-DP", decision="alarm")
    gateway.store.audit.append(Event.ALERT, time=dt.datetime.now(dt.UTC), grant="G-OTHER", decision="alarm")


def test_it_tells_what_was_asked_refused_delivered_and_frozen(gateway: Gateway) -> None:
    lived(gateway)
    report = gateway.supervision(BUREAU, "shopkeepers", THIS)
    uses = {use.grant: use for use in report.uses}
    assert (uses["G-DP"].begun, uses["G-DP"].answered, uses["G-DP"].refused, uses["G-DP"].explained) == (
        2,
        2,
        2,
        1,
    )
    assert uses["G-DP"].nano > 0 and uses[""].refused == 1 and uses[""].cancelled == 1
    assert uses["G-NEW"].answered == 1
    found = dict(report.refusals)
    assert found[Code.GRANT_UNKNOWN.id] == found[Code.FROZEN.id] == 1
    assert dict(report.datasets)["shop"] == 3
    assert [(m.kind, m.about, m.decision) for m in report.freezes] == [
        ("freeze", "grant G-DP", "frozen"),
        ("lift", "grant G-DP", "approved"),
        ("lift", "grant G-DP", "lifted"),
        ("freeze", "dataset shop", "drill"),
    ]
    assert [m.about for m in report.alerts] == ["G-DP"]
    assert {"grant G-NEW: open", "grant G-NEW: advise", "grant G-NEW: approve", "product P-1: approve"} <= {
        m.about for m in report.cases
    }
    (line,) = report.deliveries
    assert (line.product, line.recipient, line.deliveries) == ("P-1", "bank", 1)
    assert [u.grant for u in report.uses] == sorted(uses) and all(
        a.entry < b.entry for a, b in pairwise(report.cases)
    )


def test_it_is_the_same_from_another_store_and_after_a_purge(gateway: Gateway, home: Home) -> None:
    lived(gateway)
    report = gateway.supervision(BUREAU, "shopkeepers", THIS)
    told = as_json(report)
    assert gateway.supervision(BUREAU, "shopkeepers", THIS) == report  # reading it is not in it
    assert not any(name in told for name in ("ann", "bea", "owen", "tell_nobody"))
    copy = Database(home.path / "copy.db")
    with gateway.database.read() as source, copy.write() as target:
        for table in (audit, audit_personal):
            target.execute(insert(table), [dict(row._mapping) for row in source.execute(select(table))])
    assert as_json(supervision(copy, "shopkeepers", month(THIS))) == told
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    copy.close()
    assert purge_personal(gateway.database, gateway.store.audit, later, later) > 0
    purged = supervision(gateway.database, "shopkeepers", month(THIS))
    assert as_json(purged) == told and as_pdf(purged, "zh") == as_pdf(report, "zh")


def test_another_month_and_another_operator_have_their_own(gateway: Gateway) -> None:
    lived(gateway)
    past = gateway.supervision(BUREAU, "shopkeepers", "2020-02")
    assert (past.entries, past.uses, past.freezes, past.cases, past.deliveries) == (0, (), (), (), ())
    bank = gateway.supervision(BANK, "bank", THIS)
    assert bank.uses == () and len(bank.deliveries) == 1
    everything = gateway.freeze(BUREAU, Scope.EVERYTHING, "", "查")
    (mark,) = gateway.supervision(RIVAL, "rivals", THIS).freezes
    assert (mark.about, everything.target) == ("everything", "")


def test_an_operator_reads_its_own_and_reading_is_on_record(gateway: Gateway) -> None:
    before = gateway.store.audit.size()
    gateway.supervision(PERSON, "shopkeepers", THIS)
    entry = gateway.store.audit.entry(before)
    assert entry is not None and (entry.kind, entry.person) == ("read", "ann")
    with pytest.raises(Refusal) as caught:
        gateway.supervision(RIVAL, "shopkeepers", THIS)
    assert caught.value.code is Code.NOT_FOUND
    assert gateway.store.audit.size() == before + 1


@pytest.mark.parametrize("wrong", ["", "2026-13", "2026", "9999-12", "0001-01", "1969-12", "２０２６-01 "])
def test_what_is_no_month_is_refused(wrong: str) -> None:
    with pytest.raises(Refusal) as caught:
        month(wrong)
    assert caught.value.code is Code.REQUEST


def test_a_month_is_counted_in_chinese_time() -> None:
    found = month("2026-03")
    assert found.since == dt.datetime(2026, 2, 28, 16, tzinfo=dt.UTC)
    assert found.until == dt.datetime(2026, 3, 31, 16, tzinfo=dt.UTC)
    assert month("2026-12").until == dt.datetime(2026, 12, 31, 16, tzinfo=dt.UTC)


def test_paper_shows_text_as_it_is(gateway: Gateway) -> None:
    report = gateway.supervision(BUREAU, "shopkeepers", THIS)
    hostile = replace(report, operator="<b>&</b><para>")
    for lang in ("zh", "en"):
        paper = as_pdf(hostile, lang)
        assert io.BytesIO(paper).read(5) == b"%PDF-" and paper == as_pdf(hostile, lang)
        assert all(s.rows or s.empty for s in sections(hostile, lang))


def test_a_drill_says_what_would_stop_and_leaves_everything_running(gateway: Gateway, home: Home) -> None:
    before = gateway.freezes(BUREAU)
    found = gateway.drill(BUREAU, Scope.DATASET, "shop", "十一月演练")
    assert found.grants == ("G-DP", "G-EXACT", "G-NARROW") and found.running == 0
    assert gateway.drill(BUREAU, Scope.GRANT, "G-DP", "x").grants == ("G-DP",)
    assert gateway.drill(BUREAU, Scope.OPERATOR, "shopkeepers", "x").grants == found.grants
    assert gateway.drill(BUREAU, Scope.EVERYTHING, "", "x").grants == found.grants
    assert gateway.freezes(BUREAU) == before == ()
    answered(gateway.query(request("G-DP", COUNTED)))
    beside = open_gateway(home)
    try:
        answered(beside.query(request("G-EXACT", COUNTED)))
    finally:
        beside.close()
    entry = next(e for e in gateway.logbook.of_dataset(BUREAU, "shop", 5).entries)
    assert entry.decision == "answered"


def test_a_drill_and_a_freeze_are_on_record_whole(gateway: Gateway) -> None:
    gateway.drill(BUREAU, Scope.GRANT, "G-DP", "演练")
    drilled = gateway.store.audit.entry(gateway.store.audit.size() - 1)
    assert drilled is not None and (drilled.kind, drilled.decision, drilled.grant) == (
        "freeze",
        "drill",
        "G-DP",
    )
    assert json.loads(drilled.payload) == {
        "freeze": 0, "grants": ["G-DP"], "reason": "演练", "running": 0, "scope": "grant", "target": "G-DP",
    }  # fmt: skip
    gateway.freeze(BUREAU, Scope.DATASET, "shop", "停")
    frozen = gateway.store.audit.entry(gateway.store.audit.size() - 1)
    assert frozen is not None and (frozen.decision, frozen.datasets) == ("frozen", ("shop",))


@pytest.mark.parametrize(
    ("scope", "target"), [(Scope.GRANT, "G-DPP"), (Scope.DATASET, ""), (Scope.OPERATOR, "nobody")]
)
def test_what_there_is_not_is_not_frozen_by_mistake(gateway: Gateway, scope: Scope, target: str) -> None:
    for act in (gateway.freeze, gateway.drill):
        with pytest.raises(Refusal) as caught:
            act(BUREAU, scope, target, "typo")
        assert caught.value.code is Code.NOT_FOUND
    for act in (gateway.freeze, gateway.drill):
        with pytest.raises(Refusal) as caught:
            act(OPERATOR, Scope.GRANT, "G-DP", "x")
        assert caught.value.code is Code.ROLE


def test_with_broken_documents_anything_may_be_frozen(gateway: Gateway, home: Home) -> None:
    (home.policies / "broken.yaml").write_text(GRANT + "more: 1\n", encoding="utf-8")
    assert gateway.freeze(BUREAU, Scope.GRANT, "G-DP", "停").target == "G-DP"
    (home.policies / "broken.yaml").unlink()
    assert codes(gateway.query(request("G-DP", COUNTED))) == ["FROZEN"]
