"""Reading expressions: one syntax node to one expression of ours, or a refusal by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.expressions import NULL, TRUE, Case, Cast, Expr, Facts, Literal
from sandbox.sql.facts import facts_of
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.instead import advice
from sandbox.sql.resolve import literals
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.operations import Operations
from sandbox.sql.syntax import ANY_AGGREGATE, MARKS, OPERATORS, RANKS, SEVERAL, UNARY

PARTS = {
    "YEAR": "year", "QUARTER": "quarter", "MONTH": "month", "WEEK": "week", "DAY": "day", "DOY": "dayofyear",
    "DOW": "dayofweek", "DAYOFWEEK": "dayofweek", "ISODOW": "isodow",
    "HOUR": "hour", "MINUTE": "minute", "SECOND": "second",
    "ISOYEAR": "isoyear", "YEARWEEK": "yearweek", "DECADE": "decade", "CENTURY": "century",
    "YEARS": "year", "MONTHS": "month", "DAYOFYEAR": "dayofyear",
}  # fmt: skip
LOGARITHMS = {2: "log2", 10: "log10"}
ANONYMOUS = {
    "date_part": "date_part",
    "datepart": "date_part",
    "prefix": "starts_with",
    "suffix": "ends_with",
    "mod": "mod",
    "ord": "unicode",
    "weekday": "dayofweek",
    **{n: n for n in ("strlen", "isfinite", "bit_count", "isoyear", "yearweek", "decade", "century")},
}


class Reader(Operations):
    """Reads expressions over one relation.

    ``columns`` finds names; ``subquery`` answers scalar subqueries (or refuses them).
    """

    def __init__(self, columns: Columns, subquery: Callable[[exp.Expr], Expr]) -> None:
        self.columns = columns
        self.subquery = subquery
        self._reading: list[exp.Expr] = []

    def facts(self) -> Sequence[Facts]:
        """Facts of the columns that expressions read here may mention."""
        return self.columns.facts()

    def read(self, node: exp.Expr) -> Expr:
        """The expression that ``node`` means."""
        match node:
            case exp.Column():
                return self.column(node)
            case exp.Paren():
                return self.read(node.this)
            case exp.Literal() | exp.Boolean() | exp.Null():
                return _constant(node)
            case exp.Subquery() | exp.Select():
                return self.subquery(node)
            case exp.Case():
                return self._case(node)
            case exp.If():
                default = node.args.get("false")
                return Case(
                    ((self.read(node.this), self.read(node.args["true"])),),
                    NULL if default is None else self.read(default),
                )
            case exp.Cast() | exp.TryCast():
                return self._cast(node)
            case exp.Monthname():
                return self._spelled("month", literals.MONTHS, node)
            case exp.Dayname():
                return self._spelled("dayofweek", literals.DAYS, node)
            case exp.Between():
                low = self._compare("ge", self.read(node.this), self.read(node.args["low"]))
                return self._call(
                    "and", low, self._compare("le", self.read(node.this), self.read(node.args["high"]))
                )
            case exp.In():
                return self._in(node)
            case exp.Is():
                return self._is(node)
            case exp.NullSafeNEQ() | exp.NullSafeEQ():
                return self._null_safe(node)
            case exp.Not():
                return self._not(self.read(node.this))
            case exp.Neg():
                return self._negative(self.read(node.this))
            case exp.Add() | exp.Sub() | exp.DateAdd() if isinstance(node.expression, exp.Interval):
                return self._shift(node)
            case _:
                return self._function(node)

    def column(self, node: exp.Column) -> Expr:
        """A column, or the SELECT item that its name is an alias of."""
        found = self.columns.find(node, inside_alias=bool(self._reading))
        if not isinstance(found, exp.Expr):
            return found
        if any(found is busy for busy in self._reading):
            raise refuse(Code.AMBIGUOUS, str(node.this.this))
        self._reading.append(found)
        try:
            return self.read(found)
        finally:
            self._reading.pop()

    def _function(self, node: exp.Expr) -> Expr:
        name = OPERATORS.get(type(node))
        if name is not None:
            found = self._operator(name, self.read(node.this), self.read(node.expression))
            return self._not(found) if node.args.get("negate") else found
        name = UNARY.get(type(node))
        if name is not None:
            return self._call(name, self.read(node.this))
        if isinstance(node, (*ANY_AGGREGATE, exp.Filter)):
            raise refuse(
                Code.CONSTRUCT,
                f"{node.key.upper()}()",
                "aggregates stand in SELECT, HAVING and ORDER BY, not inside one another",
                "聚合函数只能出现在 SELECT、HAVING 和 ORDER BY 中，且不能嵌套",
            )
        if isinstance(node, exp.Exists):
            raise misplaced_test()
        if isinstance(node, MARKS):
            raise refuse(
                Code.CONSTRUCT,
                "GROUPING()",
                "it stands in SELECT, HAVING and ORDER BY of a query with GROUP BY, outside of aggregates",
                "GROUPING 只能出现在含 GROUP BY 的查询的 SELECT、HAVING 和 ORDER BY 中，且不在聚合函数之内",
            )
        if isinstance(node, (exp.Window, *RANKS)):
            raise refuse(
                Code.CONSTRUCT,
                "OVER",
                "window functions stand in SELECT, QUALIFY and ORDER BY",
                "窗口函数只能出现在 SELECT、QUALIFY 和 ORDER BY 中",
            )
        return self._named(node)

    def _named(self, node: exp.Expr) -> Expr:
        if type(node) in SEVERAL:
            known, keys = SEVERAL[type(node)]
            return self._call(known, *(self.read(node.args[k]) for k in keys if node.args.get(k) is not None))
        match node:
            case exp.Pi():
                return Literal(math.pi, Kind.DOUBLE)
            case exp.Pad():
                padding = (node.this, node.expression, node.args.get("fill_pattern"))
                side = "lpad" if node.args.get("is_left") else "rpad"
                return self._call(side, *(self.read(p) for p in padding if p is not None))
            case exp.ConcatWs():
                return self._call("concat_ws", *(self.read(a) for a in node.expressions))
            case exp.DateBin() if isinstance(node.this, exp.Interval):
                return self._bucket(node)
            case exp.Coalesce() | exp.Greatest() | exp.Least():
                return self._call(node.key, *(self.read(a) for a in (node.this, *node.expressions)))
            case exp.Round():
                digits = node.args.get("decimals")
                return self._call(
                    "round", self.read(node.this), *(() if digits is None else (self.read(digits),))
                )
            case exp.Log():
                return self._logarithm(node)
            case exp.Concat():
                return self._call("concat", *(self.read(a) for a in node.expressions))
            case exp.Substring():
                parts = [node.this, node.args.get("start"), node.args.get("length")]
                return self._call("substr", *(self.read(p) for p in parts if p is not None))
            case exp.Replace():
                texts = (node.this, node.expression, node.args.get("replacement"))
                return self._call("replace", *(self.read(t) for t in texts if t is not None))
            case exp.Trim():
                side = str(node.args.get("position") or "").upper()
                return self._call(
                    {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(side, "trim"), self.read(node.this)
                )
            case exp.StrPosition():
                return self._call("strpos", self.read(node.this), self.read(node.args["substr"]))
            case exp.TimeToStr():
                return self._call("strftime", self.read(node.this), self.read(node.args["format"]))
            case exp.TimestampTrunc() | exp.DateTrunc():
                return self._call("date_trunc", Literal(_unit(node), Kind.STRING), self.read(node.this))
            case exp.Extract():
                return self._part(str(node.this.this), node.expression)
            case exp.DateDiff():
                return self._call(
                    "date_diff",
                    Literal(_unit(node), Kind.STRING),
                    self.read(node.expression),
                    self.read(node.this),
                )
            case exp.Anonymous():
                return self._anonymous(node)
            case _:
                raise refuse(Code.FUNCTION, type(node).__name__.upper())

    def _anonymous(self, node: exp.Anonymous) -> Expr:
        name = str(node.this).lower()
        known = ANONYMOUS.get(name)
        if (
            known == "date_part"
            and len(node.expressions) == 2
            and isinstance(node.expressions[0], exp.Literal)
        ):
            return self._part(str(node.expressions[0].this), node.expressions[1])
        if known in FUNCTIONS:
            return self._call(known, *(self.read(a) for a in node.expressions))
        raise refuse(Code.FUNCTION, name[:40], *advice(name))

    def _part(self, part: str, node: exp.Expr) -> Expr:
        name = PARTS.get(part.upper())
        if name is None:
            raise refuse(
                Code.ARGUMENT,
                f"EXTRACT({part[:20]})",
                f"use one of {', '.join(sorted(set(PARTS.values())))}",
                "请使用许可的日期部分",
            )
        return self._call(name, self.read(node))

    def _logarithm(self, node: exp.Log) -> Expr:
        if node.expression is None:
            return self._call("log10", self.read(node.this))
        base = self.read(node.this)
        name = next((n for b, n in LOGARITHMS.items() if base == Literal(b, Kind.INTEGER)), None)
        if name is None:
            raise refuse(Code.FUNCTION, "LOG(base, x)", "the base is 2 or 10", "底数须为 2 或 10")
        return self._call(name, self.read(node.expression))

    def _in(self, node: exp.In) -> Expr:
        if node.args.get("query") is not None:
            raise misplaced_test()
        subject = self.read(node.this)
        kind = facts_of(subject, self.facts()).kind
        options = tuple(
            literals.same_kind(subject, self.read(e), kind, Kind.STRING)[1] for e in node.expressions
        )
        if any(not isinstance(o, Literal) for o in options) or len(options) > 1000:
            raise refuse(Code.CONSTRUCT, "IN (…)", "list up to 1000 constants", "请列出不超过 1000 个常量")
        if len(options) == 1:
            return self._compare("eq", subject, options[0])
        unique = sorted(set(options), key=repr)
        return self._call("in", subject, *unique)

    def _is(self, node: exp.Is) -> Expr:
        subject = self.read(node.this)
        if isinstance(node.expression, exp.Null):
            return self._call("is_null", subject)
        if isinstance(node.expression, exp.Boolean):
            return self._call(
                "coalesce",
                self._compare("eq", subject, _constant(node.expression)),
                Literal(False, Kind.BOOLEAN),
            )
        raise refuse(
            Code.CONSTRUCT, "IS", "use IS NULL, IS TRUE or IS FALSE", "请使用 IS NULL、IS TRUE 或 IS FALSE"
        )

    def _null_safe(self, node: exp.Expr) -> Expr:
        left, right = self.read(node.this), self.read(node.expression)
        equal = self._call("coalesce", self._compare("eq", left, right), Literal(False, Kind.BOOLEAN))
        both = self._call("and", self._call("is_null", left), self._call("is_null", right))
        same = self._call("or", equal, both)
        return self._not(same) if isinstance(node, exp.NullSafeNEQ) else same

    def _shift(self, node: exp.Expr) -> Expr:
        name, amount = literals.interval(node.expression)
        sign = -1 if isinstance(node, exp.Sub) else 1
        base = self.read(node.this)
        if isinstance(base, Literal) and isinstance(base.value, str):
            base = literals.timestamp(base.value)
        return self._call(name, base, Literal(sign * amount, Kind.INTEGER))

    def _case(self, node: exp.Case) -> Expr:
        subject = None if node.this is None else self.read(node.this)
        whens = []
        for branch in node.args["ifs"]:
            test = self.read(branch.this)
            condition = test if subject is None else self._compare("eq", subject, test)
            whens.append((condition, self.read(branch.args["true"])))
        default = node.args.get("default")
        result = Case(tuple(whens), NULL if default is None else self.read(default))
        facts_of(result, self.facts())
        return result

    def _bucket(self, node: exp.DateBin) -> Expr:
        """``time_bucket(INTERVAL 7 DAY, x)``."""
        shift, amount = literals.interval(node.this)
        months = shift == "add_months"
        width = amount * 86_400 if shift == "add_days" else amount
        name = "bucket_months" if months else "bucket_seconds"
        return self._call(name, self.read(node.expression), Literal(width, Kind.INTEGER))

    def _spelled(self, part: str, names: dict[int, str], node: exp.Expr) -> Expr:
        """``monthname`` and ``dayname``: the English name of a part of a date."""
        number = self._call(part, self.read(node.this))
        whens = ((n, Literal(name, Kind.STRING)) for n, name in names.items())
        return Case(
            tuple((self._compare("eq", number, Literal(n, Kind.INTEGER)), name) for n, name in whens), NULL
        )

    def _cast(self, node: exp.Expr) -> Expr:
        kind, scale = literals.kind_of(node.args["to"])
        inner = self.read(node.this)
        if isinstance(inner, Literal) and isinstance(inner.value, str) and kind is not Kind.STRING:
            return _typed_text(inner.value, kind)
        if facts_of(inner, self.facts()).kind is kind and kind is not Kind.DECIMAL:
            return inner
        if isinstance(inner, Literal) and isinstance(inner.value, Fraction) and kind is Kind.INTEGER:
            # A decimal constant rounds half away from zero in the engine, a double half to even.
            return Literal(literals.half_away(inner.value), Kind.INTEGER)
        cast = Cast(inner, kind, scale)
        facts_of(cast, self.facts())
        return cast


def misplaced_test() -> Refusal:
    """Why IN (SELECT …) or EXISTS cannot stand here."""
    return refuse(
        Code.SUBQUERY,
        "IN / EXISTS (SELECT …)",
        "use it in WHERE, or as a value of rows below the grouping: COUNT(*) FILTER (WHERE EXISTS (…))",
        "请用于 WHERE，或作为分组之前各行的值：COUNT(*) FILTER (WHERE EXISTS (…))",
    )


def _typed_text(text: str, kind: Kind) -> Expr:
    if kind is Kind.DATE:
        return literals.date(text)
    if kind is Kind.TIMESTAMP:
        return literals.timestamp(text)
    raise refuse(Code.LITERAL, text[:30], "write the constant without a cast", "请直接书写常量")


def _constant(node: exp.Expr) -> Literal:
    if isinstance(node, exp.Null):
        return NULL
    if isinstance(node, exp.Boolean):
        return TRUE if node.this else Literal(False, Kind.BOOLEAN)
    if node.args.get("is_string"):
        return Literal(str(node.this), Kind.STRING)
    return literals.number(str(node.this))


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    if not isinstance(unit, exp.Var | exp.Literal):
        raise refuse(Code.ARGUMENT, node.key.upper(), "the unit is a constant", "单位须为常量")
    return str(unit.this).lower()
