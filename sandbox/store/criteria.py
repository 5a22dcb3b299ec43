"""How a filter of the log becomes SQL: one index drives, the rest are tests.

SQLite knows no statistics here and PostgreSQL's may be old, so that the driver is found by looking: where,
going back from the newest entry, the thousandth match of each filter lies.  The matches of another that is
not much commoner are listed from its own index, slice by slice, and looked up there: rows of the log are then
read only where all of these agree.  What is much commoner is tested row by row, written such that no index
serves it (``column || ''``): a planner cannot then choose the worse one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    bindparam,
    column,
    exists,
    func,
    literal,
    select,
    table,
    text,
)

from sandbox.store import text_index
from sandbox.store.schema import audit, audit_codes, audit_datasets, audit_personal

if TYPE_CHECKING:
    from sandbox.store.search import LogFilter

_PROBE: Final = 1000
"""Which match of a filter tells how far apart its matches lie."""
_COMMONER: Final = 32
"""Matches of another filter that are listed for one of the driver's: reading a row costs about as much."""
_FEW: Final = 20_000
"""Entries of a cost that are looked up by it, not tested one by one."""
_NEAR: Final = 2048
"""Slices in which one or two characters are looked for without the index: most such strings are common."""

_SIDES: Final = (audit_datasets, audit_codes)
_TEXTS: Final = table("audit_text", column("rowid", BigInteger), column("audit_text"))
Rule = ColumnElement[bool]
Span = tuple[int, int]
"""Entries from the first number on, and before the second."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What to select from, the ``seq`` to order by, and the rules for a slice."""

    source: FromClause
    place: ColumnElement[int]
    rules: Callable[[Span], list[Rule]]


def criteria(connection: Connection, filters: LogFilter, span: Span) -> Criteria:
    """The criteria of a filter, its driver chosen by looking at ``span``."""
    equal = _equal(filters)
    apart = _apart(connection, equal, span)
    driver = max(apart, key=apart.__getitem__) if apart else None
    listed = [
        c for c in equal if c is not driver and driver is not None and apart[driver] <= _COMMONER * apart[c]
    ]
    source: FromClause = audit
    if driver is not None and driver.table in _SIDES:
        source = source.join(driver.table, driver.table.c.seq == audit.c.seq)
    tests = [c == v if c is driver else _test(c, v) for c, v in equal.items() if c not in listed]
    tests += _cost(connection, filters)
    place = audit.c.seq if driver is None else driver.table.c.seq
    told = _with_text(connection, filters.text, place, tests)
    return Criteria(
        source, place, lambda part: [*told(part), *(_in_list(c, equal[c], place, part) for c in listed)]
    )


def _equal(filters: LogFilter) -> dict[Column[Any], str]:
    """Columns and what they must hold; each has an index that ends in ``seq``."""
    named: tuple[tuple[Column[Any], str | None], ...] = (
        (audit_personal.c.person, filters.person),
        (audit.c.organisation, filters.organisation),
        (audit.c.grant_id, filters.grant),
        (audit_datasets.c.dataset, filters.dataset),
        (audit.c.decision, filters.decision),
        (audit_codes.c.code, filters.code),
        (audit.c.kind, None if filters.kind is None else filters.kind.value),
    )
    return {found: value for found, value in named if value is not None}


def _test(found: Column[Any], value: str) -> Rule:
    """An equality that does not drive: of a side table, its entry's own row; else what no index serves."""
    if found.table in _SIDES:
        side = found.table.alias()
        mine = (side.c[found.name] == value, side.c.seq == audit.c.seq)
        return exists().where(*mine).correlate(audit)
    return (found + literal("")) == value


def _in_list(found: Column[Any], value: str, place: ColumnElement[int], span: Span) -> Rule:
    """An equality that is looked up among its matches in a slice; ``+ 0``: it must not drive."""
    other = found.table.alias()
    mine = (other.c[found.name] == value, other.c.seq >= span[0], other.c.seq < span[1])
    return (place + 0).in_(select(other.c.seq).where(*mine))


def _apart(connection: Connection, equal: dict[Column[Any], str], span: Span) -> dict[Column[Any], int]:
    """Over how many entries, back from the newest, the first ``_PROBE`` matches of each column lie."""
    apart = {}
    for found, value in equal.items():
        seq = found.table.c.seq
        probe = select(seq).where(found == value, seq < span[1]).order_by(seq.desc())
        at = connection.execute(probe.offset(_PROBE).limit(1)).scalar() if len(equal) > 1 else 0
        apart[found] = span[1] - (-1 if at is None else at)
    return apart


def _cost(connection: Connection, filters: LogFilter) -> list[Rule]:
    """Entries of this cost: listed if they are few, else tested."""
    if filters.least is None and filters.most is None:
        return []
    other = audit.alias("priced")
    priced = select(other.c.seq).where(*_within(other.c.nano, filters))
    some = priced.limit(_FEW + 1).subquery()
    few = connection.execute(select(func.count()).select_from(some)).scalar_one() <= _FEW
    return [audit.c.seq.in_(priced)] if few else _within(audit.c.nano + 0, filters)


def _within(nano: ColumnElement[int], filters: LogFilter) -> list[Rule]:
    rules = [] if filters.least is None else [nano >= filters.least]
    return rules if filters.most is None else [*rules, nano <= filters.most]


def _with_text(
    connection: Connection, wanted: str | None, place: ColumnElement[int], tests: list[Rule]
) -> Callable[[Span], list[Rule]]:
    """The rules of a slice: below the text index's reach, it narrows; everywhere the text is compared."""
    if wanted is None:
        return lambda _: tests
    tests = [*tests, audit_personal.c.text.icontains(wanted, autoescape=True)]
    reach = text_index.reach(connection)
    asked: list[str | None] = []

    def rules(span: Span) -> list[Rule]:
        short = len(wanted) < 3 and span[1] - span[0] <= _NEAR
        if span[1] > reach or short:
            return tests
        if not asked:
            asked.append(text_index.question(connection, wanted))
        if asked[0] is None:
            return tests
        match = text("audit_text MATCH :asked").bindparams(bindparam("asked", asked[0]))
        rowid = _TEXTS.c.rowid
        may = select(rowid).select_from(_TEXTS).where(match, rowid >= span[0], rowid < span[1])
        return [*tests, place.in_(may)]

    return rules
