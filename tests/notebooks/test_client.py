"""The client against the real gateway, over a port and over a Unix socket."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from sandbox_client import Client, Lost, Refusal, connect
from sandbox_client.binding import bound, literal, names
from sandbox_client.client import SOCKET_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from sandbox_client.words import LANG_VARIABLE, chosen

from sandbox.doors.notebook_service import NotebookService
from tests.notebooks.house import AIR, PEOPLE, POWER, House

BY_ORIGIN = "SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin ORDER BY origin"
KWH = "SELECT s.en AS sector, SUM(u.kwh) AS kwh FROM usage u JOIN sector s ON s.industry2 = u.industry2 GROUP BY s.en"


def spent(client: Client) -> dict[str, Any]:
    return {b["account"]: b["spent"] for b in client.budget()}


def test_an_answer_comes_with_intervals_guarantee_and_cost(air: Client) -> None:
    found = air.query(BY_ORIGIN, epsilon="0.01")
    assert [c.name for c in found.columns] == ["origin", "n"]
    assert found.columns[1].margin == "n_margin" and found.columns[0].margin is None
    assert found.table.column_names == ["origin", "n", "n_margin"]
    assert found.price is not None and found.price.epsilon == "0.01"
    assert found.guarantee and found.receipt > 0 and found.left
    values, halves = found.table["n"].to_pylist(), found.table["n_margin"].to_pylist()
    ends = [(float(v) - h, float(v) + h) for v, h in zip(values, halves, strict=True)]
    assert found.intervals("n") == ends and all(h > 0 for h in halves)
    assert found.intervals("origin") == [None] * len(found)
    with pytest.raises(KeyError):
        found.intervals("nothing")


def test_pandas_and_polars_hold_the_same_rows(air: Client) -> None:
    found = air.query(BY_ORIGIN, epsilon="0.01")
    assert list(found.pandas().columns) == found.polars().columns == found.arrow().column_names
    assert found.pandas()["origin"].tolist() == found.polars()["origin"].to_list()


def test_the_same_question_is_free_and_shows_the_same(air: Client) -> None:
    first, before = air.query(BY_ORIGIN, epsilon="0.01"), spent(air)
    again = air.query(BY_ORIGIN, epsilon="0.01")
    assert again.price is not None and again.price.free
    assert again.table.equals(first.table) and spent(air) == before


def test_explaining_spends_nothing(air: Client) -> None:
    before = spent(air)
    found = air.explain("SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier", within="20000")
    assert found.price is not None and found.columns[1].predicted and found.derivation
    assert spent(air) == before


def test_a_refusal_says_what_and_what_now_in_both_languages(air: Client) -> None:
    with pytest.raises(Refusal) as caught:
        air.query("SELECT nothing FROM flights")
    reason = caught.value.reasons[0]
    assert caught.value.code == reason.code == "DS-202"
    assert "列" in reason.what.zh and "column" in reason.what.en and reason.now.zh and reason.now.en
    assert str(caught.value).startswith("DS-202 no column")
    air.lang = "zh"
    with pytest.raises(Refusal, match="没有此列"):
        air.query("SELECT nothing FROM flights")


def test_a_wrong_token_is_a_refusal(house: House) -> None:
    with connect(house.url, "ds_wrong") as client, pytest.raises(Refusal) as caught:
        client.catalog()
    assert (caught.value.code, caught.value.status) == ("DS-801", 401)


def test_parameters_are_literals_in_the_text(air: Client) -> None:
    sql = "SELECT COUNT(*) AS n FROM flights WHERE origin = :origin AND flight_date < :day"
    found = air.query(sql, {"origin": "JFK", "day": dt.date(2013, 6, 1)}, epsilon="0.01")
    told = sql.replace(":origin", "'JFK'").replace(":day", "DATE '2013-06-01'")
    assert air.query(told, epsilon="0.01").table.equals(found.table)


def test_the_grid_answers_exactly_over_the_unix_socket(
    house: House, service: NotebookService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    house.token(POWER)
    with service.line(PEOPLE[POWER], path := tmp_path / "gateway"):
        monkeypatch.setenv(SOCKET_VARIABLE, str(path))
        with connect(grant=POWER) as client:
            found = client.query(KWH)
            assert found.mode == "exact" and found.price is None and len(found) > 0
            assert [g["id"] for g in client.catalog()] == [POWER]


def test_pandas_reads_over_dbapi(air: Client) -> None:
    with pytest.warns(UserWarning, match="SQLAlchemy"):
        frame = pd.read_sql(BY_ORIGIN, air.dbapi())
    assert list(frame.columns) == ["origin", "n", "n_margin"] and len(frame) == 3


def test_a_cursor_gives_rows_one_several_and_all(air: Client) -> None:
    cursor = air.dbapi().cursor()
    assert (cursor.description, cursor.rowcount, cursor.fetchall()) == (None, -1, [])
    cursor.execute("SELECT origin, COUNT(*) AS n FROM flights WHERE month = :m GROUP BY origin", {"m": 1})
    assert cursor.description is not None and [d[0] for d in cursor.description] == [
        "origin",
        "n",
        "n_margin",
    ]
    assert cursor.rowcount == 3
    rows = [cursor.fetchone(), *cursor.fetchmany(1), *cursor.fetchall()]
    assert sorted(row[0] for row in rows if row is not None) == ["EWR", "JFK", "LGA"]
    assert cursor.fetchone() is None


@contextmanager
def cut(url: str, times: int) -> Iterator[tuple[str, list[bytes]]]:
    """A line to the gateway that loses the first answers after they were given; what was sent over it."""
    sent: list[bytes] = []
    target = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as door:

        def carry() -> None:
            while True:
                try:
                    near, _ = door.accept()
                except OSError:
                    return
                with near, socket.create_connection((target.hostname, target.port)) as far:
                    asked = near.recv(1 << 16)
                    while b"\r\n\r\n" not in asked or not asked.rstrip().endswith(b"}"):
                        asked += near.recv(1 << 16)
                    sent.append(asked)
                    far.sendall(asked.replace(b"Connection: keep-alive", b"Connection: close"))
                    answered = bytearray()
                    while part := far.recv(1 << 16):
                        answered += part
                    if len(sent) > times:
                        near.sendall(answered)

        threading.Thread(target=carry, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}", sent


def test_a_lost_answer_is_asked_for_again_and_charged_once(house: House) -> None:
    sql, token = "SELECT dest, COUNT(*) AS n FROM flights GROUP BY dest", house.token(AIR)
    with connect(house.url, token) as direct:
        with cut(house.url, 1) as (url, sent), connect(url, token) as client:
            stream = client._transport.arrow(
                "/v1/queries", {"sql": sql, "grant": AIR, "idempotency_key": "k1"}
            )
        assert len(sent) == 2 and sent[0] == sent[1]
        after = spent(direct)
        assert direct.query(sql, grant=AIR).price.free  # type: ignore[union-attr]
        assert spent(direct) == after and stream


# httpcore leaves the socket of a connection that failed to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_gateway_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with (
        connect(socket=str(tmp_path / "none"), lang="en") as client,
        pytest.raises(Lost, match="cannot be reached"),
    ):
        client.budget()


def test_connect_takes_the_environment_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SOCKET_VARIABLE, URL_VARIABLE, TOKEN_VARIABLE, LANG_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="token"):
        connect()
    with pytest.raises(ValueError, match="grant"), connect("http://127.0.0.1:9", "t") as client:
        client.query("SELECT 1")
    assert chosen() == "zh"
    monkeypatch.setenv(LANG_VARIABLE, "en")
    assert chosen() == "en"
    with pytest.raises(ValueError, match="zh or en"):
        chosen("de")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (7, "7"),
        (1e-7, "0.0000001"),
        (Decimal("1.50"), "1.50"),
        ("it's", "'it''s'"),
        (dt.date(2013, 1, 2), "DATE '2013-01-02'"),
        (dt.datetime(2013, 1, 2, 3, 4, 5), "TIMESTAMP '2013-01-02 03:04:05'"),
    ],
)
def test_literals(value: object, text: str) -> None:
    assert literal(value) == text


def test_what_is_no_literal_is_refused() -> None:
    for value in (float("nan"), float("inf"), Decimal("NaN")):
        with pytest.raises(ValueError, match="finite"):
            literal(value)
    with pytest.raises(TypeError, match="list"):
        literal([1])


def test_texts_comments_and_casts_hold_no_parameters() -> None:
    sql = """SELECT ':a', ":b", x::INTEGER -- :c
             /* :d */ FROM t WHERE y = :e AND z = :e AND s = 'it''s :f'"""
    assert names(sql) == ("e",)
    assert bound(sql, {"e": "q"}) == sql.replace(":e", "'q'")
    with pytest.raises(KeyError):
        bound(sql, {})
