"""Dates and timestamps.  Parts, truncation, constant offsets and differences.

``date_trunc`` yields a timestamp, as in the engine.  Weeks are ISO weeks; ``dayofweek`` counts from
Sunday = 0.  Offsets saturate to NULL at the ends of the calendar.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from sandbox.catalogue import UNBOUNDED, Kind, Range, Scalar
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.registry import TIMES, Function, Rule, Value, any_null, checked, span
from sandbox.sql.functions.texts import constant_integer

UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
LENGTHS = {
    "second": Fraction(1, 86_400),
    "minute": Fraction(1, 1440),
    "hour": Fraction(1, 24),
    "day": Fraction(1),
    "month": Fraction(28),
    "quarter": Fraction(90),
    "year": Fraction(365),
}
"""The days that a unit takes at least."""
COUNTED = tuple(LENGTHS)
"""Units whose boundaries ``date_diff`` counts."""
MOST_DAYS = 4000
LAST_DAY = dt.date.max.toordinal()
FIRST_MOMENT = "TIMESTAMP '0001-01-01 00:00:00'"
LAST_MOMENT = "TIMESTAMP '9999-12-31 23:59:59.999999'"


def day_values(facts: Facts) -> tuple[dt.date, ...] | None:
    """Every calendar day of a bounded temporal range, if there are few enough."""
    if facts.range.lo is None or facts.range.hi is None:
        return None
    first, last = int(facts.range.lo), int(facts.range.hi)
    return None if last - first > MOST_DAYS else _days(first, last)


@lru_cache(maxsize=64)
def _days(first: int, last: int) -> tuple[dt.date, ...]:
    return tuple(dt.date.fromordinal(d) for d in range(first, last + 1))


def moment(value: dt.date) -> dt.datetime:
    """A date as the timestamp at its start."""
    return value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)


def truncate(unit: str, value: dt.date) -> dt.datetime:
    """The start of the unit that holds the value."""
    at = moment(value).replace(microsecond=0)
    if unit in ("second", "minute", "hour"):
        return at.replace(
            second=0 if unit != "second" else at.second, minute=0 if unit == "hour" else at.minute
        )
    day = at.replace(hour=0, minute=0, second=0)
    if unit == "week":
        return day - dt.timedelta(days=day.weekday())
    if unit in ("month", "quarter", "year"):
        month = {"month": day.month, "quarter": 3 * ((day.month - 1) // 3) + 1, "year": 1}[unit]
        return day.replace(day=1, month=month)
    return day


def _unit_of(facts: Facts, name: str) -> str:
    domain = facts.domain
    if domain is None or len(domain) != 1 or domain[0] not in UNITS:
        raise refuse(
            Code.ARGUMENT, name, f"the unit is one of {', '.join(UNITS)}", f"单位须为 {'、'.join(UNITS)} 之一"
        )
    return str(domain[0])


def _trunc_rule(facts: tuple[Facts, ...]) -> Facts:
    unit = _unit_of(facts[0], "date_trunc")
    checked("date_trunc", {1: TIMES}, lambda f: f[0])(facts)
    days = day_values(facts[1])
    domain: tuple[Scalar, ...] | None = None
    if days is not None and unit not in ("second", "minute", "hour"):
        domain = tuple(dict.fromkeys(truncate(unit, d) for d in days))
    spread = facts[1].range
    low = None if spread.lo is None else spread.lo - 366
    return Facts(Kind.TIMESTAMP, facts[1].nullable, Range(low, spread.hi), domain=domain)


PARTS: dict[str, tuple[Callable[[dt.datetime], int], int, int]] = {
    "year": (lambda d: d.year, -290_000, 294_000),
    "quarter": (lambda d: (d.month - 1) // 3 + 1, 1, 4),
    "month": (lambda d: d.month, 1, 12),
    "week": (lambda d: d.isocalendar()[1], 1, 53),
    "day": (lambda d: d.day, 1, 31),
    "dayofyear": (lambda d: d.timetuple().tm_yday, 1, 366),
    "dayofweek": (lambda d: d.isoweekday() % 7, 0, 6),
    "isodow": (lambda d: d.isoweekday(), 1, 7),
    "isoyear": (lambda d: d.isocalendar()[0], -290_000, 294_000),
    "yearweek": (lambda d: 100 * d.isocalendar()[0] + d.isocalendar()[1], -29_000_000, 29_400_000),
    "decade": (lambda d: d.year // 10, -29_000, 29_400),
    "century": (lambda d: (d.year + 99) // 100, -2_900, 2_940),
    "hour": (lambda d: d.hour, 0, 23),
    "minute": (lambda d: d.minute, 0, 59),
    "second": (lambda d: d.second, 0, 59),
}


@lru_cache(maxsize=64)
def _parts_of(name: str, first: int, last: int) -> tuple[int, ...]:
    """The values of a part over all days of an interval."""
    read = PARTS[name][0]
    return tuple(sorted({read(moment(day)) for day in _days(first, last)}))


def _part(name: str) -> Function:
    read, low, high = PARTS[name]

    def rule(facts: tuple[Facts, ...]) -> Facts:
        checked(name, {0: TIMES}, lambda f: f[0])(facts)
        days = None if name in ("hour", "minute", "second") else day_values(facts[0])
        values = tuple(range(low, high + 1)) if high - low < 1000 else None
        if days is not None:
            values = _parts_of(name, days[0].toordinal(), days[-1].toordinal()) if days else ()
        spread = span(low, high) if not values else span(values[0], values[-1])
        return Facts(Kind.INTEGER, facts[0].nullable, spread, Fraction(1), values)

    return Function(
        name,
        1,
        1,
        rule,
        lambda v: read(moment(v)),
        lambda a, f, o: f"CAST({name}({a[0]}) AS BIGINT)",
        family="date",
        example=f"{name}(settle_date)",
    )


def add_months(value: dt.date, months: int) -> dt.date | None:
    """The same day of a later month, or that month's last day."""
    index = value.year * 12 + value.month - 1 + months
    year, month = index // 12, index % 12 + 1
    if not 1 <= year <= 9999:
        return None
    return value.replace(year=year, month=month, day=min(value.day, calendar.monthrange(year, month)[1]))


def _add_seconds(value: dt.date, seconds: int) -> dt.datetime | None:
    try:
        return moment(value) + dt.timedelta(seconds=seconds)
    except OverflowError:
        return None


def _add_rule(name: str, limit: int, days: Fraction) -> Rule:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        checked("INTERVAL", {0: TIMES}, lambda f: f[0])(facts)
        amount = constant_integer("INTERVAL", facts[1], -limit, limit)
        shift = days * amount
        slack = 4 if name == "add_months" else 1
        spread = facts[0].range
        low = None if spread.lo is None else spread.lo + min(shift, shift * Fraction(9, 10)) - slack
        high = None if spread.hi is None else spread.hi + max(shift, shift * Fraction(11, 10)) + slack
        out = UNBOUNDED if low is None or high is None else Range(low, high)
        return Facts(Kind.TIMESTAMP, True, out)

    return rule


def _add_render(unit: str) -> Callable[[list[str], tuple[Facts, ...], Facts], str]:
    def render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
        text = f"TRY(CAST({args[0]} AS TIMESTAMP) + to_{unit}({args[1]}))"
        if (
            out.range.lo is not None
            and out.range.lo >= 1
            and out.range.hi is not None
            and out.range.hi < LAST_DAY
        ):
            return text
        # The engine's calendar is wider than ours.  A list of one is how to name a value in an
        # expression; writing it twice would double the text at every nested offset.
        kept = f"CASE WHEN t BETWEEN {FIRST_MOMENT} AND {LAST_MOMENT} THEN t END"
        return f"list_transform([{text}], lambda t: {kept})[1]"

    return render


def _diff_rule(facts: tuple[Facts, ...]) -> Facts:
    unit = _unit_of(facts[0], "date_diff")
    checked("date_diff", {1: TIMES, 2: TIMES}, lambda f: f[0])(facts)
    if unit not in COUNTED:
        hint = f"use one of {', '.join(COUNTED)}"
        raise refuse(Code.ARGUMENT, f"date_diff('{unit}')", hint, f"请使用 {'、'.join(COUNTED)} 之一")
    a, b = facts[1].range, facts[2].range
    spread = UNBOUNDED
    if a.lo is not None and a.hi is not None and b.lo is not None and b.hi is not None:
        spread = _counts(unit, b.lo - a.hi - 1, b.hi - a.lo + 1)
    return Facts(Kind.INTEGER, any_null(facts), spread, Fraction(1))


def _counts(unit: str, low: Fraction, high: Fraction) -> Range:
    """How many boundaries of the unit lie between moments that are so many days apart."""
    if unit == "day":
        return Range(low, high)
    shortest = LENGTHS[unit]
    return Range(min(low, Fraction(0)) / shortest - 1, max(high, Fraction(0)) / shortest + 1)


def _diff(unit: str, a: dt.date, b: dt.date) -> int:
    return _number(unit, moment(b)) - _number(unit, moment(a))


def _number(unit: str, at: dt.datetime) -> int:
    """The number of the unit that holds the moment, counted from some beginning."""
    seconds = 86_400 * at.toordinal() + 3600 * at.hour + 60 * at.minute + at.second
    months = 12 * at.year + at.month - 1
    return {
        "second": seconds,
        "minute": seconds // 60,
        "hour": seconds // 3600,
        "day": seconds // 86_400,
        "month": months,
        "quarter": months // 3,
        "year": at.year,
    }[unit]


def _format_rule(facts: tuple[Facts, ...]) -> Facts:
    checked("strftime", {0: TIMES}, lambda f: f[0])(facts)
    domain = facts[1].domain
    text = domain[0] if domain is not None and len(domain) == 1 else None
    if not isinstance(text, str) or not _plain_format(text):
        raise refuse(
            Code.ARGUMENT,
            "strftime",
            "use a constant format of %Y %m %d %H %M %S %j",
            "请使用由 %Y %m %d %H %M %S %j 组成的常量格式",
        )
    days = None if any(f"%{c}" in text for c in "HMS") else day_values(facts[0])
    values = None if days is None else tuple(dict.fromkeys(format_time(d, text) for d in days))
    return Facts(Kind.STRING, facts[0].nullable, domain=values)


def _plain_format(text: str) -> bool:
    return 0 < len(text) <= 40 and all(part[:1] in tuple("YmdHMSj") for part in text.split("%")[1:])


def format_time(value: dt.date, text: str) -> str:
    """The value in a plain format; the year always with four digits."""
    at = moment(value)
    parts = text.split("%")
    spelled = {
        "Y": f"{at.year:04d}",
        "m": f"{at.month:02d}",
        "d": f"{at.day:02d}",
        "H": f"{at.hour:02d}",
        "M": f"{at.minute:02d}",
        "S": f"{at.second:02d}",
        "j": f"{at.timetuple().tm_yday:03d}",
    }
    return parts[0] + "".join(spelled[p[0]] + p[1:] for p in parts[1:])


def _last_day_rule(facts: tuple[Facts, ...]) -> Facts:
    checked("last_day", {0: TIMES}, lambda f: f[0])(facts)
    days = day_values(facts[0])
    domain = None if days is None else tuple(dict.fromkeys(_last_day(d) for d in days))
    spread = facts[0].range
    return replace(
        Facts(Kind.DATE, facts[0].nullable, domain=domain),
        range=Range(spread.lo, None if spread.hi is None else spread.hi + 31),
    )


def _last_day(value: dt.date) -> dt.date:
    return dt.date(value.year, value.month, calendar.monthrange(value.year, value.month)[1])


def _add(name: str, unit: str, limit: int, days: Fraction, add: Callable[[dt.date, int], Value]) -> Function:
    def evaluate(value: dt.date, amount: int) -> Value:
        return add(moment(value), amount)

    return Function(
        name,
        2,
        2,
        _add_rule(name, limit, days),
        evaluate,
        _add_render(unit),
        frozenset({1}),
        family="date",
        example=f"settle_date + INTERVAL 1 {unit[:-1].upper()}",
    )


FUNCTIONS = (
    Function(
        "date_trunc",
        2,
        2,
        _trunc_rule,
        truncate,
        lambda a, f, o: f"CAST(date_trunc({a[0]}, {a[1]}) AS TIMESTAMP)",
        frozenset({0}),
        family="date",
        example="date_trunc('month', settle_date)",
    ),
    *(_part(name) for name in PARTS),
    _add("add_days", "days", 40_000, Fraction(1), lambda v, n: _add_seconds(v, 86_400 * n)),
    _add("add_months", "months", 1_200, Fraction(30), add_months),
    _add("add_seconds", "seconds", 10**9, Fraction(1, 86_400), _add_seconds),
    Function(
        "date_diff",
        3,
        3,
        _diff_rule,
        _diff,
        lambda a, f, o: f"CAST(date_diff({a[0]}, {a[1]}, {a[2]}) AS BIGINT)",
        frozenset({0}),
        family="date",
        example="date_diff('day', admitted, discharged)",
    ),
    Function(
        "strftime",
        2,
        2,
        _format_rule,
        format_time,
        lambda a, f, o: f"strftime({a[0]}, {a[1]})",
        frozenset({1}),
        family="date",
        example="strftime(settle_date, '%Y-%m')",
    ),
    Function(
        "last_day",
        1,
        1,
        _last_day_rule,
        _last_day,
        lambda a, f, o: f"last_day({a[0]})",
        family="date",
        example="last_day(settle_date)",
    ),
)
