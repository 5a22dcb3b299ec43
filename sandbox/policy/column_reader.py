"""One column of a dataset document: typed facts, and the rules that a column can break on its own."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from sandbox.catalogue import UNBOUNDED, Kind, Range, Scalar, Use
from sandbox.policy import dataset_fields as f
from sandbox.policy.documents import ColumnRule, Share, Why
from sandbox.policy.fields import Field, Values
from sandbox.policy.parts import Text, as_day, decimal
from sandbox.policy.tree import Leaf

LARGEST_INTEGER: Final = 2**63 - 1
_MOMENT = re.compile(r"(19|20|21)\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_SPELLED: Final = {
    Kind.BOOLEAN: ("true or false", "true 或 false"),
    Kind.INTEGER: ("a 64-bit whole number", "64 位整数"),
    Kind.DECIMAL: ("a number of at most 15 digits", "至多 15 位的数字"),
    Kind.DOUBLE: ("a number of at most 15 digits", "至多 15 位的数字"),
    Kind.STRING: ("text (quote what reads as a number)", "文本（数字等须加引号）"),
    Kind.DATE: ("a day as YYYY-MM-DD", "YYYY-MM-DD 格式的日期"),
    Kind.TIMESTAMP: ("a moment as YYYY-MM-DDTHH:MM:SS", "YYYY-MM-DDTHH:MM:SS 格式的时间"),
}


def read_column(name: str, values: Values, public: bool) -> ColumnRule | None:
    """The column, or ``None`` if its type could not be read.  Notes every mistake.

    In a protected table ``level`` must stand and ``use`` defaults to nothing; in a public table the
    level defaults to 1 and the use to everything that the type allows.
    """
    kind = values.get(f.TYPE)
    if not public and not values.written(f.LEVEL):
        values.at(f.LEVEL).wrong("nothing", "a grade, 1 – 4", "级别 1 – 4")
    if kind is None:
        return None
    range_ = _interval(values, f.RANGE, kind, numeric_only=False)
    clip = _interval(values, f.CLIP, kind, numeric_only=True)
    rule = ColumnRule(
        name=name,
        kind=kind,
        level=values.get(f.LEVEL) or 1,
        use=_use(values, kind, public),
        nullable=values.get(f.NULLABLE) or False,
        domain=_domain(values, kind, range_),
        range=range_,
        clip=clip,
        scale=_scale(values, kind, clip),
        step=values.get(f.STEP),
        share=values.get(f.SHARE),
        why=why_of(values, f.SHARE),
        unique=values.get(f.UNIQUE) or False,
    )
    _check_step(values, rule)
    if rule.unique and not public:
        values.at(f.UNIQUE).wrong("true in a protected table", "a public table", "仅可用于公开表")
    return rule


def why_of(values: Values, share: Field[Share]) -> Why | None:
    """Reason and basis; sharing that is conditional or withheld must give them."""
    why = values.get(f.WHY)
    if why is None:
        restricted = values.get(share) not in (None, Share.UNCONDITIONAL)
        if restricted and not values.written(f.WHY):
            values.at(f.WHY).wrong("nothing", "why: {reason, basis}", "why：须写明理由和依据")
        return None
    return Why(why.get(f.REASON) or "", why.get(f.BASIS) or "")


def _use(values: Values, kind: Kind, public: bool) -> frozenset[Use]:
    use = values.get(f.USE)
    if use is None:
        open_to_all = {Use.GROUP, Use.FILTER, Use.JOIN} | ({Use.MEASURE} if kind.numeric else set())
        return frozenset(open_to_all if public else ())
    if Use.MEASURE in use and not kind.numeric:
        values.at(f.USE).wrong(
            f"measure on a {kind.value}", "measure on numbers only", "measure 仅可用于数值列"
        )
    return frozenset(use)


def scalar(kind: Kind, leaf: Leaf) -> Scalar:
    """The value that a leaf spells for this type, or ``None``.

    Decimals become ``int`` or the ``float`` whose shortest text is the declared number.
    """
    return _SCALARS[kind](leaf)


def _whole(leaf: Leaf) -> int | None:
    value = leaf.value
    fits = isinstance(value, Fraction) and value.denominator == 1 and abs(value) <= LARGEST_INTEGER
    return int(value) if fits and isinstance(value, Fraction) else None


def _decimal(leaf: Leaf) -> int | float | None:
    value = leaf.value
    if not isinstance(value, Fraction):
        return None
    short = float(value)
    if Fraction(repr(short)) != value:
        return None
    return int(value) if value.denominator == 1 else short


def _double(leaf: Leaf) -> float | None:
    value = _decimal(leaf)
    return None if value is None else float(value)


def _boolean(leaf: Leaf) -> bool | None:
    return leaf.value if isinstance(leaf.value, bool) else None


def _string(leaf: Leaf) -> str | None:
    value = leaf.value
    return value if isinstance(value, str) and Text().fits(value) else None


def _moment(leaf: Leaf) -> dt.datetime | None:
    if not _MOMENT.fullmatch(leaf.text):
        return None
    try:
        return dt.datetime.fromisoformat(leaf.text)
    except ValueError:
        return None


_SCALARS: Final[dict[Kind, Callable[[Leaf], Scalar]]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _whole,
    Kind.DECIMAL: _decimal,
    Kind.DOUBLE: _double,
    Kind.STRING: _string,
    Kind.DATE: as_day,
    Kind.TIMESTAMP: _moment,
}


def _domain(values: Values, kind: Kind, range_: Range) -> tuple[Scalar, ...] | None:
    leaves = values.get(f.DOMAIN)
    if leaves is None:
        return None
    found: dict[Scalar, None] = {}
    for index, leaf in enumerate(leaves, start=1):
        place = values.at(f.DOMAIN).item(index, leaf.line)
        value = scalar(kind, leaf)
        if value is None:
            place.wrong(leaf.text, *_SPELLED[kind])
        elif value in found:
            place.wrong(leaf.text, "each value once", "每个值只能出现一次")
        elif not _inside(value, range_):
            place.wrong(leaf.text, "a value inside `range`", "range 之内的值")
        else:
            found[value] = None
    return tuple(found)


def _inside(value: Scalar, range_: Range) -> bool:
    if range_.lo is None or range_.hi is None:
        return True
    if isinstance(value, dt.date):
        return range_.lo <= value.toordinal() <= range_.hi
    return not isinstance(value, int | float) or range_.lo <= Fraction(repr(value)) <= range_.hi


def _interval(values: Values, field: Field[tuple[Leaf, ...]], kind: Kind, numeric_only: bool) -> Range:
    """``[lo, hi]`` with lo < hi; days become ordinals, the last day inside."""
    leaves = values.get(field)
    if leaves is None:
        return UNBOUNDED
    place = values.at(field)
    if not kind.numeric and (numeric_only or not kind.temporal):
        fits = ("numbers", "数值列") if numeric_only else ("numbers, days and moments", "数值列和时间列")
        place.wrong(f"{field.name} on a {kind.value}", f"{field.name} on {fits[0]}", f"仅可用于{fits[1]}")
        return UNBOUNDED
    bounds = [_bound(kind, leaf) for leaf in leaves]
    for index, leaf in enumerate(leaves):
        if bounds[index] is None:
            expected = ("a number", "数字") if kind.numeric else _SPELLED[Kind.DATE]
            place.item(index + 1, leaf.line).wrong(leaf.text, *expected)
    lo, hi = bounds
    if lo is None or hi is None:
        return UNBOUNDED
    if lo >= hi:
        place.wrong(
            f"[{leaves[0].text}, {leaves[1].text}]",
            "the low bound first, below the high one",
            "下限须小于上限",
        )
    return Range(lo, hi)


def _bound(kind: Kind, leaf: Leaf) -> Fraction | None:
    if kind.numeric:
        return leaf.value if isinstance(leaf.value, Fraction) else None
    day = as_day(leaf)
    return Fraction(day.toordinal()) if day else None


def _scale(values: Values, kind: Kind, clip: Range) -> Fraction | None:
    """A granularity that fixed-point conversion and the clamp hit exactly, and that fits 64 bits."""
    scale = values.get(f.SCALE)
    if scale is None:
        return None
    place = values.at(f.SCALE)
    if not kind.numeric:
        place.wrong(f"scale on a {kind.value}", "scale on numbers", "仅可用于数值列")
    elif 1 not in (scale.numerator, scale.denominator):
        place.wrong(decimal(scale), "a whole number, or one over a whole number", "整数或整数的倒数")
    elif kind is Kind.INTEGER and scale.denominator != 1:
        place.wrong(decimal(scale), "a whole number: the column is an integer", "该列为整数，粒度须为整数")
    elif clip.lo is not None and clip.hi is not None and not _divides(scale, clip.lo, clip.hi):
        place.wrong(decimal(scale), "a scale that divides both bounds of `clip`", "须能整除 clip 的上下限")
    elif (clip.magnitude or 0) / scale > LARGEST_INTEGER:
        place.wrong(
            decimal(scale),
            "a coarser scale: clip / scale must fit 64 bits",
            "更粗的粒度：clip / scale 须在 64 位内",
        )
    return scale


def _divides(scale: Fraction, *bounds: Fraction) -> bool:
    return all((bound / scale).denominator == 1 for bound in bounds)


def _check_step(values: Values, rule: ColumnRule) -> None:
    """A step goes with ``group``; a width with numbers, a calendar word with days and moments."""
    step, place = rule.step, values.at(f.STEP)
    if step is None:
        return
    if Use.GROUP not in rule.use:
        place.wrong("a step without use: [group]", "a step on a column with use group", "须同时允许 group")
    if isinstance(step, str) and (not rule.kind.temporal or (step == "hour" and rule.kind is Kind.DATE)):
        fits = ("a day or a moment", "日期列或时间列") if step != "hour" else ("a timestamp", "时间列")
        place.wrong(f"{step} on a {rule.kind.value}", f"{step} on {fits[0]}", f"仅可用于{fits[1]}")
    if isinstance(step, Fraction) and not rule.kind.numeric:
        place.wrong(f"a width on a {rule.kind.value}", "a width on numbers", "宽度仅可用于数值列")
