"""What the console asks of the gateway beside the doors' verbs, and from whom it is kept."""

from __future__ import annotations

import pytest

from sandbox.errors import Code, Refusal
from sandbox.gateway import Gateway
from sandbox.model import Person
from sandbox.store.freezes import Scope
from tests.unit.stages.conftest import COUNTED, PERSON, answered, request

BUREAU = Person("wang", "bureau", "bureau")
OWNER = Person("zhao", "owner", "测试")
STRANGER = Person("eve", "owner", "elsewhere")
RIVAL = Person("bob", "operator", "rivals")


def test_the_course_of_an_account_is_told_to_those_who_see_its_balance(gateway: Gateway) -> None:
    answered(gateway.query(request("G-DP", COUNTED)))
    for person in (PERSON, BUREAU):
        for balance in gateway.budget(person):
            assert sum(amount for _, amount in gateway.course(person, balance.account)) == balance.spent > 0
    mine = gateway.budget(PERSON)[0].account
    for person, account in ((RIVAL, mine), (BUREAU, "none/such")):
        with pytest.raises(Refusal) as found:
            gateway.course(person, account)
        assert found.value.code is Code.NOT_FOUND


def test_an_owner_reads_what_was_asked_of_its_data_and_nobody_elses(gateway: Gateway) -> None:
    answered(gateway.query(request("G-DP", COUNTED)))
    gateway.query(request("G-DP", "SELECT fee, COUNT(*) AS n FROM visit GROUP BY fee"))
    for person in (OWNER, BUREAU):
        assert [e.decision for e in gateway.asked_of(person, "shop").entries] == ["refused", "answered"]
    for person, dataset in ((STRANGER, "shop"), (PERSON, "shop"), (OWNER, "none")):
        with pytest.raises(Refusal) as found:
            gateway.asked_of(person, dataset)
        assert found.value.code is Code.NOT_FOUND


def test_freezes_are_listed_for_the_bureau(gateway: Gateway) -> None:
    made = gateway.freeze(BUREAU, Scope.GRANT, "G-DP", "drill")
    assert gateway.freezes(BUREAU) == (made,)
    with pytest.raises(Refusal) as found:
        gateway.freezes(OWNER)
    assert found.value.code is Code.ROLE
