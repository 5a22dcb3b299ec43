"""A store that fails amid a query: a refusal that names it, and nothing leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from sandbox.doors.http import create_app
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.store.database import Database
from sandbox.store.ledger import Ledger
from sandbox.store.search import LogFilter, LogSearch
from tests.unit.doors.conftest import Client
from tests.unit.stages.conftest import COUNTED, NOW, PERSON


@contextmanager
def failing(gateway: Gateway, after: int) -> Iterator[None]:
    """Every flush fails but the first ``after`` ones, as on a disk that is full from then on."""
    made = 0

    def fail(connection: Connection) -> None:
        nonlocal made
        made += bool(connection.get_execution_options().get("writing"))
        if made > after:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            connection.exec_driver_sql("CREATE TABLE filler AS SELECT randomblob(100000) AS b")

    event.listen(gateway.database._writer, "commit", fail)
    yield
    event.remove(gateway.database._writer, "commit", fail)


@pytest.mark.parametrize("after", [0, 1])
def test_nothing_leaves_where_the_store_cannot_be_written(home: Home, gateway: Gateway, after: int) -> None:
    gateway.documents()
    client = Client(create_app(gateway, gateway.accounts, lambda: NOW))
    client.headers["authorization"] = f"Bearer {gateway.accounts.issue(PERSON, 'test', NOW)}"
    body = {"sql": COUNTED, "grant": "G-DP", "idempotency_key": "k"}
    client.get("/v1/budget")  # a first use of the token is an entry of its own
    with failing(gateway, after):
        found = client.post("/v1/queries", json=body)
    assert (found.status_code, found.json()["code"]) == (503, "DS-902")
    assert "disk full" in found.json()["detail"]
    assert "rows" not in found.json()
    gateway.database.close()  # the page limit is a connection's

    other = Database(home.store)
    kinds = [entry.kind for entry in LogSearch(other).entries(LogFilter()).entries]
    assert "outcome" not in kinds
    assert kinds.count("intent") == after
    spent = sum(a.spent for a in Ledger(other).balances() if a.account.startswith("G-DP/"))
    assert (spent > 0) == (after == 1)  # once data may have been read, the charge stands
    other.close()

    again = client.post("/v1/queries", json=body)
    if after == 0:
        assert again.status_code == 200
    else:  # it was cut off after data may have been read: no second noise for that charge
        assert (again.status_code, again.json()["code"]) == (409, "DS-504")


def test_a_damaged_store_is_named_and_answers_nothing(home: Home, gateway: Gateway) -> None:
    client = Client(create_app(gateway, gateway.accounts, lambda: NOW))
    client.headers["authorization"] = f"Bearer {gateway.accounts.issue(PERSON, 'test', NOW)}"
    gateway.database.close()
    with Path(home.store).open("r+b") as file:
        file.write(b"\xff" * 4096)
    found = client.post("/v1/queries", json={"sql": COUNTED, "grant": "G-DP"})
    assert (found.status_code, found.json()["code"]) == (503, "DS-902")
    assert "damaged" in found.json()["detail"]
