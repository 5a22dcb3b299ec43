from __future__ import annotations

import json
import logging
from typing import Any

import pyarrow as pa
import pytest
from httpx import Response

from sandbox.doors import http_reply
from sandbox.doors.http_schema import ROUTES, SCHEMAS
from sandbox.errors import Code
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.unit.doors.conftest import NOW, SECRET, Client, SimpleGateway

ASK = {"sql": "SELECT 1", "grant": "G-1", "epsilon": 0.5}


def problem(response: Response, code: Code, status: int | None = None) -> dict[str, Any]:
    """The problem, after checking what every problem has."""
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert response.status_code == found["status"] == (status or code.status)
    assert found["code"] == found["reasons"][0]["code"] == code.id
    assert found["type"].endswith(code.id)
    assert set(found["reasons"][0]["what"]) == set(found["reasons"][0]["now"]) == {"zh", "en"}
    return found


def test_a_query_is_answered_as_json_by_default(client: Client, gateway: SimpleGateway) -> None:
    response = client.post("/v1/queries", json=ASK)
    assert response.status_code == 200
    found = response.json()
    assert set(found) == set(SCHEMAS["Answer"]["required"])
    asked = gateway.asked[0]
    assert (asked.person.name, asked.grant, asked.sql, str(asked.epsilon)) == ("li", "G-1", "SELECT 1", "1/2")
    assert found["request"] == asked.id == response.headers["x-sandbox-request"]
    assert response.headers["x-sandbox-price"] == "epsilon=0.5; nano=5000000; measure=zcdp; free=false"
    assert response.headers["x-sandbox-receipt"] == "7"
    assert response.headers["x-sandbox-guarantee"] == "differentially private"


def test_timings_tell_only_stages_before_data_in_steps_of_ten(client: Client) -> None:
    response = client.post("/v1/queries", json=ASK)
    assert response.headers["server-timing"] == "parse;dur=10, plan;dur=0"
    assert http_reply.server_timing([("execute", 3.0), ("release", 1.0)]) == ""


def test_an_exact_answer_has_no_price(client: Client) -> None:
    response = client.post("/v1/queries", json={"sql": "exact", "grant": "G-1"})
    assert response.json()["price"] is None
    assert "x-sandbox-price" not in response.headers


@pytest.mark.parametrize("by", ["format", "accept"])
def test_csv_and_arrow(client: Client, by: str) -> None:
    def ask(form: str, media: str) -> Response:
        url = f"/v1/queries?format={form}" if by == "format" else "/v1/queries"
        return client.post(url, json=ASK, headers={"accept": media if by == "accept" else "*/*"})

    csv = ask("csv", "text/csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.text.startswith("city,n,n_margin_,n_margin\r\n")
    arrow = ask("arrow", "application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(arrow.content).read_all().num_rows == 3


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, text/csv;q=0.5", "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0, application/*", "application/json"),
    ],
)
def test_the_best_offer_wins(client: Client, accept: str, media: str) -> None:
    response = client.post("/v1/queries", json=ASK, headers={"accept": accept})
    assert response.headers["content-type"].startswith(media)


@pytest.mark.parametrize(
    ("url", "accept"), [("?format=xml", "*/*"), ("", "text/html"), ("", "text/html;q=x, a/b")]
)
def test_a_form_that_we_lack_is_406(client: Client, url: str, accept: str) -> None:
    problem(client.post(f"/v1/queries{url}", json=ASK, headers={"accept": accept}), Code.FORMAT, 406)


def test_every_reason_of_a_refusal_is_there(client: Client, gateway: SimpleGateway) -> None:
    found = problem(client.post("/v1/queries", json=ASK | {"sql": "unknown"}), Code.UNKNOWN_COLUMN, 403)
    assert [r["code"] for r in found["reasons"]] == ["DS-202", "DS-304"]
    assert found["reasons"][1]["column"] == "p.age"
    assert found["reasons"][1]["now"] == {"zh": "b", "en": "a"}
    assert found["request"] == gateway.asked[0].id


def test_a_quota_says_when_to_come_back(client: Client) -> None:
    response = client.post("/v1/queries", json=ASK | {"sql": "quota"})
    problem(response, Code.QUOTA, 429)
    assert response.headers["retry-after"] == "7200"  # it is 22:00


def test_a_full_line_says_to_come_back_soon(client: Client) -> None:
    response = client.post("/v1/queries", json={"sql": "busy", "grant": "G-1"})
    problem(response, Code.BUSY, 429)
    assert response.headers["retry-after"] == "5"


def test_one_stops_ones_own_queries(client: Client) -> None:
    client.post("/v1/queries", json=ASK)
    assert client.post("/v1/cancel").json() == {"stopped": 1}
    problem(client.post("/v1/cancel?x=1"), Code.REQUEST)
    problem(client.get("/v1/cancel"), Code.METHOD, 405)


def test_explain_catalog_budget(client: Client) -> None:
    assert set(client.post("/v1/explain", json=ASK).json()) == set(SCHEMAS["Explained"]["required"])
    problem(client.post("/v1/explain", json=ASK | {"sql": "unknown t"}), Code.UNKNOWN_TABLE)
    grants = {g["id"]: g for g in client.get("/v1/catalog").json()["grants"]}
    claim = next(t for t in grants["G-2025-017"]["tables"] if t["id"] == "med.claim")
    columns = {c["name"]: c for c in claim["columns"]}
    assert columns["settle_date"]["range"] == ["2023-01-01", "2025-12-31"]
    assert columns["total_fee"]["clip"] == ["0", "200000"]
    assert grants["G-2025-022"]["guard"] == {"per_day": 500, "total": 20000}
    assert set(client.get("/v1/budget").json()["balances"][0]) == set(
        SCHEMAS["Balances"]["properties"]["balances"]["items"]["required"]
    )


def test_the_log_is_paged_by_its_cursor(client: Client) -> None:
    client.get("/v1/log")
    first = client.get("/v1/log?limit=1&text=select").json()
    assert first["entries"][0]["payload"] == {"a": 1}
    assert first["entries"][0]["codes"] == ["DS-202"]
    older = client.get(f"/v1/log?limit=1&after={first['next']}").json()
    assert older["entries"][0]["seq"] == first["entries"][0]["seq"] - 1
    problem(client.get("/v1/log?limit=x"), Code.REQUEST, 400)
    problem(client.get("/v1/log?who=x"), Code.REQUEST, 400)
    problem(client.get("/v1/log?text=a&text=b"), Code.REQUEST, 400)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic bGk6eA==", "bearer ds_é"])
def test_without_a_token_nothing_is_read(
    client: Client, gateway: SimpleGateway, header: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.doors.reception.TRIES", 1000)
    del client.headers["authorization"]
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    for path, route in ROUTES.items():
        if route.action is None:
            continue
        content = b"x" * 100_000 if route.method == "POST" else b""
        response = client.request(route.method, path, content=content, headers=headers)
        problem(response, Code.WHO, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    assert not gateway.asked


def test_two_authorization_headers_are_nobody(client: Client) -> None:
    good = client.headers.pop("authorization")
    both = [("authorization", good), ("authorization", good)]
    problem(client.get("/v1/budget", headers=both), Code.WHO, 401)


def test_probes_need_no_token(client: Client) -> None:
    del client.headers["authorization"]
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_an_address_that_is_not_there(client: Client) -> None:
    problem(client.get("/v1/x"), Code.NOT_FOUND, 404)
    problem(client.get("/v1/budget/"), Code.NOT_FOUND, 404)
    problem(client.get("/docs"), Code.NOT_FOUND, 404)
    problem(client.get("/redoc"), Code.NOT_FOUND, 404)


def test_a_method_that_an_address_does_not_take(client: Client) -> None:
    response = client.get("/v1/queries")
    problem(response, Code.METHOD, 405)
    assert response.headers["allow"] == "POST"
    problem(client.post("/openapi.json"), Code.METHOD, 405)


def test_a_body_past_the_limit_is_413(client: Client, gateway: SimpleGateway) -> None:
    fits = json.dumps(ASK | {"sql": "x" * 65_000})
    assert (
        client.post("/v1/queries", content=fits, headers={"content-type": "application/json"}).status_code
        == 200
    )
    problem(client.post("/v1/queries", json=ASK | {"sql": "x" * 66_000}), Code.TOO_LARGE, 413)
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("epsilon", ["null", "true", "NaN", "1e-320", "1e308", '"1_0"', '"1.0; DROP"'])
def test_an_epsilon_that_is_not_plain_never_reaches_the_gateway(
    client: Client, gateway: SimpleGateway, epsilon: str
) -> None:
    content = f'{{"sql": "SELECT 1", "grant": "G-1", "epsilon": {epsilon}}}'
    response = client.post("/v1/queries", content=content, headers={"content-type": "application/json"})
    problem(response, Code.EPSILON, 400)
    assert not gateway.asked


def test_other_content_types_and_parameters_are_refused(client: Client) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded"):
        content = json.dumps(ASK)
        problem(client.post("/v1/queries", content=content, headers={"content-type": media}), Code.REQUEST)
    problem(client.post("/v1/explain?format=csv", json=ASK), Code.REQUEST)
    problem(client.get("/v1/budget?x=1"), Code.REQUEST)


def test_an_accident_says_and_logs_no_text(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        response = client.post("/v1/queries", json=ASK | {"sql": f"boom {SECRET}"})
    found = problem(response, Code.INTERNAL, 500)
    assert SECRET not in response.text
    lines = [r.getMessage() for r in caplog.records if r.name == "sandbox.incident"]
    assert lines == [f"incident {found['incident']}: RuntimeError"]
    assert SECRET not in caplog.text


def test_the_access_line_holds_no_query_text(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="sandbox"):
        client.get(f"/v1/log?text={SECRET}")
        client.get(f"/v1/log/77?{SECRET}")
        client.get(f"/{SECRET}")
        client.request(SECRET.upper()[:6], "/healthz")
    lines = [r.getMessage() for r in caplog.records if r.name == "sandbox.access"]
    assert lines == ["GET /v1/log 200", "GET /v1/log/{seq} 400", "GET other 404", "OTHER /healthz 405"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/x", "/v1/queries", "/openapi.json"])
def test_every_response_bears_the_security_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers[name] for name in http_reply.SECURITY} == http_reply.SECURITY


def test_a_hostile_text_comes_back_as_json_that_can_be_read(client: Client) -> None:
    content = json.dumps(ASK | {"sql": "unknown \ud800\x00"})
    response = client.post("/v1/explain", content=content, headers={"content-type": "application/json"})
    assert "\ud800" in problem(response, Code.UNKNOWN_TABLE)["detail"]


def test_the_description_names_every_address_and_its_examples_work(client: Client) -> None:
    described = client.get("/openapi.json").json()
    assert {(p, m) for p, ms in described["paths"].items() for m in ms} == {
        (p, r.method.lower()) for p, r in ROUTES.items()
    }
    assert "HTTPValidationError" not in described["components"]["schemas"]
    assert (
        client.post("/v1/queries", json=described["components"]["schemas"]["Query"]["example"]).status_code
        == 200
    )
    parameters = described["paths"]["/v1/log"]["get"]["parameters"]
    assert "limit" in {p["name"] for p in parameters}
    example = described["components"]["schemas"]["Problem"]["example"]
    del client.headers["authorization"]
    assert client.get("/v1/budget").json() == example


def test_the_bureau_reads_figures_and_nobody_else(
    client: Client, database: Database, gateway: SimpleGateway
) -> None:
    for sql in ("SELECT 1", "exact", "unknown", "quota"):
        client.post("/v1/queries", json={"sql": sql, "grant": "G-1"})
    client.get("/nowhere/SECRET")
    problem(client.get("/metrics"), Code.ROLE, 403)
    token = Accounts(database).issue(Person("bo", "bureau", "bureau"), "test", NOW)
    client.headers["authorization"] = f"Bearer {token}"
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.text.splitlines()
    for line in (
        'sandbox_answers_total{free="false",mode="dp"} 2.0',
        'sandbox_refusals_total{code="DS-202"} 1.0',
        'sandbox_refusals_total{code="DS-307"} 1.0',
        'sandbox_http_requests_total{path="/v1/queries",status="200"} 2.0',
        'sandbox_http_requests_total{path="other",status="404"} 1.0',
        'sandbox_stage_seconds_count{stage="parse"} 2.0',
        "sandbox_queries_running 1.0",
        "sandbox_queries_waiting 2.0",
    ):
        assert line in lines
    assert "execute" not in response.text and "SECRET" not in response.text and "G-1" not in response.text
