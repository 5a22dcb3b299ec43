"""Leaves of a relation: a stored table, and constant rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from sandbox.catalogue import UNBOUNDED, Column, Kind, Scalar, Table
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Facts, Literal
from sandbox.sql.facts import literal_facts
from sandbox.sql.functions.dates import day_values
from sandbox.sql.functions.logic import comparable, not_null, union
from sandbox.sql.relation import Field, Privacy, Scan, Source, Values

UNIT_COLUMN = "_u"
MOST_INTEGERS = 1000


def scan(table: Table) -> Scan:
    """All columns of a table that the grant opens; private tables get the hidden unit field."""
    if table.several_units:
        raise refuse(
            Code.UNIT_KINDS,
            table.id,
            "ask for a dataset with one kind of unit a table",
            "请使用每表只有一种隐私单元的数据集",
        )
    fields = _stored_fields(table)
    if table.unit is None:
        return Scan(table, fields, None)
    scope = table.unit.scope
    hidden = Field(
        UNIT_COLUMN,
        Facts(Kind.INTEGER, False, UNBOUNDED, Fraction(1)),
        per_unit=True,
        hidden=True,
        unit_scope=scope,
    )
    single = table.rows == 1
    privacy = Privacy(len(fields), scope, table.unit.kind, table.rows, single)
    return Scan(table, (*fields, hidden), privacy)


@lru_cache(maxsize=128)
def _stored_fields(table: Table) -> tuple[Field, ...]:
    """The same objects at every scan: what is derived from long domains is kept by their identity."""
    return tuple(_stored_field(table, column) for column in table.columns)


def _stored_field(table: Table, column: Column) -> Field:
    is_unit = table.unit is not None and table.unit.column == column.name
    kind = Kind.DOUBLE if column.kind is Kind.DECIMAL else column.kind
    scale = Fraction(1) if kind is Kind.INTEGER else column.scale
    spread = column.range if (kind.numeric or kind.temporal) else UNBOUNDED
    known = Facts(kind, column.nullable and not is_unit, spread, scale, column.domain)
    if is_unit:
        known = Facts(Kind.INTEGER, False, UNBOUNDED, Fraction(1), unit=f"{table.name}.{column.name}")
    elif known.domain is None:
        known = replace(known, domain=_implied_domain(known))
    clip = (
        column.clip
        if column.clip.bounded
        else (column.range if column.range.bounded and kind.numeric else None)
    )
    per_unit = is_unit or column.per_unit or (table.unit is not None and table.rows == 1)
    scope = table.unit.scope if is_unit and table.unit is not None else ""
    return Field(
        column.name,
        known,
        Source(table, column),
        clip,
        per_unit,
        _keys(table, column) if table.public else (),
        unit_scope=scope,
    )


def _keys(table: Table, column: Column) -> tuple[tuple[str, ...], ...]:
    """The unique sets of columns that the column is one of."""
    alone = ((column.name,),) if column.unique else ()
    return (*alone, *(key for key in table.unique if column.name in key))


def _implied_domain(known: Facts) -> tuple[Scalar, ...] | None:
    if known.kind is Kind.BOOLEAN:
        return (False, True)
    if known.kind is Kind.DATE:
        return day_values(known)
    if known.kind is Kind.INTEGER and known.range.lo is not None and known.range.hi is not None:
        low, high = int(known.range.lo), int(known.range.hi)
        return tuple(range(low, high + 1)) if high - low <= MOST_INTEGERS else None
    return None


def values(rows: tuple[tuple[Literal, ...], ...], names: Sequence[str]) -> Values:
    """Constant rows; every column's values are of one family."""
    width = len(names)
    if any(len(r) != width for r in rows):
        raise refuse(Code.CONSTRUCT, "VALUES", "give every row as many values", "每行的值个数须相同")
    fields = []
    for i, name in enumerate(names):
        known = tuple(literal_facts(r[i]) for r in rows)
        comparable("VALUES", known)
        fields.append(Field(name, replace(union(not_null(known)), nullable=any(k.nullable for k in known))))
    return Values(tuple(tuple(_value(v) for v in r) for r in rows), tuple(fields))


def _value(literal: Literal) -> Scalar:
    value = literal.value
    return float(value) if isinstance(value, Fraction) else value
