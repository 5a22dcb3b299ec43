"""Random queries over the small catalogue, as text; some are refused, most are not.

Reals are of two sorts: ``real`` values are short binary fractions, which any order of summing adds up
exactly; ``frac`` values are anything else, and are compared and listed but not summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Choose = Callable[[Sequence[Any]], Any]

KINDS = ("int", "real", "text", "date", "time", "bool")
TABLES: dict[str, dict[str, str]] = {
    "people": {"pid": "int", "age": "int", "city": "text", "born": "date", "member": "bool"},
    "visits": {"person": "int", "fee": "real", "code": "text", "at": "time", "n": "int"},
    "rates": {
        "k": "int",
        "big": "big",
        "w": "frac",
        "q": "real",
        "t": "text",
        "day": "date",
        "moment": "time",
        "flag": "bool",
    },
}
CONSTANTS = {
    "int": ("0", "1", "-3", "50", "NULL"),
    "big": ("0", "9007199254740993"),
    "real": ("0.5", "-2.25", "1e2"),
    "frac": ("0.1", "1e30"),
    "text": ("''", "'a'", "'太原'", "'a''b'", "'%'"),
    "date": ("DATE '2000-02-29'", "DATE '2025-01-31'"),
    "time": ("TIMESTAMP '2025-01-31 00:00:00'", "TIMESTAMP '2000-02-29 12:00:00'"),
    "bool": ("TRUE", "FALSE"),
}


@dataclass
class Query:
    """A text and the kinds of its columns, which are named ``x0, x1, …``."""

    text: str
    kinds: list[str]


@dataclass
class Grammar:
    """Grows texts; every choice is made by ``choose``: Hypothesis, or a random source."""

    choose: Choose
    aliases: int = 0
    scope: list[tuple[str, str]] = field(default_factory=list)

    def pick(self, options: Sequence[Any]) -> Any:
        return self.choose(options)

    def chance(self) -> bool:
        return bool(self.choose((False, True)))

    def count(self, least: int, most: int) -> int:
        return int(self.choose(range(least, most + 1)))

    def alias(self) -> str:
        self.aliases += 1
        return f"t{self.aliases}"

    def query(self, depth: int) -> Query:
        """A query: plain, grouped, windowed, distinct, ordered, or two of them together."""
        shapes = [self.plain, self.grouped, self.grouped, self.windowed, self.ordered]
        if depth > 0:
            shapes.append(self.together)
        return self.pick(shapes)(depth)  # type: ignore[no-any-return]

    def source(self, depth: int) -> tuple[str, list[tuple[str, str]]]:
        """A FROM clause with its columns (qualified name, kind)."""
        text, columns = self.item(depth)
        for _ in range(self.count(0, depth)):
            other, others = self.item(depth - 1)
            join = self.pick(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"))
            text = f"{text} {join} {other} ON {self.tie(columns, others)}"
            columns = columns if join[:4] in ("SEMI", "ANTI") else columns + others
        return text, columns

    def item(self, depth: int) -> tuple[str, list[tuple[str, str]]]:
        name = self.alias()
        if depth > 0 and self.chance():
            inner = self.query(depth - 1)
            return f"({inner.text}) AS {name}", [(f"{name}.x{i}", k) for i, k in enumerate(inner.kinds)]
        table = self.pick(list(TABLES))
        return f"{table} AS {name}", [(f"{name}.{c}", k) for c, k in TABLES[table].items()]

    def tie(self, left: list[tuple[str, str]], right: list[tuple[str, str]]) -> str:
        keys = [(a, b) for a, k in left for b, m in right if k == m == "int"]
        units = [(a, b) for a, b in keys if a.endswith(("pid", "person")) and b.endswith(("pid", "person"))]
        pairs = units or keys
        tied = " = ".join(self.pick(pairs)) if pairs else "1 = 1"
        return tied if self.chance() else f"{tied} AND {self.condition([*left, *right], 1)}"

    def where(self, columns: list[tuple[str, str]], depth: int) -> str:
        choice = self.pick(("", "plain", "exists"))
        if not choice:
            return ""
        if choice == "plain" or depth == 0:
            return f" WHERE {self.condition(columns, 2)}"
        inner, others = self.source(0)
        test = self.pick(("EXISTS", "NOT EXISTS"))
        return f" WHERE {test} (SELECT 1 FROM {inner} WHERE {self.tie(columns, others)})"

    def plain(self, depth: int) -> Query:
        source, columns = self.source(depth)
        kinds, texts = self.items(columns)
        distinct = self.pick(("", "", "DISTINCT "))
        return Query(f"SELECT {distinct}{named(texts)} FROM {source}{self.where(columns, depth)}", kinds)

    def items(self, columns: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
        units = [n for n, _ in columns if n.endswith(("pid", "person"))]
        kinds = ["int"] * bool(units) + [self.pick(KINDS) for _ in range(self.count(1, 3))]
        texts = [self.expression(k, columns, 2) for k in kinds]
        return kinds, [*units[:1], *texts[len(units[:1]) :]]

    def grouped(self, depth: int) -> Query:
        source, columns = self.source(depth)
        keys = [self.pick(KINDS) for _ in range(self.count(0, 2))]
        texts = [self.expression(k, columns, 1) for k in keys]
        texts = [t if any(n in t for n, _ in columns) else columns[0][0] for t in texts]
        keys = [dict(columns).get(t, k) for t, k in zip(texts, keys, strict=True)]
        aggs = [self.aggregate(columns) for _ in range(self.count(1, 3))]
        group = f" GROUP BY {', '.join(texts)}" if texts else ""
        having = f" HAVING {self.aggregate(columns, ('count',))[0]} > 1" if self.chance() else ""
        text = f"SELECT {named([*texts, *(t for t, _ in aggs)])} FROM {source}{self.where(columns, depth)}"
        return Query(text + group + having, [*keys, *(k for _, k in aggs)])

    def aggregate(self, columns: list[tuple[str, str]], names: Sequence[str] = ()) -> tuple[str, str]:
        name = self.pick(
            names or ("count", "sum", "avg", "min", "max", "median", "string_agg", "first", "bool")
        )
        where = f" FILTER (WHERE {self.condition(columns, 1)})" if self.chance() else ""
        if name == "count":
            inner = self.pick(("*", self.column(columns)[0], f"DISTINCT {self.column(columns)[0]}"))
            return f"COUNT({inner}){where}", "int"
        if name in ("sum", "avg", "median"):
            text, _ = self.column(columns, ("int", "real"))
            return f"{name}({text}){where}", "real" if name != "avg" else "frac"
        if name == "string_agg":
            text, _ = self.column(columns, ("text",))
            return f"string_agg({text}, '; ' ORDER BY {text}){where}", "text"
        if name == "bool":
            text, _ = self.column(columns, ("bool",))
            return f"{self.pick(('bool_and', 'bool_or'))}({text}){where}", "bool"
        text, kind = self.column(columns)
        if name == "first":
            down = self.pick(("", " DESC"))
            return f"first({text} ORDER BY {self.column(columns)[0]}{down}){where}", kind
        return f"{name}({text}){where}", kind

    def column(self, columns: list[tuple[str, str]], kinds: Sequence[str] = ()) -> tuple[str, str]:
        fit = [(n, k) for n, k in columns if not kinds or k in kinds]
        kind = kinds[0] if kinds else "int"
        if not fit:
            return self.pick([c for c in CONSTANTS[kind] if c != "NULL"]), kind
        name, found = self.pick(fit)
        return name, found

    def windowed(self, depth: int) -> Query:
        source, columns = self.source(depth)
        kinds, texts = self.items(columns)
        units = [n for n, _ in columns if n.endswith(("pid", "person"))]
        partition = ", ".join(units[:1] or [self.column(columns)[0]] * self.chance())
        order = ", ".join(self.sort(columns) for _ in range(self.count(0, 2)))
        call, kind = self.window(columns)
        rows = call.startswith(("first_value", "last_value")) or self.chance()
        frame = "" if not order and not rows else self.frame(rows=rows)
        parts = (
            f"PARTITION BY {partition}" if partition else "",
            f"ORDER BY {order}" if order else "",
            frame,
        )
        over = " ".join(parts)
        return Query(f"SELECT {named([*texts, f'{call} OVER ({over})'])} FROM {source}", [*kinds, kind])

    def window(self, columns: list[tuple[str, str]]) -> tuple[str, str]:
        text, kind = self.column(columns)
        number, _ = self.column(columns, ("int", "real"))
        return self.pick(  # type: ignore[no-any-return]
            [
                *((f"{n}()", "int") for n in ("row_number", "rank", "dense_rank")),
                *((f"{n}()", "frac") for n in ("percent_rank", "cume_dist")),
                ("ntile(3)", "int"),
                *((f"{n}({text})", kind) for n in ("lag", "lead", "first_value", "last_value", "min", "max")),
                (f"lag({text}, 2)", kind),
                (f"sum({number})", "real"),
                (f"avg({number})", "frac"),
                (f"count({text})", "int"),
                ("count(*)", "int"),
            ]
        )

    def frame(self, *, rows: bool) -> str:
        edges = ("UNBOUNDED PRECEDING", "2 PRECEDING", "1 PRECEDING", "CURRENT ROW", "1 FOLLOWING")
        ends = ("1 PRECEDING", "CURRENT ROW", "2 FOLLOWING", "UNBOUNDED FOLLOWING")
        if rows:
            return f"ROWS BETWEEN {self.pick(edges)} AND {self.pick(ends)}"
        start = self.pick(("UNBOUNDED PRECEDING", "CURRENT ROW"))
        return f"RANGE BETWEEN {start} AND {self.pick(('CURRENT ROW', 'UNBOUNDED FOLLOWING'))}"

    def sort(self, columns: list[tuple[str, str]]) -> str:
        down, nulls = self.pick(("", " ASC", " DESC")), self.pick(("", " NULLS FIRST", " NULLS LAST"))
        return f"{self.column(columns)[0]}{down}{nulls}"

    def ordered(self, depth: int) -> Query:
        inner = self.pick([self.grouped, self.plain])(depth)
        columns = [(f"x{i}", k) for i, k in enumerate(inner.kinds)]
        order = ", ".join(self.sort(columns) for _ in range(self.count(1, 2)))
        limit = self.pick(("", " LIMIT 2", " LIMIT 3 OFFSET 1", " OFFSET 2"))
        return Query(f"SELECT * FROM ({inner.text}) AS {self.alias()} ORDER BY {order}{limit}", inner.kinds)

    def together(self, depth: int) -> Query:
        op = self.pick(("UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"))
        left = self.pick([self.plain, self.grouped])(0)
        source, columns = self.source(0)
        texts = [self.expression(k, columns, 1) for k in left.kinds]
        return Query(f"{left.text} {op} SELECT {named(texts)} FROM {source}", left.kinds)

    def condition(self, columns: list[tuple[str, str]], depth: int) -> str:
        return self.expression("bool", columns, depth)

    def expression(self, kind: str, columns: list[tuple[str, str]], depth: int) -> str:
        """An expression of a kind over the columns."""
        own = [n for n, k in columns if k == kind]
        if own and (depth == 0 or self.chance()):
            return str(self.pick(own))
        if depth == 0 or kind not in KINDS:
            return str(self.pick(CONSTANTS[kind]))
        sub = {k: (lambda k=k: self.expression(k, columns, depth - 1)) for k in CONSTANTS}
        return str(self.pick(RULES[kind])(self, sub))


def named(texts: Sequence[str]) -> str:
    return ", ".join(f"{t} AS x{i}" for i, t in enumerate(texts))


Sub = dict[str, Callable[[], str]]
Rule = Callable[[Grammar, Sub], str]


def compare(g: Grammar, sub: Sub) -> str:
    kind = g.pick((*KINDS[:5], "frac", "big"))
    other = {"int": "real", "date": "time"}.get(kind, kind) if g.chance() else kind
    return f"({sub[kind]()} {g.pick(('=', '<>', '<', '<=', '>', '>='))} {sub[other]()})"


def either(kind: str) -> list[Rule]:
    """What there is for every kind: CASE, COALESCE, NULLIF."""
    return [
        lambda g, s: f"CASE WHEN {s['bool']()} THEN {s[kind]()} ELSE {s[kind]()} END",
        lambda g, s: f"coalesce({s[kind]()}, {s[kind]()})",
        lambda g, s: f"nullif({s[kind]()}, {s[kind]()})",
    ]


REALS = ("cbrt", "degrees", "radians", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")

RULES: dict[str, list[Rule]] = {
    "int": [
        *either("int"),
        lambda g, s: f"({s['int']()} {g.pick(('+', '-'))} 1)",
        lambda g, s: f"({s['int']()} {g.pick(('//', '%'))} 3)",
        lambda g, s: f"length({s['text']()})",
        lambda g, s: f"{g.pick(('year', 'month', 'dayofweek', 'week'))}({s['date']()})",
        lambda g, s: f"date_diff('{g.pick(('day', 'month', 'year', 'hour'))}', {s['date']()}, {s['time']()})",
        lambda g, s: f"{g.pick(('isoyear', 'yearweek', 'decade', 'century'))}({s['date']()})",
        lambda g, s: f"{g.pick(('ascii', 'unicode', 'strlen', 'bit_length'))}({s['text']()})",
        lambda g, s: f"bit_count(CAST({s['bool']()} AS INTEGER))",
        lambda g, s: f"CAST({s['real']()} AS INTEGER)",
    ],
    "real": [
        *either("real"),
        lambda g, s: f"({s['real']()} {g.pick(('+', '-'))} {s[g.pick(('int', 'real'))]()})",
        lambda g, s: f"{g.pick(('abs', 'floor', 'ceil', 'round'))}({s['real']()})",
        lambda g, s: f"{g.pick(('least', 'greatest'))}({s['real']()}, {s[g.pick(('int', 'real'))]()})",
        lambda g, s: f"CAST({s['int']()} AS DOUBLE)",
    ],
    "text": [
        *either("text"),
        lambda g, s: f"{g.pick(('lower', 'upper', 'trim', 'reverse'))}({s['text']()})",
        lambda g, s: f"({s['text']()} || {s['text']()})",
        lambda g, s: f"substr({s['text']()}, 1, 2)",
        lambda g, s: f"CAST({s['int']()} AS VARCHAR)",
        lambda g, s: f"strftime({s['time']()}, '%Y-%m')",
        lambda g, s: f"{g.pick(('lpad', 'rpad'))}({s['text']()}, {g.pick((1, 4))}, 'ab')",
        lambda g, s: f"split_part({s['text']()}, 'a', {g.pick((1, 2))})",
        lambda g, s: f"concat_ws('-', {s['text']()}, {s['text']()})",
        lambda g, s: f"translate({s['text']()}, 'ab', 'x')",
    ],
    "date": [
        *either("date"),
        lambda g, s: f"CAST({s['time']()} AS DATE)",
        lambda g, s: f"last_day({s['date']()})",
        lambda g, s: f"make_date(year({s['date']()}), month({s['date']()}), 30)",
    ],
    "time": [
        *either("time"),
        lambda g, s: f"date_trunc('{g.pick(('day', 'week', 'month', 'year'))}', {s['date']()})",
        lambda g, s: f"({s['time']()} {g.pick(('+', '-'))} INTERVAL 3 {g.pick(('DAY', 'MONTH', 'HOUR'))})",
        lambda g, s: f"CAST({s['date']()} AS TIMESTAMP)",
        lambda g, s: f"time_bucket(INTERVAL 10 {g.pick(('DAY', 'MONTH', 'HOUR'))}, {s['time']()})",
    ],
    "bool": [
        compare,
        compare,
        lambda g, s: f"({s['bool']()} {g.pick(('AND', 'OR'))} {s['bool']()})",
        lambda g, s: f"(NOT {s['bool']()})",
        lambda g, s: f"({s[g.pick(KINDS)]()} IS {g.pick(('', 'NOT '))}NULL)",
        lambda g, s: f"({s['text']()} {g.pick(('LIKE', 'ILIKE'))} '%a_')",
        lambda g, s: f"({s['int']()} {g.pick(('', 'NOT '))}IN (0, 3, 50))",
        lambda g, s: f"({s['real']()} BETWEEN 0 AND {s['real']()})",
        lambda g, s: f"({g.pick(REALS)}({s['real']()}) > 0.3)",
        lambda g, s: f"(atan2({s['real']()}, {s['real']()}) > 0.3)",
        lambda g, s: f"{g.pick(('isnan', 'isinf', 'isfinite'))}({s['real']()})",
    ],
}
