"""A raised total is a decision of its own: without effect until the bureau approves it, and on record."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from typer.testing import CliRunner

from sandbox.doors.cli import app
from sandbox.doors.http import create_app
from sandbox.errors import Code, Refusal
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Balance, Person
from sandbox.stages.balances import totals
from sandbox.store.audit import Event
from sandbox.store.ledger import Charge
from sandbox.store.search import LogFilter
from tests.unit.doors.conftest import Client
from tests.unit.stages.conftest import NOW, PERSON, answered, codes, grant, request

BUREAU = Person("bureau", "bureau", "bureau")
ACCOUNT = "G-DP/person@shop"


def write_total(home: Home, total: str, delta: str = "1.0e-6") -> None:
    guard = f"{{mode: dp, epsilon: {{query: 1, total: {total}}}, delta: {delta}, groups: 4, units: 5}}"
    (home.policies / "dp.yaml").write_text(grant("G-DP", guard), encoding="utf-8")


def ask(gateway: Gateway, number: int) -> list[str]:
    """The codes of the refusal of a new question at epsilon 1; none if it was answered."""
    sql = f"SELECT city, COUNT(*) AS n FROM visit WHERE fee > {number} GROUP BY city"
    found = gateway.query(request("G-DP", sql, epsilon=Fraction(1)))
    return codes(found) if not hasattr(found, "table") else []


def spend_all(gateway: Gateway, first: int) -> int:
    """Ask until the budget refuses; the next number."""
    for number in range(first, first + 40):
        if ask(gateway, number):
            return number + 1
    raise AssertionError("the budget has no end")


def own(gateway: Gateway) -> Balance:
    return next(b for b in gateway.budget(PERSON) if b.account == ACCOUNT)


def approvals(gateway: Gateway) -> list[dict[str, object]]:
    entries = gateway.log(BUREAU, LogFilter(kind=Event.APPROVAL)).entries
    return [json.loads(entry.payload) for entry in reversed(entries)]


def test_every_account_that_a_question_opens_is_known_beforehand(gateway: Gateway) -> None:
    """What a recovery writes off is made from the documents alone: it must name every account."""
    assert ask(gateway, 0) == []
    opened = {held.account: held for held in gateway.store.ledger.balances()}
    known = {total.account: total for total in totals(gateway.documents())}
    assert opened
    for name, held in opened.items():
        total = known[name]
        assert (total.measure, total.limit, total.delta_limit) == (held.measure, held.limit, held.delta_limit)


def test_a_raised_total_waits_for_the_bureau(home: Home, gateway: Gateway) -> None:
    write_total(home, "1.5")
    following = spend_all(gateway, 0)
    held = own(gateway)
    assert (held.awaiting, held.epsilon_limit) == (None, 1.5)

    write_total(home, "4")
    assert ask(gateway, following) == ["BUDGET_APPROVAL"]
    waiting = own(gateway)
    assert waiting.awaiting == 4.0
    assert (waiting.limit, waiting.spent) == (held.limit, held.spent)
    assert waiting.epsilon_limit == pytest.approx(1.5, rel=1e-3)

    approved = gateway.approve(BUREAU, ACCOUNT)
    assert (approved.awaiting, approved.epsilon_limit) == (None, 4.0)
    assert approved.limit > held.limit
    assert approvals(gateway) == [
        {
            "account": ACCOUNT,
            "measure": "zcdp",
            "from": held.limit,
            "to": approved.limit,
            "delta_to": "500000000000",  # atto, half of 1e-6: the other half turns rho into epsilon
        }
    ]
    assert ask(gateway, following) == []


def test_a_lowered_total_applies_at_once_and_its_way_back_is_a_raise(home: Home, gateway: Gateway) -> None:
    write_total(home, "4")
    assert ask(gateway, 0) == []
    high = own(gateway).limit
    write_total(home, "1")
    assert ask(gateway, 1) == ["BUDGET"]
    low = own(gateway).limit
    assert low < high
    write_total(home, "4")
    assert ask(gateway, 1) == ["BUDGET_APPROVAL"]
    assert gateway.approve(BUREAU, ACCOUNT).limit == high
    assert ask(gateway, 1) == []


def test_a_raised_delta_is_a_raise(home: Home, gateway: Gateway) -> None:
    write_total(home, "1", "1.0e-7")
    assert ask(gateway, 0) == []
    before = own(gateway)
    write_total(home, "1", "1.0e-6")
    waiting = own(gateway)
    assert (waiting.awaiting, waiting.limit) == (1.0, before.limit)
    assert waiting.delta == pytest.approx(1e-7)
    approved = gateway.approve(BUREAU, ACCOUNT)
    assert approved.limit > before.limit
    assert (approved.awaiting, approved.delta) == (None, 1e-6)


def test_what_approval_would_not_help_says_so(home: Home, gateway: Gateway) -> None:
    write_total(home, "1")
    following = spend_all(gateway, 0)
    write_total(home, "1.01")
    assert ask(gateway, following) == ["BUDGET"]


def test_only_the_bureau_approves_and_only_what_was_raised(home: Home, gateway: Gateway) -> None:
    assert ask(gateway, 0) == []
    for person, account, code in (
        (PERSON, ACCOUNT, Code.ROLE),
        (Person("o", "owner", "somebody"), ACCOUNT, Code.ROLE),
        (BUREAU, ACCOUNT, Code.NOT_FOUND),  # nothing was raised
        (BUREAU, "G-DP/other@shop", Code.NOT_FOUND),
        (BUREAU, "nobody/person", Code.NOT_FOUND),
    ):
        with pytest.raises(Refusal) as caught:
            gateway.approve(person, account)
        assert caught.value.code is code
    assert approvals(gateway) == []


def test_the_bureau_approves_over_http(home: Home, gateway: Gateway) -> None:
    write_total(home, "1")
    spend_all(gateway, 0)
    write_total(home, "2")
    client = Client(create_app(gateway, gateway.accounts, lambda: NOW))
    path, body = "/v1/budget/approvals", {"account": ACCOUNT}
    client.headers["authorization"] = f"Bearer {gateway.accounts.issue(PERSON, 'test', NOW)}"
    assert client.post(path, json=body).status_code == 403
    client.headers["authorization"] = f"Bearer {gateway.accounts.issue(BUREAU, 'test', NOW)}"
    assert client.post(path, json=body).json()["epsilon_limit"] == 2.0
    assert len(approvals(gateway)) == 1
    for wrong in ({}, {"account": 5}, {"account": ACCOUNT, "limit": 9}):
        assert client.post(path, json=wrong).status_code == 400
    assert client.post(path, json=body).status_code == 404


def test_the_bureau_approves_at_the_command_line(home: Home, gateway: Gateway) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, "--home", str(home.path)])
        return done.exit_code, done.output

    for person in (BUREAU, PERSON):
        gateway.accounts.issue(person, "test", NOW)
    write_total(home, "1")
    following = spend_all(gateway, 0)
    write_total(home, "2")
    assert "awaits approval" in run("budget")[1]
    assert run("budget", "approve", ACCOUNT, "--as", PERSON.name)[0] == 18
    code, told = run("budget", "approve", ACCOUNT)
    assert code == 0 and "approved" in told
    assert "awaits approval" not in run("budget")[1]
    assert json.loads(run("budget", "--json")[1])["balances"][0]["awaiting"] is None
    assert ask(gateway, following) == []


def test_an_unfinished_reservation_is_shown_as_such(home: Home, gateway: Gateway) -> None:
    answered(gateway.query(request("G-DP", "SELECT COUNT(*) AS n FROM visit", epsilon=Fraction(1))))
    assert own(gateway).unfinished == 0
    ledger = gateway.store.ledger
    (kept,) = [c for c in _charges(gateway) if c.account == ACCOUNT]
    ledger.reserve("crashed", (kept,), NOW)
    assert own(gateway).unfinished == kept.amount
    gateway.accounts.issue(BUREAU, "test", NOW)
    told = CliRunner().invoke(app, ["budget", "--home", str(home.path)]).output
    assert "without an end on record" in told


def _charges(gateway: Gateway) -> tuple[Charge, ...]:
    found = gateway.store.ledger.reservation(f"{PERSON.name}/{_last(gateway)}")
    assert found is not None
    return found.charges


def _last(gateway: Gateway) -> str:
    return gateway.log(BUREAU, LogFilter(kind=Event.INTENT)).entries[0].request
