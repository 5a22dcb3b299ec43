"""The naive engine: a relation's rows computed one at a time over Python values.

It is what every compiled text must agree with: obvious, slow, and independent of any engine.  Scalar
expressions mean what ``sandbox.sql.facts.evaluate`` says of them once kinds are written out (``typed``).
Ties in an ordering are broken by all columns of the row, as compiled texts do.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sandbox.catalogue import Kind
from sandbox.sql.aggregates import COUNTING
from sandbox.sql.compile import typed
from sandbox.sql.expressions import Agg, Call, Col, Expr, Facts, Sort, Win, conjuncts
from sandbox.sql.facts import evaluate
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    Released,
    Scan,
    SemiJoin,
    SetOp,
    Values,
    Window,
    facts,
    visible,
)

Row = tuple[Any, ...]
Reader = Callable[[Row], Any]


class Oracle:
    """Runs relations over rows given as dicts by table id, and released rows as tuples by number."""

    def __init__(
        self,
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        released: Mapping[int, Sequence[Row]] | None = None,
    ) -> None:
        self._tables = tables
        self._released = released or {}

    def run(self, relation: Relation) -> list[Row]:
        """All rows, all fields in order; in the order of rows only if the relation says one."""
        match relation:
            case Scan():
                return self._scan(relation)
            case Released(number):
                return [tuple(row) for row in self._released[number]]
            case Values(constants):
                return [
                    tuple(held(v, f.facts.kind) for v, f in zip(row, relation.fields, strict=True))
                    for row in constants
                ]
            case Filter(below, predicate):
                test = reader(predicate, facts(below))
                return [row for row in self.run(below) if test(row) is True]
            case Project(below, exprs):
                readers = [reader(e, facts(below)) for e in exprs]
                return [tuple(r(row) for r in readers) for row in self.run(below)]
            case Join():
                return self._join(relation)
            case SemiJoin(left, right, on, anti):
                test, others = reader(on, (*facts(left), *facts(right))), self.run(right)
                return [
                    row for row in self.run(left) if any(test((*row, *o)) is True for o in others) != anti
                ]
            case Aggregate():
                return self._aggregate(relation)
            case Distinct(below):
                return list({key(row): row for row in reversed(self.run(below))}.values())
            case Window(below, wins):
                rows = self.run(below)
                added = [window_values(w, rows, facts(below)) for w in wins]
                if relation.privacy is not None and relation.privacy.rows is not None:
                    most = relation.privacy.rows  # no more of a unit's rows are counted
                    counts = [w.name in COUNTING for w in wins]
                    added = [
                        [min(v, most) for v in a] if c else a for a, c in zip(added, counts, strict=True)
                    ]
                return [(*row, *(values[i] for values in added)) for i, row in enumerate(rows)]
            case SetOp():
                return self._set_op(relation)
            case Order(below, by, limit, offset):
                rows = ordered(self.run(below), by, facts(below), ties=True)
                return rows[offset : None if limit is None else offset + limit]

    def _scan(self, scan: Scan) -> list[Row]:
        names = [(f.name if f.source is None else f.source.column.name, f.facts.kind) for f in scan.fields]
        return [tuple(held(row[n], kind) for n, kind in names) for row in self._tables[scan.table.id]]

    def _join(self, join: Join) -> list[Row]:
        left, right = self.run(join.left), self.run(join.right)
        test = reader(join.on, (*facts(join.left), *facts(join.right)))
        near = _near(join, right)
        pairs = [(i, j) for i, a in enumerate(left) for j in near(a) if test((*a, *right[j])) is True]
        rows: list[Row] = [(*left[i], *right[j]) for i, j in pairs]
        if join.kind != "inner":
            matched = {i for i, _ in pairs}
            rows += [(*a, *(None,) * len(join.right.fields)) for i, a in enumerate(left) if i not in matched]
        if join.kind == "full":
            found = {j for _, j in pairs}
            rows += [(*(None,) * len(join.left.fields), *b) for j, b in enumerate(right) if j not in found]
        return rows

    def _aggregate(self, node: Aggregate) -> list[Row]:
        known = facts(node.input)
        keys = [reader(k, known) for k in node.keys]
        groups: dict[Any, tuple[Row, list[Row]]] = {} if keys else {(): ((), [])}
        for row in self.run(node.input):
            values = tuple(k(row) for k in keys)
            groups.setdefault(key(values), (values, []))[1].append(row)
        made = facts(node)[len(keys) :]
        return [
            (*values, *(self._one(a, rows, known, f, node) for a, f in zip(node.aggs, made, strict=True)))
            for values, rows in groups.values()
        ]

    def _one(self, agg: Agg, rows: list[Row], known: Sequence[Facts], out: Facts, node: Aggregate) -> Any:
        value = aggregate_value(agg, rows, known)
        clamped = agg.name in ("sum", "count", "count_star") and node.privacy is not None
        if value is None or not clamped or out.range.lo is None or out.range.hi is None:
            return value
        low, high = (
            held(int(b) if out.kind is Kind.INTEGER else float(b), out.kind)
            for b in (out.range.lo, out.range.hi)
        )
        return min(max(value, low), high)

    def _set_op(self, node: SetOp) -> list[Row]:
        left, right = (self._shown(side, node) for side in (node.left, node.right))
        if node.op == "union":
            rows = left + right
            return rows if node.all else list({key(r): r for r in rows}.values())
        wanted, spare = Counter(map(key, left)), Counter(map(key, right))
        kept = wanted & spare if node.op == "intersect" else wanted - spare
        if not node.all:
            both = set(wanted) & set(spare) if node.op == "intersect" else set(wanted) - set(spare)
            kept = Counter(both)
        shown = {key(r): r for r in left}
        return [shown[k] for k in kept.elements()]

    def _shown(self, relation: Relation, node: SetOp) -> list[Row]:
        indexes = list(visible(relation))
        if relation.privacy is not None:
            indexes = [i for i in indexes if i != relation.privacy.unit] + [relation.privacy.unit]
        kinds = [f.facts.kind for f in node.fields]
        return [
            tuple(held(row[i], k) for i, k in zip(indexes, kinds, strict=True)) for row in self.run(relation)
        ]


def _near(join: Join, right: Sequence[Row]) -> Callable[[Row], Sequence[int]]:
    """The right rows that may meet the condition at all, which are then tried one by one.

    Where the condition says that two bare columns are equal, only rows that are equal in them: every pair of
    rows of two released tables would take minutes.
    """
    known, width = (*facts(join.left), *facts(join.right)), len(join.left.fields)
    equal = []
    for part in conjuncts(join.on):
        match part:
            case Call("eq", (Col(a), Col(b))) if known[a].kind is known[b].kind:
                a, b = min(a, b), max(a, b)
                equal += [(a, b - width)] if a < width <= b else []
    if not equal:
        return lambda _: range(len(right))
    found: dict[Any, list[int]] = {}
    for j, row in enumerate(right):
        found.setdefault(key(tuple(row[b] for _, b in equal)), []).append(j)
    return lambda row: found.get(key(tuple(row[a] for a, _ in equal)), [])


def reader(expr: Expr, inputs: Sequence[Facts]) -> Reader:
    """The expression as a function of a row."""
    explicit = typed(expr, inputs)
    return lambda row: evaluate(explicit, row)


def held(value: Any, kind: Kind) -> Any:
    """A stored value as a field of this kind has it."""
    if value is None:
        return None
    if kind is Kind.DOUBLE and isinstance(value, int | Decimal):
        return float(value)
    if kind is Kind.TIMESTAMP and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value


def rank(value: Any) -> Any:
    """What values are compared and grouped by: NaN equals itself and is the largest number."""
    if isinstance(value, float):
        return (1, 0.0) if math.isnan(value) else (0, value)
    return (0, value)


def key(row: Row) -> tuple[Any, ...]:
    """Equal for rows that DISTINCT and GROUP BY hold equal: NULLs are."""
    return tuple(None if v is None else rank(v) for v in row)


def ordered(rows: Sequence[Row], by: Sequence[Sort], known: Sequence[Facts], *, ties: bool) -> list[Row]:
    """The rows sorted: stably, by the last item first."""
    result = list(rows)
    columns = [Sort(Col(i)) for i in range(len(known))] if ties else []
    for sort in reversed([*by, *columns]):
        read = reader(sort.expr, known)
        values = [(read(row), row) for row in result]
        present = sorted(
            (v for v in values if v[0] is not None), key=lambda v: rank(v[0]), reverse=sort.descending
        )
        nulls = [v for v in values if v[0] is None]
        result = [row for _, row in (nulls + present if sort.nulls_first else present + nulls)]
    return result


def aggregate_value(agg: Agg, rows: Sequence[Row], known: Sequence[Facts]) -> Any:
    """One aggregate over the rows of a group."""
    if agg.where is not None:
        test = reader(agg.where, known)
        rows = [row for row in rows if test(row) is True]
    if agg.arg is None:
        return len(rows)
    read = reader(agg.arg, known)
    values = [v for v in map(read, rows) if v is not None]
    match agg.name:
        case "count":
            return len({rank(v) for v in values}) if agg.distinct else len(values)
        case "arg_min" | "arg_max":
            assert agg.by is not None
            by = reader(agg.by, known)
            pairs = [(by(row), read(row)) for row in rows]
            pairs = [p for p in pairs if p[0] is not None and p[1] is not None]
            best = (max if agg.name == "arg_max" else min)((rank(b) for b, _ in pairs), default=None)
            return min((v for b, v in pairs if rank(b) == best), key=rank, default=None)
        case name if name in PAIRS:
            assert agg.by is not None
            other = reader(agg.by, known)
            pairs = [(read(row), other(row)) for row in rows]
            pairs = [p for p in pairs if p[0] is not None and p[1] is not None]
            if name == "regr_count":
                return len(pairs)
            return PAIRS[name]([float(y) for y, _ in pairs], [float(x) for _, x in pairs])
        case "quantile_cont" | "quantile_disc":
            assert agg.by is not None
            return quantile(sorted(values, key=rank), evaluate(agg.by, ()), agg.name) if values else None
        case "string_agg":
            return agg.option.join(sorted(values)) if values else None
        case name:
            return SIMPLE[name](values) if values else None


def total(values: Sequence[Any]) -> float:
    """The sum, exact and then rounded once; infinite where binary64 overflows."""
    if all(isinstance(v, int) for v in values):
        return float(sum(values))
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return float(sum(values))


def median(values: Sequence[Any]) -> float:
    """The middle value, or half way between the two middle ones."""
    in_order = sorted(map(float, values), key=rank)
    low, high = in_order[(len(values) - 1) // 2], in_order[len(values) // 2]
    return low if low == high else low / 2 + high / 2


def quantile(values: Sequence[Any], share: float, name: str) -> Any:
    """The value at a share of sorted values: between two of them (cont), or the first that reaches it (disc)."""
    if name == "quantile_disc":
        return values[max(math.ceil(len(values) * share) - 1, 0)]
    place = (len(values) - 1) * share
    low, high = float(values[math.floor(place)]), float(values[math.ceil(place)])
    return low if low == high else low + (high - low) * (place - math.floor(place))


def products(one: Sequence[float], two: Sequence[float]) -> float:
    """The sum of products of deviations from the means."""
    a, b = total(one) / len(one), total(two) / len(two)
    return math.fsum((x - a) * (y - b) for x, y in zip(one, two, strict=True))


def ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def correlation(y: Sequence[float], x: Sequence[float]) -> float | None:
    return ratio(products(x, y), math.sqrt(products(x, x) * products(y, y))) if x else None


def slope(y: Sequence[float], x: Sequence[float]) -> float | None:
    return ratio(products(x, y), products(x, x)) if x else None


def intercept(y: Sequence[float], x: Sequence[float]) -> float | None:
    found = slope(y, x)
    return None if found is None else total(y) / len(y) - found * total(x) / len(x)


def determination(y: Sequence[float], x: Sequence[float]) -> float | None:
    if not x or not products(x, x):
        return None
    return 1.0 if not products(y, y) else products(x, y) ** 2 / (products(x, x) * products(y, y))


PAIRS: dict[str, Callable[[list[float], list[float]], float | None]] = {
    "corr": correlation,
    "covar_pop": lambda y, x: products(x, y) / len(x) if x else None,
    "covar_samp": lambda y, x: products(x, y) / (len(x) - 1) if len(x) > 1 else None,
    "regr_slope": slope,
    "regr_intercept": intercept,
    "regr_r2": determination,
    "regr_count": lambda y, x: len(x),
}


def spread(values: Sequence[Any], without: int) -> float | None:
    """The sum of squared deviations over the number of values less ``without``."""
    if len(values) <= without:
        return None
    mean = total(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - without)


def root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


SIMPLE: dict[str, Callable[[list[Any]], Any]] = {
    "sum": total,
    "avg": lambda values: total(values) / len(values),
    "min": lambda values: min(values, key=rank),
    "max": lambda values: max(values, key=rank),
    "median": median,
    "var_pop": lambda values: spread(values, 0),
    "var_samp": lambda values: spread(values, 1),
    "stddev_pop": lambda values: root(spread(values, 0)),
    "stddev_samp": lambda values: root(spread(values, 1)),
    "bool_and": all,
    "bool_or": any,
}


def window_values(win: Win, rows: Sequence[Row], known: Sequence[Facts]) -> list[Any]:
    """The window function's value for each row."""
    parts: dict[Any, list[int]] = {}
    readers = [reader(p, known) for p in win.partition]
    for i, row in enumerate(rows):
        parts.setdefault(key(tuple(r(row) for r in readers)), []).append(i)
    result: list[Any] = [None] * len(rows)
    sorts = [reader(s.expr, known) for s in win.order]
    for indexes in parts.values():
        # The row's own number goes along as one more column, so that values find their way back.
        marked = [(*rows[i], i) for i in indexes]
        part = ordered(marked, win.order, known, ties=True)
        peers = [key(tuple(s(row) for s in sorts)) for row in part]
        for place, row in enumerate(part):
            result[row[-1]] = _value(win, part, peers, place, known)
    return result


def _value(win: Win, part: list[Row], peers: list[Any], place: int, known: Sequence[Facts]) -> Any:
    first = peers.index(peers[place])
    last = len(peers) - 1 - peers[::-1].index(peers[place])
    size = len(part)
    match win.name:
        case "row_number":
            return place + 1
        case "rank":
            return first + 1
        case "dense_rank":
            return len(set(peers[: place + 1]))
        case "percent_rank":
            return first / (size - 1) if size > 1 else 0.0
        case "cume_dist":
            return (last + 1) / size
        case "ntile":
            return _tile(size, evaluate(win.args[0], ()), place)
        case "lag" | "lead":
            by = evaluate(win.args[1], ()) if len(win.args) > 1 else 1
            other = place - by if win.name == "lag" else place + by
            return reader(win.args[0], known)(part[other]) if 0 <= other < size else None
        case _:
            return _framed(win, part, _bounds(win, place, first, last, size), known)


def _framed(win: Win, part: list[Row], bounds: tuple[int, int], known: Sequence[Facts]) -> Any:
    start, end = bounds
    inside = part[start : end + 1] if end >= start else []
    if win.name in ("first_value", "last_value"):
        return reader(win.args[0], known)(inside[0 if win.name == "first_value" else -1]) if inside else None
    return aggregate_value(Agg(win.name, win.args[0] if win.args else None), inside, known)


def _tile(size: int, tiles: int, place: int) -> int:
    """The first ``size % tiles`` tiles have one row more."""
    counts = [size // tiles + (t < size % tiles) for t in range(tiles)]
    return next(t + 1 for t in range(tiles) if place < sum(counts[: t + 1]))


def _bounds(win: Win, place: int, first: int, last: int, size: int) -> tuple[int, int]:
    """First and last place of the frame, inside the partition; the end before the start if it is empty."""
    frame = win.frame
    if frame is None:
        return 0, (last if win.order else size - 1)
    rows = frame.unit == "rows"
    start = 0 if frame.start is None else (place + frame.start if rows else first)
    end = size - 1 if frame.end is None else (place + frame.end if rows else last)
    return max(start, 0), min(end, size - 1)
