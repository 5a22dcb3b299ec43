"""Traces and logs, sent to a real collector and written by the real formatters: they tell nothing of queries."""

from __future__ import annotations

import gzip
import io
import json
import logging
import logging.config
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sandbox.doors import logs
from sandbox.doors.http import create_app
from sandbox.doors.tracing import Traces
from sandbox.errors import Code, Refusal
from sandbox.home import LOGS, read_settings
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.unit.doors.conftest import NOW, Client, SimpleGateway

SECRET = "Zhang Wei earns 88231"
ALLOWED = {"http.request.method", "http.route", "http.response.status_code"} | {
    "sandbox.mode", "sandbox.free", "sandbox.code", "sandbox.stage.parse_ms", "sandbox.stage.plan_ms",
}  # fmt: skip


class Collector:
    """What OpenTelemetry's own collector does with traces: takes them over HTTP and reads them."""

    def __init__(self) -> None:
        self.bytes = b""
        self.spans: list[Span] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                data = gzip.decompress(data) if self.headers.get("content-encoding") == "gzip" else data
                outer.bytes += data
                for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
                    for scope in resource.scope_spans:
                        outer.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with closing(Collector()) as found:
        yield found


def client_of(database: Database, gateway: SimpleGateway, traces: Traces) -> Client:
    accounts = Accounts(database)
    token = accounts.issue(Person("Zhang Wei", "analyst", "operator-a"), "test", NOW)
    opened = Client(create_app(gateway, accounts, lambda: NOW, traces))
    opened.headers["authorization"] = f"Bearer {token}"
    return opened


def everything(client: Client) -> None:
    """A request of each kind, with the secret wherever a client can put a text."""
    for sql in ("SELECT 1", "exact", "unknown", "quota", "boom"):
        ask = {"sql": f"{sql} -- {SECRET}", "grant": SECRET, "idempotency_key": SECRET}
        client.post("/v1/queries", json=ask)
    client.post("/v1/explain", json={"sql": f"unknown {SECRET}", "grant": SECRET})
    client.get("/v1/log", params={"text": SECRET, "person": SECRET})
    client.get(f"/v1/products/{SECRET}", params={SECRET: SECRET})
    client.get(f"/{SECRET}", headers={"user-agent": SECRET, "cookie": SECRET, SECRET.replace(" ", "-"): "1"})
    client.request("ZHANG", "/healthz", headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})


def test_a_trace_tells_how_and_never_what(
    database: Database, gateway: SimpleGateway, collector: Collector
) -> None:
    traces = Traces(collector.place)
    everything(client_of(database, gateway, traces))
    traces.close()
    assert len(collector.spans) == 10
    for part in (SECRET, *SECRET.split(), "operator-a", "SELECT", "RuntimeError", "G-1"):
        assert part.encode() not in collector.bytes, part
    assert {a.key for span in collector.spans for a in span.attributes} == ALLOWED
    assert not any(span.events or span.links or span.parent_span_id for span in collector.spans)
    assert not any(span.status.message for span in collector.spans)
    assert "ab" * 16 not in {span.trace_id.hex() for span in collector.spans}
    told = [{a.key: a.value for a in span.attributes} for span in collector.spans]
    statuses = [t["http.response.status_code"].int_value for t in told]
    assert statuses[:5] == [200, 200, 403, 429, 500]
    assert [span.status.code for span in collector.spans][:5] == [0, 0, 0, 0, Span().status.STATUS_CODE_ERROR]
    assert [t["sandbox.code"].string_value for t in told[2:4]] == ["DS-202", "DS-307"]
    assert told[0]["sandbox.mode"].string_value == "dp" and not told[0]["sandbox.free"].bool_value
    assert [span.name for span in collector.spans][-3:] == ["/v1/products/{id}", "other", "/healthz"]
    assert told[-1]["http.request.method"].string_value == "_OTHER"


@contextmanager
def written(form: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the service's log says, in this form; the loggers are as before afterwards."""
    kept = {n: (logging.getLogger(n).handlers[:], logging.getLogger(n).level) for n in ("sandbox", "uvicorn")}
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logging.config.dictConfig(logs.settings(form))
    try:
        yield stream
    finally:
        for name, (handlers, level) in kept.items():
            logging.getLogger(name).handlers[:] = handlers
            logging.getLogger(name).setLevel(level)
        for name in ("opentelemetry", "py.warnings"):
            logging.getLogger(name).handlers.clear()


@pytest.mark.parametrize("form", LOGS)
def test_the_log_holds_no_text_of_anybody(
    form: str,
    database: Database,
    gateway: SimpleGateway,
    monkeypatch: pytest.MonkeyPatch,
    collector: Collector,
) -> None:
    traces = Traces(collector.place)
    with written(form, monkeypatch) as stream:
        everything(client_of(database, gateway, traces))
        try:
            raise ValueError(SECRET)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    traces.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == (
        12 if form == logs.JSON else 13
    )  # requests, an incident, an exception with its place
    for part in (SECRET, *SECRET.split(), "operator-a", "SELECT", "Traceback"):
        assert part not in stream.getvalue()
    if form == logs.JSON:
        told = [json.loads(line) for line in lines]
        assert {"time", "level", "logger"} <= set.intersection(*(set(t) for t in told))
        access = [t for t in told if t["logger"] == "sandbox.access"]
        assert access[0] | {"time": "", "trace": ""} == {
            "time": "", "level": "INFO", "logger": "sandbox.access", "method": "POST", "path": "/v1/queries",
            "status": 200, "trace": "",
        }  # fmt: skip
        assert {t["trace"] for t in access} == {span.trace_id.hex() for span in collector.spans}
        incident = next(t for t in told if t["logger"] == "sandbox.incident")
        assert incident["raised"] == "RuntimeError" and len(incident["incident"]) == 12
        assert told[-1]["raised"].startswith("ValueError at test_the_log_holds")


def test_a_collector_that_is_away_costs_no_answer(database: Database, gateway: SimpleGateway) -> None:
    traces = Traces("http://127.0.0.1:9/v1/traces")
    client = client_of(database, gateway, traces)
    for _ in range(5):
        assert client.post("/v1/queries", json={"sql": "SELECT 1", "grant": "G-1"}).status_code == 200
    traces.close()


def test_without_the_libraries_traces_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    Traces().close()
    with pytest.raises(Refusal) as refused:
        Traces("http://127.0.0.1:9/v1/traces")
    assert refused.value.code is Code.DOCUMENT and "telemetry" in refused.value.reasons[0].hint


@pytest.mark.parametrize(
    "said",
    [
        'logs = "xml"', 'traces = "collector:4318"', 'traces = "ftp://x/v1"', 'traces = "http://"',
        'traces = "http://user:pw@x/v1/traces"', 'traces = "http://x/v1/traces?key=1"', "traces = 1", 'logs = ""',
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(said: str) -> None:
    with pytest.raises(Refusal):
        read_settings(f"[observe]\n{said}\n".encode())
    good = read_settings(b'[observe]\nlogs = "json"\ntraces = "https://x:4318/v1/traces"\n').observe
    assert (good.logs, good.traces) == ("json", "https://x:4318/v1/traces")
