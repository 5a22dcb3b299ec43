"""Whose row it is: which fields hold the unit, and which conditions tie two rows to one unit."""

from __future__ import annotations

from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Call, Col, Expr, conjuncts
from sandbox.sql.relation import Field, Relation, Source


def unit_equality(left: Relation, right: Relation, on: Expr) -> bool:
    """Whether ``on`` implies that both rows belong to the same unit."""
    if left.privacy is None or right.privacy is None or left.privacy.scope != right.privacy.scope:
        return False
    return any(_ties(left, right, part) for part in conjuncts(on))


def along_key(left: Relation, right: Relation, on: Expr) -> bool:
    """Whether ``on`` sets a column equal to the key that its key path leads to."""
    fields = (*left.fields, *right.fields)
    for part in conjuncts(on):
        match part:
            case Call("eq", (Col(a), Col(b))):
                one, two = fields[a].source, fields[b].source
                if _follows(one, two) or _follows(two, one):
                    return True
            case _:
                continue
    return False


def _ties(left: Relation, right: Relation, part: Expr) -> bool:
    match part:
        case Call("eq", (Col(a), Col(b))):
            width = len(left.fields)
            if a > b:
                a, b = b, a
            if not a < width <= b:
                return False
            one, two = left.fields[a], right.fields[b - width]
            return (one.unit_scope != "" and one.unit_scope == two.unit_scope) or _key_path(one, two)
        case _:
            return False


def _key_path(a: Field, b: Field) -> bool:
    return _follows(a.source, b.source) or _follows(b.source, a.source) or _siblings(a.source, b.source)


def _follows(child: Source | None, parent: Source | None) -> bool:
    if child is None or parent is None or child.table.dataset != parent.table.dataset:
        return False
    return any(
        (p.column, p.table, p.key) == (child.column.name, parent.table.id, parent.column.name)
        for p in child.table.paths
    )


def _siblings(a: Source | None, b: Source | None) -> bool:
    """Two tables (or one twice) whose columns follow the same key path to the same table."""
    if a is None or b is None or a.table.dataset != b.table.dataset:
        return False
    ends = [{(p.table, p.key) for p in s.table.paths if p.column == s.column.name} for s in (a, b)]
    return bool(ends[0] & ends[1])


def carries_unit(input_: Relation, index: int) -> bool:
    """Whether the field always holds the row's own unit.

    A unit column from the padded side of an outer join may be NULL and then names nobody: only
    non-null unit fields of the row's scope count.
    """
    assert input_.privacy is not None
    field = input_.fields[index]
    return index == input_.privacy.unit or (
        field.unit_scope == input_.privacy.scope and not field.facts.nullable and field.per_unit
    )


def unit_join_refusal(left: Relation, right: Relation) -> Exception:
    """Why two private relations cannot be joined as asked."""
    assert left.privacy is not None
    assert right.privacy is not None
    if left.privacy.scope != right.privacy.scope:
        kinds = f"{left.privacy.kind}, {right.privacy.kind}"
        return refuse(
            Code.UNIT_KINDS, kinds, "aggregate each by itself and join the results", "请分别聚合后再连接结果"
        )
    hint = f"add equality on the {left.privacy.kind}'s key to the condition"
    return refuse(Code.UNIT_JOIN, left.privacy.kind, hint, "请在连接条件中加入隐私单元键的等值条件")
