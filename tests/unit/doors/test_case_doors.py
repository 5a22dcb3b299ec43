"""Cases, products and the register through HTTP and the command line."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.casework.month import ZONE
from sandbox.doors.cli import app
from sandbox.doors.http import create_app
from sandbox.doors.ports import open_gateway
from sandbox.home import create_home, open_home
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.freezes import Scope
from tests.support.console import Browser, Marks
from tests.unit.doors.conftest import NOW, Client, SimpleGateway

DATASET = """
kind: dataset
id: codes
title: {zh: 代码, en: Codes}
owner: 统计局
class: 通用/代码
level: 1
share: unconditional
snapshot: once
tables:
  code: {public: true, columns: {no: {type: integer, use: [group, filter]}}}
"""


def client_of(database: Database, gateway: SimpleGateway, person: Person) -> Client:
    made = Client(create_app(gateway, Accounts(database), lambda: NOW))
    made.headers["authorization"] = f"Bearer {Accounts(database).issue(person, 'test', NOW)}"
    return made


@pytest.fixture
def client(database: Database, gateway: SimpleGateway) -> Client:
    """One who may read cases, unlike an analyst."""
    return client_of(database, gateway, Person("mo", "operator", "operator-a"))


def test_a_dataset_comes_into_force_over_http(database: Database, gateway: SimpleGateway) -> None:
    owner = client_of(database, gateway, Person("owen", "owner", "统计局"))
    bureau = client_of(database, gateway, Person("bea", "bureau", "bureau"))
    opened = owner.post("/v1/cases/open", json={"kind": "dataset", "text": DATASET, "note": "新"})
    assert opened.status_code == 200
    case = opened.json()
    assert (case["state"], case["text"], case["may"]) == ("draft", DATASET, ["revise", "submit", "withdraw"])
    steps = f"/v1/cases/{case['id']}/steps"
    assert owner.post(steps, json={"verb": "submit"}).json()["state"] == "submitted"
    assert bureau.post(steps, json={"verb": "approve"}).json()["code"] == "DS-311"
    assert owner.post(steps, json={"verb": "approve", "hash": case["hash"]}).json()["code"] == "DS-802"
    approved = bureau.post(steps, json={"verb": "approve", "hash": case["hash"]}).json()
    assert approved["state"] == "approved" and len(approved["steps"]) == 3
    assert owner.post(steps, json={"verb": "enact", "hash": case["hash"]}).json()["state"] == "in-force"
    listed = bureau.get("/v1/cases?kind=dataset&state=in-force").json()["cases"]
    assert [c["id"] for c in listed] == [case["id"]] and "text" not in listed[0]
    assert bureau.get("/v1/cases?state=draft").json() == {"cases": []}
    assert owner.get(f"/v1/cases/{case['id']}").json()["may"] == ["withdraw"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/cases/open", {"kind": "dataset", "text": DATASET}, "DS-802"),
        ("/v1/cases/open", {"kind": "wish", "text": ""}, "DS-803"),
        ("/v1/cases/open", {"kind": "grant", "text": 1}, "DS-803"),
        ("/v1/cases/open", {"kind": "grant", "text": "x", "hash": 1}, "DS-803"),
        ("/v1/cases/7/steps", {"verb": "submit"}, "DS-804"),
        ("/v1/cases/7/steps", {"verb": "wish"}, "DS-803"),
        ("/v1/cases/7/steps", {"verb": "submit", "more": ""}, "DS-803"),
        ("/v1/cases/x/steps", {"verb": "submit"}, "DS-803"),
    ],
)
def test_what_is_refused(client: Client, path: str, body: dict[str, object], code: str) -> None:
    assert client.post(path, json=body).json()["code"] == code


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/cases?kind=wish", "DS-803"),
        ("/v1/cases?more=1", "DS-803"),
        ("/v1/cases/7", "DS-804"),
        ("/v1/products/P-1?since=2025-01-01", "DS-804"),
        ("/v1/products/P-1?format=pdf", "DS-807"),
        ("/v1/statements?month=", "DS-803"),
        ("/v1/statements?year=2026", "DS-803"),
        ("/v1/register?format=arrow", "DS-807"),
        ("/v1/supervision?month=", "DS-803"),
        ("/v1/supervision?month=2026-03&format=csv", "DS-807"),
        ("/v1/supervision?month=2026-03&format=pdf&lang=fr", "DS-803"),
        ("/v1/supervision?month=2026-03&more=1", "DS-803"),
    ],
)
def test_what_is_not_there(client: Client, path: str, code: str) -> None:
    assert client.get(path).json()["code"] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"scope": "planet", "reason": "x"}, "DS-803"),
        ({"scope": "grant", "reason": "x"}, "DS-803"),
        ({"scope": "everything", "target": "x", "reason": "x"}, "DS-803"),
        ({"scope": "everything", "reason": ""}, "DS-803"),
        ({"scope": "everything", "reason": "x" * 401}, "DS-803"),
        ({"scope": "everything", "reason": "x", "drill": "yes"}, "DS-803"),
        ({"scope": "everything"}, "DS-803"),
    ],
)
def test_freezes_that_are_refused(
    database: Database, gateway: SimpleGateway, body: dict[str, object], code: str
) -> None:
    bureau = client_of(database, gateway, Person("bea", "bureau", "bureau"))
    assert bureau.post("/v1/freezes/new", json=body).json()["code"] == code


def test_a_freeze_through_http_takes_two_to_lift(client: Client, database: Database) -> None:
    def of(name: str) -> dict[str, str]:
        token = Accounts(database).issue(Person(name, "bureau", "bureau"), "test", dt.datetime.now(dt.UTC))
        return {"authorization": f"Bearer {token}"}

    wanted = {"scope": "operator", "target": "operator-a", "reason": "查"}
    drilled = client.post("/v1/freezes/new", json={**wanted, "drill": True}, headers=of("bea")).json()
    assert (drilled["drill"], drilled["grants"], drilled["running"], drilled["id"]) == (True, ["G-1"], 1, 0)
    assert client.get("/v1/freezes", headers=of("bea")).json() == {"freezes": []}
    frozen = client.post("/v1/freezes/new", json=wanted, headers=of("bea")).json()
    lift = f"/v1/freezes/{frozen['id']}/lift"
    assert client.post(lift, headers=of("bea")).json()["approved_by"] == "bea"
    assert client.post(lift, headers=of("bea")).json()["code"] == "DS-308"
    assert client.post(lift, headers=of("bob")).json()["lifted_by"] == "bob"
    assert [f["lifted_by"] for f in client.get("/v1/freezes", headers=of("bea")).json()["freezes"]] == ["bob"]


def test_the_report_of_a_month_has_two_forms(client: Client) -> None:
    told = client.get("/v1/supervision?month=2026-03").json()
    assert (told["operator"], told["month"], told["entries"]) == ("operator-a", "2026-03", 0)
    paper = client.get("/v1/supervision?month=2026-03&format=pdf&lang=en")
    assert paper.headers["content-type"] == "application/pdf" and paper.content.startswith(b"%PDF-")


def test_lists_are_empty_at_first(client: Client) -> None:
    assert client.get("/v1/products").json() == {"products": []}
    assert client.get("/v1/statements?month=2026-03").json() == {"month": "2026-03", "lines": []}
    assert client.get("/v1/register").json() == {"register": []}
    told = client.get("/v1/register?format=csv")
    assert told.headers["content-type"].startswith("text/csv") and told.text.startswith("case,kind,id,state")


PRODUCTS = """
kind: grant
id: G-1
to: 运营公司
scenario: {id: S-1, zh: 测试, en: Test}
purpose: 测试
period: {from: 2025-01-01, until: 2030-12-31}
data: {codes.code: all}
guard: {mode: dp, epsilon: {query: 1, total: 4}, delta: 1.0e-6}
release: auto
---
kind: product
id: P-1
grant: G-1
title: {zh: 甲, en: First}
form: table
query: {sql: "SELECT no FROM code WHERE no > :least ORDER BY no", parameters: {least: integer}}
schedule: monthly
to: [银行]
fee: {basis: cost-plus, price: 1.5, per: month, unit: CNY}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = create_home(tmp_path / "home")
    monkeypatch.setenv("SANDBOX_HOME", str(made.path))
    database = Database(made.store)
    for person in (
        Person("bureau", "bureau", "bureau"),
        Person("bob", "bureau", "bureau"),
        Person("owen", "owner", "统计局"),
        Person("carl", "operator", "银行"),
    ):
        Accounts(database).issue(person, "test", dt.datetime.now(dt.UTC))
    database.close()
    return made.path


def run(*words: str, exit: int = 0) -> str:
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == exit, found.output
    return found.output


def test_the_command_line_takes_a_case_to_its_end_and_delivers(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "codes.yaml"
    file.write_text(DATASET, encoding="utf-8")
    case = json.loads(run("case", "open", "dataset", str(file), "--as", "owen", "--json"))
    id, hash = str(case["id"]), case["hash"]
    run("case", "do", id, "revise", "--file", str(file), "--as", "owen")
    assert "待审" in run("case", "do", id, "submit", "--as", "owen", "--lang", "zh")
    run("case", "do", id, "approve", exit=13)
    run("case", "do", id, "approve", "--hash", hash)
    run("case", "do", id, "enact", "--hash", hash, "--as", "owen")
    told = run("case", "show", id, "--lang", "en")
    assert "kind: dataset" in told and "approved" in told and "you may: revoke" in told
    assert "codes" in run("case", "list") and json.loads(run("case", "list", "--json"))["cases"]
    assert json.loads(run("case", "show", id, "--json"))["state"] == "in-force"
    (home / "policies" / "products.yaml").write_text(PRODUCTS, encoding="utf-8")
    rows = home / "sources" / "code.csv"
    rows.write_text("no\n1\n2\n3\n", encoding="utf-8")
    run("ingest", "codes", "--source", f"code={rows}")
    assert "P-1" in run("product", "list", "--as", "carl")
    assert json.loads(run("product", "list", "--json"))["products"][0]["fee"]["price"] == "1.5"
    get = ("product", "get", "P-1", "--as", "carl")
    assert run(*get, "--set", "least=1", "--csv").splitlines()[:3] == ["no", "2", "3"]
    assert json.loads(run(*get, "--set", "least=2", "--json"))["rows"] == [[3]]
    assert "3" in run(*get, "--set", "least=2")
    run(*get, "--set", "least=x", exit=18)
    run(*get, "--set", "least", exit=2)
    month = f"{dt.datetime.now(ZONE):%Y-%m}"
    statement = ("product", "statement", month, "--as", "carl")
    (line,) = json.loads(run(*statement, "--json"))["lines"]
    assert (line["deliveries"], line["amount"]) == (3, "1.5")
    assert "银行,运营公司,P-1,3,1.5,month,1.5,CNY" in run(*statement, "--csv") and "P-1" in run(*statement)
    run("freeze", "grant", "G-1", "--reason", "停")
    run(*get, "--set", "least=1", exit=13)
    assert json.loads(run("register", "--json")) == {"register": []}
    told = json.loads(run("supervision", "运营公司", month, "--json"))
    assert [line["product"] for line in told["deliveries"]] == ["P-1"] and told["freezes"]
    paper = tmp_path / "report.pdf"
    assert "监管月报" in run("supervision", "运营公司", month, "--lang", "zh")
    assert run("supervision", "运营公司", month, "--pdf", str(paper)) == ""
    assert paper.read_bytes().startswith(b"%PDF-")
    run("supervision", "运营公司", month, "--pdf", str(tmp_path), exit=18)
    run("supervision", "运营公司", "now", exit=18)
    assert run("register", "--csv").startswith("case,kind") and "organisation" in run("register")


def test_products_are_received_and_billed_at_the_console(home: Path) -> None:
    (home / "policies" / "codes.yaml").write_text(DATASET, encoding="utf-8")
    (home / "policies" / "products.yaml").write_text(PRODUCTS, encoding="utf-8")
    rows = home / "sources" / "code.csv"
    rows.write_text("no\n1\n2\n3\n", encoding="utf-8")
    run("ingest", "codes", "--source", f"code={rows}")
    now = dt.datetime.now(dt.UTC)
    with (
        closing(open_gateway(open_home(home))) as gateway,
        closing(Database(open_home(home).store)) as database,
    ):
        accounts = Accounts(database)
        client = Client(create_app(gateway, accounts))
        carl = Browser(client, accounts, Person("carl", "operator", "银行"), now)
        assert "P-1" in carl.get("/products").text
        page = Marks(carl.get("/products/P-1").text)
        assert page.wrong() == [] and "1.5 CNY a month" in page.text and "SELECT" not in page.text
        wrong = carl.post("/products/P-1", {"p-least": "<b>x"})
        assert wrong.status_code == 400 and 'value="&lt;b&gt;x"' in wrong.text
        assert carl.post("/products/P-1", {"p-least": "1", "p-more": "1"}).status_code == 400
        got = carl.post("/products/P-1", {"p-least": "1"})
        assert got.status_code == 303, got.text
        place = got.headers["location"].removeprefix("/console")
        answer = carl.get(place)
        assert answer.status_code == 200 and "SELECT" not in answer.text and "First" in answer.text
        assert carl.get(place + "/table.csv").text.splitlines()[1:] == ["2", "3"]
        assert carl.get(place + "/receipt.json").status_code == 200
        bill = Marks(carl.get("/statement").text)
        assert bill.wrong() == [] and "Total 1.5 CNY" in bill.text and "银行" in bill.text
        assert "Nothing was delivered" in carl.get("/statement?month=2020-01").text
        assert carl.get("/statement?month=x").status_code == 400
        bea = Browser(client, accounts, Person("bureau", "bureau", "bureau"), now)
        assert "not delivered to your organisation" in bea.get("/products/P-1").text
        assert bea.post("/products/P-1", {"p-least": "1"}).status_code == 404
        other = Browser(client, accounts, Person("dora", "analyst", "别家"), now)
        assert other.get("/products/P-1").status_code == 404 and "P-1" not in other.get("/products").text
        assert other.get(place).status_code == 404
        gateway.freeze(Person("bob", "bureau", "bureau"), Scope.GRANT, "G-1", "stop")
        frozen = carl.post("/products/P-1", {"p-least": "2"})
        assert frozen.status_code == 423 and "stop" in frozen.text
