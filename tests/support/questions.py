"""Random queries over the tables of ``worlds``: the grammar of what may be asked of protected rows.

Texts, not relations: they take the whole road through parse, resolve, simplify and plan.  Some are
refused; which ones never depends on data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Columns = list[tuple[str, str]]
"""Qualified names with their kinds: unit, cat (few values), num, real, int, date, bool, text."""

STORED: dict[str, list[tuple[str, str]]] = {
    "person": [("pid", "unit"), ("city", "cat"), ("age", "int"), ("vip", "bool"), ("score", "wild")],
    "claim": [
        ("pid", "unit"), ("cid", "key"), ("hosp", "text"), ("region", "cat"), ("icd", "text"), ("fee", "num"),
        ("n", "int"), ("big", "wild"), ("x", "wild"), ("day", "date"),
    ],
    "item": [("cid", "key"), ("drug", "text"), ("amount", "num")],
    "firm": [("uscc", "unit"), ("sector", "cat"), ("kwh", "num")],
}  # fmt: skip

PUBLIC: dict[str, list[tuple[str, str]]] = {
    "hospital": [("hosp", "text"), ("grade", "cat"), ("beds", "big")],
    "zone": [("city", "cat"), ("zone", "text")],
    "today": [("day", "date"), ("f", "int")],
}


@dataclass(slots=True)
class Source:
    """A FROM clause and what can be named over it."""

    text: str
    columns: Columns


class Questions:
    """Grows query texts from one random source."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.aliases = 0

    def alias(self) -> str:
        self.aliases += 1
        return f"t{self.aliases}"

    def pick(self, options: Sequence[str]) -> str:
        return self.random.choice(options)

    def chance(self, p: float = 0.5) -> bool:
        return self.random.random() < p

    def of(self, columns: Columns, *kinds: str) -> str | None:
        found = [n for n, k in columns if k in kinds]
        return self.random.choice(found) if found else None

    def query(self) -> str:
        """One release, sometimes two joined, sometimes with SQL above."""
        body = self.release()
        if self.chance(0.1):
            return f"SELECT * FROM ({body}) AS a CROSS JOIN ({self.release()}) AS b"
        if self.chance(0.1):
            return f"SELECT count(*) FROM ({body}) AS a"
        return body

    def release(self) -> str:
        source = self.source(2)
        keys = self.keys(source.columns)
        aggs = [self.aggregate(source.columns) for _ in range(self.random.randint(1, 3))]
        shown = ", ".join(f"{t} AS x{i}" for i, t in enumerate([*keys, *aggs]))
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        having = " HAVING COUNT(*) > 2" if self.chance(0.1) else ""
        if self.chance(0.05) and keys:
            return f"SELECT DISTINCT {', '.join(f'{k} AS x{i}' for i, k in enumerate(keys))} FROM {source.text}{self.where(source.columns)}"
        if self.chance(0.05) and keys:
            group = f" GROUP BY {self.pick(('ROLLUP', 'CUBE'))} ({', '.join(keys)})"
            shown += f", GROUPING({', '.join(keys)}) AS g"
        return f"SELECT {shown} FROM {source.text}{self.where(source.columns)}{group}{having}"

    def keys(self, columns: Columns) -> list[str]:
        found = [self.key(columns) for _ in range(self.random.choice((0, 1, 1, 1, 2)))]
        return [k for k in dict.fromkeys(found) if k]

    def key(self, columns: Columns) -> str:
        date, whole = self.of(columns, "date"), self.of(columns, "int", "num", "wild")
        plain = self.of(columns, "cat", "text", "bool", "key")
        shapes = [plain, plain, plain]
        if date:
            shapes += [f"date_trunc('month', {date})", f"month({date})", date]
        if whole:
            shapes += [f"CASE WHEN {whole} > 10 THEN 'hi' ELSE 'lo' END", whole, f"floor({whole})"]
        if plain:
            shapes.append(f"coalesce({plain}, {plain})" if self.chance() else f"({plain} IS NULL)")
        return self.random.choice(shapes) or ""

    def aggregate(self, columns: Columns) -> str:
        number = self.of(columns, "num", "int") or "1"
        unit = self.of(columns, "unit")
        anything = self.random.choice(columns)[0]
        shapes = [
            "COUNT(*)",
            f"COUNT({anything})",
            f"SUM({number})",
            f"AVG({number})",
            f"SUM(-{number} * {number})",
            f"SUM(CASE WHEN {self.condition(columns)} THEN {number} ELSE {self.pick(('0', '-3.5', 'NULL'))} END)",
            f"{self.pick(('VAR_SAMP', 'STDDEV_POP'))}({number})",
            f"SUM(least(greatest({self.of(columns, 'wild', 'num', 'int') or '1'}, -5), 2000000.5))",
        ]
        if self.chance(0.4):  # several releases each: they take their time
            shapes += [
                f"{self.pick(('MEDIAN', 'MIN', 'MAX'))}({number}{self.pick(('', ' * 3.7'))})",
                f"QUANTILE_{self.pick(('CONT', 'DISC'))}({number} * 2, {self.pick(('0', '0.1', '0.9'))})",
                f"{self.pick(('CORR', 'COVAR_SAMP', 'REGR_SLOPE', 'REGR_COUNT'))}({number}, {self.of(columns, 'num', 'int') or '1'})",
                f"COUNT(DISTINCT {anything})",
            ]
            if day := self.of(columns, "date"):
                shapes += [f"{self.pick(('MEDIAN', 'MIN', 'MAX'))}({day})", f"QUANTILE_DISC({day}, 0.2)"]
        if unit:
            shapes += [f"COUNT(DISTINCT {unit})"] * 2
            table, key = (
                ("firm", "uscc") if unit.endswith("uscc") else (self.pick(("claim", "person")), "pid")
            )
            other = self.alias()
            had = f"EXISTS (SELECT 1 FROM {table} AS {other} WHERE {other}.{key} = {unit})"
            shapes.append(f"SUM(CASE WHEN {had} THEN {number} ELSE 0 END)")
        if place := self.of(columns, "text", "cat"):
            other = self.alias()
            shapes.append(f"COUNT_IF(EXISTS (SELECT 1 FROM zone AS {other} WHERE {other}.city = {place}))")
        where = f" FILTER (WHERE {self.condition(columns)})" if self.chance(0.3) else ""
        return self.pick(shapes) + where

    def where(self, columns: Columns) -> str:
        if self.chance(0.5):
            return ""
        parts = [self.test(columns) for _ in range(self.random.choice((1, 1, 2)))]
        return " WHERE " + " AND ".join(parts)

    def test(self, columns: Columns) -> str:
        unit, number, text = (
            self.of(columns, "unit"),
            self.of(columns, "num", "int"),
            self.of(columns, "text", "cat"),
        )
        shapes = [self.condition(columns)] * 3
        other = self.alias()
        if unit:
            table, key = (
                ("firm", "uscc") if unit.endswith("uscc") else (self.pick(("claim", "person")), "pid")
            )
            inner = self.condition([(f"{other}.{n}", k) for n, k in STORED[table]])
            shapes.append(
                f"{self.pick(('', 'NOT '))}EXISTS (SELECT 1 FROM {table} AS {other} WHERE {other}.{key} = {unit} AND {inner})"
            )
            shapes.append(
                f"{unit} {self.pick(('', 'NOT '))}IN (SELECT {other}.{key} FROM {table} AS {other} WHERE {inner})"
            )
        if unit:
            table, key = ("firm", "uscc") if unit.endswith("uscc") else ("claim", "pid")
            value = "kwh" if table == "firm" else self.pick(("fee", "n"))
            shapes.append(
                f"EXISTS (SELECT * FROM {table} AS {other} WHERE {other}.{key} = {unit} AND {other}.{value} <> {number or 3})"
            )
            shapes.append(
                f"{number or 1} < (SELECT {self.pick(('COUNT(*)', 'AVG', 'SUM', '2 * MAX'))}".replace(
                    "COUNT(*)", "1 + COUNT"
                )
                + f"({other}.{value}) FROM {table} AS {other} WHERE {other}.{key} = {unit})"
            )
        if unit and not unit.endswith("uscc"):
            had = f"EXISTS (SELECT 1 FROM claim AS {other} WHERE {other}.pid = {unit} AND {other}.n > 0)"
            shapes.append(f"({had} OR {self.condition(columns)})")
        if number:
            shapes.append(f"{number} > (SELECT AVG({other}.fee) FROM claim AS {other})")
        if number and text:
            column = self.pick(("hosp", "icd", "region"))
            shapes.append(
                f"{number} {self.pick(('>', '<='))} (SELECT {self.pick(('AVG', 'COUNT', 'SUM'))}({other}.fee) "
                f"FROM claim AS {other} WHERE {other}.{column} = {text} AND {other}.n > 0)"
            )
            one, two = self.condition(columns), self.condition(columns)
            shapes.append(f"(({text} = 'h1' AND {one}) OR ({text} = 'h1' AND {two}))")
        if text:
            shapes.append(
                f"{text} {self.pick(('', 'NOT '))}IN (SELECT {other}.hosp FROM hospital AS {other} WHERE {other}.beds > 1)"
            )
        return self.pick(shapes)

    def condition(self, columns: Columns) -> str:
        number, text = self.of(columns, "num", "int", "wild"), self.of(columns, "text", "cat")
        shapes = ["1 = 1"]
        if number:
            shapes += [
                f"{number} {self.pick(('>', '<=', '<>'))} {self.pick(('0', '3', '12.5', '50'))}",
                f"{number} IS NULL",
            ]
        if text:
            shapes += [
                f"{text} = {self.pick((chr(39) + 'I' + chr(39), chr(39) + '太原' + chr(39), chr(39) + 'h1' + chr(39)))}",
                f"{text} IS NOT NULL",
            ]
        if truth := self.of(columns, "bool"):
            shapes += [truth, f"NOT {truth}"]
        return self.pick(shapes)

    def source(self, depth: int) -> Source:
        """Protected rows: a table, a join, or a subquery that stays protected."""
        shapes: list[Callable[[int], Source]] = [self.table, self.table]
        if depth > 0:
            shapes += [self.with_public, self.with_public, self.tied, self.tied, self.per_unit, self.per_unit]
            shapes += [self.union, self.distinct, self.windowed, self.projected, self.listed]
        shape = self.random.choice(shapes)
        return shape(depth)

    def table(self, depth: int, name: str = "") -> Source:
        name = name or self.pick(("person", "claim", "claim", "claim", "item", "firm"))
        alias = self.alias()
        return Source(f"{name} AS {alias}", [(f"{alias}.{c}", k) for c, k in STORED[name]])

    def with_public(self, depth: int) -> Source:
        inner, alias = self.source(depth - 1), self.alias()
        table, own = self.random.choice(
            (
                ("hospital", [("hosp", "text"), ("grade", "cat"), ("beds", "big"), ("rate", "wild"), ("price", "num")]),
                ("zone", [("city", "cat"), ("zone", "text")]),
                ("tariff", [("city", "cat"), ("vip", "bool"), ("code", "big"), ("price", "num")]),
                ("today", [("day", "date"), ("f", "int")]),
                ("(VALUES (1, 'I'), (2, 'I'), (1, 'J'))", [("a", "int"), ("b", "text")]),
                ("(SELECT DISTINCT hosp, grade FROM hospital)", [("hosp", "text"), ("grade", "cat")]),
                ("(SELECT c.icd AS icd, COUNT(*) AS many FROM claim AS c GROUP BY c.icd)", [("icd", "text"), ("many", "int")]),
                ("(SELECT h.hosp AS hosp, h.beds AS beds FROM hospital AS h JOIN zone AS z ON 1 = 1)", [("hosp", "text"), ("beds", "big")]),
            )
        )  # fmt: skip
        columns = [(f"{alias}.{c}", k) for c, k in own]
        names = f"({', '.join(c for c, _ in own)})" if table.startswith("(VALUES") else ""
        on = self.public_condition(inner.columns, columns)
        text = f"{table} AS {alias}{names}"
        if self.chance(0.2):
            return Source(f"{text} LEFT JOIN {inner.text} ON {on}", [*columns, *inner.columns])
        join = self.pick(("JOIN", "LEFT JOIN"))
        return Source(f"{inner.text} {join} {text} ON {on}", [*inner.columns, *columns])

    def public_condition(self, private: Columns, public: Columns) -> str:
        alike = {
            "text": ("text", "cat"),
            "cat": ("cat", "text"),
            "wild": ("wild", "int", "num"),
            "big": ("wild", "int"),
            "num": ("wild", "num"),
            "int": ("int", "wild"),
            "date": ("date",),
            "bool": ("bool",),
        }
        pairs = [f"{a} = {b}" for a, k in private for b, m in public if k in alike.get(m, ())]
        on = self.pick(pairs) if pairs else "1 = 1"
        if self.chance(0.2):
            on = f"{on} AND {self.condition([*private, *public])}"
        if self.chance(0.3) and pairs:
            on = f"{on} AND {self.pick(pairs)}"
        return "1 = 1" if self.chance(0.1) else on

    def tied(self, depth: int) -> Source:
        """Two protected sources joined on the unit, or along a key path."""
        left, right = self.source(depth - 1), self.source(depth - 1 if self.chance(0.3) else 0)
        ties = [
            f"{a} = {b}" for a, k in left.columns for b, m in right.columns if k == m and k in ("unit", "key")
        ]
        if not ties:
            return left
        on = self.pick(ties)
        if self.chance(0.3):
            on = f"{on} AND {self.condition([*left.columns, *right.columns])}"
        join = self.pick(("JOIN", "JOIN", "LEFT JOIN"))
        return Source(f"{left.text} {join} {right.text} ON {on}", [*left.columns, *right.columns])

    def listed(self, depth: int) -> Source:
        """Tables with commas, in any order, tied by conditions in WHERE."""
        tables = {
            "claim": ["person.pid = claim.pid"],
            "hospital": ["claim.hosp = hospital.hosp"],
            "zone": ["person.city = zone.city"],
            "item": ["item.cid = claim.cid"],
            "today": ["today.day = claim.day", "today.f > 0"],
        }
        extra = self.random.sample([t for t in tables if t != "claim"], self.random.randint(0, 3))
        names = ["person", "claim", *extra]
        where = [c for t in names for c in tables.get(t, ())]
        columns = [(f"{t}.{c}", k) for t in names for c, k in (STORED | PUBLIC)[t]]
        chosen = [("person.pid", "unit"), *self.random.sample(columns, min(len(columns), 4))]
        self.random.shuffle(names)
        self.random.shuffle(where)
        if self.chance(0.3):
            both, one, two = where.pop(), self.condition(columns), self.condition(columns)
            where.append(f"(({both} AND {one}) OR ({both} AND {two}))")
        alias = self.alias()
        shown = ", ".join(f"{n} AS p{i}" for i, (n, _) in enumerate(chosen))
        text = f"(SELECT {shown} FROM {', '.join(names)} WHERE {' AND '.join(where)}) AS {alias}"
        return Source(text, [(f"{alias}.p{i}", k) for i, (_, k) in enumerate(chosen)])

    def below(self, depth: int) -> tuple[Source, str] | None:
        inner = self.source(depth - 1)
        unit = self.of(inner.columns, "unit")
        return (inner, unit) if unit else None

    def per_unit(self, depth: int) -> Source:
        """A grouping with the unit among its keys: still protected."""
        found = self.below(depth)
        if found is None:
            return self.table(depth)
        inner, unit = found
        alias = self.alias()
        extra = [k for k in [self.key(inner.columns)] if k and self.chance(0.4)]
        aggs = [
            "COUNT(*)",
            f"SUM({self.of(inner.columns, 'num', 'int') or '1'})",
            f"{self.pick(('MIN', 'MAX', 'AVG', 'MEDIAN', 'VAR_SAMP'))}({self.of(inner.columns, 'num', 'int', 'wild') or '1'})",
        ]
        shown = [f"{unit} AS a", *(f"{k} AS b" for k in extra), *(f"{a} AS g{i}" for i, a in enumerate(aggs))]
        keys = ", ".join([unit, *extra])
        text = f"(SELECT {', '.join(shown)} FROM {inner.text}{self.where(inner.columns)} GROUP BY {keys}) AS {alias}"
        columns = [("a", "unit"), *(("b", "cat") for _ in extra), ("g0", "int"), ("g1", "num"), ("g2", "num")]
        return Source(text, [(f"{alias}.{c}", k) for c, k in columns])

    def columns_of(self, columns: Columns, unit: str) -> list[tuple[str, str]]:
        rest = [(n, k) for n, k in columns if n != unit]
        return [(unit, "unit"), *self.random.sample(rest, min(len(rest), 3))]

    def projected(self, depth: int) -> Source:
        found = self.below(depth)
        if found is None:
            return self.table(depth)
        inner, unit = found
        chosen, alias = self.columns_of(inner.columns, unit), self.alias()
        shown = ", ".join(f"{n} AS p{i}" for i, (n, _) in enumerate(chosen))
        text = f"(SELECT {shown} FROM {inner.text}{self.where(inner.columns)}) AS {alias}"
        return Source(text, [(f"{alias}.p{i}", k) for i, (_, k) in enumerate(chosen)])

    def union(self, depth: int) -> Source:
        """UNION ALL of two projections of alike columns."""
        sides = [self.below(depth), self.below(depth)]
        if sides[0] is None or sides[1] is None:
            return self.table(depth)
        (one, unit), (two, other) = sides[0], sides[1]
        pairs = [(a, b, k) for a, k in one.columns for b, m in two.columns if k == m and k != "key"]
        chosen = [(unit, other, "unit"), *self.random.sample(pairs, min(len(pairs), 3))]
        alias = self.alias()
        first = ", ".join(f"{a} AS p{i}" for i, (a, _, _) in enumerate(chosen))
        second = ", ".join(f"{b} AS p{i}" for i, (_, b, _) in enumerate(chosen))
        text = f"(SELECT {first} FROM {one.text}{self.where(one.columns)} UNION ALL SELECT {second} FROM {two.text}) AS {alias}"
        return Source(text, [(f"{alias}.p{i}", k) for i, (_, _, k) in enumerate(chosen)])

    def distinct(self, depth: int) -> Source:
        source = self.projected(depth)
        return (
            Source(source.text.replace("(SELECT ", "(SELECT DISTINCT ", 1), source.columns)
            if source.text.startswith("(SELECT ")
            else source
        )

    def windowed(self, depth: int) -> Source:
        found = self.below(depth)
        if found is None:
            return self.table(depth)
        inner, unit = found
        alias = self.alias()
        order = self.of(inner.columns, "num", "int", "date", "text", "wild", "cat") or unit
        call = self.pick(
            (
                "row_number()",
                "rank()",
                f"lag({order})",
                "count(*)",
                f"sum({self.of(inner.columns, 'num', 'int', 'wild') or '1'})",
            )
        )
        chosen = self.columns_of(inner.columns, unit)
        shown = ", ".join(f"{n} AS p{i}" for i, (n, _) in enumerate(chosen))
        text = f"(SELECT {shown}, {call} OVER (PARTITION BY {unit} ORDER BY {order}) AS w FROM {inner.text}) AS {alias}"
        return Source(
            text,
            [
                *((f"{alias}.p{i}", k) for i, (_, k) in enumerate(chosen)),
                (f"{alias}.w", "text" if call.startswith("lag") else "int"),
            ],
        )
