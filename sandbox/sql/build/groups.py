"""Rows beside rows: grouping, duplicates, windows and order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sandbox.errors import Code, refuse
from sandbox.sql.aggregates import agg_facts, win_facts
from sandbox.sql.build.fan import GROUPED
from sandbox.sql.build.rows import clamp_values, computed
from sandbox.sql.build.units import carries_unit
from sandbox.sql.expressions import Agg, Col, Expr, Facts, Sort, Win
from sandbox.sql.facts import condition, facts_of
from sandbox.sql.nearest import instead
from sandbox.sql.relation import Aggregate, Distinct, Field, Order, Relation, Window, facts, visible


def aggregate(
    input_: Relation, keys: Sequence[tuple[str, Expr]], aggs: Sequence[tuple[str, Agg]]
) -> Aggregate:
    """Group.  With the unit among the keys the result stays private; else, over private rows, it is
    a release."""
    known = facts(input_)
    aggs = [(name, _plain_count(agg, known)) for name, agg in aggs]
    aggs = [(name, _filtered(agg, known)) for name, agg in aggs]
    unit_key = _unit_key(input_, [k for _, k in keys])
    private = input_.privacy is not None and unit_key is not None
    if private:
        aggs = [(name, map_agg_value(agg, input_.fields)) for name, agg in aggs]
    key_fields = [_key_field(input_, name, expr, private=private) for name, expr in keys]
    rows = input_.privacy.rows if private and input_.privacy is not None else None
    agg_fields = [
        Field(name, agg_facts(agg, known, rows if private else None, private=private)) for name, agg in aggs
    ]
    if not private and len(key_fields) == 1:
        key_fields = [replace(key_fields[0], keys=((GROUPED,),))]  # each group is one row
    privacy = None
    if private and input_.privacy is not None and unit_key is not None:
        others = [f for i, f in enumerate(key_fields) if i != unit_key]
        single = all(f.per_unit for f in others)
        if single:
            agg_fields = [replace(f, per_unit=True) for f in agg_fields]
        privacy = replace(input_.privacy, unit=unit_key, rows=1 if single else rows, single=single)
    return Aggregate(
        input_, tuple(k for _, k in keys), tuple(a for _, a in aggs), (*key_fields, *agg_fields), privacy
    )


def _filtered(agg: Agg, known: Sequence[Facts]) -> Agg:
    return agg if agg.where is None else replace(agg, where=condition("FILTER", agg.where, known))


def _plain_count(agg: Agg, known: Sequence[Facts]) -> Agg:
    """COUNT(x) of what is never NULL is COUNT(*)."""
    counts_rows = agg.name == "count" and not agg.distinct and agg.arg is not None
    if counts_rows and agg.arg is not None and not facts_of(agg.arg, known).nullable:
        return replace(agg, name="count_star", arg=None)
    return agg


def map_agg_value(agg: Agg, fields: tuple[Field, ...]) -> Agg:
    """The aggregate with the values it sums clamped to their declared clips."""
    if agg.arg is None or agg.name == "count":
        return agg
    return replace(agg, arg=clamp_values(agg.arg, fields))


def _unit_key(input_: Relation, keys: list[Expr]) -> int | None:
    if input_.privacy is None:
        return None
    for i, key in enumerate(keys):
        if isinstance(key, Col) and carries_unit(input_, key.index):
            return i
    return None


def _key_field(input_: Relation, name: str, expr: Expr, *, private: bool) -> Field:
    field = computed(input_, name, expr)
    if private:
        return field
    # Released or public keys carry no policy and no clip any more.
    return Field(name, field.facts)


def distinct(input_: Relation) -> Relation:
    """Remove duplicates.  Over private rows this is a release of keys unless the unit is visible."""
    shown = visible(input_)
    if input_.privacy is None:
        return Distinct(input_, input_.fields, None)
    if any(carries_unit(input_, i) for i in shown):
        return Distinct(input_, input_.fields, input_.privacy)
    return aggregate(input_, [(input_.fields[i].name, Col(i)) for i in shown], [])


def window(input_: Relation, wins: Sequence[tuple[str, Win]]) -> Relation:
    """Add window functions; over private rows every partition must hold the unit."""
    known = facts(input_)
    if input_.privacy is not None:
        for _, win in wins:
            if not any(isinstance(p, Col) and carries_unit(input_, p.index) for p in win.partition):
                hint = f"PARTITION BY the {input_.privacy.kind}'s key, or aggregate first"
                raise refuse(Code.CROSS_UNIT, f"{win.name}() OVER", hint, "请按隐私单元分区，或先聚合")
    private, rows = input_.privacy is not None, None if input_.privacy is None else input_.privacy.rows
    fields = tuple(Field(name, win_facts(win, known, rows, private=private)) for name, win in wins)
    return Window(input_, tuple(w for _, w in wins), (*input_.fields, *fields), input_.privacy)


def order(input_: Relation, by: tuple[Sort, ...], limit: int | None, offset: int) -> Relation:
    """ORDER BY and LIMIT.  Order alone over private rows means nothing and is dropped."""
    if input_.privacy is None:
        return Order(input_, by, limit, offset, input_.fields)
    if limit is not None or offset:
        advice = instead(input_, input_.privacy.kind)
        if advice is not None:
            raise refuse(Code.RAW_OUTPUT, "LIMIT", *advice)
        raise refuse(
            Code.CROSS_UNIT,
            "LIMIT",
            "aggregate first, then LIMIT the released rows",
            "请先聚合，再对发布结果使用 LIMIT",
        )
    return input_
