"""A snapshot is due once in every period of the calendar, at its first moment in UTC."""

from __future__ import annotations

import datetime as dt

import pytest

from sandbox.policy.dataset_fields import Refresh
from sandbox.snapshot.due import due

LAST = dt.datetime(2025, 3, 30, 12, tzinfo=dt.UTC)
FIRST = {
    Refresh.DAILY: dt.datetime(2025, 3, 31, tzinfo=dt.UTC),
    Refresh.WEEKLY: dt.datetime(2025, 3, 31, tzinfo=dt.UTC),
    Refresh.MONTHLY: dt.datetime(2025, 4, 1, tzinfo=dt.UTC),
    Refresh.QUARTERLY: dt.datetime(2025, 4, 1, tzinfo=dt.UTC),
    Refresh.YEARLY: dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
}


@pytest.mark.parametrize("refresh", list(Refresh))
def test_due_from_the_first_moment_of_the_next_period_on(refresh: Refresh) -> None:
    assert due(refresh, None, LAST) and not due(refresh, LAST, LAST)
    first = FIRST.get(refresh)
    if first is None:
        assert not due(refresh, LAST, LAST.replace(year=2099))
        return
    assert due(refresh, LAST, first) and not due(refresh, LAST, first - dt.timedelta(microseconds=1))
    beijing = dt.timezone(dt.timedelta(hours=8))
    assert due(refresh, LAST, first.astimezone(beijing))
    assert due(refresh, LAST, first + dt.timedelta(days=366))
    assert not due(refresh, LAST, LAST - dt.timedelta(days=366))  # a clock that was set back
