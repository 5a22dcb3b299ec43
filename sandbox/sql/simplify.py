"""``simplify``: the same query with projections inlined upward and unused columns dropped.

After it, expressions stand over stored columns wherever that is possible, so policy sees where a
column is *consumed* (not where a CTE passes it through), releases of equal meaning look equal, and
measures are clamped at their source.
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.sql.build import aggregate, distinct, join, order, project, semi_join, set_op, window
from sandbox.sql.expressions import (
    Col,
    Expr,
    Facts,
    map_agg,
    map_win,
    remap,
    substitute,
)
from sandbox.sql.facts import facts_of
from sandbox.sql.inner import arranged, gathered
from sandbox.sql.prune import prune
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Field,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    SemiJoin,
    SetOp,
    Window,
    facts,
    visible,
)


def simplify(relation: Relation) -> Relation:
    """An equal relation in the form described above.  ``resolve`` has bounded how large it grows."""
    return prune(_inline(relation))


def _inline(relation: Relation) -> Relation:
    match relation:
        case Filter() | Project() | Join(kind="inner"):
            return _block(relation)
        case Join():
            return _join(relation)
        case SemiJoin():
            return _semi_join(relation)
        case Aggregate():
            return _aggregate(relation)
        case Window():
            return _window(relation)
        case Distinct():
            return _distinct(relation)
        case SetOp():
            left, right = _inline(relation.left), _inline(relation.right)
            return set_op(relation.op, relation.all, left, right)
        case Order():
            return order(_inline(relation.input), relation.by, relation.limit, relation.offset)
        case _:
            return relation


def _block(relation: Relation) -> Relation:
    """Inner joins, filters and projections in their normal form."""
    below, outputs = arranged(gathered(relation, _inline))
    if relation.privacy is not None and below.privacy is not None:
        place = relation.privacy.unit
        # All units of a row are one; which one is carried along unseen must not depend on the text.
        if relation.fields[place].hidden:
            outputs = (*outputs[:place], Col(below.privacy.unit), *outputs[place + 1 :])
    if not isinstance(relation, Project) and outputs == tuple(Col(i) for i in range(len(below.fields))):
        return below
    return _project(below, outputs, relation)


def _project(below: Relation, exprs: tuple[Expr, ...], original: Relation) -> Relation:
    """A projection to the fields of ``original``, their facts derived anew."""
    known = facts(below)
    fields = tuple(
        _derived(below, e, f, facts_of(e, known)) for e, f in zip(exprs, original.fields, strict=True)
    )
    privacy = original.privacy
    if privacy is not None and below.privacy is not None:
        privacy = replace(below.privacy, unit=privacy.unit)
    return Project(below, exprs, fields, privacy)


def _derived(below: Relation, expr: Expr, field: Field, known: Facts) -> Field:
    if isinstance(expr, Col):
        return replace(below.fields[expr.index], name=field.name, hidden=field.hidden)
    return replace(field, facts=known)


def _plain(project: Project) -> bool:
    return all(isinstance(e, Col) for e in project.exprs)


def _join(relation: Join) -> Relation:
    left, right = _inline(relation.left), _inline(relation.right)
    lefts = _exprs(left, unwrap=isinstance(left, Project) and (relation.kind != "full" or _plain(left)))
    rights = _exprs(right, unwrap=isinstance(right, Project) and _plain(right))
    width = len(lefts[0].fields)
    outputs = (*lefts[1], *(_shift(e, width) for e in rights[1]))
    on = substitute(relation.on, outputs)
    return _project(join(relation.kind, lefts[0], rights[0], on), outputs, relation)


def _exprs(relation: Relation, *, unwrap: bool) -> tuple[Relation, tuple[Expr, ...]]:
    """The relation below a projection and its expressions; or itself and its columns."""
    if unwrap and isinstance(relation, Project):
        return relation.input, relation.exprs
    return relation, tuple(Col(i) for i in range(len(relation.fields)))


def _shift(expr: Expr, by: int) -> Expr:
    return remap(expr, lambda i: i + by)


def _semi_join(relation: SemiJoin) -> Relation:
    left, lefts = _exprs(_inline(relation.left), unwrap=True)
    right, rights = _exprs(_inline(relation.right), unwrap=True)
    on = substitute(relation.on, (*lefts, *(_shift(e, len(left.fields)) for e in rights)))
    return _project(semi_join(left, right, on, anti=relation.anti), lefts, relation)


def _distinct(relation: Distinct) -> Relation:
    """Of protected rows, DISTINCT is GROUP BY: the unit is among what is shown, and stands for itself."""
    below = _inline(relation.input)
    if relation.privacy is None or below.privacy is None:
        return distinct(below)
    below, exprs = _exprs(below, unwrap=True)
    shown = visible(relation)
    grouped = aggregate(below, [(relation.fields[i].name, exprs[i]) for i in shown], [])
    assert grouped.privacy is not None
    places = {i: Col(place) for place, i in enumerate(shown)}
    unit = Col(grouped.privacy.unit)
    return _project(grouped, tuple(places.get(i, unit) for i in range(len(relation.fields))), relation)


def _aggregate(relation: Aggregate) -> Relation:
    below, exprs = _exprs(_inline(relation.input), unwrap=True)
    keys = [substitute(k, exprs) for k in relation.keys]
    aggs = [map_agg(a, lambda e: substitute(e, exprs)) for a in relation.aggs]
    names = [f.name for f in relation.fields]
    if keys and not aggs and below.privacy is None:  # of public rows, GROUP BY alone is DISTINCT
        return distinct(project(below, list(zip(names, keys, strict=True))))
    return aggregate(
        below, list(zip(names, keys, strict=False)), list(zip(names[len(keys) :], aggs, strict=True))
    )


def _window(relation: Window) -> Relation:
    below, exprs = _exprs(_inline(relation.input), unwrap=True)
    wins = [map_win(w, lambda e: substitute(e, exprs)) for w in relation.wins]
    width = len(below.fields)
    names = [f.name for f in relation.fields[len(exprs) :]]
    built = window(below, list(zip(names, wins, strict=True)))
    return _project(built, (*exprs, *(Col(width + i) for i in range(len(wins)))), relation)
