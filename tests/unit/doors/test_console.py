"""The console's pages through the real application: who may open them, what they bear, what forms do."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.console.app import PAGES, POLICY
from sandbox.console.menu import ITEMS
from sandbox.console.visit import form_token, ours
from sandbox.doors.http import create_app
from sandbox.model import Person
from sandbox.policy.roles import TABLE, Role
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.sessions import Entrance
from tests.support.console import HOSTILE, Browser, Marks

NOW = dt.datetime(2026, 3, 4, 22, 0, 0, tzinfo=dt.UTC)
SECRET = "value-that-must-not-leave"
PEOPLE = {
    "bureau": Person("wang", "bureau", "bureau"),
    "reviewer": Person("feng", "reviewer", "bureau"),
    "auditor": Person("chu", "auditor", "bureau"),
    "owner": Person("zhao", "owner", "省医疗保障局"),
    "operator": Person("qian", "operator", "山西健康数据运营有限公司"),
    "analyst": Person("sun", "analyst", "山西健康数据运营有限公司"),
}
READ = [page.path for page in PAGES if page.method == "GET" and page.action and "{" not in page.path]
Opened = Callable[[str], Browser]


@pytest.fixture
def browse(database: Database, client: Any) -> Opened:
    accounts = Accounts(database)
    client.headers.clear()
    return lambda role: Browser(client, accounts, PEOPLE[role], NOW)


@pytest.mark.parametrize("role", sorted(Role))
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_pages_are_whole_in_both_languages(browse: Opened, role: str, lang: str) -> None:
    browser = browse(role)
    for item in ITEMS:
        if role not in TABLE[item.action]:
            continue
        found = browser.get(item.path, accept_language=lang)
        marks = Marks(found.text)
        assert found.status_code == 200, (item.path, found.text)
        assert marks.wrong() == []
        assert marks.unlabelled() == []
        assert ("html", {"lang": "zh-CN" if lang == "zh" else "en"}) in marks.tags
        assert [tag for tag, _ in marks.tags].count("h1") == 1
        assert item.words.text("zh" if lang == "zh" else "en") in marks.text
        assert found.headers["content-security-policy"] == POLICY
        assert found.headers["cache-control"] == "no-store"


def test_nobody_is_shown_the_door_and_comes_back_where_they_wanted(client: Any) -> None:
    client.headers.clear()
    asked = client.get("/console/log?grant=G-1")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/console/login?next=%2Fconsole%2Flog%3Fgrant%3DG-1"
    assert client.get("/console").headers["location"] == "/console/"
    assert (
        client.get("/console/log", headers={"hx-request": "true"})
        .headers["hx-redirect"]
        .startswith("/console/login")
    )


def test_signing_in_and_out(client: Any, database: Database) -> None:
    client.headers.clear()
    token = Accounts(database).issue(PEOPLE["bureau"], "console", NOW)
    first = client.get("/console/login?next=/console/log")
    assert first.status_code == 303 and "HttpOnly" in first.headers["set-cookie"]
    nonce = first.cookies["ds_nonce"]
    cookie = {"cookie": f"ds_nonce={nonce}"}
    shown = client.get("/console/login?next=/console/log", headers=cookie)
    assert shown.status_code == 200 and form_token(nonce) in shown.text
    fields = {"csrf": form_token(nonce), "next": "/console/log", "token": "ds_wrong"}
    assert client.post("/console/login", data=fields, headers=cookie).status_code == 401
    entered = client.post("/console/login", data={**fields, "token": token}, headers=cookie)
    assert entered.status_code == 303 and entered.headers["location"] == "/console/log"
    kept = entered.headers["set-cookie"]
    assert "HttpOnly" in kept and "SameSite=strict" in kept and "Path=/console" in kept
    secret = entered.cookies["ds_session"]
    assert token not in kept and secret not in (token, nonce)
    session = {"cookie": f"ds_session={secret}"}
    assert client.get("/console/log", headers=session).status_code == 200
    left = client.post("/console/logout", data={"csrf": form_token(secret)}, headers=session)
    assert left.headers["location"] == "/console/login" and 'ds_session=""' in left.headers["set-cookie"]
    assert client.get("/console/log", headers=session).status_code == 303  # the secret alone opens nothing


def test_a_session_planted_before_signing_in_is_not_the_one_that_is_signed_in(
    client: Any, database: Database
) -> None:
    """Session fixation: what another knew before is worth nothing afterwards, be it made up or their own."""
    client.headers.clear()
    accounts = Accounts(database)
    token = accounts.issue(PEOPLE["bureau"], "console", NOW)
    theirs = accounts.sessions.begin(accounts.issue(PEOPLE["analyst"], "console", NOW), NOW)
    for planted in ("made-up", theirs):
        cookie = {"cookie": f"ds_nonce=n; ds_session={planted}"}
        fields = {"csrf": form_token(planted), "next": "/console/log", "token": token}
        entered = client.post("/console/login", data=fields, headers=cookie)
        assert entered.status_code == 303 and entered.cookies["ds_session"] != planted
        assert accounts.sessions.who(planted, Entrance.CONSOLE, NOW) is None


def test_a_token_in_the_cookie_opens_nothing(client: Any, database: Database) -> None:
    client.headers.clear()
    token = Accounts(database).issue(PEOPLE["bureau"], "console", NOW)
    assert client.get("/console/log", headers={"cookie": f"ds_session={token}"}).status_code == 303


def test_a_form_for_signing_in_from_elsewhere_is_refused(client: Any, database: Database) -> None:
    client.headers.clear()
    token = Accounts(database).issue(PEOPLE["bureau"], "console", NOW)
    for cookie in ({}, {"cookie": "ds_nonce=mine"}):
        fields = {"csrf": form_token("theirs"), "next": "", "token": token}
        found = client.post("/console/login", data=fields, headers=cookie)
        assert found.status_code == 400 and "set-cookie" not in found.headers


@pytest.mark.parametrize("page", [p for p in PAGES if p.method == "POST" and p.action], ids=lambda p: p.path)
def test_forms_count_only_with_the_visitors_own_token(browse: Opened, gateway: Any, page: Any) -> None:
    browser = browse(min(TABLE[page.action]))
    fields = {"scope": "everything", "reason": "x", "confirmed": "yes", "sql": "SELECT 1", "grant": "G-1"}
    for forged in ("", form_token("another"), browser.session, "\udcff"):
        found = browser.post(page.path, {**fields, "csrf": forged.encode("utf-8", "replace").decode()})
        assert found.status_code == 400 and "not from this session" in found.text
    assert gateway.asked == []
    assert gateway.freezes(browser.person) == ()


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/console/../v1", "\t//evil", "/consoles",
     "/console\n", "javascript:alert(1)", "/console//evil.example", "/console/@evil", ""],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(path: str) -> None:
    assert ours(path) in ("/console/", path) and ours(path).startswith("/console/")
    assert not any(mark in ours(path) for mark in ("//", "\\", "\n"))


def test_the_language_is_kept(browse: Opened) -> None:
    browser = browse("bureau")
    found = browser.post("/language", {"lang": "zh", "next": "/console/log"})
    assert found.headers["location"] == "/console/log"
    assert "ds_language=zh" in found.headers["set-cookie"]
    assert browser.post("/language", {"lang": "fr", "next": ""}).status_code == 400


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_runs(browse: Opened, text: str) -> None:
    bureau, analyst = browse("bureau"), browse("analyst")
    asked = {"sql": text, "grant": text, "epsilon": text, "request": text}
    pages = [
        analyst.post("/ask/price", {"grant": text, "sql": "unknown " + text}),
        analyst.post("/ask", {**asked, "epsilon": ""}),
        analyst.post("/ask", asked),
        analyst.get(f"/ask?sql={text}&grant={text}".replace("#", "%23")),
        bureau.post("/freezes", {"scope": "everything", "target": text, "reason": text}),
        bureau.post("/freezes", {"scope": "everything", "reason": text, "confirmed": "yes"}),
        bureau.get("/freezes"),
        bureau.get("/today"),
        bureau.post("/policies", {"text": text}),
        bureau.post("/policies", {"text": f"kind: dataset\nid: '{text}'\n"}),
        bureau.post("/audit", {"held": text}),
        bureau.get(f"/log?person={text}&text={text}".replace("#", "%23")),
        bureau.get("/log/compare?old=1&new=x" + text.replace("#", "%23")),
        bureau.get("/" + text.replace("#", "%23").replace("?", "%3F")),
        bureau.post("/language", {"lang": text, "next": text}),
    ]
    for found in pages:
        if found.headers.get("content-type", "").startswith("text/html"):
            assert Marks(found.text).wrong() == [], text
        assert "49{% raw" not in found.text
        assert found.headers["content-security-policy"] == POLICY


def test_a_hostile_name_does_not_run(client: Any, database: Database) -> None:
    client.headers.clear()
    mallory = Person('<script>alert("m")</script>', "bureau", "</b><img src=x onerror=alert(1)>")
    browser = Browser(client, Accounts(database), mallory, NOW)
    for path in ("/people", "/log", "/today"):
        found = browser.get(path)
        assert found.status_code == 200 and Marks(found.text).wrong() == []


def test_ask_see_the_answer_and_keep_it(browse: Opened, gateway: Any) -> None:
    analyst = browse("analyst")
    asked = analyst.post("/ask", {"grant": "G-1", "sql": "SELECT 1", "request": "a" * 32})
    assert asked.headers["location"] == f"/console/answers/{'a' * 32}"
    assert gateway.asked[-1].id == "a" * 32 and gateway.asked[-1].epsilon is None
    page = analyst.get(f"/answers/{'a' * 32}")
    marks = Marks(page.text)
    assert "太原" in marks.text and "± 120" in marks.text and "epsilon 0.5" in marks.text
    assert "differentially private" in marks.text and marks.wrong() == []
    file = analyst.get(f"/answers/{'a' * 32}/table.csv")
    assert (
        file.text.startswith("\ufeffcity,n,n_margin_") and "attachment" in file.headers["content-disposition"]
    )
    assert analyst.get(f"/answers/{'a' * 32}/receipt.json").status_code == 404  # this gateway proves nothing
    assert browse("operator").get(f"/answers/{'a' * 32}").status_code == 404


def test_what_is_asked_travels_as_it_was_written(browse: Opened, gateway: Any) -> None:
    analyst = browse("analyst")
    analyst.post("/ask", {"grant": "G-1", "sql": "SELECT '山西'", "within": "5%"})
    assert gateway.asked[-1].sql == "SELECT '山西'" and gateway.asked[-1].within.relative
    analyst.post("/ask", {"grant": "G-1", "sql": "SELECT 1", "epsilon": "0.25"})
    assert str(gateway.asked[-1].epsilon) == "1/4"
    wrong = analyst.post("/ask", {"grant": "G-1", "sql": "SELECT 1", "epsilon": "1e9"})
    assert wrong.status_code == 400 and "SELECT 1" in wrong.text and len(gateway.asked) == 2


def test_a_refusal_gives_every_reason_and_keeps_the_text(browse: Opened) -> None:
    found = browse("analyst").post("/ask", {"grant": "G-1", "sql": "unknown column"})
    assert found.status_code == 403
    assert "DS-202" in found.text and "DS-304" in found.text and "unknown column" in found.text


def test_the_price_comes_as_a_part_or_as_a_page(browse: Opened) -> None:
    analyst = browse("analyst")
    part = analyst.post("/ask/price", {"grant": "G-1", "sql": "SELECT 1"}, hx_request="true")
    assert "<html" not in part.text and "0.5" in part.text and "release" in part.text
    whole = analyst.post("/ask/price", {"grant": "G-1", "sql": "SELECT 1"})
    assert "<html" in whole.text and "SELECT 1" in whole.text
    wrong = analyst.post("/ask/price", {"grant": "G-1", "sql": "unknown t"}, hx_request="true")
    assert wrong.status_code == 200 and "DS-201" in wrong.text


def test_a_freeze_is_confirmed_and_lifted_by_two(browse: Opened, gateway: Any) -> None:
    bureau = browse("bureau")
    wanted = {"scope": "grant", "target": "G-2025-017", "reason": "超出场景"}
    asked = bureau.post("/freezes", wanted)
    assert asked.status_code == 200 and "超出场景" in asked.text
    assert gateway.freezes(bureau.person) == ()
    assert bureau.post("/freezes", {**wanted, "confirmed": "yes"}).status_code == 303
    (frozen,) = gateway.freezes(bureau.person)
    assert (frozen.scope.value, frozen.target, frozen.by) == ("grant", "G-2025-017", "wang")
    assert bureau.post("/freezes/lift", {"id": str(frozen.id)}).status_code == 303
    assert "you agreed" in bureau.get("/freezes").text
    again = bureau.post("/freezes/lift", {"id": str(frozen.id)})
    assert "DS-" in again.text and gateway.freezes(bureau.person)[0].lifted_by is None


def test_a_drill_freezes_nothing(browse: Opened, gateway: Any) -> None:
    wanted = {"scope": "grant", "target": "G-2025-017", "reason": "十一月演练", "drill": "yes"}
    told = browse("bureau").post("/freezes", wanted)
    assert told.status_code == 200 and "nothing is frozen" in told.text and "十一月演练" in told.text
    assert gateway.freezes(PEOPLE["bureau"]) == ()


def test_the_report_of_a_month_is_a_page_and_a_paper(browse: Opened) -> None:
    bureau = browse("bureau")
    page = bureau.get("/supervision")
    assert page.status_code == 200 and "Queries" in page.text and "/console/supervision.pdf?" in page.text
    paper = bureau.get("/supervision.pdf?operator=operator-a&month=2026-03")
    assert paper.content.startswith(b"%PDF-")
    assert paper.headers["content-disposition"] == 'attachment; filename="supervision-2026-03.pdf"'
    assert bureau.get("/supervision?month=../../x").status_code == 400
    assert bureau.get("/supervision.pdf").status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{"scope": "planet"}, {"target": "G-NONE"}, {"reason": ""}, {"reason": "x" * 401}, {"scope": "dataset"}],
)
def test_a_freeze_names_what_there_is(browse: Opened, gateway: Any, wrong: dict[str, str]) -> None:
    wanted = {"scope": "grant", "target": "G-2025-017", "reason": "x", "confirmed": "yes", **wrong}
    assert browse("bureau").post("/freezes", wanted).status_code == 400
    assert gateway.freezes(PEOPLE["bureau"]) == ()


def test_the_log_is_filtered_by_days_of_our_zone(browse: Opened, gateway: Any) -> None:
    bureau = browse("bureau")
    found = bureau.get("/log?grant=G-1&since=2026-03-01&until=2026-03-02&kind=outcome&text=")
    assert found.status_code == 200
    wanted = gateway.filters[-1]
    assert wanted.grant == "G-1" and wanted.text is None and wanted.kind == "outcome"
    assert wanted.since.isoformat() == "2026-03-01T00:00:00+08:00"
    assert wanted.until.isoformat() == "2026-03-03T00:00:00+08:00"
    assert bureau.get("/log?since=soon").status_code == 400
    part = bureau.get("/log", hx_request="true")
    assert "<html" not in part.text and "DS-202" in part.text


def test_an_entry_is_shown_whole_and_beside_another(browse: Opened) -> None:
    bureau = browse("bureau")
    bureau.get("/log")
    seq = next(n for n in range(20) if "DS-202" in bureau.get(f"/log/{n}").text)
    found = bureau.get(f"/log/{seq}")
    assert "receipt checked" in found.text and "SELECT  1" in found.text
    assert bureau.get(f"/log/{seq}/receipt.json").json()["index"] == seq
    pair = bureau.get(f"/log/compare?old={seq}&new={seq}")
    assert pair.status_code == 200 and "same" in pair.text
    assert bureau.get("/log/99999").status_code == 404
    assert bureau.get("/log/compare?old=1").status_code == 400


def test_a_proposed_document_is_told_in_sentences(browse: Opened) -> None:
    bureau = browse("bureau")
    path = next(
        f for f in Path("policies").rglob("*.yaml") if "id: G-2025-017" in f.read_text(encoding="utf-8")
    )
    text = path.read_text(encoding="utf-8")
    same = bureau.post("/policies", {"text": text})
    assert same.status_code == 200 and "No difference" in same.text
    later = bureau.post("/policies", {"text": text.replace("2030-12-31", "2031-12-31")})
    assert (
        "Opens: the last day of grant G-2025-017 goes from 2030-12-31 to 2031-12-31."
        in Marks(later.text).text
    )
    broken = bureau.post("/policies", {"text": "kind: grant\nid: G-9\n"})
    assert broken.status_code == 400 and "mistakes" in broken.text


def test_the_whole_log_is_verified(browse: Opened) -> None:
    bureau = browse("bureau")
    assert "The log is what was signed" in bureau.post("/audit").text
    assert bureau.post("/audit", {"held": "no checkpoint"}).status_code == 409


def test_what_is_unexpected_is_a_page_without_its_text(browse: Opened) -> None:
    found = browse("analyst").post("/ask", {"grant": "G-1", "sql": "boom"})
    assert found.status_code == 500 and "DS-901" in found.text and SECRET not in found.text
    assert "Incident" in found.text


def test_forms_have_a_form(browse: Opened, client: Any) -> None:
    browser = browse("analyst")
    bearing = {"cookie": f"ds_session={browser.session}"}
    for body, kind, status in (
        (b"{}", "application/json", 400),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"csrf=1&csrf=2", "application/x-www-form-urlencoded", 400),
        (b"x" * 200_000, "application/x-www-form-urlencoded", 413),
    ):
        headers = {**bearing, "content-type": kind}
        found = client.post("/console/ask", content=body, headers=headers)
        assert found.status_code == status and "DS-80" in found.text
    assert client.get("/console/nowhere", headers=bearing).status_code == 404
    assert client.request("PUT", "/console/ask", headers=bearing).status_code == 405


def test_static_files_are_ours_and_nothing_beside_them(client: Any) -> None:
    client.headers.clear()
    sheet = client.get("/console/static/console.css")
    assert sheet.status_code == 200 and "@import" not in sheet.text and "url(" not in sheet.text
    assert client.get("/console/static/../app.py").status_code == 404
    assert client.get("/console/static/%2e%2e/app.py").status_code == 404


def test_the_description_of_the_interface_leaves_pages_out(gateway: Any, database: Database) -> None:
    app = create_app(gateway, Accounts(database), lambda: NOW)
    assert not any(path.startswith("/console") for path in app.openapi()["paths"])


def test_a_grant_is_applied_for_advised_on_and_approved(browse: Opened, gateway: Any, tmp_path: Path) -> None:
    shutil.copytree("policies/med", tmp_path / "log" / "policies" / "med")
    text = Path("policies/med/G-2025-017.yaml").read_text(encoding="utf-8")
    operator, owner, bureau = browse("operator"), browse("owner"), browse("bureau")
    sent = text.replace("G-2025-017", "G-2026-001").replace("\n", "\r\n")  # as browsers send it
    assert operator.get("/cases/new?kind=grant").status_code == 200
    opened = operator.post("/cases/new", {"kind": "grant", "text": sent, "note": HOSTILE[0]})
    assert opened.status_code == 303, Marks(opened.text).text
    place = opened.headers["location"].removeprefix("/console")
    (case,) = gateway.casework.cases(PEOPLE["bureau"])
    assert place == f"/cases/{case.id}" and "\r" not in case.text
    shown = operator.get(place)
    assert Marks(shown.text).wrong() == [] and "Opens: the policy gains the grant G-2026-001." in shown.text
    assert operator.post(place, {"verb": "approve", "hash": case.hash}).status_code in (403, 409)
    assert operator.post(place, {"verb": "submit", "hash": case.hash}).status_code == 303
    stale = owner.post(place, {"verb": "advise", "hash": "0" * 64, "note": "同意"})
    assert stale.status_code == 409
    assert owner.post(place, {"verb": "advise", "hash": case.hash, "note": "同意"}).status_code == 303
    assert "Waiting for you" in bureau.get("/cases").text
    assert bureau.post(place, {"verb": "approve", "hash": case.hash}).status_code == 303
    assert gateway.casework.case(PEOPLE["bureau"], case.id).state == "in-force"
    assert "in force" in operator.get(place).text
    assert operator.get("/cases?kind=grant").status_code == 200


def test_cases_are_opened_and_moved_by_what_pages_offer(browse: Opened) -> None:
    operator, bureau = browse("operator"), browse("bureau")
    assert operator.get("/cases/new?kind=incident").status_code == 403
    assert operator.get("/cases/new?kind=poem").status_code == 400
    wrong = operator.post("/cases/new", {"kind": "grant", "text": "kind: grant\nid: G-77"})
    assert wrong.status_code == 400 and "DS-601" in wrong.text and "id: G-77" in wrong.text
    opened = bureau.post("/cases/new", {"kind": "incident", "text": HOSTILE[3]})
    place = opened.headers["location"].removeprefix("/console")
    assert Marks(bureau.get(place).text).wrong() == []
    assert bureau.post(place, {"verb": "dance"}).status_code == 400
    assert operator.get(place).status_code == 404  # not theirs to see
    assert bureau.get("/cases?kind=poem").status_code == 400
