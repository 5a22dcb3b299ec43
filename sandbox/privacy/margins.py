"""Half-widths of 95 % intervals for every column of an answer, by first-order error propagation.

Each noisy column of a released table comes with the half-width of its interval.  This module rewrites
the SQL above the releases so that every output column carries one too, or none where none is known.

Rules: for independent noise, half-widths add in quadrature; where the same noise enters twice (a share
of its own total), they add linearly, which is an upper bound whatever the correlation.  Products and
quotients use the first-order formula (GUM, JCGM 100:2008, 5.1.2); a quotient whose denominator is not
clearly away from zero has no interval.  Steps (rounding) add half a step.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.sql.expressions import Agg, Call, Case, Cast, Col, Expr, Facts, Literal, Win, columns, remap
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Field,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    Released,
    SemiJoin,
    SetOp,
    Window,
    facts,
    visible,
)

NO_MARGIN = Cast(Literal(None, Kind.STRING), Kind.DOUBLE)
ZERO = Literal(Fraction(0), Kind.DOUBLE)
UNKNOWN = Literal(Fraction(10) ** 30, Kind.DOUBLE)
"""Stands for a half-width that is not known while it passes through aggregates."""

Tokens = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Margin:
    """Where a column's half-width stands, and which noise it stems from.

    ``column is None``: the column is noisy but no half-width is known."""

    column: int | None
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Carried:
    """A relation whose noisy fields have margin fields beside them.

    ``alone``: no noise stands in two rows, so sums over rows add in quadrature."""

    relation: Relation
    margins: dict[int, Margin]
    alone: bool


def with_margins(post: Relation) -> tuple[Relation, dict[int, int | None]]:
    """The relation projected to its visible columns, then their half-widths.

    The dictionary gives, for each noisy visible column, the position of its half-width (or ``None``).
    """
    carried = _carry(post)
    shown = visible(post)
    exprs: list[tuple[str, Expr]] = [(post.fields[i].name, Col(i)) for i in shown]
    places: dict[int, int | None] = {}
    for position, index in enumerate(shown):
        margin = carried.margins.get(index)
        if margin is None:
            continue
        places[position] = None
        if margin.column is not None:
            places[position] = len(exprs)
            exprs.append(("", Col(margin.column)))
    return _wrapped(carried.relation, exprs), places


def _wrapped(below: Relation, exprs: list[tuple[str, Expr]]) -> Relation:
    """A projection; an ORDER BY stays outermost, or its order would be lost."""
    if not isinstance(below, Order):
        return _projected(below, exprs, 0)
    named = [*exprs, *(("", s.expr) for s in below.by)]
    shaped = _projected(below.input, named, len(below.by))
    by = tuple(replace(s, expr=Col(len(exprs) + i)) for i, s in enumerate(below.by))
    return replace(below, input=shaped, by=by, fields=shaped.fields)


def _projected(below: Relation, named: list[tuple[str, Expr]], hidden: int) -> Relation:
    known = facts(below)
    last = len(named) - hidden
    fields = tuple(Field(n, facts_of(e, known), hidden=i >= last) for i, (n, e) in enumerate(named))
    return Project(below, tuple(e for _, e in named), fields, None)


def _carry(relation: Relation) -> Carried:
    match relation:
        case Released(number, fields):
            return _released(relation, number, fields)
        case Project():
            return _project(relation)
        case Filter() | Order():
            below = _carry(relation.input)
            return Carried(
                replace(relation, input=below.relation, fields=below.relation.fields),
                below.margins,
                below.alone,
            )
        case Join():
            return _join(relation)
        case SemiJoin():
            left = _carry(relation.left)
            shift = len(left.relation.fields) - len(relation.left.fields)
            on = remap(relation.on, lambda i: i if i < len(relation.left.fields) else i + shift)
            rebuilt = replace(relation, left=left.relation, on=on, fields=left.relation.fields)
            return Carried(rebuilt, left.margins, left.alone)
        case Aggregate():
            return _aggregate(relation)
        case Window():
            return _window(relation)
        case SetOp():
            return _set_op(relation)
        case Distinct():
            noisy = _carry(relation.input).margins
            unknown = {i: Margin(None, m.tokens) for i, m in noisy.items() if i < len(relation.fields)}
            return Carried(relation, unknown, False)
        case _:
            return Carried(relation, {}, True)


def _released(relation: Released, number: int, fields: tuple[Field, ...]) -> Carried:
    hidden = [i for i, f in enumerate(fields) if f.hidden]
    first = hidden[0] - len(hidden) if hidden else len(fields)
    margins = {first + j: Margin(at, frozenset({(number, j)})) for j, at in enumerate(hidden)}
    return Carried(relation, margins, True)


def _project(relation: Project) -> Carried:
    below = _carry(relation.input)
    exprs = list(relation.exprs)
    fields = list(relation.fields)
    margins: dict[int, Margin] = {}
    known = facts(below.relation)
    for index, expr in enumerate(relation.exprs):
        found = margin_of(expr, below.margins)
        if found is None:
            continue
        width, tokens = found
        margins[index] = Margin(None if width is None else len(exprs), tokens)
        if width is not None:
            exprs.append(width)
            fields.append(Field("", replace(facts_of(width, known), nullable=True), hidden=True))
    return Carried(Project(below.relation, tuple(exprs), tuple(fields), None), margins, below.alone)


def _join(relation: Join) -> Carried:
    left, right = _carry(relation.left), _carry(relation.right)
    width, wider = len(relation.left.fields), len(left.relation.fields)
    on = remap(relation.on, lambda i: i if i < width else i - width + wider)
    # Output order must stay left, right as the parents know it: margins are moved behind both.
    beside = Join(
        relation.kind,
        left.relation,
        right.relation,
        on,
        (*left.relation.fields, *right.relation.fields),
        None,
    )
    order = [*range(width), *(wider + i for i in range(len(relation.right.fields)))]
    margins: dict[int, Margin] = {}
    for side, base, offset in ((left, 0, 0), (right, width, wider)):
        for index, margin in side.margins.items():
            column = None
            if margin.column is not None:
                column = len(order)
                order.append(offset + margin.column)
            margins[base + index] = Margin(column, margin.tokens)
    fields = tuple(
        relation.fields[i] if i < len(relation.fields) else Field("", Facts(Kind.DOUBLE, True), hidden=True)
        for i in range(len(order))
    )
    shaped = Project(beside, tuple(Col(i) for i in order), fields, None)
    both = [m for m in (left.margins, right.margins) if m]
    return Carried(shaped, margins, len(both) == 0)


def _aggregate(relation: Aggregate) -> Carried:
    below = _carry(relation.input)
    aggs = list(relation.aggs)
    fields = list(relation.fields)
    margins: dict[int, Margin] = {}
    for i, key in enumerate(relation.keys):
        noisy = margin_of(key, below.margins)
        if noisy is not None:
            margins[i] = Margin(None, noisy[1])
    count = len(relation.keys)
    for i, agg in enumerate(relation.aggs):
        noisy = None if agg.arg is None else margin_of(agg.arg, below.margins)
        if noisy is None:
            continue
        width = _spread(agg, noisy[0], below.alone)
        margins[count + i] = Margin(None if width is None else count + len(aggs), noisy[1])
        if width is not None:
            aggs.append(width)
            fields.append(Field("", Facts(Kind.DOUBLE, True), hidden=True))
    rebuilt = Aggregate(below.relation, relation.keys, tuple(aggs), tuple(fields), None)
    return _rooted(rebuilt, margins, below, relation)


def _rooted(rebuilt: Aggregate, margins: dict[int, Margin], below: Carried, relation: Aggregate) -> Carried:
    """Half-widths that were summed as squares become roots (and means are divided by the count)."""
    count = len(relation.keys)
    exprs: list[Expr] = [Col(i) for i in range(len(rebuilt.fields))]
    for index, margin in margins.items():
        if margin.column is None:
            continue
        name = relation.aggs[index - count].name
        exprs[margin.column] = _known(Col(margin.column))
        if below.alone and name in ("sum", "avg"):
            exprs[margin.column] = _root(Col(margin.column))
    return Carried(Project(rebuilt, tuple(exprs), rebuilt.fields, None), margins, True)


def _known(expr: Expr) -> Expr:
    return Case(((Call("lt", (expr, UNKNOWN)), expr),), NO_MARGIN)


def _root(expr: Expr) -> Expr:
    """The square root; NULL (no interval) where the square is NULL or stands for an unknown one."""
    known = Call("and", (Call("ge", (expr, ZERO)), Call("lt", (expr, UNKNOWN))))
    return Case(((known, Call("sqrt", (Call("greatest", (expr, ZERO)),))),), NO_MARGIN)


def _spread(agg: Agg, width: Expr | None, alone: bool) -> Agg | None:
    """The aggregate that carries the half-width of ``agg`` (as a square where rows are independent)."""
    if width is None or agg.name not in ("sum", "avg", "min", "max"):
        return None
    # Aggregates skip NULL, but one unknown half-width makes the whole unknown: count it as infinite.
    width = Call("coalesce", (width, UNKNOWN))
    if agg.name in ("min", "max"):
        return Agg("max", width, agg.where)
    if not alone:
        return Agg(agg.name, width, agg.where)
    square = Call("mul", (width, width))
    # The root of the mean of squares bounds the half-width of a mean from above.
    return Agg(agg.name, square, agg.where)


def _window(relation: Window) -> Carried:
    below = _carry(relation.input)
    width, wider = len(relation.input.fields), len(below.relation.fields)
    wins = list(relation.wins)
    known = {i: (m.tokens, _place(m.column)) for i, m in below.margins.items()}
    found: dict[int, tuple[Tokens, Expr | None]] = {}
    for i, win in enumerate(relation.wins):
        noisy = margin_of(win.args[0], below.margins) if win.args else None
        if noisy is None:
            continue
        rooted = below.alone and win.name in ("sum", "avg")
        half = _window_width(win, noisy[0], rooted=rooted)
        found[width + i] = (noisy[1], None)
        if half is not None:
            at = Col(wider + len(wins))
            found[width + i] = (noisy[1], _root(at) if rooted else _known(at))
            wins.append(half)
    fields = (
        *below.relation.fields,
        *relation.fields[width:],
        *(_hidden() for _ in wins[len(relation.wins) :]),
    )
    rebuilt = Window(below.relation, tuple(wins), fields, None)
    order = [*range(width), *(wider + i for i in range(len(relation.wins)))]
    # A window repeats one row's noise in others.
    return _reordered(rebuilt, relation, order, known | found, alone=below.alone and not found)


def _place(column: int | None) -> Expr | None:
    return None if column is None else Col(column)


def _reordered(
    rebuilt: Relation,
    relation: Window,
    order: list[int],
    found: dict[int, tuple[Tokens, Expr | None]],
    *,
    alone: bool,
) -> Carried:
    """Put the fields back where the parents know them, with margins behind."""
    placed: dict[int, Margin] = {}
    exprs: list[Expr] = [Col(i) for i in order]
    for index, (tokens, width) in found.items():
        placed[index] = Margin(None if width is None else len(exprs), tokens)
        if width is not None:
            exprs.append(width)
    fields = tuple(relation.fields[i] if i < len(relation.fields) else _hidden() for i in range(len(exprs)))
    return Carried(Project(rebuilt, tuple(exprs), fields, None), placed, alone)


def _hidden() -> Field:
    return Field("", Facts(Kind.DOUBLE, True), hidden=True)


def _window_width(win: Win, width: Expr | None, *, rooted: bool) -> Win | None:
    """The window function that carries the half-width (``rooted``: as a square, summed)."""
    if width is None or win.name not in (
        "sum",
        "avg",
        "min",
        "max",
        "lag",
        "lead",
        "first_value",
        "last_value",
    ):
        return None
    width = Call("coalesce", (width, UNKNOWN))
    if rooted:
        width = Call("mul", (width, width))
    name = "max" if win.name == "min" else win.name
    return replace(win, name=name, args=(width, *win.args[1:]))


def _set_op(relation: SetOp) -> Carried:
    left, right = _carry(relation.left), _carry(relation.right)
    noisy = sorted({*left.margins, *right.margins})
    if relation.op != "union" or not relation.all:
        plain = {i: Margin(None, frozenset()) for i in noisy}
        return Carried(relation, plain, False)
    margins: dict[int, Margin] = {}
    width = len(relation.fields)
    for position, index in enumerate(noisy):
        tokens = frozenset(t for s in (left, right) if index in s.margins for t in s.margins[index].tokens)
        margins[index] = Margin(width + position, tokens)
    sides = [
        _padded(s, relation_side, noisy)
        for s, relation_side in ((left, relation.left), (right, relation.right))
    ]
    fields = (*relation.fields, *(_hidden() for _ in noisy))
    exposed = tuple(replace(f, hidden=False) for f in fields)
    union = SetOp("union", True, sides[0], sides[1], exposed, None)
    return Carried(Project(union, tuple(Col(i) for i in range(len(fields))), fields, None), margins, False)


def _padded(side: Carried, original: Relation, noisy: list[int]) -> Relation:
    """One side of a union: its visible columns, then a half-width (or NULL) for each noisy position."""
    shown = visible(original)
    exprs: list[Expr] = [Col(i) for i in shown]
    for index in noisy:
        margin = side.margins.get(shown[index])
        exprs.append(NO_MARGIN if margin is None or margin.column is None else Col(margin.column))
    known = facts(side.relation)
    fields = tuple(Field("", replace(facts_of(e, known), nullable=True)) for e in exprs)
    return Project(side.relation, tuple(exprs), fields, None)


def margin_of(expr: Expr, margins: dict[int, Margin]) -> tuple[Expr | None, Tokens] | None:
    """The half-width of an expression: ``None`` without noise; ``(None, …)`` if not known."""
    tokens = frozenset(t for i in columns(expr) if i in margins for t in margins[i].tokens)
    if not any(i in margins for i in columns(expr)):
        return None
    return _width(expr, margins), tokens


def _tokens(expr: Expr, margins: dict[int, Margin]) -> Tokens:
    return frozenset(t for i in columns(expr) if i in margins for t in margins[i].tokens)


def _width(expr: Expr, margins: dict[int, Margin]) -> Expr | None:
    if not any(i in margins for i in columns(expr)):
        return ZERO
    match expr:
        case Col(index):
            column = margins[index].column
            return None if column is None else Col(column)
        case Cast(arg, kind) if kind.numeric:
            return _plus(_width(arg, margins), 0.5 if kind is Kind.INTEGER else 0.0)
        case Case(whens, default):
            return _case(whens, default, margins)
        case Call(name, args):
            return _call(name, args, margins)
        case _:
            return None


def _case(whens: tuple[tuple[Expr, Expr], ...], default: Expr, margins: dict[int, Margin]) -> Expr | None:
    widths = [_width(v, margins) for _, v in whens]
    last = _width(default, margins)
    if last is None or any(w is None for w in widths):
        return None
    return Case(tuple((c, w) for (c, _), w in zip(whens, widths, strict=True) if w is not None), last)


def _call(name: str, args: tuple[Expr, ...], margins: dict[int, Margin]) -> Expr | None:
    widths = [_width(a, margins) for a in args]
    if any(w is None for w in widths):
        return None
    w = [x for x in widths if x is not None]
    match name:
        case "add" | "sub":
            return _combine(args, w, margins)
        case "mul":
            return _combine(args, [_times(args[1], w[0]), _times(args[0], w[1])], margins)
        case "div":
            return _quotient(args, w, margins)
        case "neg" | "abs":
            return w[0]
        case "floor" | "ceil" | "trunc":
            return _plus(w[0], 1.0)
        case "round":
            return _plus(w[0], 0.5 * float(facts_of(Call("round", (ZERO, *args[1:])), ()).scale or 1))
        case "coalesce" | "greatest" | "least":
            return functools.reduce(lambda a, b: Call("add", (a, b)), w)
        case "nullif":
            return w[0]
        case "sqrt":
            return Call("div", (w[0], Call("mul", (Literal(Fraction(2), Kind.DOUBLE), _root(args[0])))))
        case _:
            return None


def _times(factor: Expr, width: Expr) -> Expr:
    return ZERO if width == ZERO else Call("mul", (Call("abs", (factor,)), width))


def _plus(width: Expr | None, amount: float) -> Expr | None:
    if width is None or amount == 0:
        return width
    return Call("add", (width, Literal(Fraction(amount), Kind.DOUBLE)))


def _combine(args: tuple[Expr, ...], widths: list[Expr], margins: dict[int, Margin]) -> Expr:
    """Quadrature where the two sides share no noise, linear addition where they do."""
    present = [w for w in widths if w != ZERO]
    if len(present) == 1:
        return present[0]
    first, second = present
    if _tokens(args[0], margins) & _tokens(args[1], margins):
        return Call("add", (first, second))
    squares = Call("add", (Call("mul", (first, first)), Call("mul", (second, second))))
    return _root(squares)


def _quotient(args: tuple[Expr, ...], widths: list[Expr], margins: dict[int, Margin]) -> Expr:
    """|a/b| to first order; the denominator is taken at the near end of its own interval."""
    size = Call("abs", (args[1],))
    near = size if widths[1] == ZERO else Call("sub", (size, widths[1]))
    safe = Case(((Call("gt", (near, ZERO)), near),), NO_MARGIN)
    top = Call("div", (widths[0], safe)) if widths[0] != ZERO else ZERO
    bottom: Expr = ZERO
    if widths[1] != ZERO:
        ratio = Call("abs", (Call("div", args),))
        bottom = Call("div", (Call("mul", (ratio, widths[1])), safe))
    return _combine(args, [top, bottom], margins)
