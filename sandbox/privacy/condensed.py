"""One row a unit without grouping: where only whole units are counted, ingestion has counted them already.

A protected table's snapshot holds, beside each row's unit, its place among the unit's rows (``_u_ord``,
from 0) and their number (``_u_n``).  A release over one table that keeps or drops whole units (every
condition and key is a function of the unit, as verified at ingestion) and adds up rows or units, not
values, can read the unit's first row alone: the same as grouping by unit, in a quarter of the time.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Kind
from sandbox.privacy.release import Bounding, Measure, Release, What
from sandbox.sql.compile import compile_expr, compile_relation, plain_zero
from sandbox.sql.expressions import Call, Col, Expr, Facts, Literal, columns, conjunction, substitute
from sandbox.sql.relation import Field, Filter, Project, Relation, Scan, facts

COUNTER = Facts(Kind.INTEGER, False, UNBOUNDED, Fraction(1))
ORDINAL = Field("_u_ord", COUNTER, hidden=True)
ROWS = Field("_u_n", COUNTER, hidden=True)


def condensed(release: Release) -> str | None:
    """The totals of each unit (columns ``k``, ``m``) as SQL; ``None`` where they have to be added up."""
    if release.bounding is not Bounding.UNIT or any(m.what is What.SUM for m in release.measures):
        return None
    opened = _opened(release.input)
    if opened is None:
        return None
    scan, shown, conditions = opened
    keys = [substitute(k.expr, shown) for k in release.keys]
    wheres = [None if m.where is None else substitute(m.where, shown) for m in release.measures]
    read = {i for e in (*keys, *wheres, *conditions) if e is not None for i in columns(e)}
    if not all(scan.fields[i].per_unit for i in read):
        return None
    return _sql(release, scan, keys, wheres, conditions)


Opened = tuple[Scan, tuple[Expr, ...], tuple[Expr, ...]]
"""A scan, the columns of the relation above as expressions over it, and the conditions on its rows."""


def _opened(relation: Relation) -> Opened | None:
    match relation:
        case Scan():
            return relation, tuple(Col(i) for i in range(len(relation.fields))), ()
        case Filter(below, predicate):
            opened = _opened(below)
            if opened is None:
                return None
            scan, shown, conditions = opened
            return scan, shown, (*conditions, substitute(predicate, shown))
        case Project(below, exprs):
            opened = _opened(below)
            if opened is None:
                return None
            scan, shown, conditions = opened
            return scan, tuple(substitute(e, shown) for e in exprs), conditions
        case _:
            return None


def _sql(
    release: Release,
    scan: Scan,
    keys: list[Expr],
    wheres: list[Expr | None],
    conditions: tuple[Expr, ...],
) -> str:
    width = len(scan.fields)
    rows = replace(scan, fields=(*scan.fields, ORDINAL, ROWS))
    first = Call("eq", (Col(width), Literal(0, Kind.INTEGER)))
    source = Filter(rows, conjunction((*conditions, first)), rows.fields, rows.privacy)
    known, names = facts(rows), [f'"c{i}"' for i in range(width + 2)]
    shown = [
        f"{plain_zero(compile_expr(e, known, names), k.facts.kind)} AS k{i}"
        for i, (e, k) in enumerate(zip(keys, release.keys, strict=True))
    ]
    for j, (measure, where) in enumerate(zip(release.measures, wheres, strict=True)):
        kept = None if where is None else compile_expr(where, known, names)
        shown.append(f"{_counted(measure, names[width + 1], kept)} AS m{j}")
    return f"SELECT {', '.join(shown) or '1'} FROM ({compile_relation(source)}) AS i"


def _counted(measure: Measure, rows: str, where: str | None) -> str:
    count = rows if measure.what is What.ROWS else "1"
    return count if where is None else f"CASE WHEN {where} THEN {count} ELSE 0 END"
