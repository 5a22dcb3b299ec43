"""Building relations: each function makes one node, derives its fields, and keeps the unit's rules.

The rules (DESIGN: the unit travels with the row; proofs in docs/soundness.md):
filters, projections and joins to public rows keep the unit; two private relations may be joined or
semi-joined only where equality on the unit is implied, and then that equality is *added* to the
condition, so that a wrong implication could change an answer but never mix two units; grouping that
has the unit among its keys stays private; any other grouping of private rows is a release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from sandbox.catalogue import UNBOUNDED, Column, Kind, Range, Scalar, Table
from sandbox.errors import Code, refuse
from sandbox.sql.aggregates import agg_facts, win_facts
from sandbox.sql.expressions import (
    TRUE,
    Agg,
    Call,
    Case,
    Cast,
    Col,
    Expr,
    Facts,
    Literal,
    Sort,
    Win,
    columns,
    conjunction,
    conjuncts,
)
from sandbox.sql.facts import condition, facts_of, literal_facts
from sandbox.sql.functions.dates import day_values
from sandbox.sql.functions.logic import comparable, not_null, union
from sandbox.sql.narrow import narrowed
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Field,
    Filter,
    Join,
    JoinKind,
    Order,
    Privacy,
    Project,
    Relation,
    Scan,
    SemiJoin,
    SetOp,
    Source,
    Values,
    Window,
    facts,
    visible,
)

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
    fields = tuple(_stored_field(table, column) for column in table.columns)
    if table.unit is None:
        return Scan(table, fields, None)
    scope = table.unit.scope
    hidden = Field(
        UNIT_COLUMN, Facts(Kind.INTEGER, False, UNBOUNDED, Fraction(1)), None, None, True, False, True, scope
    )
    single = table.rows == 1
    privacy = Privacy(len(fields), scope, table.unit.kind, table.rows, single)
    return Scan(table, (*fields, hidden), privacy)


def _stored_field(table: Table, column: Column) -> Field:
    is_unit = table.unit is not None and table.unit.column == column.name
    kind = Kind.DOUBLE if column.kind is Kind.DECIMAL else column.kind
    scale = Fraction(1) if kind is Kind.INTEGER else column.scale
    spread = column.range if (kind.numeric or kind.temporal) else UNBOUNDED
    known = Facts(kind, column.nullable and not is_unit, spread, scale, column.domain)
    if is_unit:
        known = Facts(Kind.INTEGER, False, UNBOUNDED, Fraction(1))
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
        column.unique and table.public,
        False,
        scope,
    )


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


def filter_(input_: Relation, predicate: Expr) -> Relation:
    """Keep the rows for which the predicate is true."""
    if predicate == TRUE:
        return input_
    predicate = condition("WHERE", predicate, facts(input_))
    return Filter(input_, predicate, narrowed(input_.fields, predicate), input_.privacy)


def project(input_: Relation, named: Sequence[tuple[str, Expr]]) -> Relation:
    """Compute columns; a private relation's unit field is carried along, hidden."""
    fields = [_computed(input_, name, expr) for name, expr in named]
    exprs = [expr for _, expr in named]
    privacy = input_.privacy
    if privacy is not None:
        fields.append(replace(input_.fields[privacy.unit], name=UNIT_COLUMN, hidden=True))
        exprs.append(Col(privacy.unit))
        privacy = replace(privacy, unit=len(exprs) - 1)
    return Project(input_, tuple(exprs), tuple(fields), privacy)


def _computed(input_: Relation, name: str, expr: Expr) -> Field:
    if isinstance(expr, Col):
        return replace(input_.fields[expr.index], name=name, hidden=False)
    known = facts_of(expr, facts(input_))
    per_unit = input_.privacy is not None and all(input_.fields[i].per_unit for i in columns(expr))
    return Field(name, known, per_unit=per_unit)


def clamp_values(expr: Expr, fields: tuple[Field, ...]) -> Expr:
    """Clamp the columns whose *values* flow out of ``expr`` (not those only compared)."""
    match expr:
        case Col(index):
            clip = fields[index].clip
            if clip is None or clip.lo is None or clip.hi is None or not fields[index].facts.kind.numeric:
                return expr
            return Call("clamp", (expr, bound(clip.lo, fields[index]), bound(clip.hi, fields[index])))
        case Case(whens, default):
            return Case(tuple((c, clamp_values(v, fields)) for c, v in whens), clamp_values(default, fields))
        case Call(name, args) if name in VALUE_CALLS:
            return Call(name, tuple(clamp_values(a, fields) for a in args))
        case Cast():
            return replace(expr, arg=clamp_values(expr.arg, fields))
        case _:
            return expr


VALUE_CALLS = frozenset(
    {
        "add",
        "sub",
        "mul",
        "div",
        "idiv",
        "mod",
        "neg",
        "abs",
        "round",
        "floor",
        "ceil",
        "trunc",
        "sign",
        "power",
    }
    | {"sqrt", "ln", "log10", "exp", "least", "greatest", "coalesce", "nullif"}
)


def bound(value: Fraction, field: Field) -> Literal:
    """A clip bound as a literal of the field's kind (integers outward)."""
    if field.facts.kind is Kind.INTEGER:
        return Literal(int(value // 1), Kind.INTEGER)
    return Literal(value, Kind.DOUBLE)


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
        rows = left.privacy.rows * right.privacy.rows
    single = left.privacy.single and right.privacy.single
    return Join(kind, left, right, condition, fields, replace(left.privacy, rows=rows, single=single))


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


def unit_equality(left: Relation, right: Relation, on: Expr) -> bool:
    """Whether ``on`` implies that both rows belong to the same unit."""
    if left.privacy is None or right.privacy is None or left.privacy.scope != right.privacy.scope:
        return False
    return any(_ties(left, right, part) for part in conjuncts(on))


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


def _most_rows(rows: int | None, fan: int | None) -> int | None:
    return None if rows is None or fan is None else rows * max(fan, 1)


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


def _joined_fields(kind: JoinKind, left: Relation, right: Relation) -> tuple[Field, ...]:
    lefts = left.fields if kind != "full" else tuple(_nullable(f) for f in left.fields)
    rights = right.fields if kind == "inner" else tuple(_nullable(f) for f in right.fields)
    private = left.privacy is not None or right.privacy is not None
    # Joining multiplies rows, so a public key is no longer unique, and a public column is a function
    # of the unit only if nothing multiplies it: give both up.
    lefts = tuple(replace(f, unique=False, per_unit=f.per_unit and left.privacy is not None) for f in lefts)
    rights = tuple(
        replace(
            f, unique=False, per_unit=f.per_unit and right.privacy is not None and private and kind == "inner"
        )
        for f in rights
    )
    return (*lefts, *rights)


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
        if isinstance(key, Col) and _carries_unit(input_, key.index):
            return i
    return None


def _carries_unit(input_: Relation, index: int) -> bool:
    """Whether the field always holds the row's own unit.

    A unit column from the padded side of an outer join may be NULL and then names nobody: only
    non-null unit fields of the row's scope count.
    """
    assert input_.privacy is not None
    field = input_.fields[index]
    return index == input_.privacy.unit or (
        field.unit_scope == input_.privacy.scope and not field.facts.nullable and field.per_unit
    )


def _key_field(input_: Relation, name: str, expr: Expr, *, private: bool) -> Field:
    field = _computed(input_, name, expr)
    if private:
        return field
    # Released or public keys carry no policy and no clip any more.
    return Field(name, field.facts, unique=False)


def distinct(input_: Relation) -> Relation:
    """Remove duplicates.  Over private rows this is a release of keys unless the unit is visible."""
    shown = visible(input_)
    if input_.privacy is None:
        return Distinct(input_, input_.fields, None)
    if any(_carries_unit(input_, i) for i in shown):
        return Distinct(input_, input_.fields, input_.privacy)
    return aggregate(input_, [(input_.fields[i].name, Col(i)) for i in shown], [])


def window(input_: Relation, wins: Sequence[tuple[str, Win]]) -> Relation:
    """Add window functions; over private rows every partition must hold the unit."""
    known = facts(input_)
    if input_.privacy is not None:
        for _, win in wins:
            if not any(isinstance(p, Col) and _carries_unit(input_, p.index) for p in win.partition):
                hint = f"PARTITION BY the {input_.privacy.kind}'s key, or aggregate first"
                raise refuse(Code.CROSS_UNIT, f"{win.name}() OVER", hint, "请按隐私单元分区，或先聚合")
    fields = tuple(
        Field(name, win_facts(win, known, private=input_.privacy is not None)) for name, win in wins
    )
    return Window(input_, tuple(w for _, w in wins), (*input_.fields, *fields), input_.privacy)


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


def order(input_: Relation, by: tuple[Sort, ...], limit: int | None, offset: int) -> Relation:
    """ORDER BY and LIMIT.  Order alone over private rows means nothing and is dropped."""
    if input_.privacy is None:
        return Order(input_, by, limit, offset, input_.fields)
    if limit is not None or offset:
        raise refuse(
            Code.CROSS_UNIT,
            "LIMIT",
            "aggregate first, then LIMIT the released rows",
            "请先聚合，再对发布结果使用 LIMIT",
        )
    return input_
