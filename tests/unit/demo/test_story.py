"""The demo's story, told once over a small province."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from sandbox.demo.cast import BUREAU
from sandbox.demo.story import run
from sandbox.gateway import open_gateway
from sandbox.home import create_home, open_home
from sandbox.store.audit import Event
from sandbox.store.search import LogFilter


def told(path: Path) -> str:
    out = Console(file=io.StringIO(), width=160, highlight=False, emoji=False, markup=False)
    run(open_home(path), once=True, residents=2_000, console=out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_story_shows_each_kind_of_reply_and_can_be_told_again_for_nothing(tmp_path: Path) -> None:
    path = create_home(tmp_path / "home").path
    text = told(path)
    for part in ("quarantined", "G-2025-022", "half_width_95", "±", "free: this was answered before"):
        assert part in text
    for part in ("Exact over the published grid", "DS-304", "DS-303", "DS-308", "ε spent", "outcome"):
        assert part in text
    gateway = open_gateway(open_home(path))
    try:
        spent = gateway.budget(BUREAU)
        refusals = gateway.log(BUREAU, LogFilter(kind=Event.REFUSAL)).entries
    finally:
        gateway.close()
    assert {b.account.split("/")[0] for b in spent} == {"G-2025-017", "G-FLIGHTS-DP", "med", "flights"}
    assert {code for entry in refusals for code in entry.codes} == {"DS-304", "DS-303"}
    assert "Snapshots are in force already" in told(path)
    again = open_gateway(open_home(path))
    try:
        assert again.budget(BUREAU) == spent
    finally:
        again.close()
