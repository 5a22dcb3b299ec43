"""Constants, types and units as the user wrote them."""

from __future__ import annotations

import datetime as dt
import operator
import re
from fractions import Fraction

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Call, Expr, Literal

LARGEST = 2**62
REAL = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
"""Numbers with a point or an exponent; a longer exponent could not be held exactly."""
KINDS = {
    exp.DType.BOOLEAN: Kind.BOOLEAN,
    exp.DType.INT: Kind.INTEGER,
    exp.DType.BIGINT: Kind.INTEGER,
    exp.DType.DOUBLE: Kind.DOUBLE,
    exp.DType.DECIMAL: Kind.DECIMAL,
    exp.DType.VARCHAR: Kind.STRING,
    exp.DType.TEXT: Kind.STRING,
    exp.DType.DATE: Kind.DATE,
    exp.DType.TIMESTAMP: Kind.TIMESTAMP,
    exp.DType.TIMESTAMPNTZ: Kind.TIMESTAMP,
}
_MONTHS = "January February March April May June July August September October November December"
MONTHS = dict(enumerate(_MONTHS.split(), 1))
DAYS = dict(enumerate(["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]))
"""English names by number, as the engine has them: months from 1, days from Sunday, which is 0."""

AMOUNT = re.compile(r"-?[0-9]{1,9}")
INTERVALS = {
    "SECOND": ("add_seconds", 1),
    "MINUTE": ("add_seconds", 60),
    "HOUR": ("add_seconds", 3600),
    "DAY": ("add_days", 1),
    "WEEK": ("add_days", 7),
    "MONTH": ("add_months", 1),
    "QUARTER": ("add_months", 3),
    "YEAR": ("add_months", 12),
}


def number(text: str) -> Literal:
    """An integer or decimal constant.  Exponents give binary64, exact in between."""
    if text.isdecimal():
        if len(text) > 40 or int(text) > LARGEST:
            raise refuse(Code.LITERAL, text[:30], "use a number below 2^62", "请使用小于 2^62 的数")
        return Literal(int(text), Kind.INTEGER)
    exact = Fraction(text) if len(text) <= 40 and REAL.fullmatch(text) else None
    if exact is None or exact > 10**30:
        raise refuse(Code.LITERAL, text[:30], "use a plain decimal number", "请使用普通小数")
    return Literal(exact, Kind.DOUBLE)


EXACT = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}


def exact(call: Call) -> Literal | None:
    """``0.06 + 0.01`` is 0.07, as in the engine's decimals; in binary64 it would be a little less."""
    values = [a.value for a in call.args if isinstance(a, Literal) and isinstance(a.value, int | Fraction)]
    if call.name not in EXACT or len(values) != 2 or not any(isinstance(v, Fraction) for v in values):
        return None
    value = Fraction(EXACT[call.name](*values))
    return Literal(value, Kind.DOUBLE) if abs(value) <= 10**30 else None


def whole(node: object, most: int) -> int | None:
    """The number, if the node is a constant whole number of at most ``most``."""
    if not isinstance(node, exp.Literal) or node.args.get("is_string"):
        return None
    text = str(node.this)
    value = int(text) if text.isdecimal() and len(text) <= 9 else None
    return value if value is not None and value <= most else None


def date(text: str) -> Literal:
    """``DATE '2025-01-31'``."""
    try:
        if len(text) != 10:
            raise ValueError
        return Literal(dt.date.fromisoformat(text), Kind.DATE)
    except ValueError:
        raise refuse(
            Code.LITERAL, text[:30], "write dates as '2025-01-31'", "日期写作 '2025-01-31'"
        ) from None


def timestamp(text: str) -> Literal:
    """``TIMESTAMP '2025-01-31 12:00:00'``."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return Literal(dt.datetime.strptime(text, form), Kind.TIMESTAMP)
        except ValueError:
            continue
    raise refuse(
        Code.LITERAL, text[:30], "write times as '2025-01-31 12:00:00'", "时间写作 '2025-01-31 12:00:00'"
    )


def kind_of(node: exp.Expr) -> tuple[Kind, Fraction | None]:
    """The type named by a cast, and the scale of a DECIMAL."""
    kind = KINDS.get(node.this) if isinstance(node, exp.DataType) else None
    if kind is None:
        name = str(getattr(node, "this", node))[:30]
        hint = "use BOOLEAN, INTEGER, BIGINT, DOUBLE, DECIMAL, VARCHAR, DATE or TIMESTAMP"
        raise refuse(Code.CONSTRUCT, name.replace("DType.", ""), hint, "请使用常用类型")
    params = [p.this for p in node.expressions]
    if kind is not Kind.DECIMAL:
        return kind, None
    digits = 3 if not params else 0 if len(params) == 1 else whole(params[1], 12)
    if digits is None:
        hint = "use at most 12 digits after the point"
        raise refuse(Code.LITERAL, "DECIMAL(…)", hint, "小数位数不超过 12")
    return kind, Fraction(1, 10**digits)


def half_away(value: Fraction) -> int:
    """The nearest whole number; of two equally near ones the one further from zero."""
    return int(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)


def interval(node: exp.Interval) -> tuple[str, int]:
    """Which shift an interval is, and by how much: ``("add_days", 90)``."""
    unit = str(node.args["unit"].this).upper() if node.args.get("unit") is not None else ""
    unit = unit.removesuffix("S")
    amount = node.this
    text = str(amount.this) if isinstance(amount, exp.Literal) else ""
    if unit not in INTERVALS or not AMOUNT.fullmatch(text):
        raise refuse(Code.LITERAL, "INTERVAL", "write INTERVAL 90 DAY", "请写作 INTERVAL 90 DAY")
    name, factor = INTERVALS[unit]
    return name, int(text) * factor


def same_kind(left: Expr, right: Expr, left_kind: Kind, right_kind: Kind) -> tuple[Expr, Expr]:
    """Read a text constant beside a date as a date, as the engine would."""
    return _temporal(left, right_kind), _temporal(right, left_kind)


def _temporal(expr: Expr, beside: Kind) -> Expr:
    if isinstance(expr, Literal) and isinstance(expr.value, str) and beside.temporal:
        return date(expr.value) if beside is Kind.DATE and len(expr.value) == 10 else timestamp(expr.value)
    return expr
