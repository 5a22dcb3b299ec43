"""Chaos in its short form; ``make chaos ROUNDS=100`` runs it at length."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.faults.nursery import Nursery
from tests.load.chaos import FAULTS, Chaos, possible

ROUNDS = ["gateway killed", "spill removed", "spill full"]


def test_the_service_comes_back_by_itself_and_nothing_is_lost(tmp_path: Path) -> None:
    rounds = [name for name in ROUNDS if name in possible()]
    with contextlib.closing(Nursery()) as nursery:
        chaos = Chaos(tmp_path, nursery, seed=5)
        with contextlib.closing(chaos):
            took = dict(chaos.run(rounds))
    assert list(took) == rounds and set(rounds) <= set(FAULTS)
    assert chaos.supervisor.starts == 2
    assert chaos.strange() == []
    assert chaos.clients.received
    assert set(chaos.books.found.counts().values()) == {0}, chaos.books.found
