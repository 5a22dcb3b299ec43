"""What a query would need of a grant: the columns it consumes and the pairs of columns it joins on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from sandbox.catalogue import Catalogue
from sandbox.policy.documents import (
    Dataset,
    DpGuard,
    Grant,
    Mode,
    Release,
    Scenario,
    Title,
)
from sandbox.policy.draft import Need
from sandbox.policy.effective import effective, grantable
from sandbox.sql.expressions import Call, Col, walk
from sandbox.sql.parse import parse
from sandbox.sql.prune import prune
from sandbox.sql.relation import Field, Join, Scan, SemiJoin
from sandbox.sql.relation import walk as nodes
from sandbox.sql.resolve.query import resolve

_GUARD: Final = DpGuard(Fraction(1), Fraction(1), Fraction(0), groups=1, units=1)


def needs(sql: str, datasets: Iterable[Dataset], mode: Mode) -> Need:
    """What ``sql`` consumes, read over everything that any grant could open.

    Refuses as any query would be refused that cannot be read or protected at all.
    """
    relation = prune(resolve(parse(sql), everything(datasets)))
    columns: dict[str, tuple[str, ...]] = {}
    joins: list[tuple[str, str]] = []
    for node in nodes(relation):
        if isinstance(node, Scan):
            seen = (f.name for f in node.fields if not f.hidden)
            table = node.table.id
            columns[table] = tuple(dict.fromkeys((*columns.get(table, ()), *seen)))
        elif isinstance(node, Join | SemiJoin):
            joins += _pairs(node)
    return Need(columns, tuple(dict.fromkeys(joins)), mode)


def everything(datasets: Iterable[Dataset]) -> Catalogue:
    """The catalogue of an imagined grant that opens all that a grant may open."""
    known = tuple(datasets)
    opened = (
        (f"{d.id}.{t.name}", tuple(c.name for c in t.columns if grantable(c, d)))
        for d in known
        for t in d.tables
    )
    nobody, ever = Scenario("draft", Title("", "")), dt.date.max
    data = tuple((table, names) for table, names in opened if names)
    grant = Grant("draft", "", nobody, "", dt.date.min, ever, data, (), _GUARD, Release.REVIEW)
    return effective(grant, known, {})


def _pairs(join: Join | SemiJoin) -> list[tuple[str, str]]:
    """The stored columns that the condition makes equal; units tied by the rules have no name."""
    fields = (*join.left.fields, *join.right.fields)
    width = len(join.left.fields)
    found = []
    for expr in walk(join.on):
        match expr:
            case Call("eq", (Col(a), Col(b))) if (a < width) != (b < width):
                left, right = _stored(fields[a]), _stored(fields[b])
                if left and right:
                    found.append((min(left, right), max(left, right)))
    return found


def _stored(field: Field) -> str:
    return f"{field.source.table.id}.{field.source.column.name}" if field.source else ""
