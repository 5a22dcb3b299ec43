"""Which groups a release has, where public facts say so: declared domains, conditions, and public tables.

A key's values may be declared, be what a condition names (``x IN ('a', 'b')``), be few whole numbers, or come
from public tables that the query joins (``sql.listed``).  The last are listed when the release runs, by a
question to public tables and earlier releases alone; what is listed is a superset of what can occur, and
each group in it is drawn for, present or not.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.catalogue import Kind, Scalar
from sandbox.errors import Code, refuse
from sandbox.policy.authorize.work import moderate_work
from sandbox.privacy.release import Key, Listing
from sandbox.sql.expressions import Col, Expr, Facts, columns, rebuild, walk
from sandbox.sql.facts import evaluate, facts_of
from sandbox.sql.functions.logic import held
from sandbox.sql.listed import choices, listed
from sandbox.sql.relation import Relation, facts
from sandbox.sql.simplify import simplify

MOST_LISTED = 2_000_000
"""Groups that public tables may list: drawing takes some ten microseconds each."""

MOST_COUNTED = 100
"""A key of whole numbers within declared bounds has all of them as groups up to so many."""
MOST_BANDS = 500
"""As many bands of a histogram: whole numbers that a key computes."""


def key(name: str, expr: Expr, below: Relation) -> Key:
    """One key with its possible values, if public facts say which they are."""
    if any(below.fields[i].unit_scope for i in columns(expr)):
        # Rows padded by an outer join belong to a unit that their own key column does not name.
        raise refuse(Code.RAW_OUTPUT, f"GROUP BY {name}", "group by something else", "请勿按隐私单元分组")
    known = facts_of(expr, facts(below))
    domain: tuple[Scalar, ...] | None = known.domain
    if domain is not None and known.nullable:
        domain = (*domain, None)
    if domain is None:
        domain = choices(expr, below) or _whole(known, MOST_COUNTED) or _banded(expr, below)
    # Each group is drawn once: a value listed twice would pay for one draw and get two.
    return Key(name, expr, known, None if domain is None else tuple(dict.fromkeys(domain)))


def _whole(known: Facts, most: int) -> tuple[Scalar, ...] | None:
    """Every multiple of a whole step in a short range: whole numbers, for the most part."""
    low, high, step = known.range.lo, known.range.hi, known.scale
    if low is None or high is None or step is None or step.denominator != 1 or (high - low) / step >= most:
        return None
    places = range(-int(-low // step), int(high // step) + 1)
    values: tuple[Scalar, ...] = tuple(held(int(i * step), known.kind) for i in places)
    return (*values, None) if known.nullable else values


def _banded(expr: Expr, below: Relation) -> tuple[Scalar, ...] | None:
    """The values of an expression over bands: ``floor(x / 10) * 10`` of the whole ``floor(x / 10)``."""
    for part in walk(expr):
        values = None if isinstance(part, Col) else _whole(facts_of(part, facts(below)), MOST_BANDS)
        over = _replaced(expr, part)
        if values is not None and columns(over) == {BAND.index}:
            kind = facts_of(expr, facts(below)).kind
            found = (evaluate(over, [value]) for value in values)
            return tuple(dict.fromkeys(_plain(v, kind) for v in found))
    return None


def _plain(value: Scalar, kind: Kind) -> Scalar:
    """As the kind holds it, and zero without a sign, as keys are compiled."""
    known: Scalar = None if value is None else held(value, kind)
    return known + 0.0 if isinstance(known, float) else known


BAND = Col(-1)
"""Stands for a band: the last, and only, value of the row that is evaluated."""


def _replaced(expr: Expr, part: Expr) -> Expr:
    return BAND if expr == part else rebuild(expr, lambda child: _replaced(child, part))


def listing(keys: tuple[Key, ...], below: Relation) -> Listing | None:
    """The listing of the keys that public tables know, if then all groups are known and it tells more."""
    places = tuple(i for i, k in enumerate(keys) if listed([k.expr], below) is not None)
    others = [k for i, k in enumerate(keys) if i not in places]
    if not places or any(k.domain is None for k in others):
        return None
    found = listed([keys[i].expr for i in places], below)
    assert found is not None
    declared = all(k.domain is not None for k in keys)
    if found.most is None or (declared and not found.narrow):
        return None
    relation = simplify(found.relation)
    if found.most > MOST_LISTED or any(moderate_work(relation)):
        return None
    return Listing(relation, places, found.most)


@dataclass(frozen=True, slots=True)
class Groups:
    """The keys of a release, the listing of some, and how many groups there can be (``None``: not known)."""

    keys: tuple[Key, ...]
    listing: Listing | None
    most: int | None


def groups(keys: tuple[Key, ...], below: Relation) -> Groups:
    """All that is publicly known of the groups."""
    made = listing(keys, below)
    most = 1 if made is None else made.most
    for i, one in enumerate(keys):
        if made is not None and i in made.places:
            continue
        if one.domain is None:
            return Groups(keys, None, None)
        most *= len(one.domain)
    return Groups(keys, made, most)
