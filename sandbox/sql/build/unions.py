"""One relation below another: UNION, EXCEPT and INTERSECT."""

from __future__ import annotations

from dataclasses import replace

from sandbox.catalogue import Range
from sandbox.errors import Code, refuse
from sandbox.sql.build.rows import project
from sandbox.sql.expressions import Col
from sandbox.sql.functions.logic import comparable, not_null, union
from sandbox.sql.relation import Field, Relation, SetOp, visible


def set_op(op: str, all_: bool, left: Relation, right: Relation) -> Relation:
    """UNION, EXCEPT, INTERSECT by position.  Private rows: only UNION ALL of one kind of unit."""
    lefts, rights = visible(left), visible(right)
    if len(lefts) != len(rights):
        raise refuse(Code.TYPE, op.upper(), "both sides need the same number of columns", "两侧列数须相同")
    if left.privacy is not None or right.privacy is not None:
        return _private_union(op, all_, left, right)
    fields = tuple(_merged(left.fields[a], right.fields[b]) for a, b in zip(lefts, rights, strict=True))
    return SetOp(op, all_, left, right, fields, None)  # type: ignore[arg-type]


def _merged(a: Field, b: Field) -> Field:
    both = (a.facts, b.facts)
    comparable("UNION", both)
    return Field(a.name, replace(union(not_null(both)), nullable=a.facts.nullable or b.facts.nullable))


def _private_union(op: str, all_: bool, left: Relation, right: Relation) -> Relation:
    if op != "union" or not all_:
        raise refuse(
            Code.SET_OPERATION,
            op.upper(),
            "use UNION ALL, or aggregate each side first",
            "请使用 UNION ALL，或先分别聚合",
        )
    if left.privacy is None or right.privacy is None or left.privacy.scope != right.privacy.scope:
        raise refuse(
            Code.SET_OPERATION,
            "UNION ALL",
            "both sides must be rows of the same kind of unit",
            "两侧须为同一种隐私单元的记录",
        )
    one, two = _unit_last(left), _unit_last(right)
    fields = []
    for a, b in zip(one.fields[:-1], two.fields[:-1], strict=True):
        merged = _merged(a, b)
        same = a.unit_scope == b.unit_scope and a.unit_scope != ""
        source = a.source if a.source == b.source else None
        fields.append(
            replace(
                merged,
                unit_scope=a.unit_scope if same else "",
                # A unit column padded by an outer join is NULL in some rows: no function of the unit.
                per_unit=same and a.per_unit and b.per_unit,
                source=source,
                clip=_hull_clip(a, b),
            )
        )
    hidden = one.fields[-1]
    rows = None
    if left.privacy.rows is not None and right.privacy.rows is not None:
        rows = left.privacy.rows + right.privacy.rows
    privacy = replace(left.privacy, unit=len(fields), rows=rows, single=False)
    return SetOp("union", True, one, two, (*fields, hidden), privacy)


def _hull_clip(a: Field, b: Field) -> Range | None:
    if a.clip is None or b.clip is None:
        return None
    return a.clip if a.clip == b.clip else None


def _unit_last(relation: Relation) -> Relation:
    return project(relation, [(relation.fields[i].name, Col(i)) for i in visible(relation)])
