"""Periods: dates from their parts, seconds since 1970, and buckets of a constant width.

Buckets are counted as in the engine: those of seconds, days and weeks from Monday 2000-01-03, those of
months and years from 2000-01-01.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.dates import FIRST_MOMENT, LAST_MOMENT, add_months, moment
from sandbox.sql.functions.registry import TIMES, Function, Value, checked
from sandbox.sql.functions.texts import constant_integer

INTEGERS = dict.fromkeys(range(3), (Kind.INTEGER,))
EPOCH = dt.datetime(1970, 1, 1)
MONDAY = dt.datetime(2000, 1, 3)
NEW_YEAR = dt.datetime(2000, 1, 1)
DAY = 86_400


def _inside(text: str) -> str:
    # The engine's calendar is wider than ours.  A list of one names the value, so that it stands once.
    kept = f"CASE WHEN t BETWEEN {FIRST_MOMENT} AND {LAST_MOMENT} THEN t END"
    return f"list_transform([{text}], lambda t: {kept})[1]"


def _make_rule(facts: tuple[Facts, ...]) -> Facts:
    years = facts[0].range
    low = 1 if years.lo is None else min(max(int(years.lo), 1), 9999)
    high = 9999 if years.hi is None else min(max(int(years.hi), low), 9999)
    first, last = dt.date(low, 1, 1).toordinal(), dt.date(high, 12, 31).toordinal()
    return Facts(Kind.DATE, True, Range(Fraction(first), Fraction(last)))


def _make(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except (ValueError, OverflowError):
        return None


def _make_render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
    text = f"CAST(TRY(make_date({', '.join(args)})) AS TIMESTAMP)"
    return f"CAST({_inside(text)} AS DATE)"


def _epoch_rule(facts: tuple[Facts, ...]) -> Facts:
    start = EPOCH.toordinal()
    days = facts[0].range
    low = None if days.lo is None else (days.lo - start) * DAY
    high = None if days.hi is None else (days.hi + 1 - start) * DAY
    return Facts(Kind.DOUBLE, facts[0].nullable, Range(low, high))


def _epoch(value: dt.date) -> float:
    return (moment(value) - EPOCH) // dt.timedelta(microseconds=1) / 1e6


def _bucket_seconds(value: dt.date, width: int) -> dt.datetime | None:
    since = moment(value) - MONDAY
    try:
        return MONDAY + since // dt.timedelta(seconds=width) * dt.timedelta(seconds=width)
    except OverflowError:
        return None


def _bucket_months(value: dt.date, width: int) -> dt.date | None:
    months = 12 * (value.year - 2000) + value.month - 1
    return add_months(NEW_YEAR, months // width * width)


def _bucket(name: str, unit: str, most: int, days: Fraction, start: Callable[..., Value]) -> Function:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        checked("time_bucket", {0: TIMES}, lambda f: f[0])(facts)
        width = constant_integer("time_bucket", facts[1], 1, most) * days
        spread = facts[0].range
        out = UNBOUNDED if spread.lo is None else Range(max(spread.lo - width - 1, Fraction(1)), spread.hi)
        return Facts(Kind.TIMESTAMP, True, out)

    def render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
        return _inside(f"time_bucket(to_{unit}({args[1]}), CAST({args[0]} AS TIMESTAMP))")

    example = f"time_bucket(INTERVAL 2 {unit[:-1].upper()}, settle_date)"
    return Function(name, 2, 2, rule, start, render, frozenset({1}), family="date", example=example)


FUNCTIONS = (
    Function(
        "make_date",
        3,
        3,
        checked("make_date", INTEGERS, _make_rule),
        _make,
        _make_render,
        family="date",
        example="make_date(year, month, 1)",
    ),
    Function(
        "epoch",
        1,
        1,
        checked("epoch", {0: TIMES}, _epoch_rule),
        _epoch,
        lambda a, f, o: f"epoch({a[0]})",
        family="date",
        example="epoch(settle_date)",
    ),
    _bucket("bucket_seconds", "seconds", 400 * DAY, Fraction(1, DAY), _bucket_seconds),
    _bucket("bucket_months", "months", 1_200, Fraction(31), _bucket_months),
)
