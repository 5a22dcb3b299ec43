"""The crash campaign in its short form, and the auditor that judges it; ``make crash`` runs it at length."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.books import Books
from tests.faults.crash import Campaign
from tests.faults.house import Clients, make_home, token
from tests.faults.nursery import STEPS, Nursery, free_port
from tests.support.postgres import Server

SOUND = {"lost": 0, "overspent": 0, "unlogged": 0, "unverifiable": 0}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with contextlib.closing(Nursery()) as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("sqlite", [*STEPS, "", "", ""]),
        ("postgresql", ["log opened", "touched", "noise drawn", "outcome written", ""]),
    ],
)
def test_nothing_is_lost_at_any_step(
    kind: str, steps: list[str], nursery: Nursery, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = "store.db"
    if kind == "postgresql":
        server: Server = request.getfixturevalue("server")
        store = server.database()
    with contextlib.closing(Campaign(tmp_path, store, nursery, seed=7)) as campaign:
        kills = list(campaign.run(steps))
    assert kills == list(range(1, len(steps) + 1))
    assert campaign.unreached == [] and campaign.clients.strange == []
    assert campaign.books.found.counts() == SOUND, campaign.books.found


PLANTED = {
    "UPDATE ledger_accounts SET spent = spent - 1": "lost",
    "UPDATE reservations SET state = 'released'": "lost",
    "UPDATE ledger_accounts SET approved_limit = spent - 1": "overspent",
    "DELETE FROM audit WHERE kind = 'intent'": "unlogged",
    "UPDATE audit SET nano = nano + 1 WHERE kind = 'outcome'": "unverifiable",
}


def test_the_auditor_finds_what_is_planted(nursery: Nursery, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    port = free_port()
    clients = Clients(port, [token(home, "ann")])
    serving = nursery.start(home.path, port)
    assert serving.ready()
    clients.start()
    while len(clients.received) < 5:
        assert not serving.dead(0.05)
    clients.stop()
    serving.kill()
    serving.close()
    with sqlite3.connect(home.store) as store:  # whoever can write the file can take its fences away
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f'DROP TRIGGER "{name}"')
    store.close()
    for number, (statement, kind) in enumerate({"SELECT 1": "", **PLANTED}.items()):
        before = Path(home.store).read_bytes()
        with contextlib.closing(Books(home, ["ann"], tmp_path / f"auditor {number}")) as books:
            with sqlite3.connect(home.store) as store:
                store.execute(statement)
            store.close()
            books.check(clients.received)
            assert {name for name, count in books.found.counts().items() if count} >= {kind} - {""}
            assert kind or books.found.counts() == SOUND
        for beside in ("-wal", "-shm"):
            Path(f"{home.store}{beside}").unlink(missing_ok=True)
        Path(home.store).write_bytes(before)
