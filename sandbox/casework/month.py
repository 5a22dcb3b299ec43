"""A month of the log, as the people who read it count: China Standard Time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sandbox.errors import Code, refuse

ZONE: Final = dt.timezone(dt.timedelta(hours=8), "UTC+8")


@dataclass(frozen=True, slots=True)
class Month:
    """``name`` is ``YYYY-MM``; ``since`` is included, ``until`` is not (both UTC)."""

    name: str
    since: dt.datetime
    until: dt.datetime


def month(text: str) -> Month:
    """The month of a text.  Refuses ``REQUEST`` what is no month from 1970 on."""
    try:
        first = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=ZONE)
        following = (first + dt.timedelta(days=32)).replace(day=1)
    except (ValueError, OverflowError):
        raise _wrong() from None
    if first.year < 1970:
        raise _wrong()
    return Month(f"{first:%Y-%m}", first.astimezone(dt.UTC), following.astimezone(dt.UTC))


def _wrong() -> Exception:
    return refuse(Code.REQUEST, "the month", "a month as YYYY-MM", "应为 YYYY-MM 格式的月份")
