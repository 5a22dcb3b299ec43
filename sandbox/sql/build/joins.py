"""Joins and semi-joins under the rules of units."""

from __future__ import annotations

from dataclasses import replace

from sandbox.errors import Code, refuse
from sandbox.sql.build.fan import fan_out
from sandbox.sql.build.units import along_key, unit_equality, unit_join_refusal
from sandbox.sql.expressions import TRUE, Call, Col, Expr, conjunction, conjuncts
from sandbox.sql.facts import condition
from sandbox.sql.relation import Field, Join, JoinKind, Relation, SemiJoin


def join(kind: JoinKind, left: Relation, right: Relation, on: Expr) -> Relation:
    """Join two relations under the rules of units."""
    fields = _joined_fields(kind, left, right)
    on = condition("ON", on, [f.facts for f in fields])
    if left.privacy is None and right.privacy is None:
        return Join(kind, left, right, on, fields, None)
    if kind == "full":
        raise refuse(
            Code.OUTER_JOIN,
            "FULL JOIN",
            "use LEFT JOIN or UNION ALL of releases",
            "请使用 LEFT JOIN 或对发布结果 UNION ALL",
        )
    if left.privacy is None:
        return _private_right(kind, left, right, on)
    if right.privacy is None:
        fan = fan_out(right, on, len(left.fields), [f.facts for f in fields])
        rows = _most_rows(left.privacy.rows, fan)
        privacy = replace(left.privacy, rows=rows, single=left.privacy.single and fan == 1)
        return Join(kind, left, right, on, fields, privacy)
    return _both_private(kind, left, right, on, fields)


def _private_right(kind: JoinKind, left: Relation, right: Relation, on: Expr) -> Relation:
    # A preserved public row without partner belongs to no unit: it is dropped, which makes an inner
    # join.  Empty groups come back through the declared domain of the key.
    assert right.privacy is not None
    fields = _joined_fields("inner", left, right)
    fan = fan_out(left, on, 0, [f.facts for f in fields])
    unit = len(left.fields) + right.privacy.unit
    rows = _most_rows(right.privacy.rows, fan)
    privacy = replace(right.privacy, unit=unit, rows=rows, single=right.privacy.single and fan == 1)
    return Join("inner", left, right, on, fields, privacy)


def _both_private(
    kind: JoinKind, left: Relation, right: Relation, on: Expr, fields: tuple[Field, ...]
) -> Relation:
    assert left.privacy is not None
    assert right.privacy is not None
    width = len(left.fields)
    if not unit_equality(left, right, on):
        raise unit_join_refusal(left, right)
    tied = Call("eq", (Col(left.privacy.unit), Col(width + right.privacy.unit)))
    condition = on if tied in conjuncts(on) else conjunction((*(c for c in conjuncts(on) if c != TRUE), tied))
    rows = None
    if left.privacy.rows is not None and right.privacy.rows is not None:
        # A row meets one row of the table that its key leads to: no more come out than went in.
        both = (left.privacy.rows, right.privacy.rows)
        rows = max(both) if along_key(left, right, on) else both[0] * both[1]
    single = left.privacy.single and right.privacy.single
    return Join(kind, left, right, condition, fields, replace(left.privacy, rows=rows, single=single))


def _most_rows(rows: int | None, fan: int | None) -> int | None:
    return None if rows is None or fan is None else rows * max(fan, 1)


def _joined_fields(kind: JoinKind, left: Relation, right: Relation) -> tuple[Field, ...]:
    lefts = left.fields if kind != "full" else tuple(_nullable(f) for f in left.fields)
    rights = right.fields if kind == "inner" else tuple(_nullable(f) for f in right.fields)
    private = left.privacy is not None or right.privacy is not None
    # Joining multiplies rows, so a public key is no longer unique, and a public column is a function
    # of the unit only if nothing multiplies it: give both up.
    fixed = right.privacy is not None and private and kind == "inner"
    return (
        *(_multiplied(f, per_unit=f.per_unit and left.privacy is not None) for f in lefts),
        *(_multiplied(f, per_unit=f.per_unit and fixed) for f in rights),
    )


def _multiplied(field: Field, *, per_unit: bool) -> Field:
    if not field.keys and field.per_unit == per_unit:
        return field
    return replace(field, keys=(), per_unit=per_unit)


def _nullable(field: Field) -> Field:
    return replace(field, facts=replace(field.facts, nullable=True))


def semi_join(left: Relation, right: Relation, on: Expr, *, anti: bool) -> Relation:
    """Rows of ``left`` with (without) a match in ``right``."""
    both = (*left.fields, *right.fields)
    on = condition("EXISTS", on, [f.facts for f in both])
    if right.privacy is not None:
        if left.privacy is None:
            raise refuse(
                Code.SUBQUERY,
                "IN / EXISTS",
                "public rows cannot be chosen by protected ones; aggregate first",
                "不能用受保护记录筛选公开记录，请先聚合",
            )
        if not unit_equality(left, right, on):
            raise unit_join_refusal(left, right)
        tied = Call("eq", (Col(left.privacy.unit), Col(len(left.fields) + right.privacy.unit)))
        on = conjunction((*(c for c in conjuncts(on) if c != tied), tied))
    return SemiJoin(left, right, on, anti, left.fields, left.privacy)
