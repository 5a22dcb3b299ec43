"""Accounts at the console: passwords and second factors, tokens, and what the bureau does to others'."""

from __future__ import annotations

import datetime as dt
import re
from base64 import b32decode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from sandbox.console.visit import form_token
from sandbox.doors.http import create_app
from sandbox.model import Person
from sandbox.policy.scopes import Scope
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.passwords import STEP
from tests.support.console import HOSTILE, Browser, Marks
from tests.unit.doors.conftest import Client

NOW = dt.datetime(2026, 3, 4, 22, 0, 0, tzinfo=dt.UTC)
ANN, BOSS = Person("ann", "analyst", "operator-a"), Person("wang", "bureau", "bureau")
WORDS = "correct horse battery"
Opened = Callable[[Person], Browser]


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


@pytest.fixture
def browse(accounts: Accounts, client: Any) -> Opened:
    client.headers.clear()
    return lambda person: Browser(client, accounts, person, NOW)


def secret(browser: Browser) -> bytes:
    """The second factor's secret that the page shows."""
    page = browser.get("/account").text
    assert '<svg width="' in page and 'class="qr"' in page
    found = re.search(r'<code class="id">([A-Z2-7]{32})</code>', page)
    assert found is not None
    return b32decode(found[1])


def code(factor: bytes, steps: int = 0) -> str:
    return TOTP(factor, 6, SHA1(), STEP).generate(int(NOW.timestamp()) + steps * STEP).decode()


def shown(text: str) -> list[str]:
    """What a page shows once."""
    found = re.search(r'<pre class="once">(.*?)</pre>', text, re.DOTALL)
    assert found is not None, text
    return found[1].split()


def enrolled(browser: Browser) -> tuple[bytes, list[str]]:
    factor = secret(browser)
    found = browser.post("/account/enrol", {"new": WORDS, "again": WORDS, "code": code(factor)})
    assert found.status_code == 200 and found.headers["cache-control"] == "no-store"
    assert 'ds_session=""' in found.headers["set-cookie"]
    return factor, shown(found.text)


def signs_in(client: Any, **fields: str) -> Any:
    """Sign in at the door, with a form."""
    cookie = {"cookie": "ds_nonce=n", "accept-language": "en"}
    return client.post("/console/login", data={"csrf": form_token("n"), "next": "", **fields}, headers=cookie)


def test_from_a_token_to_a_password(browse: Opened, client: Any, accounts: Accounts) -> None:
    browser = browse(ANN)
    factor, codes = enrolled(browser)
    assert len(codes) == 10
    assert browser.get("/account").status_code == 303  # every session ended, and the token that began it
    assert all(token.revoked for token in accounts.tokens("ann"))
    entered = signs_in(client, name="ann", password=WORDS, code=code(factor, 1))
    assert entered.status_code == 303 and entered.headers["location"] == "/console/"
    browser.session = entered.cookies["ds_session"]
    page = browser.get("/account")
    assert (
        page.status_code == 200
        and "qr" not in page.text
        and "recovery codes left: 10" in Marks(page.text).text
    )
    again = signs_in(client, name="ann", password=WORDS, code=code(factor, 1))
    assert again.status_code == 401 and "Name, password or code are not right" in again.text
    assert signs_in(client, name="ann", password=WORDS, code=codes[0]).status_code == 303
    assert signs_in(client, name="bo", password=WORDS, code=codes[1]).status_code == 401
    assert signs_in(client, name="ann", password="", code="").status_code == 401


def test_a_token_of_who_has_a_password_opens_no_session(
    browse: Opened, client: Any, accounts: Accounts
) -> None:
    enrolled(browse(ANN))
    token = accounts.issue(ANN, "robot", NOW)
    refused = signs_in(client, token=token)
    assert refused.status_code == 403 and "sign in with your password" in refused.text
    bearer = {"authorization": f"Bearer {token}", "accept-language": "en"}
    assert client.get("/v1/catalog", headers=bearer).status_code == 200
    for path in (
        "/account/tokens",
        "/account/revoke",
        "/account/password",
        "/account/codes",
        "/account/enrol",
    ):
        found = client.post("/console" + path, data={"csrf": form_token(token)}, headers=bearer)
        assert found.status_code == 403 and "sign in to the console" in found.text, path
    assert client.get("/console/account", headers=bearer).status_code == 403


def test_a_narrow_token_opens_what_it_names(client: Any, accounts: Accounts) -> None:
    client.headers.clear()
    token = accounts.issue(BOSS, "robot", NOW, None, Scope.METRICS)
    bearer = {"authorization": f"Bearer {token}", "accept-language": "en"}
    assert client.get("/metrics", headers=bearer).status_code == 200
    refused = client.get("/v1/freezes", headers=bearer)
    assert refused.status_code == 403 and refused.json()["code"] == "DS-802"
    assert client.get("/console/people", headers=bearer).status_code == 403
    assert signs_in(client, token=token).status_code == 403


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"new": WORDS, "again": WORDS + "!", "code": ""}, "the two passwords differ"),
        ({"new": "short", "again": "short", "code": ""}, "12 to 256 printable"),
        ({"new": WORDS, "again": WORDS, "code": "123"}, "six digits"),
        ({}, "12 to 256 printable"),
    ],
)
def test_what_is_no_beginning_is_refused_and_ends_nothing(
    browse: Opened, fields: dict[str, str], word: str
) -> None:
    browser = browse(ANN)
    refused = browser.post("/account/enrol", fields)
    assert refused.status_code == 400 and word in refused.text
    assert browser.get("/account").status_code == 200


def test_a_password_is_changed_and_codes_are_made_anew(browse: Opened, client: Any) -> None:
    browser = browse(ANN)
    factor, codes = enrolled(browser)
    browser.session = signs_in(client, name="ann", password=WORDS, code=codes[0]).cookies["ds_session"]
    wrong = browser.post("/account/codes", {"password": "wrong", "code": codes[1]})
    assert wrong.status_code == 401
    fresh = shown(browser.post("/account/codes", {"password": WORDS, "code": codes[1]}).text)
    assert len(fresh) == 10 and not set(fresh) & set(codes)
    new = "another horse entirely"
    fields = {"password": WORDS, "code": fresh[0], "new": new, "again": new}
    changed = browser.post("/account/password", fields)
    assert changed.status_code == 303 and changed.headers["location"] == "/console/login"
    assert browser.get("/account").status_code == 303
    assert signs_in(client, name="ann", password=WORDS, code=fresh[1]).status_code == 401
    browser.session = signs_in(client, name="ann", password=new, code=code(factor, 1)).cookies["ds_session"]
    assert browser.get("/account").status_code == 200


def test_few_codes_left_are_told(browse: Opened, client: Any) -> None:
    browser = browse(ANN)
    _, codes = enrolled(browser)
    for used in codes[:8]:
        entered = signs_in(client, name="ann", password=WORDS, code=used)
        browser.session = entered.cookies["ds_session"]
    assert "Few recovery codes are left" in browser.get("/account").text


def test_tokens_for_programs(browse: Opened, client: Any) -> None:
    browser = browse(ANN)
    made = browser.post("/account/tokens", {"label": "robot", "scope": "query", "days": "3"})
    (token,) = shown(made.text)
    assert "robot" in browser.get("/account").text and token not in browser.get("/account").text
    bearer = {"authorization": f"Bearer {token}"}
    assert client.get("/v1/catalog", headers=bearer).status_code == 200
    assert client.get("/v1/products", headers=bearer).status_code == 403
    for wrong in ({"scope": "king"}, {"days": "x"}, {"days": "0"}, {"days": "99999"}, {"label": ""}):
        fields = {"label": "l", "scope": "all", "days": "", **wrong}
        assert browser.post("/account/tokens", fields).status_code == 400, wrong
    revoke = re.search(r'name="id" value="([0-9a-f]{16})"', browser.get("/account").text.split("robot")[1])
    assert revoke is not None
    assert browser.post("/account/revoke", {"id": revoke[1]}).status_code == 303
    assert browser.post("/account/revoke", {"id": revoke[1]}).status_code == 404
    assert client.get("/v1/catalog", headers=bearer).status_code == 401


def test_the_bureau_adds_changes_and_shuts_out(browse: Opened, client: Any, accounts: Accounts) -> None:
    boss = browse(BOSS)
    fields = {"name": "ann", "role": "analyst", "organisation": "operator-a"}
    (token,) = shown(boss.post("/people", fields).text)
    assert boss.post("/people", fields).status_code == 400
    assert boss.post("/people", {**fields, "name": "bo", "role": "king"}).status_code == 400
    bearer = {"authorization": f"Bearer {token}"}
    assert client.get("/v1/catalog", headers=bearer).status_code == 200
    assert 'href="/console/person?name=ann"' in boss.get("/people").text
    changed = boss.post("/person", {**fields, "role": "operator"})
    assert changed.status_code == 303 and changed.headers["location"].endswith("/person?name=ann")
    assert "Operator&#39;s manager" in boss.get("/person?name=ann").text
    assert boss.post("/person/act", {"name": "ann", "verb": "disable"}).status_code == 303
    assert "disabled" in boss.get("/people").text and "disabled" in boss.get("/person?name=ann").text
    assert client.get("/v1/catalog", headers=bearer).status_code == 401
    assert boss.post("/person/act", {"name": "ann", "verb": "enable"}).status_code == 303
    (other,) = shown(boss.post("/person/tokens", {"name": "ann", "label": "x", "scope": "log"}).text)
    id = next(t.id for t in accounts.tokens("ann") if t.scope is Scope.LOG)
    assert boss.post("/person/revoke", {"name": "ann", "id": id}).status_code == 303
    assert client.get("/v1/log", headers={"authorization": f"Bearer {other}"}).status_code == 401
    (fresh,) = shown(boss.post("/person/act", {"name": "ann", "verb": "reset"}).text)
    assert client.get("/v1/catalog", headers={"authorization": f"Bearer {fresh}"}).status_code == 200
    assert boss.post("/person/act", {"name": "ann", "verb": "unlock"}).status_code == 409
    assert boss.post("/person/act", {"name": "ann", "verb": "promote"}).status_code == 400
    assert boss.post("/person/act", {"name": "wang", "verb": "disable"}).status_code == 403
    assert boss.get("/person?name=nobody").status_code == 404
    assert 'value="disable"' not in boss.get("/person?name=wang").text


def test_a_locked_account_is_seen_and_unlocked(browse: Opened, client: Any) -> None:
    boss = browse(BOSS)
    factor, _ = enrolled(browse(ANN))
    for _ in range(5):
        assert signs_in(client, name="ann", password="wrong", code="1").status_code == 401
    assert signs_in(client, name="ann", password=WORDS, code=code(factor, 1)).status_code == 401
    assert "locked" in boss.get("/people").text and "locked until" in boss.get("/person?name=ann").text
    assert boss.post("/person/act", {"name": "ann", "verb": "disable"}).status_code == 303
    assert signs_in(client, name="ann", password=WORDS, code=code(factor, 1)).status_code == 401
    assert boss.post("/person/act", {"name": "ann", "verb": "enable"}).status_code == 303
    assert boss.post("/person/act", {"name": "ann", "verb": "unlock"}).status_code == 303
    assert signs_in(client, name="ann", password=WORDS, code=code(factor, 1)).status_code == 303


def test_where_a_second_factor_is_required_a_token_opens_the_account_alone(
    gateway: Any, accounts: Accounts
) -> None:
    client = Client(create_app(gateway, accounts, lambda: NOW, strict=True))
    browser = Browser(client, accounts, ANN, NOW)
    assert browser.get("/catalogue").headers["location"] == "/console/account"
    assert browser.post("/ask", {"grant": "G-1", "sql": "SELECT 1"}).headers["location"] == "/console/account"
    assert "Set a password with an authenticator first" in browser.get("/account").text
    token = accounts.issue(ANN, "robot", NOW)
    bearer = {"authorization": f"Bearer {token}"}
    assert client.get("/console/catalogue", headers=bearer).headers["location"] == "/console/account"
    assert client.get("/v1/catalog", headers=bearer).status_code == 200
    factor, _ = enrolled(browser)
    entered = signs_in(client, name="ann", password=WORDS, code=code(factor, 1))
    browser.session = entered.cookies["ds_session"]
    assert browser.get("/catalogue").status_code == 200


def test_an_auditor_reads_and_changes_nothing(browse: Opened) -> None:
    browse(BOSS)
    auditor = browse(Person("chu", "auditor", "bureau"))
    page = auditor.get("/person?name=wang").text
    assert "wang" in page and "/person/act" not in page and "/person/tokens" not in page
    assert 'id="add"' not in auditor.get("/people").text and 'id="add"' in browse(BOSS).get("/people").text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_runs(browse: Opened, accounts: Accounts, text: str) -> None:
    boss = browse(BOSS)
    if text.isprintable():
        accounts.issue(Person(text, "owner", text), text, NOW)
        for page in (boss.get("/people"), boss._send("GET", "/person", {}, params={"name": text})):
            assert page.status_code == 200 and Marks(page.text).wrong() == []
