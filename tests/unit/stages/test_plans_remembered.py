"""A plan is remembered for its own text, grant, documents and snapshots; what hangs on the moment is not in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction

import pytest

from sandbox.context import Context
from sandbox.errors import Refusal
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Person, Request, Within
from sandbox.policy.documents import DpGuard
from sandbox.stages import Clock, prepare
from sandbox.store.freezes import Scope
from tests.unit.stages.conftest import (
    COUNTED,
    DP,
    EXACT,
    PERSON,
    answered,
    codes,
    context_of,
    explained,
    grant,
    publish,
    request,
    stages,
)

READ = ["parse", "resolve", "simplify", "opinion", "authorize"]
BUREAU = [Person(name, "bureau", "bureau") for name in ("one", "two")]
HALF = Fraction(1, 2)


def test_a_text_is_read_and_planned_once(gateway: Gateway) -> None:
    first = answered(gateway.query(request("G-EXACT", COUNTED)))
    again = answered(gateway.query(request("G-EXACT", COUNTED)))
    assert stages(first) == ["recall", *READ, "plan", "reserve", "release"]
    assert stages(again) == ["recall", "reserve", "release"]
    assert again.table.equals(first.table) and first.table.column(1).to_pylist() == [40, 40, 40]
    assert (again.columns, again.derivation) == (first.columns, first.derivation)
    assert again.receipt == first.receipt + 2  # an intent and an outcome of its own


def test_another_epsilon_is_planned_afresh_and_read_from_memory(gateway: Gateway) -> None:
    answered(gateway.query(request("G-DP", COUNTED, epsilon=HALF)))
    other = answered(gateway.query(request("G-DP", COUNTED, epsilon=Fraction(1, 4))))
    assert "plan" in stages(other) and not set(READ) & set(stages(other))
    assert other.price is not None and other.price.epsilon == Fraction(1, 4)


def test_an_explanation_is_remembered_for_the_query_and_spends_nothing(gateway: Gateway) -> None:
    told = explained(gateway.explain(request("G-DP", COUNTED)))
    found = answered(gateway.query(request("G-DP", COUNTED)))
    assert not {*READ, "plan"} & set(stages(found))
    assert (told.price, told.derivation) == (found.price, found.derivation)
    assert found.price is not None and not found.price.free


def test_a_refused_text_is_refused_again(gateway: Gateway) -> None:
    for _ in range(2):
        assert codes(gateway.query(request("G-EXACT", "SELECT fee FROM visit"))) != []
    for _ in range(2):
        assert codes(gateway.query(request("G-EXACT", COUNTED, epsilon=HALF))) == ["EPSILON"]
    for _ in range(2):
        assert codes(gateway.query(request("G-DP", COUNTED, epsilon=Fraction(2)))) == ["EPSILON"]


# Never across grants, snapshots and policy edits.


def test_a_plan_stays_with_its_grant(gateway: Gateway) -> None:
    sql = "SELECT kind, COUNT(*) AS n FROM visit GROUP BY kind"
    assert answered(gateway.query(request("G-EXACT", sql))).mode == "exact"
    assert codes(gateway.query(request("G-NARROW", sql))) == ["UNKNOWN_COLUMN"]
    assert answered(gateway.query(request("G-DP", sql))).mode == "dp"
    assert codes(gateway.query(request("G-NARROW", sql))) == ["UNKNOWN_COLUMN"]


def test_a_plan_stays_with_its_snapshot(home: Home, gateway: Gateway) -> None:
    before = answered(gateway.query(request("G-EXACT", COUNTED)))
    publish(home, 90)
    after = answered(gateway.query(request("G-EXACT", COUNTED)))
    assert set(READ) <= set(stages(after))
    assert before.snapshot != after.snapshot
    assert after.table.column(1).to_pylist() == [60, 60, 60]


def test_a_plan_does_not_outlive_a_column(home: Home, gateway: Gateway) -> None:
    answered(gateway.query(request("G-EXACT", COUNTED)))
    (home.policies / "exact.yaml").write_text(grant("G-EXACT", EXACT, "person_id, kind, fee"), "utf-8")
    assert codes(gateway.query(request("G-EXACT", COUNTED))) == ["UNKNOWN_COLUMN"]


def test_a_plan_does_not_outlive_its_guard(home: Home, gateway: Gateway) -> None:
    answered(gateway.query(request("G-DP", COUNTED, epsilon=HALF)))
    (home.policies / "dp.yaml").write_text(grant("G-DP", DP.replace("query: 1", "query: 0.25")), "utf-8")
    assert codes(gateway.query(request("G-DP", COUNTED, epsilon=HALF))) == ["EPSILON"]
    (home.policies / "dp.yaml").write_text(grant("G-DP", EXACT), "utf-8")
    assert answered(gateway.query(request("G-DP", COUNTED))).mode == "exact"


def test_a_plan_does_not_outlive_the_dataset_document(home: Home, gateway: Gateway) -> None:
    file = home.policies / "dataset.yaml"
    sql = "SELECT SUM(fee) AS s FROM visit"
    wide = answered(gateway.query(request("G-DP", sql, epsilon=HALF)))
    file.write_text(file.read_text("utf-8").replace("clip: [0, 100]", "clip: [0, 50]"), "utf-8")
    clipped = answered(gateway.query(request("G-DP", sql, epsilon=HALF)))
    assert set(READ) <= set(stages(clipped)) and clipped.derivation != wide.derivation


CHANGES: tuple[Callable[[Context], Context], ...] = (
    lambda c: replace(c, grant=replace(c.grant, hash="0" * 64)),
    lambda c: replace(c, guard=DpGuard(Fraction(1), Fraction(4), Fraction(1, 10**6), 4, 6)),
    lambda c: replace(c, catalogue=replace(c.catalogue, version="0" * 64, index={})),
    lambda c: replace(c, snapshot="shop@other"),
)


def test_even_in_one_memory_plans_are_kept_apart(gateway: Gateway) -> None:
    here = context_of(gateway, "G-DP")
    asked = request("G-DP", COUNTED)
    mine = prepare(asked, here, Clock())
    for change in CHANGES:
        there = change(here)
        assert there.plans is here.plans and there != here
        clock = Clock()
        assert prepare(asked, there, clock) is not mine
        assert {*READ, "plan"} <= {name for name, _ in clock.timings}
        assert prepare(asked, here, Clock()) is mine


def test_the_twin_is_told_of_documents_and_snapshots(gateway: Gateway) -> None:
    """Under one key the twin builds its tables once; a new snapshot may store other kinds."""
    keys: list[str] = []

    class Spy:
        def describe(self, key: str, *rest: object) -> None:
            keys.append(key)

    for snapshot in ("shop@1", "shop@2"):
        here = replace(context_of(gateway, "G-EXACT"), twin=Spy(), snapshot=snapshot)  # type: ignore[arg-type]  # a spy
        with pytest.raises(Refusal):
            prepare(request("G-EXACT", COUNTED), here, Clock())
    assert len(set(keys)) == 2


# What hangs on the moment is looked at each time.


def test_the_period_is_checked_each_time(gateway: Gateway) -> None:
    answered(gateway.query(request("G-EXACT", COUNTED)))
    for year in (2024, 2031):
        late = request("G-EXACT", COUNTED, time=dt.datetime(year, 6, 1, tzinfo=dt.UTC))
        assert codes(gateway.query(late)) == ["GRANT_PERIOD"]
        assert codes(gateway.explain(late)) == ["GRANT_PERIOD"]


def test_a_freeze_stops_a_remembered_query_at_once(gateway: Gateway) -> None:
    answered(gateway.query(request("G-EXACT", COUNTED)))
    scopes = {
        Scope.EVERYTHING: "",
        Scope.DATASET: "shop",
        Scope.GRANT: "G-EXACT",
        Scope.OPERATOR: PERSON.organisation,
    }
    for scope, target in scopes.items():
        frozen = gateway.freeze(BUREAU[0], scope, target, "test")
        assert codes(gateway.query(request("G-EXACT", COUNTED))) == ["FROZEN"]
        for person in BUREAU:
            gateway.lift(person, frozen.id)
        answered(gateway.query(request("G-EXACT", COUNTED)))
    gateway.freeze(BUREAU[0], Scope.GRANT, "G-NARROW", "another's")
    answered(gateway.query(request("G-EXACT", COUNTED)))


def test_a_quota_counts_remembered_queries(home: Home, gateway: Gateway) -> None:
    (home.policies / "exact.yaml").write_text(
        grant("G-EXACT", "{mode: exact, queries: {day: 2, total: 3}}"), "utf-8"
    )
    found = [gateway.query(request("G-EXACT", COUNTED)) for _ in range(3)]
    assert [stages(answered(a)) for a in found[:2]][1] == ["recall", "reserve", "release"]
    assert codes(found[2]) == ["QUOTA"]
    tomorrow = request("G-EXACT", COUNTED, time=dt.datetime(2026, 3, 2, tzinfo=dt.UTC))
    answered(gateway.query(tomorrow))
    assert codes(gateway.query(replace(tomorrow, id="again"))) == ["QUOTA"]


def test_a_budget_is_looked_at_each_time(gateway: Gateway) -> None:
    """The plan was remembered while there was room; by the time of the query others have spent it."""
    guard = context_of(gateway, "G-DP").guard
    assert isinstance(guard, DpGuard)
    last = "SELECT COUNT(*) AS n FROM visit WHERE kind = 1"
    explained(gateway.explain(request("G-DP", last)))
    for number in range(200):
        found = gateway.query(request("G-DP", f"SELECT COUNT(*) AS n FROM visit WHERE fee < {number}"))
        if not hasattr(found, "table"):
            assert codes(found) == ["BUDGET"]
            break
    else:
        pytest.fail("the budget never ended")
    assert codes(gateway.query(request("G-DP", last))) == ["BUDGET"]


def test_every_part_of_a_request_is_in_the_key_or_no_part_of_a_plan() -> None:
    """A new field must be thought of in ``prepare``: does a plan follow from it?"""
    keyed, turned_into_epsilon = {"sql", "epsilon"}, {"within"}
    beside = {"id", "person", "grant", "time"}  # the grant is in the key by its hash
    assert {f.name for f in fields(Request)} == keyed | turned_into_epsilon | beside


def test_an_accuracy_is_turned_into_its_epsilon_each_time(gateway: Gateway) -> None:
    """The smallest epsilon depends on what is kept already; the plan at that epsilon does not."""
    wide = replace(request("G-DP", COUNTED), within=Within(Fraction(1000), relative=False))
    fine = replace(request("G-DP", COUNTED), within=Within(Fraction(100), relative=False))
    first, second = explained(gateway.explain(wide)), explained(gateway.explain(fine))
    assert first.price is not None and second.price is not None
    assert first.price.epsilon < second.price.epsilon
    assert explained(gateway.explain(replace(wide, id="again"))).price == first.price
