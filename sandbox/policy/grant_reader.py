"""A grant document, from its tree to a frozen ``Grant``.

Rules between a grant and its datasets stand in ``grant_rules``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from sandbox.policy import grant_fields as f
from sandbox.policy.canonical import fingerprint
from sandbox.policy.dataset_fields import title_of
from sandbox.policy.documents import DpGuard, ExactGuard, Grant, Mode, Release, Scenario, Title
from sandbox.policy.fields import Field, Values
from sandbox.policy.floor import FLOOR
from sandbox.policy.mistakes import At
from sandbox.policy.tree import Fields, plain

LONGEST_PERIOD: Final = dt.timedelta(days=3660)
_DP_ONLY: Final[tuple[Field[Any], ...]] = (f.EPSILON, f.DELTA, f.GROUPS, f.UNITS)
_EXACT_ONLY: Final[tuple[Field[Any], ...]] = (f.QUERIES,)


@dataclass(frozen=True, slots=True)
class GrantRead:
    """A grant as far as it could be read; ``guarded`` says whether its mode could be."""

    rule: Grant
    values: Values
    guarded: bool


def read_grant(node: Fields, at: At) -> GrantRead:
    """The grant as far as it can be read.  It may be used only if no mistake was noted."""
    values = f.GRANT.values(node, at)
    guard = _guard(values.get(f.GUARD))
    start, until = _period(values)
    entries = values.get(f.DATA) or {}
    data = {name: e.value for name, e in entries.items() if e.value is not None}
    pairs = [entry.value for entry in values.get(f.JOINS) or () if entry.value is not None]
    rule = Grant(
        id=values.get(f.ID) or "",
        to=values.get(f.TO) or "",
        scenario=_scenario(values.get(f.SCENARIO)),
        purpose=values.get(f.PURPOSE) or "",
        start=start,
        until=until,
        data=tuple((name, None if isinstance(c, str) else c) for name, c in data.items()),
        joins=tuple((pair[0], pair[1]) for pair in pairs),
        guard=guard or ExactGuard(None, None),
        release=values.get(f.RELEASE) or Release.TWO_PERSON,
        hash=fingerprint(plain(node)),
    )
    return GrantRead(rule, values, guard is not None)


def _scenario(values: Values | None) -> Scenario:
    if values is None:
        return Scenario("", Title("", ""))
    return Scenario(values.get(f.SCENARIO_ID) or "", title_of(values))


def _period(values: Values) -> tuple[dt.date, dt.date]:
    """First and last day; an empty period (the last before the first) where they could not be read."""
    period = values.get(f.PERIOD)
    start, until = (period.get(f.FROM), period.get(f.UNTIL)) if period else (None, None)
    if start is None or until is None:
        return dt.date.max, dt.date.min
    if until < start:
        values.at(f.PERIOD).wrong(f"{start} – {until}", "from, not after until", "首日不得晚于末日")
    if until - start > LONGEST_PERIOD:
        values.at(f.PERIOD).wrong(f"{start} – {until}", "at most ten years", "至多十年")
    return start, until


def _guard(values: Values | None) -> DpGuard | ExactGuard | None:
    mode = values.get(f.MODE) if values else None
    if values is None or mode is None:
        return None
    for field in _EXACT_ONLY if mode is Mode.DP else _DP_ONLY:
        if values.written(field):
            values.at(field).wrong(
                f"{field.name} in mode {mode.value}", "the numbers of this mode", "本模式的参数"
            )
    return _dp(values) if mode is Mode.DP else _exact(values)


def _exact(values: Values) -> ExactGuard:
    queries = values.get(f.QUERIES)
    return ExactGuard(queries.get(f.PER_DAY), queries.get(f.IN_ALL)) if queries else ExactGuard(None, None)


def _dp(values: Values) -> DpGuard:
    """The DP numbers: ``groups`` defaults to 1 and ``units`` to the floor, the strictest of each."""
    for field in (f.EPSILON, f.DELTA):
        if not values.written(field):
            values.at(field).wrong("nothing", field.words.en, field.words.zh)
    epsilon = values.get(f.EPSILON)
    query, total = (epsilon.get(f.QUERY), epsilon.get(f.TOTAL)) if epsilon else (None, None)
    if query is not None and total is not None and query > total:
        values.at(f.EPSILON).wrong("query above total", "query of at most total", "query 不得大于 total")
    return DpGuard(
        query=query or Fraction(0),
        total=total or Fraction(0),
        delta=values.get(f.DELTA) or Fraction(0),
        groups=values.get(f.GROUPS) or 1,
        units=values.get(f.UNITS) or FLOOR.units,
    )
