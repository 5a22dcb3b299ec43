"""The grant that a query would need, as YAML text ready for the bureau to read and narrow.

The draft goes through the same readers and rules as any document, so what cannot be granted is refused
here with the reasons that loading would give.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sandbox.policy.documents import Dataset, DpGuard, ExactGuard, Mode, Release, Scenario
from sandbox.policy.floor import FLOOR
from sandbox.policy.load import Source, read
from sandbox.policy.mistakes import refusal
from sandbox.policy.parts import decimal

DP: Final = DpGuard(Fraction(1, 2), Fraction(4), Fraction(1, 10_000_000), groups=1, units=FLOOR.units)
EXACT: Final = ExactGuard(per_day=500, total=20_000)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a query cannot say: to whom, for what, from when until when (both days included)."""

    to: str
    scenario: Scenario
    purpose: str
    start: dt.date
    until: dt.date


@dataclass(frozen=True, slots=True)
class Need:
    """What a query uses: columns by ``dataset.table``, joined pairs of columns, and the mode it asks for."""

    columns: Mapping[str, tuple[str, ...]]
    joins: tuple[tuple[str, str], ...]
    mode: Mode


def draft(grant_id: str, terms: Terms, need: Need, datasets: Iterable[Dataset]) -> str:
    """YAML text of the smallest grant that covers the need.

    The guard's numbers are modest defaults for the bureau to set; important data get the release that
    the rules force.  Raises ``Refusal`` with every reason why no such grant may exist.
    """
    datasets = tuple(datasets)
    named = {table.partition(".")[0] for table in need.columns}
    important = any(d.important for d in datasets if d.id in named)
    release = Release.TWO_PERSON if important and need.mode is Mode.DP else Release.AUTO
    text = "\n".join(_lines(grant_id, terms, need, release)) + "\n"
    checked = read([Source("draft", text)], datasets)
    if checked.mistakes:
        raise refusal(checked.mistakes)
    return text


def _lines(grant_id: str, terms: Terms, need: Need, release: Release) -> Iterator[str]:
    title = terms.scenario.title
    yield "kind: grant"
    yield f"id: {_text(grant_id)}"
    yield f"to: {_text(terms.to)}"
    scenario = f"id: {_text(terms.scenario.id)}, zh: {_text(title.zh)}, en: {_text(title.en)}"
    yield f"scenario: {{{scenario}}}"
    yield f"purpose: {_text(terms.purpose)}"
    yield f"period: {{from: {terms.start.isoformat()}, until: {terms.until.isoformat()}}}"
    yield "data:"
    for table in sorted(need.columns):
        yield f"  {_text(table)}: [{', '.join(_text(c) for c in sorted(set(need.columns[table])))}]"
    pairs = sorted({tuple(sorted(pair)) for pair in need.joins})
    if pairs:
        yield "joins:"
        yield from (f"  - [{_text(left)}, {_text(right)}]" for left, right in pairs)
    yield f"guard: {_guard(need.mode)}"
    yield f"release: {release.value}"


def _guard(mode: Mode) -> str:
    if mode is Mode.EXACT:
        return f"{{mode: exact, queries: {{day: {EXACT.per_day}, total: {EXACT.total}}}}}"
    epsilon = f"{{query: {decimal(DP.query)}, total: {decimal(DP.total)}}}"
    numbers = f"epsilon: {epsilon}, delta: {decimal(DP.delta)}, groups: {DP.groups}, units: {DP.units}"
    return f"{{mode: dp, {numbers}}}"


def _text(text: str) -> str:
    """A double-quoted YAML scalar; JSON's escapes are YAML's, and what they spell the reader judges."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
