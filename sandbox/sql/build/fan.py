"""How many rows of a public relation can meet one row."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.catalogue import Kind
from sandbox.sql.expressions import Call, Col, Expr, Facts, conjuncts
from sandbox.sql.relation import Aggregate, Distinct, Filter, Order, Project, Relation, Scan, Values, Window

GROUPED = ""
"""Stands for the one key of a grouping, in which no two of its rows agree."""


def fan_out(public: Relation, on: Expr, offset: int, known: Sequence[Facts]) -> int | None:
    """How many public rows can match one private row; ``None`` if unknown.

    One, if columns in which no two public rows agree, together, must each equal something of the *private*
    row, and all are compared as they are stored: 2^53 and 2^53 + 1 differ, but not once they are widened.
    """
    inside = range(offset, offset + len(public.fields))
    given: set[str] = set()
    keys: set[tuple[str, ...]] = set()
    for part in conjuncts(on):
        match part:
            case Call("eq", (Col(a), Col(b))) if (a in inside) != (b in inside):
                own, other = (a, b) if a in inside else (b, a)
                field = public.fields[own - offset]
                if field.keys and _as_stored(known[own], known[other]):
                    given.add(GROUPED if field.source is None else field.source.column.name)
                    keys.update(field.keys)
            case _:
                continue
    return 1 if _determined(given, keys) else extent(public)


def _determined(given: set[str], keys: set[tuple[str, ...]]) -> bool:
    """Whether the columns given hold a key.  All are of one table: joins and unions have no keys."""
    return any(given.issuperset(key) for key in keys)


def _as_stored(one: Facts, other: Facts) -> bool:
    # Stored decimals become binary64 when they are read, so two may meet; they are doubles by now.
    return one.kind is other.kind and one.kind is not Kind.DOUBLE


def extent(relation: Relation) -> int | None:
    """An upper bound on the rows of a public relation, where known."""
    match relation:
        case Scan():
            return relation.table.extent
        case Values():
            return len(relation.rows)
        case Filter() | Project() | Order() | Window() | Distinct():
            return extent(relation.input)
        case Aggregate():
            return 1 if not relation.keys else None
        case _:
            return None
