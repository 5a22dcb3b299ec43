"""KEY: what rows may be grouped by, which is also what may be shown.

A bare column needs ``group``, and bands where it has a ``step``; the unit may be a key only of a grouping
that stays private, and only bare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sandbox.catalogue import Use
from sandbox.errors import Reason
from sandbox.policy.authorize import reasons
from sandbox.policy.authorize.atoms import Atom, Role, Site
from sandbox.policy.authorize.conditions import PREDICATES, compared, condition
from sandbox.policy.authorize.steps import coarse, crossed
from sandbox.sql.expressions import Call, Case, Col, Expr, children, columns, remap


def keys(
    exprs: Sequence[Expr], site: Site, same: Mapping[int, tuple[int, ...]], *, private: bool
) -> Iterator[Reason]:
    """Why these may not be the keys of one grouping.

    ``same`` maps a public column that a join made equal to protected ones to those: showing the former
    shows the latter.  ``private``: the grouping is within units.
    """
    ties = [len(same[i]) for expr in exprs for i in columns(expr) if i in same]
    for turn in range(max(ties, default=1)):
        yield from _together([_tied(expr, same, turn) for expr in exprs], site, private=private)


def _tied(expr: Expr, same: Mapping[int, tuple[int, ...]], turn: int) -> Expr:
    def tie(index: int) -> int:
        ties = same.get(index, (index,))
        return ties[turn % len(ties)]

    return remap(expr, tie)


def _together(traced: Sequence[Expr], site: Site, *, private: bool) -> Iterator[Reason]:
    for expr in traced:
        if not (private and isinstance(expr, Col) and site.atoms[expr.index].role is Role.UNIT):
            yield from _key(expr, site)
    for atom in crossed(traced, site.atoms):
        yield reasons.mixed_bands(atom)


def _key(expr: Expr, site: Site) -> Iterator[Reason]:
    found = coarse(expr, site.atoms)
    if found is not None:
        yield from _granted(site.atoms[found.index])
        return
    match expr:
        case Col(index):
            yield from _bare(site.atoms[index])
        case Call(name) if name in PREDICATES:
            yield from condition(expr, site)
        case Case(whens, default):
            for test, value in whens:
                yield from condition(test, site)
                yield from _key(value, site)
            yield from _key(default, site)
        case _:
            for part in children(expr):
                yield from _key(part, site)


def _granted(atom: Atom) -> Iterator[Reason]:
    if not atom.has(Use.GROUP):
        yield reasons.missing(atom, Use.GROUP)


def _bare(atom: Atom) -> Iterator[Reason]:
    if atom.role is Role.UNIT:
        yield reasons.unit(atom, Use.GROUP)
    elif reasons.numeric_key(atom):
        yield reasons.derived_key(atom)
    elif atom.role is Role.STORED:
        yield from _granted(atom)
        if atom.has(Use.GROUP) and atom.column.step is not None:
            yield reasons.too_fine(atom)


def ordering(expr: Expr, site: Site) -> Iterator[Reason]:
    """Why one unit's rows may not be put in this order.

    An order within a unit only compares its rows by size: what may be a key or compared by a range may
    order.  If neither, the reason is that of the key.
    """
    as_key = tuple(_key(expr, site))
    if as_key and tuple(compared(expr, site, ranged=True)):
        yield from as_key
