"""PREDICATE: what may stand in WHERE, FILTER, ON and the conditions of CASE.

A protected column that is compared needs ``filter``.  One that may also be a key (as it is, or in the
bands of its step) may be compared in any way: whatever is asked of it, it could be shown.  A measure may
be compared by ranges only, as itself or in sums and constant multiples of itself, so that a condition
says how much and not who.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.catalogue import Kind, Use
from sandbox.errors import Reason
from sandbox.policy.authorize import reasons
from sandbox.policy.authorize.atoms import Atom, Role, Site
from sandbox.policy.authorize.steps import coarse
from sandbox.sql.expressions import Call, Case, Cast, Col, Expr, Literal, children, columns

RANGES = frozenset({"lt", "le", "gt", "ge"})
COMPARISONS = RANGES | {"eq", "ne", "in", "like", "ilike", "starts_with", "ends_with", "contains"}
LOGIC = frozenset({"and", "or", "not"})
PREDICATES = COMPARISONS | LOGIC | {"is_null"}
# Increasing or decreasing in each argument: a range of the result is a range of the arguments.
SUMS = frozenset(
    {"add", "sub", "neg", "abs", "coalesce", "clamp", "add_days", "add_months", "add_seconds", "date_diff"}
)


def condition(expr: Expr, site: Site) -> Iterator[Reason]:
    """Why a boolean expression over private rows may not be a condition."""
    match expr:
        case Literal():
            return
        case Call("is_null", (arg,)):
            yield from presence(arg, site)
        case Call("eq", (Col(a), Col(b))) if _joins(site.atoms[a], site.atoms[b]):
            yield from _equal(site.atoms[a], site.atoms[b], site)
        case Call("eq", (left, right)) if _mixes(left, right, site):
            yield from _computed_join(left, right, site)
        case Call(name, args) if name in COMPARISONS:
            for arg in args:
                yield from compared(arg, site, ranged=name in RANGES)
        case Call(name, args) if name in LOGIC:
            for arg in args:
                yield from condition(arg, site)
        case _:
            # A boolean column, CASE, COALESCE or cast: each part is a condition or a value in one.
            yield from compared(expr, site, ranged=False)


def compared(expr: Expr, site: Site, *, ranged: bool) -> Iterator[Reason]:
    """Why a value may not be compared; ``ranged``: by an inequality, which measures allow."""
    if not site.protected(expr):
        return
    found = coarse(expr, site.atoms)
    if found is not None and site.atoms[found.index].has(Use.GROUP):
        if not site.atoms[found.index].has(Use.FILTER):
            yield reasons.missing(site.atoms[found.index], Use.FILTER)
        return
    match expr:
        case Col(index):
            yield from _column(site.atoms[index], ranged=ranged)
        case Call(name) if name in PREDICATES:
            yield from condition(expr, site)
        case Case(whens, default):
            for test, value in whens:
                yield from condition(test, site)
                yield from compared(value, site, ranged=ranged)
            yield from compared(default, site, ranged=ranged)
        case _:
            linear = ranged and _linear(expr, site)
            for part in children(expr):
                yield from compared(part, site, ranged=linear)


def presence(expr: Expr, site: Site) -> Iterator[Reason]:
    """Why it may not be asked whether a value is NULL.

    Of a bare column this shows nothing but presence.  NULLIF, division by a column and casts make NULLs
    that depend on the value, so they are comparisons.
    """
    match expr:
        case Call("nullif", (value, other)):
            yield from presence(value, site)
            yield from condition(Call("eq", (value, other)), site)
        case Call("div", (value, divisor)):
            yield from presence(value, site)
            yield from compared(divisor, site, ranged=False)
        case Case(whens, default):
            for test, value in whens:
                yield from condition(test, site)
                yield from presence(value, site)
            yield from presence(default, site)
        case Cast(arg):
            yield from compared(arg, site, ranged=True)
        case Call(name) if name in PREDICATES:
            yield from condition(expr, site)
        case _:
            for part in children(expr):
                yield from presence(part, site)


def _column(atom: Atom, *, ranged: bool) -> Iterator[Reason]:
    if atom.role is Role.UNIT or not atom.has(Use.FILTER):
        yield reasons.missing(atom, Use.FILTER)
    elif (
        not ranged
        and atom.kind is not Kind.BOOLEAN
        and not (atom.has(Use.GROUP) and atom.column.step is None)
    ):
        yield reasons.shape(atom)


def _linear(expr: Expr, site: Site) -> bool:
    match expr:
        case Call(name) if name in SUMS:
            return True
        case Call("mul", (left, right)):
            return not (site.protected(left) and site.protected(right))
        case Call("div", (_, divisor)):
            return not site.protected(divisor)
        case Cast(_, kind):
            return kind.numeric or kind.temporal
        case _:
            return False


def _joins(a: Atom, b: Atom) -> bool:
    """Whether the equality ties a protected column to a stored column of another table, or two units."""
    if a.role is Role.UNIT and b.role is Role.UNIT and a.scope == b.scope:
        return True
    return (a.protected or b.protected) and _apart(a, b)


def _apart(a: Atom, b: Atom) -> bool:
    return a.source is not None and b.source is not None and a.source.table.id != b.source.table.id


def _equal(a: Atom, b: Atom, site: Site) -> Iterator[Reason]:
    if a.hidden or b.hidden or a.path == b.path:
        # The tie that the builder adds, or one unit column equal to itself.
        return
    for atom in (a, b):
        if atom.protected and not atom.has(Use.JOIN):
            yield reasons.missing(atom, Use.JOIN)
    if frozenset((a.path, b.path)) not in site.catalogue.joins:
        yield reasons.unlisted(a, b)


def _mixes(left: Expr, right: Expr, site: Site) -> bool:
    return next(_pairs(left, right, site), None) is not None


def _computed_join(left: Expr, right: Expr, site: Site) -> Iterator[Reason]:
    """An equality of columns of two tables that is not between the bare columns."""
    for a, b in _pairs(left, right, site):
        yield reasons.unlisted(a, b)


def _pairs(left: Expr, right: Expr, site: Site) -> Iterator[tuple[Atom, Atom]]:
    for i in sorted(columns(left)):
        for j in sorted(columns(right)):
            a, b = site.atoms[i], site.atoms[j]
            if Role.STORED in (a.role, b.role) and _apart(a, b):
                yield a, b
