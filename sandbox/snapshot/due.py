"""When a new snapshot is due, by what its dataset document promises (``snapshot:``)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

_PERIODS: Final[Mapping[str, Callable[[dt.datetime], tuple[int, ...]]]] = {
    "once": lambda _: (),
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "quarterly": lambda at: (at.year, (at.month - 1) // 3),
    "yearly": lambda at: (at.year,),
}
"""The calendar period of a moment, as numbers that grow."""


def due(refresh: str, last: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether there is no snapshot yet, or the last is of an earlier period (UTC) than now; both aware."""
    period = _PERIODS[refresh]
    return last is None or period(now.astimezone(dt.UTC)) > period(last.astimezone(dt.UTC))
