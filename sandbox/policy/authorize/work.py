"""How far a query may multiply rows: joins without an equality, bounded before anything runs.

The bound is on public facts alone: rows of public tables, joins and their conditions.  Protected rows count
as one each, so the figure says how many times a private row may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.errors import Code, Reason
from sandbox.sql.build import fan_out
from sandbox.sql.expressions import Call, Col, Expr, columns, conjuncts
from sandbox.sql.relation import Aggregate, Join, Relation, Scan, SemiJoin, SetOp, Values, facts, inputs

MOST_PUBLIC = 10**8
MOST_REPEATS = 10**5
RELEASED = 1000
"""Rows that a released table is taken to have: it is small, but how small depends on what was released."""
MANY = 1000
"""The values of a public column are listed in its snapshot while there are no more than these."""


def moderate_work(relation: Relation) -> Iterator[Reason]:
    """Why the query would be too much work, if it would."""
    worst = {False: 1, True: 1}
    _rows(relation, worst, {})
    for private, most in ((False, MOST_PUBLIC), (True, MOST_REPEATS)):
        if worst[private] > most:
            yield Reason(Code.WORK, "a join without an equality")


def _rows(relation: Relation, worst: dict[bool, int], known: dict[int, int]) -> int:
    """About how many rows (or repeats of a private row) a relation has; notes the largest of either sort."""
    if id(relation) not in known:
        parts = [_rows(below, worst, known) for below in inputs(relation)]
        private = relation.privacy is not None
        known[id(relation)] = found = _own(relation, parts)
        worst[private] = max(worst[private], found)
    return known[id(relation)]


def _own(relation: Relation, parts: list[int]) -> int:
    match relation:
        case Scan(table):
            return 1 if relation.privacy is not None else table.extent or RELEASED
        case Values(rows):
            return len(rows)
        case Join() if not _equates(relation.on, len(relation.left.fields)):
            return parts[0] * parts[1]
        case Join() if (relation.left.privacy is None) != (relation.right.privacy is None):
            return _repeats(relation, parts)
        case Join():
            return max(parts)
        case SemiJoin():
            return parts[0]
        case Aggregate() if not relation.keys:
            return 1
        case Aggregate() if relation.privacy is None and relation.input.privacy is not None:
            return RELEASED
        case SetOp():
            return sum(parts)
        case _:
            return parts[0] if parts else RELEASED


def _repeats(relation: Join, parts: list[int]) -> int:
    """How many times a private row stands in its join with public rows that something must equal.

    Once where only one can match, else the public rows over the values that their column is known to have;
    a column of a stored table with no known values has more than ``MANY``.
    """
    width = len(relation.left.fields)
    private, public = parts if relation.right.privacy is None else reversed(parts)
    inside = range(width, len(relation.fields)) if relation.right.privacy is None else range(width)
    side = relation.right if relation.right.privacy is None else relation.left
    fewest = 1 if fan_out(side, relation.on, inside.start, facts(relation)) == 1 else public
    for part in conjuncts(relation.on):
        for arg in part.args if isinstance(part, Call) and part.name == "eq" else ():
            if isinstance(arg, Col) and arg.index in inside:
                field = (*relation.left.fields, *relation.right.fields)[arg.index]
                values = MANY if field.facts.domain is None else max(len(field.facts.domain), 1)
                fewest = min(fewest, 1 if field.unique else -(-public // values))
    return private * max(fewest, 1)


def _equates(on: Expr, width: int) -> bool:
    """Whether a conjunct of the condition sets something of the left equal to something of the right."""
    return any(
        isinstance(part, Call)
        and part.name == "eq"
        and {min(columns(a), default=-1) < width for a in part.args if columns(a)} == {True, False}
        for part in conjuncts(on)
    )
