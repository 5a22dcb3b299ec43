"""Roll-ups: a release whose every cell is the sum of cells of a finer one, over the same rows.

``cells`` says of which rows a release counts what, by which keys, in texts that do not hang on which
columns pruning left.  A finer release serves a coarser one if it is of the same rows, the coarser one's keys
are functions of its keys, and all that is added up is among what it adds up.

Three things must be certain of it, or sums of its
cells would be something else: every group has a cell (declared domains; a threshold withholds some), nothing
was removed that is corrected for cell by cell (caps that are found privately), and what is counted adds up
(units do where each stands in one cell, distinct values never).

A roll-up is post-processing: it costs nothing.  Its noise is that of all its cells, in quadrature.  Within
one query, leaving out a release leaves more for the others, so ``spared`` weighs both: it leaves out those
without which the product of all columns' predicted half-widths is smaller.  Only public facts are used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.catalogue import Kind
from sandbox.privacy.accounting import Measure as Accounting
from sandbox.privacy.release import COLUMN, Bounding, Measure, Release, What
from sandbox.sql.canonical import canonical, canonical_agg, canonical_expr
from sandbox.sql.expressions import Agg, Call, Col, Expr, Literal, conjuncts, map_agg, rebuild, substitute
from sandbox.sql.expressions import walk as parts
from sandbox.sql.relation import Aggregate, Filter, Join, Relation, Released, Scan, SemiJoin, walk


@dataclass(frozen=True, slots=True)
class Cells:
    """The rows of a release, its keys, and what it adds up in each cell, as texts."""

    rows: str
    keys: tuple[str, ...]
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """How to roll up: each key over the finer release's keys, and where each measure stands among its own."""

    keys: tuple[Expr, ...]
    measures: tuple[int, ...]


def cells(release: Release) -> Cells | None:
    """What a release counts, if its cells can be added up."""
    every = whole(release) and all(adds_up(release, m) for m in release.measures)
    return described(release) if every and release.measures else None


def described(release: Release) -> Cells:
    """What a release counts, whether its cells can be added up or not."""
    text, names = _named(release.input)
    keys = tuple(canonical_expr(substitute(k.expr, names)) for k in release.keys)
    return Cells(text, keys, tuple(_counted(m, names) for m in release.measures))


def whole(release: Release) -> bool:
    """Whether every group there can be has a cell, of rows that no earlier release chose."""
    known = release.selection is None and release.listing is None and release.face is None
    return known and not release.depends


def adds_up(release: Release, measure: Measure) -> bool:
    """Whether a measure of a coarser group is the sum of what its cells show."""
    several = release.bounding is Bounding.PAIRS and measure.what is What.UNITS
    return not (measure.search or measure.what is What.DISTINCT or several)


def steps(finer: Cells, release: Release, own: Cells) -> Steps | None:
    """How ``release``, whose cells are ``own``, follows from a finer release; ``None``: it does not."""
    if finer.rows != own.rows or not set(own.measures) <= set(finer.measures):
        return None
    keys = keys_over(release, finer.keys)
    return None if keys is None else Steps(keys, tuple(finer.measures.index(m) for m in own.measures))


def keys_over(release: Release, finer: tuple[str, ...]) -> tuple[Expr, ...] | None:
    """The keys of a release as functions of a finer one's; ``None`` if they read anything else."""
    names = _named(release.input)[1]
    over = [_over(substitute(k.expr, names), finer) for k in release.keys]
    found = tuple(e for e in over if e is not None)
    return found if len(found) == len(over) else None


def counted(release: Release, measure: Measure) -> str:
    """What a measure over the rows of a release adds up, as a text."""
    return _counted(measure, _named(release.input)[1])


def spared(built: Sequence[Release], measure: Accounting) -> dict[int, int]:
    """The releases to leave out, by number, each with the release of which it is a roll-up.

    All columns of one kind of unit get equal parts, and a selection of keys two thirds of one: by weights
    that add up to W, so a half-width grows as W^p, p = 1/2 under zCDP and 1 under pure epsilon; one that is
    rolled up from k cells is sqrt(k) times a cell's.
    """
    power = 1.0 if measure is Accounting.PURE else 0.5
    chosen: dict[int, int] = {}
    for scope in dict.fromkeys(r.scope for r in built):
        weights = {r.number: r.weight for r in built if r.scope == scope}
        losses = dict(_losses([r for r in built if r.scope == scope], read_by_others(built)))
        chosen |= _least(weights, losses, power)
    return chosen


def _least(weights: dict[int, int], losses: dict[tuple[int, int], float], power: float) -> dict[int, int]:
    """Leave out one after the other, as long as that lessens the sum of the logarithms of half-widths."""
    everything = sum(weights.values())
    columns = everything / COLUMN

    def sources(out: frozenset[int]) -> dict[int, int] | None:
        found: dict[int, int] = {}
        for one in sorted(out):
            options = [(loss, s) for (d, s), loss in losses.items() if d == one and s not in out]
            if not options:
                return None
            found[one] = min(options)[1]
        return found

    def score(out: frozenset[int]) -> float:
        found = sources(out)
        if found is None:
            return math.inf
        left = everything - sum(weights[i] for i in out)
        return power * columns * math.log(left) + math.fsum(losses[pair] for pair in found.items())

    out, least = frozenset[int](), score(frozenset())
    while options := [(score(out | {d}), d) for d in sorted({d for d, _ in losses} - out)]:
        best, one = min(options)
        if best >= least:
            break
        out, least = out | {one}, best
    return sources(out) or {}


def _losses(built: Sequence[Release], read: set[int]) -> Iterator[tuple[tuple[int, int], float]]:
    """For each release, and each of which it is a roll-up: how much wider its columns get, as logarithms."""
    known = {r.number: found for r in built if (found := cells(r)) is not None}
    for release in built:
        own = known.get(release.number)
        if own is None or release.number in read:
            continue
        for finer in built:
            source = known.get(finer.number)
            if source is None or finer is release:
                continue
            how = steps(source, release, own)
            if how is not None:
                more = math.log(max(_size(finer) / _size(release), 1.0)) / 2
                caps = ((finer.measures[i].declared, m.declared) for i, m in _paired(how, release))
                yield (release.number, finer.number), math.fsum(more + math.log(a / b) for a, b in caps)


def _paired(how: Steps, release: Release) -> Iterator[tuple[int, Measure]]:
    return zip(how.measures, release.measures, strict=True)


def _size(release: Release) -> int:
    return math.prod(max(len(k.domain or ()), 1) for k in release.keys)


def read_by_others(built: Sequence[Release]) -> set[int]:
    """Releases that others are made from: they are had before these, never after."""
    inputs = [r.input for r in built] + [r.listing.relation for r in built if r.listing is not None]
    return {n.number for relation in inputs for n in walk(relation) if isinstance(n, Released)}


def _counted(measure: Measure, names: tuple[Expr, ...]) -> str:
    parts = [canonical_expr(substitute(e, names)) if e else "" for e in (measure.value, measure.where)]
    return ";".join((str(measure.what), *parts, *map(str, (measure.low, measure.high, measure.scale))))


def _over(expr: Expr, keys: tuple[str, ...]) -> Expr | None:
    """A named expression over the columns that hold ``keys``; ``None`` if it reads anything else."""
    found = _placed(expr, keys)
    return None if any(isinstance(p, Call) and p.name == STORED for p in parts(found)) else found


def _placed(expr: Expr, keys: tuple[str, ...]) -> Expr:
    text = canonical_expr(expr)
    return Col(keys.index(text)) if text in keys else rebuild(expr, lambda child: _placed(child, keys))


STORED = "column"


def _column(name: str) -> Expr:
    """Stands for a stored column, whatever its place: pruning leaves each question its own columns."""
    return Call(STORED, (Literal(name, Kind.STRING),))


def _named(relation: Relation) -> tuple[str, tuple[Expr, ...]]:
    """A text of the rows of a relation, and its columns under names that do not hang on which are kept."""
    match relation:
        case Scan():
            names = (f.source.column.name if f.source else "_u" for f in relation.fields)
            return f"scan({relation.table.id})", tuple(_column(f"{relation.table.id}.{n}") for n in names)
        case Filter():
            text, names_ = _named(relation.input)
            return f"filter({text};{_conditions(relation.predicate, names_)})", names_
        case Join():
            one, left = _named(relation.left)
            two, right = _named(relation.right)
            both = (*_sided(left, "0"), *_sided(right, "1"))
            return f"join({relation.kind};{one};{two};{_conditions(relation.on, both)})", both
        case SemiJoin():
            one, left = _named(relation.left)
            two, right = _named(relation.right)
            both = (*_sided(left, "0"), *_sided(right, "1"))
            said = f"{relation.anti};{one};{two};{_conditions(relation.on, both)}"
            return f"semi({said})", both[: len(left)]
        case Aggregate() if relation.privacy is not None:
            text, names_ = _named(relation.input)
            keys = [canonical_expr(substitute(k, names_)) for k in relation.keys]
            fields = zip(relation.aggs, relation.fields[len(keys) :], strict=True)
            values = [f"{canonical_agg(_over_names(a, names_))}{f.facts.range}" for a, f in fields]
            return f"aggregate({text};{keys})", tuple(_column(n) for n in (*keys, *values))
        case _:
            return canonical(relation), tuple(_column(f"#{i}") for i in range(len(relation.fields)))


def _over_names(agg: Agg, names: tuple[Expr, ...]) -> Agg:
    return map_agg(agg, lambda e: substitute(e, names))


def _sided(names: tuple[Expr, ...], side: str) -> tuple[Expr, ...]:
    """The columns of one side of a join: a table may be joined to itself."""
    return tuple(_column(f"{side}/{canonical_expr(n)}") for n in names)


def _conditions(predicate: Expr, names: tuple[Expr, ...]) -> str:
    return "&".join(sorted(canonical_expr(substitute(p, names)) for p in conjuncts(predicate)))
