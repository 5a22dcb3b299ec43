"""One organisation tries for what is another's, by its number or name, at every door of the real gateway.

What is another's must look exactly like what is not there, or numbers could be counted.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sandbox.casework.month import ZONE
from sandbox.console.app import PAGES
from sandbox.doors.http import create_app
from sandbox.doors.http_schema import ROUTES
from sandbox.gateway import Gateway
from sandbox.model import Person
from sandbox.policy.workflow.states import Kind, Verb
from sandbox.store.accounts import Accounts
from tests.support.console import HOSTILE, Browser, Marks
from tests.unit.doors.conftest import Client

MAKER = Person("ann", "operator", "shopkeepers")
OWNER = Person("owen", "owner", "测试")
BUREAU = Person("bea", "bureau", "bureau")
THIEVES = (
    Person("dan", "operator", "rivals"),
    Person("eve", "analyst", "rivals"),
    Person("fay", "owner", "另一单位"),
)
SECRET = "目的甲"
GRANT = """
kind: grant
id: G-NEW
to: shopkeepers
scenario: {id: S-1, zh: 测试, en: Test}
purpose: %s
period: {from: 2025-01-01, until: 2030-12-31}
data:
  shop.visit: [person_id, city, kind, fee]
guard: {mode: dp, epsilon: {query: 1, total: 4}, delta: 1.0e-6, groups: 4, units: 5}
release: auto
"""
PRODUCT = """
kind: product
id: P-1
grant: G-NEW
title: {zh: %s, en: %s}
form: table
query: {sql: "SELECT city, COUNT(*) AS n FROM visit WHERE kind = :kind GROUP BY city", parameters: {kind: integer}}
schedule: monthly
to: [bank]
fee: {basis: cost-plus, price: 0.10, per: delivery, unit: CNY}
"""
SQL = "SELECT city, COUNT(*) AS n FROM visit GROUP BY city"
NOWHERE = {"case": "9999", "seq": "99999", "answer": "0" * 32, "product": "P-9", "grant": "G-9"}


@dataclass(frozen=True, slots=True)
class House:
    """The application over the real gateway, and what belongs to ``MAKER`` in it."""

    client: Client
    accounts: Accounts
    belongings: dict[str, str]

    def browser(self, person: Person) -> Browser:
        return Browser(self.client, self.accounts, person, dt.datetime.now(dt.UTC))

    def call(self, person: Person, method: str, path: str, **rest: Any) -> httpx.Response:
        token = self.accounts.issue(person, "test", dt.datetime.now(dt.UTC))
        return self.client.request(method, path, headers={"authorization": f"Bearer {token}"}, **rest)


def furnished(gateway: Gateway, text: str = SECRET) -> House:
    """A grant and a product in force, a question asked, all of it with ``text`` in its free fields."""
    desk, quoted = gateway.casework, json.dumps(text, ensure_ascii=False)
    case = desk.open(MAKER, Kind.GRANT, GRANT % quoted, text)
    desk.act(MAKER, case.id, Verb.SUBMIT, note=text)
    desk.act(OWNER, case.id, Verb.ADVISE, hash=case.hash, note=text)
    desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash, note=text)
    product = desk.open(MAKER, Kind.PRODUCT, PRODUCT % (quoted, quoted))
    desk.act(MAKER, product.id, Verb.SUBMIT)
    desk.act(BUREAU, product.id, Verb.APPROVE, hash=product.hash)
    client, accounts = Client(create_app(gateway, Accounts(gateway.database))), Accounts(gateway.database)
    house = House(client, accounts, {})
    asked = house.browser(MAKER).post("/ask", {"grant": "G-NEW", "sql": f"{SQL} -- {text}", "epsilon": ""})
    assert asked.status_code == 303, Marks(asked.text).text
    answer = asked.headers["location"].rpartition("/")[2]
    seq = str(desk.steps(MAKER, case.id)[0].seq)
    house.belongings.update(case=str(case.id), seq=seq, answer=answer, product="P-1", grant="G-NEW")
    return house


@pytest.fixture
def house(gateway: Gateway) -> House:
    return furnished(gateway)


CONSOLE: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/answers/{answer}", {}),
    ("GET", "/answers/{answer}/table.csv", {}),
    ("GET", "/answers/{answer}/receipt.json", {}),
    ("GET", "/catalogue/{grant}", {}),
    ("GET", "/cases/{case}", {}),
    ("POST", "/cases/{case}", {"verb": "withdraw", "note": "x"}),
    ("GET", "/log/{seq}", {}),
    ("GET", "/log/compare?old={seq}&new={seq}", {}),
    ("POST", "/ask", {"grant": "{grant}", "sql": SQL, "epsilon": ""}),
    ("POST", "/ask/price", {"grant": "{grant}", "sql": SQL, "epsilon": ""}),
)
API: tuple[tuple[str, str, dict[str, str] | None], ...] = (
    ("GET", "/v1/cases/{case}", None),
    ("POST", "/v1/cases/{case}/steps", {"verb": "withdraw", "note": "x"}),
    ("GET", "/v1/products/{product}?kind=1", None),
    ("GET", "/v1/log/{seq}", None),
    ("GET", "/v1/log/{seq}/receipt", None),
    ("POST", "/v1/queries", {"grant": "{grant}", "sql": SQL}),
    ("POST", "/v1/explain", {"grant": "{grant}", "sql": SQL}),
)


def filled(text: str, named: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: named[found[1]], text)


def told(found: httpx.Response) -> tuple[int, str]:
    """A response without what names the request: its numbers, names, addresses, times, receipt."""
    plain = re.sub(r"[0-9a-f]{16,}|[GP]-\w+|\d+", "#", found.text)
    return found.status_code, plain.partition(', "proof": {')[0]


@pytest.mark.parametrize("thief", THIEVES, ids=lambda p: p.name)
def test_anothers_looks_like_what_is_not_there(house: House, thief: Person) -> None:
    browser = house.browser(thief)
    for method, path, fields in CONSOLE:
        theirs, none = (
            browser.get(filled(path, named))
            if method == "GET"
            else browser.post(filled(path, named), {k: filled(v, named) for k, v in fields.items()})
            for named in (house.belongings, NOWHERE)
        )
        assert theirs.status_code in (403, 404), (path, theirs.status_code)
        assert SECRET not in theirs.text and told(theirs) == told(none), path
    for method, path, body in API:
        theirs, none = (
            house.call(
                thief,
                method,
                filled(path, named),
                **({} if body is None else {"json": {k: filled(v, named) for k, v in body.items()}}),
            )
            for named in (house.belongings, NOWHERE)
        )
        assert theirs.status_code in (403, 404), (path, theirs.text)
        assert SECRET not in theirs.text and told(theirs) == told(none), path


@pytest.mark.parametrize("thief", THIEVES, ids=lambda p: p.name)
def test_lists_show_nothing_of_anothers(house: House, thief: Person) -> None:
    house.call(Person("carl", "operator", "bank"), "GET", "/v1/products/P-1?kind=1")
    month = f"{dt.datetime.now(ZONE):%Y-%m}"
    words = (SECRET, "G-NEW", "P-1", "shopkeepers", "FROM visit")
    paths = [
        path
        for path, route in ROUTES.items()
        if route.method == "GET" and "{" not in path and path not in ("/v1/register", "/healthz", "/readyz")
    ]
    for path in (
        *paths,
        f"/v1/statements?month={month}",
        f"/v1/supervision?month={month}&operator=shopkeepers",
    ):
        found = house.call(thief, "GET", path)
        # a refusal may quote the name that was asked for
        asked = words[:3] if "operator=" in path else words
        assert not [word for word in asked if word in found.text], (path, found.text)
    browser = house.browser(thief)
    for page in (p for p in PAGES if p.method == "GET" and p.action is not None and "{" not in p.path):
        found = browser.get(page.path)
        assert not [word for word in words if word in found.text], page.path


def test_a_colleagues_answer_is_their_own(house: House) -> None:
    """Answers wait at the console for who asked; a colleague asks again, free, or reads the log."""
    colleague = house.browser(Person("abe", "analyst", MAKER.organisation))
    assert colleague.get(f"/answers/{house.belongings['answer']}").status_code == 404
    assert house.browser(MAKER).get(f"/answers/{house.belongings['answer']}").status_code == 200


def test_a_view_is_its_makers(house: House) -> None:
    body = {"name": "mine", "filters": {"grant": "G-NEW"}}
    assert house.call(MAKER, "POST", "/v1/log/views/save", json=body).status_code == 200
    for thief in THIEVES:
        assert house.call(thief, "GET", "/v1/log?view=mine").status_code == 404
        shared = house.call(thief, "POST", "/v1/log/views/save", json={**body, "shared": True})
        assert shared.json()["code"] == "DS-802"
    assert house.call(MAKER, "GET", "/v1/log?view=mine").status_code == 200


def test_no_free_text_runs_for_anybody(gateway: Gateway) -> None:
    """Purposes, titles, notes and SQL of one, on every page that another opens."""
    text = " ".join(t for t in HOSTILE if t.isprintable())
    house, shown = furnished(gateway, text), 0
    for person in (MAKER, OWNER, BUREAU):
        browser = house.browser(person)
        for page in (p for p in PAGES if p.method == "GET" and p.action is not None):
            for id in (house.belongings["case"], "G-NEW", house.belongings["answer"]):
                path = page.path.replace("{id}", id).replace("{seq}", house.belongings["seq"])
                found = browser.get(path)
                if found.headers.get("content-type", "").startswith("text/html"):
                    assert Marks(found.text).wrong() == [], path
                    shown += text in Marks(found.text).text
                if "{id}" not in page.path:
                    break
    assert shown >= 4  # it was there to run
