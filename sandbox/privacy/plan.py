"""``plan``: from an authorised relation to the releases it needs, their cost and the SQL above them.

Everything here is derived from public facts: the catalogue, the grant's guard and the query's text.
A plan costs the same whatever the data are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from sandbox.catalogue import Kind, Range
from sandbox.errors import Code, refuse
from sandbox.policy.documents import Budget, DpGuard
from sandbox.privacy.accounting import Cost, Measure, measure_of, query_cost
from sandbox.privacy.desugar import Base, Desugared, desugar, names_unit
from sandbox.privacy.faces import Face, face_fields
from sandbox.privacy.groups import MOST_LISTED, Groups, groups, key
from sandbox.privacy.lattice import Steps, cells, spared, steps
from sandbox.privacy.measures import measure
from sandbox.privacy.release import Bounding, Key, Listing, Release, Selection, What
from sandbox.privacy.release import Measure as ReleasedMeasure
from sandbox.privacy.sides import Frame, aside, joined, sides
from sandbox.sql.build import aggregate, project
from sandbox.sql.canonical import canonical, fingerprint
from sandbox.sql.expressions import Agg, Call, Cast, Col, Expr, Facts, Literal, columns, remap
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import (
    Aggregate,
    Field,
    Project,
    Relation,
    Released,
    facts,
    inputs,
    is_release,
    releases,
    walk,
    with_inputs,
)

MOST_GROUPS = 20_000
MOST_RELEASES = 32
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Priced:
    """A release and its part of the query's cost."""

    release: Release
    nano: int
    delta: Fraction


@dataclass(frozen=True, slots=True)
class RollUp:
    """A grouping that is not released, since it follows from release ``of``: sums of its cells."""

    of: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be released (in order; later ones may read earlier ones), and ``post``: the rest of
    the query over public tables and ``Released`` ones.  ``accounts`` sums the cost by unit scope.
    ``rolled``: what is part of ``post`` and would have been releases of their own (``lattice``)."""

    priced: tuple[Priced, ...]
    post: Relation
    measure: Measure
    epsilon: Fraction
    accounts: tuple[tuple[str, Cost], ...]
    rolled: tuple[RollUp, ...] = ()

    @property
    def identity(self) -> str:
        """Hash of the whole plan."""
        ids = ",".join(f"{p.release.shown}:{p.nano}" for p in self.priced)
        return fingerprint(f"{ids}|{canonical(self.post)}")


def plan(relation: Relation, guard: DpGuard, epsilon: Fraction) -> Plan:
    """Plan a query at ``epsilon`` under a DP guard.

    Refuses NO_BOUND, KEYS, AGGREGATE, TOO_MANY_GROUPS where a release cannot be protected.
    """
    nodes = releases(relation)
    if len(nodes) > MOST_RELEASES:
        raise refuse(Code.TEXT_NESTING, f"{len(nodes)} > {MOST_RELEASES}")
    measure_kind = measure_of(guard.delta)
    cost = query_cost(epsilon, Budget(guard.total, guard.delta))
    planner = _Planner(guard, measure_kind)
    for node in nodes:
        planner.add(node)
    planner = planner.without(nodes, spared(planner.releases, measure_kind)) if len(nodes) > 1 else planner
    post = planner.above(relation)
    if any(node.privacy is not None for node in walk(post)):
        # ``authorize`` has said so already; that no row leaves must not hang on it.
        raise refuse(Code.RAW_OUTPUT, "SELECT", "aggregate", "请先聚合")
    priced = _price(planner.releases, cost)
    return Plan(priced, post, measure_kind, epsilon, _accounts(priced, cost), tuple(planner.rolled))


def _price(built: list[Release], cost: Cost) -> tuple[Priced, ...]:
    """Split the cost over the releases of each kind of unit; kinds do not share.

    A person and an enterprise are different units: each kind's account is charged in full.
    """
    weights = {scope: sum(r.weight for r in built if r.scope == scope) for scope in {r.scope for r in built}}
    return tuple(
        Priced(
            r,
            cost.nano * r.weight // weights[r.scope],
            Fraction(cost.delta_atto * r.weight // weights[r.scope], 10**18),
        )
        for r in built
    )


def _accounts(priced: tuple[Priced, ...], cost: Cost) -> tuple[tuple[str, Cost], ...]:
    scopes = dict.fromkeys(p.release.scope for p in priced)
    return tuple((scope, cost) for scope in scopes)


class _Planner:
    """Builds releases from inner to outer, replacing each by a ``Released`` table above it."""

    def __init__(self, guard: DpGuard, measure_kind: Measure) -> None:
        self.guard = guard
        self.measure_kind = measure_kind
        self.releases: list[Release] = []
        self.replacements: dict[Relation, Relation] = {}
        self.whole: dict[Aggregate, tuple[Release, Desugared]] = {}
        """What is one release, with nothing beside it."""
        self.rolled: list[RollUp] = []

    def without(self, nodes: tuple[Aggregate, ...], out: dict[int, int]) -> _Planner:
        """The same anew, where the releases numbered ``out`` are roll-ups of those they map to."""
        node_of = {release.number: node for node, (release, _) in self.whole.items()}
        sources = {node_of[n]: node_of[of] for n, of in out.items() if n in node_of and of in node_of}
        if not sources:
            return self
        again = _Planner(self.guard, self.measure_kind)
        for node in nodes:
            if node not in sources:
                again.add(node)
        for node, source in sources.items():
            again.roll_up(node, again.whole[source][0], *self.whole[node])
        return again

    def roll_up(self, node: Aggregate, finer: Release, release: Release, parts: Desugared) -> None:
        """Replace a node, which would be ``release``, by sums of the cells of a finer one."""
        source, own = cells(finer), cells(release)
        assert source is not None
        assert own is not None
        how = steps(source, release, own)
        assert how is not None
        table = _rolled_up(self.public(finer), finer, release, how)
        frame = Frame(release.input, release.keys, None, None)
        self.replacements[node] = self._assembled(node, _computed(table, release, parts), parts, [], frame)
        self.rolled.append(
            RollUp(finer.number, tuple(k.name or f"key {i + 1}" for i, k in enumerate(release.keys)))
        )

    def above(self, relation: Relation) -> Relation:
        """The relation with every release replaced by its public table."""
        known = self.replacements.get(relation)
        if known is not None:
            return known
        return with_inputs(relation, self.above) if inputs(relation) else relation

    def add(self, node: Aggregate) -> None:
        """Plan one release."""
        assert is_release(node)
        below = self.above(node.input)
        privacy = below.privacy
        assert privacy is not None
        names = [f.name for f in node.fields]
        keys = tuple(key(n, k, below) for n, k in zip(names, node.keys, strict=False))
        known = groups(keys, below)
        apart = [a for a in node.aggs if aside(a, a.arg is not None and names_unit(a.arg, below))]
        bounding = _bounding(below, keys)
        parts = desugar([a for a in node.aggs if a not in apart], below, fixed=bounding is Bounding.ROW)
        selection = self._selection(known, bounding)
        frame = Frame(below, keys, known.listing if selection is None else None, known.most)
        main: Relation | None = None
        if parts.bases or selection is not None or not apart:
            release = self._release(frame, parts.bases, bounding, selection)
            main = _computed(self.public(release), release, parts)
            if not apart:
                self.whole[node] = release, parts
            if selection is not None:
                frame = replace(frame, listing=_listing(release), most=None)
        self.replacements[node] = self._assembled(node, main, parts, apart, frame)

    def _assembled(
        self, node: Aggregate, main: Relation | None, parts: Desugared, apart: list[Agg], frame: Frame
    ) -> Relation:
        """The aggregate's public face: main and side releases joined, projected to the fields of the node."""
        width = len(frame.keys)
        places: dict[Agg, int] = {}
        if apart:
            main, places = joined(main, frame.keys, sides(apart, frame, self))
        assert main is not None
        plain, outputs = iter(parts.outputs), list[Expr]()
        for agg in node.aggs:
            if agg in places:
                outputs.append(_within_domain(agg, Col(places[agg]), frame.below))
            else:
                outputs.append(remap(next(plain), lambda i: i + width))
        return Project(main, (*(Col(i) for i in range(width)), *outputs), node.fields, None)

    def built(self, frame: Frame, base: Base, face: Face | None) -> Release:
        """A release of one measure, for ``sides``."""
        return self._release(frame, (base,), _bounding(frame.below, frame.keys), None, face)

    def public(self, release: Release) -> Released:
        """The public table of a release, for ``sides``."""
        return Released(release.number, shown_fields(release))

    def _release(
        self,
        frame: Frame,
        bases: tuple[Base, ...],
        bounding: Bounding,
        selection: Selection | None,
        face: Face | None = None,
    ) -> Release:
        privacy = frame.below.privacy
        assert privacy is not None
        rows = 1 if bounding is Bounding.ROW else privacy.rows
        measures = tuple(measure(b, frame.below, bounding, rows, frame.most) for b in bases)
        read = [frame.below] if frame.listing is None else [frame.below, frame.listing.relation]
        depends = tuple(
            self.releases[n.number].shown for r in read for n in walk(r) if isinstance(n, Released)
        )
        release = Release(
            len(self.releases),
            frame.below,
            frame.keys,
            measures,
            bounding,
            selection,
            privacy.scope,
            privacy.kind,
            depends,
            frame.listing,
            face,
        )
        self.releases.append(release)
        return release

    def _selection(self, known: Groups, bounding: Bounding) -> Selection | None:
        size, keys = known.most, known.keys
        if not keys or (known.listing is not None and size is not None and size <= MOST_LISTED):
            return None
        if size is not None and size <= MOST_GROUPS:
            return None
        if self.measure_kind is Measure.PURE:
            code = Code.KEYS if size is None else Code.TOO_MANY_GROUPS
            missing = ", ".join(k.name or "key" for k in keys if k.domain is None) or str(size)
            raise refuse(
                code,
                missing,
                "a pure epsilon grant needs keys with a declared domain: use CASE bands or declared columns",
                "纯 epsilon 授权下分组键须有声明的取值域",
            )
        groups = 1 if bounding is not Bounding.PAIRS else self.guard.groups
        return Selection(groups, self.guard.units)


def _bounding(below: Relation, keys: tuple[Key, ...]) -> Bounding:
    privacy = below.privacy
    assert privacy is not None
    if privacy.single:
        return Bounding.ROW
    fixed = all(below.fields[i].per_unit for k in keys for i in columns(k.expr))
    return Bounding.UNIT if fixed else Bounding.PAIRS


def released_fields(release: Release) -> tuple[Field, ...]:
    """Fields of a released table: keys, noisy measures, then the measures' half-widths."""
    keys = tuple(Field(k.name, replace(k.facts, domain=None)) for k in release.keys)
    values = tuple(Field("", measure_facts(m)) for m in release.measures)
    margins = tuple(Field("", Facts(Kind.DOUBLE, True), hidden=True) for _ in release.measures)
    return (*keys, *values, *margins)


def measure_facts(part: ReleasedMeasure) -> Facts:
    """Facts of a noised measure: counts are whole numbers, sums are multiples of their scale."""
    if part.what is What.SUM:
        return Facts(Kind.DOUBLE, False, scale=part.scale)
    return Facts(Kind.INTEGER, False, Range(Fraction(-(2**53)), Fraction(2**53)), ONE)


def shown_fields(release: Release) -> tuple[Field, ...]:
    """Fields of the public table: those of the released one, or of what it says."""
    fields = released_fields(release)
    return fields if release.face is None else face_fields(release.face, fields[: len(release.keys)])


def _rolled_up(table: Released, finer: Release, release: Release, how: Steps) -> Relation:
    """The table that ``release`` would be, without half-widths, from the cells of a finer one."""
    width, count = len(finer.keys), len(release.keys)
    named = [(k.name, e) for k, e in zip(release.keys, how.keys, strict=True)]
    grouped = aggregate(table, named, [("", Agg("sum", Col(width + i))) for i in how.measures])
    exprs: list[Expr] = [Col(i) for i in range(count)]
    for i, part in enumerate(release.measures, count):
        exprs.append(Col(i) if part.what is What.SUM else Cast(Col(i), Kind.INTEGER))
    return project(
        grouped,
        [(k.name, e) for k, e in zip(release.keys, exprs, strict=False)] + [("", e) for e in exprs[count:]],
    )


def _computed(table: Relation, release: Release, parts: Desugared) -> Relation:
    """The released table: keys, sums, and what is computed of the sums first."""
    width = len(release.keys)
    count = width + len(parts.bases)
    if not parts.steps:
        return table
    steps = [remap(e, lambda i: i + width) for e in parts.steps]
    exprs: tuple[Expr, ...] = (*(Col(i) for i in range(count)), *steps)
    known = facts(table)
    fields = (*table.fields[:count], *(Field("", facts_of(e, known)) for e in steps))
    return Project(table, exprs, fields, None)


def _listing(release: Release) -> Listing:
    """The groups of a release that selected them."""
    table = Released(release.number, shown_fields(release))
    places = tuple(range(len(release.keys)))
    shown = Project(table, tuple(Col(i) for i in places), table.fields[: len(places)], None)
    return Listing(shown, places, MOST_GROUPS)


def _within_domain(agg: Agg, value: Expr, below: Relation) -> Expr:
    """Distinct values are no fewer than none and no more than a column can have."""
    assert agg.arg is not None
    domain = facts_of(agg.arg, facts(below)).domain
    if not agg.distinct or domain is None:
        return value
    least, most = (Literal(n, Kind.INTEGER) for n in (0, len(domain)))
    return Call("least", (Call("greatest", (value, least)), most))
