"""Dropping columns that nothing consumes, down to the scans.

The unit field of a private relation is always kept.  What changes the rows of a result (group keys,
the columns of DISTINCT and of set operations) is always consumed.
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.sql.expressions import agg_exprs, columns, map_agg, map_win, remap, win_exprs
from sandbox.sql.narrow import narrowed
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Field,
    Filter,
    Join,
    Order,
    Privacy,
    Project,
    Relation,
    Scan,
    SemiJoin,
    SetOp,
    Window,
    visible,
)

Places = dict[int, int]
"""Old index of each kept field to its new index."""


def prune(relation: Relation) -> Relation:
    """The relation with the same visible output, reading only what it consumes."""
    return _prune(relation, frozenset(visible(relation)))[0]


def _prune(relation: Relation, needed: frozenset[int]) -> tuple[Relation, Places]:
    wanted = needed | _unit(relation)
    match relation:
        case Scan():
            return _select(relation, wanted)
        case Filter():
            below, places = _prune(relation.input, wanted | columns(relation.predicate))
            predicate = remap(relation.predicate, places.__getitem__)
            left = narrowed(below.fields, predicate)
            return replace(
                relation, input=below, predicate=predicate, fields=left, privacy=below.privacy
            ), places
        case Project():
            return _project(relation, wanted)
        case Join():
            return _join(relation, wanted)
        case SemiJoin():
            return _semi_join(relation, wanted)
        case Aggregate():
            return _aggregate(relation, wanted)
        case Window():
            return _window(relation, wanted)
        case Order():
            sorts = frozenset(i for s in relation.by for i in columns(s.expr))
            below, places = _prune(relation.input, wanted | sorts)
            by = tuple(replace(s, expr=remap(s.expr, places.__getitem__)) for s in relation.by)
            return replace(relation, input=below, by=by, fields=below.fields), places
        case Distinct() | SetOp():
            return _whole(relation)
        case _:
            return relation, {i: i for i in range(len(relation.fields))}


def _unit(relation: Relation) -> frozenset[int]:
    return frozenset() if relation.privacy is None else frozenset({relation.privacy.unit})


def _kept(fields: tuple[Field, ...], wanted: frozenset[int]) -> tuple[tuple[Field, ...], Places]:
    order = sorted(wanted)
    return tuple(fields[i] for i in order), {old: new for new, old in enumerate(order)}


def _moved(privacy: Privacy | None, places: Places) -> Privacy | None:
    return None if privacy is None else replace(privacy, unit=places[privacy.unit])


def _select(relation: Scan, wanted: frozenset[int]) -> tuple[Relation, Places]:
    # A scan without columns has no rows to count in compiled SQL: keep the first one.
    fields, places = _kept(relation.fields, wanted or frozenset({0}))
    return replace(relation, fields=fields, privacy=_moved(relation.privacy, places)), places


def _project(relation: Project, wanted: frozenset[int]) -> tuple[Relation, Places]:
    fields, places = _kept(relation.fields, wanted)
    exprs = [relation.exprs[i] for i in sorted(wanted)]
    below, inner = _prune(relation.input, frozenset(c for e in exprs for c in columns(e)))
    moved = tuple(remap(e, inner.__getitem__) for e in exprs)
    return Project(below, moved, fields, _moved(relation.privacy, places)), places


def _join(relation: Join, wanted: frozenset[int]) -> tuple[Relation, Places]:
    width = len(relation.left.fields)
    used = wanted | columns(relation.on)
    left, lefts = _prune(relation.left, frozenset(i for i in used if i < width))
    right, rights = _prune(relation.right, frozenset(i - width for i in used if i >= width))
    places = {**lefts, **{width + old: len(left.fields) + new for old, new in rights.items()}}
    fields = tuple(relation.fields[old] for old in sorted(places, key=places.__getitem__))
    on = remap(relation.on, places.__getitem__)
    return replace(
        relation, left=left, right=right, on=on, fields=fields, privacy=_moved(relation.privacy, places)
    ), places


def _semi_join(relation: SemiJoin, wanted: frozenset[int]) -> tuple[Relation, Places]:
    width = len(relation.left.fields)
    used = columns(relation.on)
    left, lefts = _prune(relation.left, wanted | frozenset(i for i in used if i < width))
    right, rights = _prune(relation.right, frozenset(i - width for i in used if i >= width))
    places = {**lefts, **{width + old: len(left.fields) + new for old, new in rights.items()}}
    on = remap(relation.on, places.__getitem__)
    return replace(relation, left=left, right=right, on=on, fields=left.fields, privacy=left.privacy), lefts


def _aggregate(relation: Aggregate, wanted: frozenset[int]) -> tuple[Relation, Places]:
    count = len(relation.keys)
    chosen = [i for i in range(len(relation.aggs)) if count + i in wanted]
    # One row without columns cannot be told from none: keep an aggregate where there is no key.
    if not count and not chosen:
        chosen = list(range(min(len(relation.aggs), 1)))
    aggs = [relation.aggs[i] for i in chosen]
    used = {c for e in (*relation.keys, *(e for a in aggs for e in agg_exprs(a))) for c in columns(e)}
    below, inner = _prune(relation.input, frozenset(used))
    fields, places = _kept(relation.fields, frozenset({*range(count), *(count + i for i in chosen)}))
    keys = tuple(remap(k, inner.__getitem__) for k in relation.keys)
    moved = tuple(map_agg(a, lambda e: remap(e, inner.__getitem__)) for a in aggs)
    return Aggregate(below, keys, moved, fields, _moved(relation.privacy, places)), places


def _window(relation: Window, wanted: frozenset[int]) -> tuple[Relation, Places]:
    width = len(relation.input.fields)
    chosen = [i for i in range(len(relation.wins)) if width + i in wanted]
    used = {c for i in chosen for e in win_exprs(relation.wins[i]) for c in columns(e)}
    below, inner = _prune(relation.input, frozenset(i for i in wanted if i < width) | used)
    wins = tuple(map_win(relation.wins[i], lambda e: remap(e, inner.__getitem__)) for i in chosen)
    places = {**inner, **{width + old: len(below.fields) + new for new, old in enumerate(chosen)}}
    fields = tuple(relation.fields[old] for old in sorted(places, key=places.__getitem__))
    if not chosen:
        return below, inner
    return Window(below, wins, fields, _moved(relation.privacy, places)), places


def _whole(relation: Distinct | SetOp) -> tuple[Relation, Places]:
    everything = {i: i for i in range(len(relation.fields))}
    if isinstance(relation, Distinct):
        below, inner = _prune(relation.input, frozenset(range(len(relation.input.fields))))
        assert all(old == new for old, new in inner.items())
        return replace(relation, input=below), everything
    left, _ = _prune(relation.left, frozenset(range(len(relation.left.fields))))
    right, _ = _prune(relation.right, frozenset(range(len(relation.right.fields))))
    return replace(relation, left=left, right=right), everything
