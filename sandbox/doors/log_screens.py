"""The log, its views and its alerts as a terminal shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from sandbox.doors import wire
from sandbox.doors.terminal import Terminal
from sandbox.model import LogEntry, Words
from sandbox.store.search import Page
from sandbox.store.views import SHARED, View

_LONGEST_TEXT: Final = 80
_OLDER: Final = Words("更早的记录", "older entries")
_NEWER: Final = Words("更新的记录", "newer entries")


def log(terminal: Terminal, page: Page) -> None:
    """Entries of the log, newest first, and how to read on."""
    heads = ("seq", "time (UTC)", "kind", "person", "grant", "decision", "codes", "nano", "text")
    terminal.table(heads, (_row(e) for e in page.entries), frozenset({0, 7}))
    for name, cursor, words in (("after", page.next, _OLDER), ("before", page.previous, _NEWER)):
        if cursor is not None:
            terminal.lines([Words(f"{words.zh}：--{name} {cursor}", f"{words.en}: --{name} {cursor}")])


def _row(entry: LogEntry) -> list[str]:
    one_line = " ".join(entry.text.split())
    text = one_line if len(one_line) <= _LONGEST_TEXT else one_line[: _LONGEST_TEXT - 1] + "…"
    time = entry.time.strftime("%Y-%m-%d %H:%M:%S")
    codes, nano = " ".join(entry.codes), f"{entry.nano:,}" if entry.nano else ""
    return [str(entry.seq), time, entry.kind, entry.person, entry.grant, entry.decision, codes, nano, text]


def entry(terminal: Terminal, found: LogEntry) -> None:
    """One entry, whole: the text as it was asked, the derivation line by line."""
    facts = (
        ("seq", str(found.seq)),
        ("time", found.time.isoformat()),
        ("kind", found.kind),
        ("request", found.request),
        ("person", found.person),
        ("organisation", found.organisation),
        ("grant", found.grant),
        ("datasets", " ".join(found.datasets)),
        ("decision", found.decision),
        ("codes", " ".join(found.codes)),
        ("nano", f"{found.nano:,}" if found.nano else ""),
    )
    for name, text in facts:
        if text:
            terminal.line(f"{name}: {text}")
    if found.text:
        terminal.line("")
        for text in found.text.splitlines():
            terminal.line(text)
    terminal.line("")
    for name, value in wire.told(found).items():
        if isinstance(value, list) and value:
            terminal.line(f"{name}:")
            for part in value:
                terminal.line(f"  {part}")
        else:
            terminal.line(f"{name}: {value}")


def views(terminal: Terminal, found: Iterable[View]) -> None:
    """Saved views and their filters."""
    heads = [
        terminal.say(w) for w in (Words("视图", "view"), Words("共享", "shared"), Words("筛选", "filters"))
    ]
    rows = (
        [v.name, "✓" if v.owner == SHARED else "", " ".join(f"{k}={w}" for k, w in v.filters.items())]
        for v in found
    )
    terminal.table(heads, rows)


def alert(terminal: Terminal, found: LogEntry) -> None:
    """One alert: what was seen, the entries it rests on, what to do."""
    payload = json.loads(found.payload) if found.payload else {}
    time = found.time.strftime("%Y-%m-%d %H:%M:%S")
    name = payload.get("rule") or payload.get("alarm", "")
    head = (f"#{found.seq}", time, payload.get("severity", ""), name, found.person, found.grant)
    terminal.line("  ".join(filter(None, head)), "bold")
    terminal.lines([Words(p["zh"], p["en"]) for p in (payload.get("what"), payload.get("do")) if p], "")
    if payload.get("evidence"):
        terminal.line("← " + ", ".join(f"#{seq}" for seq in payload["evidence"]))
