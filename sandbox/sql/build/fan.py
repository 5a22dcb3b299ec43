"""How many rows of a public relation can meet one row."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.catalogue import Kind
from sandbox.sql.expressions import Call, Col, Expr, Facts, conjuncts
from sandbox.sql.relation import Aggregate, Distinct, Filter, Order, Project, Relation, Scan, Values, Window


def fan_out(public: Relation, on: Expr, offset: int, known: Sequence[Facts]) -> int | None:
    """How many public rows can match one private row; ``None`` if unknown.

    One, if a column in which no two public rows agree must equal something of the *private* row, and
    both are compared as they are stored: 2^53 and 2^53 + 1 differ, but not once they are widened.
    """
    inside = range(offset, offset + len(public.fields))
    for part in conjuncts(on):
        match part:
            case Call("eq", (Col(a), Col(b))) if (a in inside) != (b in inside):
                own, other = (a, b) if a in inside else (b, a)
                if public.fields[own - offset].unique and _as_stored(known[own], known[other]):
                    return 1
            case _:
                continue
    return extent(public)


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
