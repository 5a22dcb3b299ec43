"""The sentences of authorization: each reason says which use is missing and what would be allowed."""

from __future__ import annotations

from sandbox.catalogue import Kind, Use
from sandbox.errors import Code, Reason
from sandbox.policy.authorize.atoms import Atom, Role
from sandbox.sql.functions.registry import ONLY_COUNTED

INSTEAD = {
    "string_agg": "GROUP BY the column with COUNT(*)",
    "arg_min": "GROUP BY the column with COUNT(*)",
    "arg_max": "GROUP BY the column with COUNT(*)",
    "bool_and": "COUNT(*) FILTER (WHERE …)",
    "bool_or": "COUNT(*) FILTER (WHERE …)",
}
ALLOWED = {
    Use.GROUP: ("show or group by it", "显示或分组"),
    Use.FILTER: ("compare it with a value", "与常量比较"),
    Use.JOIN: ("join on it", "用于连接"),
    Use.MEASURE: ("sum or average it", "求和或求平均"),
    Use.COUNT: ("count it distinctly", "去重计数"),
}


def subject(atom: Atom) -> str:
    """``table.column``, or the kind of value that a derived atom is."""
    return f"{atom.source.table.name}.{atom.source.column.name}" if atom.source else atom.kind.value


def missing(atom: Atom, use: Use) -> Reason:
    """The column may not be used so; says what it may be used for."""
    if atom.role is Role.UNIT:
        return unit(atom, use)
    uses = [u for u in Use if u in atom.column.use]
    hint = "it allows only: " + ", ".join(f"{u.value} ({ALLOWED[u][0]})" for u in uses)
    hint_zh = "仅允许：" + "、".join(f"{u.value}（{ALLOWED[u][1]}）" for u in uses)
    return _about(Code.USE, atom, use, hint, hint_zh)


def unit(atom: Atom, use: Use) -> Reason:
    """A privacy unit is never shown, compared or computed with."""
    return _about(Code.USE, atom, use, *ONLY_COUNTED)


def derived_key(atom: Atom) -> Reason:
    """A number computed from one unit's rows cannot be a key."""
    hint = "group by bands of it: CASE WHEN x < 100 THEN 'low' ELSE 'high' END"
    return _about(
        Code.USE, atom, Use.GROUP, hint, "请按区间分组，例如 CASE WHEN x < 100 THEN '低' ELSE '高' END"
    )


def too_fine(atom: Atom) -> Reason:
    """The column may be a key in coarser steps only."""
    example = coarser(atom)
    hint = f"use {example}, with nothing computed on the column before"
    return _about(Code.STEP, atom, Use.GROUP, hint, f"请使用 {example}，且之前不对该列作任何计算")


def mixed_bands(atom: Atom) -> Reason:
    """Several bands of one column whose overlap is finer than its step."""
    example = coarser(atom)
    hint = f"use bands that nest in each other, such as {example} alone"
    return _about(Code.STEP, atom, Use.GROUP, hint, f"请使用相互嵌套的区间，例如只用 {example}")


def coarser(atom: Atom) -> str:
    """How to write the column in its declared step."""
    name, step = atom.column.name, atom.column.step
    if isinstance(step, str):
        return f"date_trunc('{step}', {name})"
    return f"floor({name} / {step}) * {step}"


def shape(atom: Atom) -> Reason:
    """The column may be compared by ranges of itself only."""
    name = atom.column.name
    ranges = f"a range such as {name} >= … AND {name} < …"
    ranges_zh = f"区间条件，例如 {name} >= … AND {name} < …"
    if Use.GROUP in atom.column.use and atom.column.step is not None:
        ranges, ranges_zh = f"{ranges}, or {coarser(atom)}", f"{ranges_zh}，或 {coarser(atom)}"
    return _about(Code.USE, atom, Use.FILTER, f"compare it by {ranges}", f"请使用{ranges_zh}")


def unlisted(a: Atom, b: Atom) -> Reason:
    """The two columns may not be set equal: the protected one first, of two the first by name."""
    protected, other = sorted((a, b), key=lambda atom: (not atom.protected, atom.path))
    pair = f"{subject(protected)} = {subject(other)}"
    hint = "join only on the pairs of columns that the grant lists, each written bare"
    return Reason(
        Code.JOIN,
        pair,
        hint,
        "只能按授权列出的列对连接，且须直接书写列名",
        protected.column.name,
        Use.JOIN.value,
    )


def steep(atom: Atom) -> Reason:
    """A sum that one row decides."""
    hint = (
        "sum it as it is, times a constant, or squared; use no higher power, exponential or reciprocal of it"
    )
    hint_zh = "可直接求和、乘以常数或取平方；不能使用其更高次幂、指数或倒数"
    return _about(Code.USE, atom, Use.MEASURE, hint, hint_zh)


def aggregate(name: str) -> Reason:
    """An aggregate that shows values of single rows."""
    hint = f"use {INSTEAD[name]}"
    return Reason(Code.AGGREGATE, name.upper(), hint, f"请改用 {INSTEAD[name]}", rule="aggregate")


def count_distinct(unit_name: str) -> Reason:
    """Units are counted as they are, without anything computed on them, and only the rows' own."""
    hint = f"count the unit itself: COUNT(DISTINCT {unit_name}), or with FILTER"
    hint_zh = f"请直接对隐私单元去重计数：COUNT(DISTINCT {unit_name})，可加 FILTER (WHERE …)"
    return Reason(Code.AGGREGATE, "COUNT(DISTINCT)", hint, hint_zh, rule="aggregate")


AGGREGATE_IT = (
    "aggregate: COUNT, SUM or AVG, with GROUP BY where you want a breakdown",
    "请聚合：使用 COUNT、SUM 或 AVG，需要分组时加 GROUP BY",
)


def raw_output(names: str, advice: tuple[str, str] | None) -> Reason:
    """The whole answer would be rows of single units."""
    return Reason(Code.RAW_OUTPUT, names, *(advice or AGGREGATE_IT), rule="aggregate")


def _about(code: Code, atom: Atom, use: Use, hint: str, hint_zh: str) -> Reason:
    column = atom.source.column.name if atom.source else ""
    return Reason(code, subject(atom), hint, hint_zh, column, use.value)


def numeric_key(atom: Atom) -> bool:
    """Whether the atom is a number derived from one unit's rows other than a count of them."""
    return atom.role is Role.DERIVED and atom.kind in (Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE)
