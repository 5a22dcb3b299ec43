"""Half-widths of 95 % intervals for every column of an answer, by first-order error propagation.

Each noisy column of a released table comes with the half-width of its interval.  This module rewrites
the SQL above the releases so that every output column carries one too, or none where none is known.

Rules: for independent noise, half-widths add in quadrature; where the same noise enters twice (a share
of its own total), they add linearly, which is an upper bound whatever the correlation.  Products and
quotients use the first-order formula (GUM, JCGM 100:2008, 5.1.2), products with the second-order term
added; a quotient whose denominator is not clearly away from zero has no interval.  Rounding adds a step.

Where noise decides *which* value stands (a CASE, a window or a group by a noisy value, an aggregate over
rows that a noisy value chose) no interval is stated.  A row chosen by a noisy value keeps its own, widened
since the largest of many noisy values is likely one whose noise was large: it is the interval of that row,
not of "the largest".
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.catalogue import Kind
from sandbox.privacy.chosen import Carried, chooses, widened
from sandbox.privacy.widths import (
    NO_MARGIN,
    UNKNOWN,
    Margin,
    Tokens,
    if_known,
    is_noisy,
    margin_of,
    root_of,
    tokens_of,
)
from sandbox.sql.expressions import Agg, Call, Col, Expr, Facts, Win, remap
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
            # Neither NaN nor an infinite or unknown width is an interval.
            exprs.append(("", if_known(Col(margin.column))))
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
            if chooses(relation, below.margins):
                return widened(relation, below)
            rebuilt = replace(relation, input=below.relation, fields=below.relation.fields)
            return Carried(rebuilt, below.margins, below.alone, below.chosen)
        case Join():
            return _join(relation)
        case SemiJoin():
            return _semi_join(relation)
        case Aggregate():
            return _aggregate(relation)
        case Window():
            return _window(relation)
        case SetOp():
            return _set_op(relation)
        case Distinct():
            noisy = _carry(relation.input).margins
            unknown = {i: Margin(None, m.tokens) for i, m in noisy.items() if i < len(relation.fields)}
            return Carried(relation, unknown, False, bool(unknown))
        case _:
            return Carried(relation, {}, True)


def _beside(left: Carried, right: Carried, width: int) -> dict[int, Margin]:
    """The margins of two relations' fields side by side, as an ON condition sees them."""
    return {**left.margins, **{width + i: m for i, m in right.margins.items()}}


def _semi_join(relation: SemiJoin) -> Carried:
    left, right = _carry(relation.left), _carry(relation.right)
    width = len(relation.left.fields)
    shift = len(left.relation.fields) - width
    on = remap(relation.on, lambda i: i if i < width else i + shift)
    rebuilt = replace(relation, left=left.relation, on=on, fields=left.relation.fields)
    chosen = left.chosen or right.chosen or is_noisy((relation.on,), _beside(left, right, width))
    return Carried(rebuilt, left.margins, left.alone, chosen)


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
    rebuilt = Project(below.relation, tuple(exprs), tuple(fields), None)
    return Carried(rebuilt, margins, below.alone, below.chosen)


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
    chosen = left.chosen or right.chosen or is_noisy((relation.on,), _beside(left, right, width))
    return Carried(shaped, margins, not margins, chosen)


def _aggregate(relation: Aggregate) -> Carried:
    below = _carry(relation.input)
    aggs = list(relation.aggs)
    fields = list(relation.fields)
    margins: dict[int, Margin] = {}
    for i, key in enumerate(relation.keys):
        if is_noisy((key,), below.margins):
            margins[i] = Margin(None, tokens_of(key, below.margins))
    count = len(relation.keys)
    chosen = below.chosen or bool(margins)
    everything = frozenset(t for m in below.margins.values() for t in m.tokens)
    for i, agg in enumerate(relation.aggs):
        if chosen or is_noisy([e for e in (agg.where, agg.by) if e is not None], below.margins):
            margins[count + i] = Margin(None, everything)
            continue
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
    for margin in margins.values():
        if margin.column is None:
            continue
        exprs[margin.column] = if_known(Col(margin.column))
        if below.alone:
            exprs[margin.column] = root_of(Col(margin.column))
    # Groups share no row, so no noise, unless rows did; which groups there are is chosen if rows were.
    alone = below.alone or not relation.keys
    chosen = bool(relation.keys) and (below.chosen or any(i < count for i in margins))
    return Carried(Project(rebuilt, tuple(exprs), rebuilt.fields, None), margins, alone, chosen)


def _spread(agg: Agg, width: Expr | None, alone: bool) -> Agg | None:
    """The aggregate that carries the half-width of ``agg`` (as a square where rows are independent)."""
    if width is None or agg.distinct or agg.name not in ("sum", "avg", "min", "max"):
        return None
    # Aggregates skip NULL, but one unknown half-width makes the whole unknown: count it as infinite.
    width = Call("coalesce", (width, UNKNOWN))
    # An extreme moves by at most the largest of all errors, which a single 95 % width does not bound;
    # their sum does, and for independent ones the root of the sum of squares.
    name = "avg" if agg.name == "avg" else "sum"
    # The root of the mean of squares bounds the half-width of a mean from above.
    return Agg(name, Call("mul", (width, width)) if alone else width, agg.where)


def _window(relation: Window) -> Carried:
    below = _carry(relation.input)
    width, wider = len(relation.input.fields), len(below.relation.fields)
    wins = list(relation.wins)
    known = {i: (m.tokens, _place(m.column)) for i, m in below.margins.items()}
    found: dict[int, tuple[Tokens, Expr | None]] = {}
    everything = frozenset(t for m in below.margins.values() for t in m.tokens)
    for i, win in enumerate(relation.wins):
        if below.chosen or is_noisy((*win.partition, *(s.expr for s in win.order)), below.margins):
            found[width + i] = (everything, None)
            continue
        noisy = margin_of(win.args[0], below.margins) if win.args else None
        if noisy is None:
            continue
        rooted = below.alone and win.name in ("sum", "avg", "min", "max")
        half = _window_width(win, noisy[0], rooted=rooted)
        found[width + i] = (noisy[1], None)
        if half is not None:
            at = Col(wider + len(wins))
            found[width + i] = (noisy[1], root_of(at) if rooted else if_known(at))
            wins.append(half)
    fields = (
        *below.relation.fields,
        *relation.fields[width:],
        *(_hidden() for _ in wins[len(relation.wins) :]),
    )
    rebuilt = Window(below.relation, tuple(wins), fields, None)
    order = [*range(width), *(wider + i for i in range(len(relation.wins)))]
    # A window repeats one row's noise in others.
    shaped = _reordered(rebuilt, relation, order, known | found, alone=below.alone and not found)
    return replace(shaped, chosen=below.chosen)


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
    # Extremes: as in ``_spread``.
    name = "sum" if win.name in ("min", "max") else win.name
    return replace(win, name=name, args=(width, *win.args[1:]))


def _set_op(relation: SetOp) -> Carried:
    left, right = _carry(relation.left), _carry(relation.right)
    noisy = sorted({*left.margins, *right.margins})
    if relation.op != "union" or not relation.all:
        plain = {i: Margin(None, frozenset()) for i in noisy}
        return Carried(relation, plain, False, bool(noisy) or left.chosen or right.chosen)
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
    shaped = Project(union, tuple(Col(i) for i in range(len(fields))), fields, None)
    return Carried(shaped, margins, False, left.chosen or right.chosen)


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
