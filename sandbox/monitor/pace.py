"""Rules over time and money: burn rate, unusual hours, missing outcomes (pure)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from sandbox.model import LogEntry
from sandbox.monitor.rule import Evidence, facts, seqs

LOCAL: Final = dt.timezone(dt.timedelta(hours=8))
"""China Standard Time, by which hours are judged."""


def burn(entries: Sequence[LogEntry], *, part: float = 0.25) -> Evidence:
    """Within the window a grant was to pay this ``part`` of all that it may ever spend (of one unit kind)."""
    limit = facts(entries[-1].payload).get("limit")
    paid = [e for e in entries if e.nano]
    return seqs(paid) if limit and sum(e.nano for e in paid) >= part * limit else ()


def night(entries: Sequence[LogEntry], *, least: int = 5, begins: int = 23, ends: int = 6) -> Evidence:
    """``least`` questions asked between ``begins`` and ``ends`` o'clock, China Standard Time."""
    late = [e for e in entries if _between(e.time.astimezone(LOCAL).hour, begins, ends)]
    return seqs(late) if len(late) >= least and late[-1] is entries[-1] else ()


def missing(entry: LogEntry, now: dt.datetime, *, minutes: int = 10) -> Evidence:
    """An intent whose end is not on record and has been due for so long: a crash, or a log cut off."""
    return (entry.seq,) if now - entry.time >= dt.timedelta(minutes=minutes) else ()


def _between(hour: int, begins: int, ends: int) -> bool:
    return hour >= begins or hour < ends if begins > ends else begins <= hour < ends
