"""From the aggregates of a query to the few measures that are noised, and back.

COUNT, SUM, AVG, VAR, STDDEV, COVAR, CORR and REGR become sums of integers per row; the answer's columns
are computed from the noised sums afterwards, which costs nothing.  With n rows and deviations d from a
centre c (zero, or the middle of the range: below), S1 = sum d, S2 = sum d^2, and likewise over pairs:

    AVG = c + S1 / n        VAR_POP = S2 / n - (S1 / n)^2        VAR_SAMP = VAR_POP n / (n - 1)
    COVAR_POP = Sxy / n - (Sx / n)(Sy / n)        CORR = COVAR_POP / sqrt(VAR_POP(x) VAR_POP(y))
    REGR_SLOPE(y, x) = COVAR_POP / VAR_POP(x)        REGR_INTERCEPT = AVG(y) - REGR_SLOPE AVG(x)

Variances are never negative, correlations within [-1, 1], and all is NULL where the noisy count
is below 1 (or 2).

*Centring.*  A value in [a, b] adds up to max(|a|, |b|) to a sum, its deviation from the middle at most
(b - a) / 2.  So sums are of deviations wherever less noise follows for certain: where caps are fixed (one row
a unit) and the bound shrinks, and where caps are found privately, if even the smallest |x| is no less than
half the range.  Elsewhere a found cap follows the values themselves, which may be small
where the range is wide.
Where SUM(x) is asked as well, its sum serves and is not taken a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.privacy.release import What
from sandbox.sql.aggregates import PAIRED
from sandbox.sql.build import clamp_values
from sandbox.sql.expressions import TRUE, Agg, Call, Case, Cast, Col, Expr, Literal, remap
from sandbox.sql.facts import facts_of
from sandbox.sql.instead import advice
from sandbox.sql.relation import Relation, facts

ZERO = Literal(Fraction(0), Kind.DOUBLE)
ONE = Literal(Fraction(1), Kind.DOUBLE)
SINGLE = frozenset({"sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"})


@dataclass(frozen=True, slots=True)
class Base:
    """A sum to be noised: of rows, of units, of a value, or of distinct values, where a condition holds."""

    what: What
    value: Expr | None = None
    where: Expr | None = None


@dataclass(frozen=True, slots=True)
class Desugared:
    """The distinct sums (``Col(i)`` is ``bases[i]``), and what is computed of them.

    ``steps``: what is computed first, columns after theirs.  ``outputs``: each aggregate over all these."""

    bases: tuple[Base, ...]
    steps: tuple[Expr, ...]
    outputs: tuple[Expr, ...]


def desugar(aggs: Sequence[Agg], input_: Relation, *, fixed: bool = False) -> Desugared:
    """Split aggregates into sums; ``fixed``: caps will not be searched.  Refuses what cannot be protected."""
    sums = _Sums(input_, frozenset((a.arg, a.where) for a in aggs if a.name == "sum"), fixed=fixed)
    outputs = tuple(sums.output(agg) for agg in aggs)
    count = len(sums.bases)
    moved = tuple(_placed(e, count) for e in outputs)
    return Desugared(tuple(sums.bases), tuple(sums.steps), moved)


STEP = 10**6
"""Steps are numbered from here until the number of sums is known."""


def _placed(expr: Expr, count: int) -> Expr:
    return remap(expr, lambda i: i if i < STEP else i - STEP + count)


def names_unit(arg: Expr, input_: Relation) -> bool:
    """Whether the expression is the unit of the rows."""
    scope = "" if input_.privacy is None else input_.privacy.scope
    return isinstance(arg, Col) and input_.fields[arg.index].unit_scope == scope


def present(agg: Agg, input_: Relation) -> Expr | None:
    """The condition under which a row counts: FILTER, and no argument NULL."""
    assert agg.arg is not None
    args = (agg.arg, agg.by) if agg.name in PAIRED and agg.by is not None else (agg.arg,)
    parts = [] if agg.where is None else [agg.where]
    parts += [Call("not", (Call("is_null", (a,)),)) for a in args if facts_of(a, facts(input_)).nullable]
    parts = [p for p in parts if p != TRUE]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Call("and", tuple(parts))


@dataclass(frozen=True, slots=True)
class _Deviation:
    """Values less a centre; ``total``: the column of their sum, less ``shift`` a row to be of deviations."""

    value: Expr
    centre: Fraction
    shift: Fraction
    total: Expr


class _Sums:
    """Collects the sums that a list of aggregates needs, each once."""

    def __init__(
        self, input_: Relation, summed: frozenset[tuple[Expr | None, Expr | None]], *, fixed: bool
    ) -> None:
        self.input, self.summed, self.fixed = input_, summed, fixed
        self.bases: dict[Base, int] = {}
        self.steps: dict[Expr, int] = {}

    def column(self, base: Base) -> Col:
        """The column of a sum."""
        return Col(self.bases.setdefault(base, len(self.bases)))

    def step(self, expr: Expr) -> Col:
        """The column of what is computed first."""
        return Col(STEP + self.steps.setdefault(expr, len(self.steps)))

    def output(self, agg: Agg) -> Expr:
        """The aggregate over the columns."""
        if agg.name == "count_star":
            return self.column(Base(What.ROWS, None, agg.where))
        assert agg.arg is not None
        if agg.name == "count" and agg.distinct:
            assert names_unit(agg.arg, self.input), "other values are counted by a release of their own"
            return self.column(Base(What.UNITS, None, present(agg, self.input)))
        if agg.name in ("count", "regr_count"):
            return self.column(Base(What.ROWS, None, present(agg, self.input)))
        if agg.name in PAIRED:
            return self._pair(agg)
        if agg.name not in SINGLE:
            raise refuse(Code.AGGREGATE, agg.name, *advice(agg.name))
        if agg.name == "sum":
            return self.column(Base(What.SUM, self._value(agg.arg, agg.name), agg.where))
        return self._moment(agg)

    def _value(self, arg: Expr, name: str) -> Expr:
        value = clamp_values(arg, self.input.fields)
        if facts_of(value, facts(self.input)).kind is Kind.BOOLEAN:
            raise refuse(Code.TYPE, name, "give it a number", "参数须为数字")
        return value

    def _deviation(self, arg: Expr, where: Expr | None, name: str) -> _Deviation:
        """``where`` includes that the value is not NULL only for pairs: a sum passes over NULL by itself."""
        value = self._value(arg, name)
        centre = self._centre(value)
        if (arg, where) in self.summed:
            return _Deviation(value, centre, centre, self.column(Base(What.SUM, value, where)))
        total = self.column(Base(What.SUM, _less(value, centre), where))
        return _Deviation(value, centre, Fraction(0), total)

    def _centre(self, value: Expr) -> Fraction:
        """The middle of the value's range on its scale, where less noise follows for certain; else zero."""
        known = facts_of(value, facts(self.input))
        low, high = known.range.lo, known.range.hi
        if low is None or high is None or not known.kind.numeric:
            return Fraction(0)
        half, middle = (high - low) / 2, (high + low) / 2
        least = max(low, -high, Fraction(0))
        middle = middle // known.scale * known.scale if known.scale else Fraction(float(middle))
        if known.kind is Kind.INTEGER:
            middle = Fraction(middle // 1)
        shrinks = max(high - middle, middle - low) < max(abs(low), abs(high))
        return middle if shrinks and (self.fixed or half <= least) else Fraction(0)

    def _moment(self, agg: Agg) -> Expr:
        assert agg.arg is not None
        deviation = self._deviation(agg.arg, agg.where, agg.name)
        count = self.column(Base(What.ROWS, None, present(agg, self.input)))
        if agg.name == "avg":
            mean = _plus(Call("div", (deviation.total, count)), deviation.centre - deviation.shift)
            return _where_at_least(count, 1, mean)
        squares = self._squares(deviation, deviation, agg.where)
        variance: Expr = _product_mean(squares, _mean(deviation, count), _mean(deviation, count), count)
        least = 1
        if agg.name.endswith("samp"):
            variance, least = _sample(variance, count), 2
        floored = Call("greatest", (variance, ZERO))
        spread = Call("sqrt", (floored,)) if agg.name.startswith("stddev") else floored
        return _where_at_least(count, least, spread)

    def _squares(self, one: _Deviation, two: _Deviation, where: Expr | None) -> Expr:
        a, b = (_double(_less(d.value, d.centre)) for d in (one, two))
        return self.column(Base(What.SUM, Call("mul", (a, b)), where))

    def _pair(self, agg: Agg) -> Expr:
        """Of the rows in which neither is NULL.  The first argument is the dependent one."""
        assert agg.arg is not None
        assert agg.by is not None
        where = present(agg, self.input)
        y, x = (self._deviation(a, where, agg.name) for a in (agg.arg, agg.by))
        count = self.column(Base(What.ROWS, None, where))
        mean_y, mean_x = self.step(_mean(y, count)), self.step(_mean(x, count))
        both = self.step(_product_mean(self._squares(y, x, where), _mean(y, count), _mean(x, count), count))
        if agg.name == "covar_pop":
            return _where_at_least(count, 1, both)
        if agg.name == "covar_samp":
            return _where_at_least(count, 2, _sample(both, count))
        spread_x = self._variance(x, count, where)
        slope = Call("div", (both, spread_x))
        if agg.name == "regr_slope":
            return _where_at_least(count, 1, slope)
        if agg.name == "regr_intercept":
            centred = Call("sub", (mean_y, Call("mul", (slope, _plus(mean_x, x.centre)))))
            return _where_at_least(count, 1, _plus(centred, y.centre))
        spread_y = self._variance(y, count, where)
        return _where_at_least(count, 1, _correlation(agg.name, both, spread_x, spread_y))

    def _variance(self, of: _Deviation, count: Expr, where: Expr | None) -> Expr:
        mean = _mean(of, count)
        variance = _product_mean(self._squares(of, of, where), mean, mean, count)
        return self.step(Call("greatest", (variance, ZERO)))


def _correlation(name: str, both: Expr, spread_x: Expr, spread_y: Expr) -> Expr:
    scale = Call("sqrt", (Call("greatest", (Call("mul", (spread_x, spread_y)), ZERO)),))
    found = Call("div", (both, scale))
    held = Call("least", (Call("greatest", (found, Call("neg", (ONE,)))), ONE))
    return held if name == "corr" else Call("mul", (held, held))


def _less(value: Expr, centre: Fraction) -> Expr:
    if centre == 0:
        return value
    kind = Kind.INTEGER if centre.denominator == 1 else Kind.DOUBLE
    return Call("sub", (value, Literal(int(centre) if kind is Kind.INTEGER else centre, kind)))


def _plus(value: Expr, amount: Fraction) -> Expr:
    return value if amount == 0 else Call("add", (value, Literal(amount, Kind.DOUBLE)))


def _mean(of: _Deviation, count: Expr) -> Expr:
    """The mean deviation from the centre."""
    return _plus(Call("div", (of.total, count)), -of.shift)


def _product_mean(squares: Expr, one: Expr, two: Expr, count: Expr) -> Expr:
    return Call("sub", (Call("div", (squares, count)), Call("mul", (one, two))))


def _sample(value: Expr, count: Expr) -> Expr:
    """The estimate from a sample: times n / (n - 1)."""
    return Call("div", (Call("mul", (value, count)), Call("sub", (count, Literal(1, Kind.INTEGER)))))


def _double(value: Expr) -> Expr:
    return Cast(value, Kind.DOUBLE)


def _where_at_least(count: Expr, least: int, value: Expr) -> Expr:
    enough = Call("ge", (count, Literal(least, Kind.INTEGER)))
    return Case(((enough, value),), Cast(Literal(None, Kind.STRING), Kind.DOUBLE))
