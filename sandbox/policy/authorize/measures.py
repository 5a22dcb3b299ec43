"""MEASURE and COUNT: the arguments of aggregates over private rows."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.catalogue import Use
from sandbox.errors import Reason
from sandbox.policy.authorize import reasons
from sandbox.policy.authorize.atoms import Role, Site
from sandbox.policy.authorize.conditions import PREDICATES, condition, presence
from sandbox.policy.authorize.degree import moderate
from sandbox.policy.authorize.keys import keys
from sandbox.sql.aggregates import EXTREMES, PAIRED, PROTECTED, QUANTILES
from sandbox.sql.expressions import Agg, Call, Case, Col, Expr, Literal, children, columns
from sandbox.sql.facts import facts_of

NUMBERS = frozenset({"sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"}) | PAIRED | QUANTILES


def measure(expr: Expr, site: Site) -> Iterator[Reason]:
    """Why a value may not be summed or averaged."""
    match expr:
        case Col(index):
            atom = site.atoms[index]
            if atom.protected and (atom.role is Role.UNIT or not atom.has(Use.MEASURE)):
                yield reasons.missing(atom, Use.MEASURE)
        case Call(name) if name in PREDICATES:
            yield from condition(expr, site)
        case Case(whens, default):
            for test, value in whens:
                yield from condition(test, site)
                yield from measure(value, site)
            yield from measure(default, site)
        case Call("nullif", (value, other)) if not (isinstance(other, Literal) and other.value == 0):
            # Leaving out one value asks who has it; leaving out zero guards a division.
            yield from measure(value, site)
            yield from condition(Call("eq", (value, other)), site)
        case _:
            for part in children(expr):
                yield from measure(part, site)


def released(agg: Agg, site: Site, scope: str, unit: str) -> Iterator[Reason]:
    """Why an aggregate of a release is refused.  ``unit`` is the kind of the privacy unit."""
    if agg.where is not None:
        yield from condition(agg.where, site)
    if agg.name not in PROTECTED:
        yield reasons.aggregate(agg.name)
    elif agg.distinct and agg.arg is not None:
        yield from _distinct(agg.arg, site, scope, unit)
    elif agg.arg is not None:
        # A release's extremes are quantiles: they show a value as a median does.
        name = "median" if agg.name in EXTREMES else agg.name
        yield from argument(name, agg.arg, site)
        if agg.name in PAIRED and agg.by is not None:
            yield from argument(name, agg.by, site)


def within(agg: Agg, site: Site) -> Iterator[Reason]:
    """Why an aggregate within each unit is refused.  What MIN and MAX pass on is judged where it is used."""
    if agg.where is not None:
        yield from condition(agg.where, site)
    if agg.arg is not None:
        yield from argument(agg.name, agg.arg, site)


def argument(name: str, arg: Expr, site: Site) -> Iterator[Reason]:
    """Why a value may not be the argument of this aggregate or window function."""
    if name in QUANTILES and facts_of(arg, {i: site.atoms[i].facts for i in columns(arg)}).kind.temporal:
        # A date is no measure.  What may be a key may be counted by value, and all quantiles follow.
        yield from keys((arg,), site, {}, private=False)
    elif name in NUMBERS:
        yield from measure(arg, site)
        if name not in QUANTILES and next(measure(arg, site), None) is None:
            yield from moderate(arg, site, 2 if name in ("sum", "avg") else 1)
    elif name == "count":
        yield from presence(arg, site)
    elif name in ("bool_and", "bool_or"):
        yield from condition(arg, site)
    elif name == "string_agg":
        yield from keys((arg,), site, {}, private=False)


def _distinct(arg: Expr, site: Site, scope: str, unit: str) -> Iterator[Reason]:
    """The unit or a column that may be counted so; and whatever may be a key, whose groups can be counted."""
    atom = site.atoms[arg.index] if isinstance(arg, Col) else None
    if atom is not None and atom.role is Role.UNIT and atom.scope == scope:
        if not atom.has(Use.COUNT):
            yield reasons.missing(atom, Use.COUNT)
    elif any(site.atoms[i].role is Role.UNIT for i in columns(arg)):
        yield reasons.count_distinct(unit)
    elif atom is None or atom.role is not Role.STORED or not atom.has(Use.COUNT):
        found = tuple(keys((arg,), site, {}, private=False))
        uncounted = atom is not None and atom.role is Role.STORED and not atom.has(Use.GROUP)
        yield from (reasons.missing(atom, Use.COUNT),) if uncounted and atom is not None else found
