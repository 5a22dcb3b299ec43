from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from typing import Any

import pytest

from sandbox.doors.asking import read_body
from sandbox.doors.filters import NAMES, log_filter
from sandbox.errors import Code, Refusal
from sandbox.model import Person, Within
from sandbox.store.audit import Event
from sandbox.store.search import LogFilter
from tests.unit.doors.conftest import NOW

LI, WANG = Person("li", "analyst", "a"), Person("wang", "analyst", "a")


def body(epsilon: str) -> bytes:
    return b'{"sql": "SELECT 1", "grant": "G", "epsilon": %s}' % epsilon.encode()


def code_of(data: bytes) -> Code:
    with pytest.raises(Refusal) as refused:
        read_body(data)
    return refused.value.code


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", "1/2"), ('"0.5"', "1/2"), ("20", "20"), ('"0.001"', "1/1000")]
)
def test_a_plain_epsilon_is_read_exactly(text: str, value: str) -> None:
    assert read_body(body(text)).epsilon == Fraction(value)


def test_only_an_absent_epsilon_means_the_default() -> None:
    assert read_body(b'{"sql": "SELECT 1", "grant": "G"}').epsilon is None


@pytest.mark.parametrize(
    "text",
    [
        "null", "true", "false", "NaN", "Infinity", "-Infinity", "1e-320", "1e308", "1e999", "5E-1", "-1",
        "-0", "0", "20.0000001", "21", "0.0000001", "1" * 5000, '"1_0"', '"1.0; DROP"', '" 1"', '"+1"',
        '"0x1"', '""', '"１"', "[0.5]", '{"a": 1}', "[NaN]",
    ],
)  # fmt: skip
def test_any_other_epsilon_is_refused_as_an_epsilon(text: str) -> None:
    assert code_of(body(text)) is Code.EPSILON


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"x"',
        b"\xff",
        b"{",
        b"[" * 60_000,
        b'{"sql": "a", "sql": "b", "grant": "G"}',
        b'{"sql": "a", "grant": "G", "epsilon": 1, "epsilon": 2}',
        b'{"sql": 1, "grant": "G"}',
        b'{"sql": NaN, "grant": "G"}',
        b'{"sql": null, "grant": "G"}',
        b'{"grant": "G"}',
        b'{"sql": "a"}',
        b'{"sql": "a", "grant": "G", "seed": 1}',
        b'{"sql": "a", "grant": "G", "idempotency_key": ""}',
        b'{"sql": "a", "grant": "G", "idempotency_key": null}',
    ],
)
def test_any_other_body_is_refused(data: bytes) -> None:
    assert code_of(data) is Code.REQUEST


def test_the_same_key_and_body_is_the_same_request_of_one_person_only() -> None:
    told = {"sql": "SELECT '\ud800'", "grant": "G", "idempotency_key": "k"}
    asked = read_body(json.dumps(told).encode())
    assert asked.request(LI, NOW).id == asked.request(LI, NOW + dt.timedelta(1)).id
    assert asked.request(LI, NOW).id != asked.request(WANG, NOW).id
    other = read_body(json.dumps(told | {"sql": "SELECT 2"}).encode())
    assert other.request(LI, NOW).id != asked.request(LI, NOW).id
    unkeyed = read_body(b'{"sql": "a", "grant": "G"}')
    assert unkeyed.request(LI, NOW).id != unkeyed.request(LI, NOW).id


def test_every_filter_reaches_the_log() -> None:
    texts = {n: f"<{n}>" for n in ("person", "organisation", "grant", "dataset", "decision", "code", "text")}
    rest = {
        "kind": "outcome",
        "since": "2026-01-01",
        "until": "2026-01-02T00:00:00+08:00",
        "after": "0",
        "limit": "5",
        "least": "1",
        "most": "20",
    }
    assert set(texts | rest) == set(NAMES) - {"before"}
    found = log_filter(texts | rest)
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    zone = dt.timezone(dt.timedelta(hours=8))
    period = {"since": day, "until": dt.datetime(2026, 1, 2, tzinfo=zone)}
    numbers = {"after": 0, "limit": 5, "least": 1, "most": 20}
    told: dict[str, Any] = {**texts, **period, **numbers}
    assert found == LogFilter(kind=Event.OUTCOME, **told)
    assert log_filter({"before": "7"}) == LogFilter(before=7)
    assert log_filter({}) == LogFilter()


@pytest.mark.parametrize(
    "given",
    [
        {"x": "1"},
        {"kind": "x"},
        {"after": "1", "before": "2"},
        {"least": "-1"},
        {"since": "x"},
        {"limit": "0"},
        {"limit": "1001"},
        {"after": "-1"},
        {"after": "９"},
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refused:
        log_filter(given)
    assert refused.value.code is Code.REQUEST


@pytest.mark.parametrize(
    ("text", "amount", "relative"),
    [("100", "100", False), ('"100"', "100", False), ("0.5", "1/2", False), ('"5%"', "1/20", True)],
)
def test_an_accuracy_is_an_amount_or_a_percentage(text: str, amount: str, relative: bool) -> None:
    found = read_body(b'{"sql": "SELECT 1", "grant": "G", "within": %s}' % text.encode())
    assert found.within == Within(Fraction(amount), relative)
    assert found.request(LI, NOW).within == found.within


@pytest.mark.parametrize(
    "text", ["null", "true", "NaN", "1e3", "-1", "0", '"0%"', '"%"', '"5 %"', '"5%%"', "[]"]
)
def test_any_other_accuracy_is_refused(text: str) -> None:
    assert code_of(b'{"sql": "SELECT 1", "grant": "G", "within": %s}' % text.encode()) is Code.WITHIN


def test_another_accuracy_is_another_request() -> None:
    ids = {
        read_body(b'{"sql": "S", "grant": "G", "idempotency_key": "k"%s}' % more).request(LI, NOW).id
        for more in (b"", b', "within": 5', b', "within": "5%"')
    }
    assert len(ids) == 3
