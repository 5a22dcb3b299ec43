"""What a question looks like beside others: the facts that the monitor compares, as short hashes.

Pure, and from the question alone: no data, no answer.  ``shape`` is the question without its constants, so
that near-identical ones agree.  ``base`` is the question without its conditions and order, and ``terms`` are
these conditions: two questions of one base whose terms differ by one are what differencing takes, the more so
if the question is not ``grouped`` but about one total.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from sandbox.sql.canonical import canonical, canonical_expr, fingerprint
from sandbox.sql.expressions import Call, Expr, Literal, conjuncts, map_agg, rebuild
from sandbox.sql.prune import prune
from sandbox.sql.relation import Aggregate, Field, Filter, Order, Project, Relation, walk, with_inputs

_COLUMN: Final = re.compile(r"#(\d+)\b")
"""A column in a canonical text.  In a constant it may be no column: see ``_named``."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Hashes of 16 hex digits; ``terms`` sorted, each once."""

    shape: str
    base: str
    terms: tuple[str, ...]
    grouped: bool


def outline(relation: Relation) -> Outline:
    """The outline of a question as it was read."""
    found = [
        (term, node.fields)
        for node in walk(relation)
        if isinstance(node, Filter)
        for term in conjuncts(node.predicate)
    ]
    terms = {_hash(_named(term, fields)) for term, fields in found}
    kinds = sorted({_named(_blank(term), fields) for term, fields in found})
    shape = _hash("&".join([canonical(_bare(relation, blank=True)), *kinds]))
    outermost = next((node for node in walk(relation) if isinstance(node, Aggregate)), None)
    grouped = outermost is not None and bool(outermost.keys)
    return Outline(shape, _hash(canonical(_bare(relation, blank=False))), tuple(sorted(terms)), grouped)


def _hash(text: str) -> str:
    return fingerprint(text)[:16]


def _named(term: Expr, fields: tuple[Field, ...]) -> str:
    """The canonical text of a condition, its columns by name: their positions vary with what else is read."""

    def name(found: re.Match[str]) -> str:
        place = int(found[1])
        if place >= len(fields):
            return found[0]  # within a constant
        field = fields[place]
        return field.name if field.source is None else f"{field.source.table.id}.{field.source.column.name}"

    return _COLUMN.sub(name, canonical_expr(term))


def _bare(relation: Relation, *, blank: bool) -> Relation:
    """The relation without conditions, order and limit, reading no more than that takes."""
    return prune(_stripped(relation, blank=blank))


def _stripped(relation: Relation, *, blank: bool) -> Relation:
    """Without conditions, order and limit; ``blank``: without constants too."""
    node = with_inputs(relation, lambda below: _stripped(below, blank=blank))
    match node:
        case Filter() | Order():
            return node.input
        case Project() if blank:
            return replace(node, exprs=tuple(_blank(e) for e in node.exprs))
        case Aggregate() if blank:
            aggs = tuple(map_agg(a, _blank) for a in node.aggs)
            return replace(node, keys=tuple(_blank(k) for k in node.keys), aggs=aggs)
        case _:
            return node


def _blank(expr: Expr) -> Expr:
    """The expression with every constant taken out; a list of them counts as one."""
    match expr:
        case Literal(_, kind):
            return Literal(None, kind)
        case Call("in", (operand, first, *_)):
            return Call("in", (_blank(operand), _blank(first)))
        case _:
            return rebuild(expr, _blank)
