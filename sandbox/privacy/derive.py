"""Derived releases: what follows from a release that is kept needs no draw, and costs nothing.

A kept release says of itself what it counts (``Kin``).  Another release is had from it in two ways: its
columns are among the kept ones, by the same groups of the same rows; or it is a roll-up, whose cells are sums
of kept cells (``lattice`` says when).  Either is post-processing of a public table, so nothing is spent; and
answers that are derived never contradict those they come from.  Its half-widths are those of the cells, in
quadrature: their noise is independent.  AVG follows from SUM and COUNT, its centre taken off.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from sandbox.privacy.lattice import adds_up, counted, described, keys_over, whole
from sandbox.privacy.protect import Floats, released_table, shown_amounts
from sandbox.privacy.release import Key, Measure, Release, What
from sandbox.privacy.tally import ARROW
from sandbox.sql.canonical import canonical, fingerprint
from sandbox.sql.expressions import Call, Col, Expr, Literal, columns
from sandbox.sql.facts import evaluate, facts_of
from sandbox.sql.relation import facts

Sum = tuple[tuple[int, float], ...]
"""Kept measures by number, each with its factor."""

ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True, slots=True)
class Way:
    """How a release follows from a kept one: keys over the kept keys, measures as sums of the kept."""

    keys: tuple[Expr, ...]
    sums: tuple[Sum, ...]


@dataclass(frozen=True, slots=True)
class Kin:
    """What a release is, for others that may follow from it.

    ``family``: the rows it is of, as a hash; only members of one family are kin.  ``groups``: how its groups
    came about, keys in any order.  ``counts``: what each measure adds up, and ``bounds``: how its
    contributions are bounded, as texts.  ``adds``: whether sums of its cells are cells of coarser groups.
    ``size``: how many cells there are.
    """

    family: str
    groups: str
    keys: tuple[str, ...]
    counts: tuple[str, ...]
    bounds: tuple[str, ...]
    adds: tuple[bool, ...]
    size: int

    @property
    def text(self) -> str:
        """As it is kept beside the released table."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))


def opened(text: str) -> Kin:
    """The inverse of ``Kin.text``."""
    known = json.loads(text)
    keys, counts, bounds, adds = (tuple(known[name]) for name in ("keys", "counts", "bounds", "adds"))
    return Kin(known["family"], known["groups"], keys, counts, bounds, adds, known["size"])


def kin(release: Release, size: int = 0) -> Kin | None:
    """What a release says of itself; ``None`` where others decide what it is, or it is read another way."""
    if release.face is not None or release.depends:
        return None
    known = described(release)
    keys = zip(known.keys, release.keys, strict=True)
    groups = sorted(f"{text}:{key.domain!r}" for text, key in keys)
    listed = release.listing
    how = "" if listed is None else f"{canonical(listed.relation)}{listed.places}"
    return Kin(
        fingerprint(f"{release.scope}|{known.rows}"),
        fingerprint(f"{groups}|{release.bounding}|{release.selection}|{how}"),
        known.keys,
        known.measures,
        tuple(f"{m.upper};{m.search};{m.declared}" for m in release.measures),
        tuple(whole(release) and adds_up(release, m) for m in release.measures),
        size,
    )


def way(kept: Kin, release: Release, own: Kin) -> Way | None:
    """How ``release``, which says ``own`` of itself, follows from a kept one; ``None``: it does not."""
    if kept.family != own.family:
        return None
    return _columns(kept, own) or _roll_up(kept, release, own)


def _columns(kept: Kin, own: Kin) -> Way | None:
    """The same groups, and measures that are among the kept ones."""
    known = list(zip(kept.counts, kept.bounds, strict=True))
    wanted = list(zip(own.counts, own.bounds, strict=True))
    if kept.groups != own.groups or not set(wanted) <= set(known):
        return None
    keys = tuple(Col(kept.keys.index(k)) for k in own.keys)
    return Way(keys, tuple(((known.index(w), 1.0),) for w in wanted))


def _roll_up(kept: Kin, release: Release, own: Kin) -> Way | None:
    """Coarser groups, or the same, and measures that add up."""
    keys = keys_over(release, kept.keys) if own.adds and all(own.adds) else None
    if keys is None:
        return None
    places = {text: i for i, (text, adds) in enumerate(zip(kept.counts, kept.adds, strict=True)) if adds}
    sums = tuple(_sum(release, m, places) for m in release.measures)
    found = tuple(s for s in sums if s is not None)
    return Way(keys, found) if len(found) == len(sums) else None


def _sum(release: Release, part: Measure, places: Mapping[str, int]) -> Sum | None:
    """A measure as a sum of kept ones: itself, or values less a centre as SUM less that many times COUNT."""
    own = places.get(counted(release, part))
    if own is not None:
        return ((own, 1.0),)
    found = _centred(part.value)
    if found is None:
        return None
    value, centre = found
    if facts_of(value, facts(release.input)).nullable:  # then COUNT(*) counts more rows than have a value
        return None
    total = replace(part, value=value, low=part.low + centre, high=part.high + centre)
    number = replace(part, what=What.ROWS, value=None, low=ZERO, high=ONE, scale=ONE)
    one, two = (places.get(counted(release, m)) for m in (total, number))
    return None if one is None or two is None else ((one, 1.0), (two, -float(centre)))


def _centred(value: Expr | None) -> tuple[Expr, Fraction] | None:
    """A value less a constant, as these two."""
    if not (isinstance(value, Call) and value.name == "sub" and isinstance(value.args[1], Literal)):
        return None
    centre = value.args[1].value
    return (value.args[0], Fraction(centre)) if isinstance(centre, int | Fraction) else None


def derived(table: pa.Table, kept: Kin, how: Way, release: Release) -> pa.Table | None:
    """``release`` as it follows from a kept release's ``table``; ``None`` where its groups are others."""
    width = len(kept.keys)
    if any(_is_real(e, key, table) for e, key in zip(how.keys, release.keys, strict=True)):
        return None
    places = _places(table, width, how, release)
    groups = _groups(places, release)
    if groups is None:
        return None
    numbers = {group: i for i, group in enumerate(groups)}
    at = np.array([numbers[place] for place in places], dtype=np.int64)

    def added(first: int, terms: Sum, power: int) -> Floats:
        sums: Floats = np.zeros(len(groups))
        for j, factor in terms:
            values = table.column(first + j).cast(pa.float64()).fill_null(math.inf).to_numpy()
            np.add.at(sums, at, (factor * values) ** power)
        return sums

    values = [_steps(m, added(width, s, 1)) for m, s in zip(release.measures, how.sums, strict=True)]
    widths = [np.sqrt(added(width + len(kept.counts), s, 2)) for s in how.sums]
    named = [pa.array([g[i] for g in groups], ARROW[k.facts.kind]) for i, k in enumerate(release.keys)]
    keys = pa.Table.from_arrays(named, names=[f"k{i}" for i in range(len(named))])
    return released_table(release, keys, values + widths)


def _is_real(expr: Expr, key: Key, table: pa.Table) -> bool:
    """Whether binary fractions would be computed with, here and in the engine, to decide on a group."""
    read = [table.column(i).type for i in columns(expr)]
    return not isinstance(expr, Col) and pa.float64() in (*read, ARROW[key.facts.kind])


def _places(table: pa.Table, width: int, how: Way, release: Release) -> list[tuple[Any, ...]]:
    """The group of each kept cell."""
    cells = [c.to_pylist() for c in table.columns[:width]]
    rows = list(zip(*cells, strict=True)) if cells else [()] * table.num_rows
    found = [
        pa.array([evaluate(e, row) for row in rows], ARROW[k.facts.kind]).to_pylist()
        for e, k in zip(how.keys, release.keys, strict=True)
    ]
    return list(zip(*found, strict=True)) if found else [()] * len(rows)


def _groups(places: list[tuple[Any, ...]], release: Release) -> list[tuple[Any, ...]] | None:
    """The groups in the order of their declarations; as they are kept, where they are not declared.

    A declared group that no kept cell is part of is certain to be empty: all cells there can be are kept.
    """
    known = dict.fromkeys(places)
    if release.selection is not None or release.listing is not None:
        return list(known)
    declared = (pa.array(k.domain or (), ARROW[k.facts.kind]).to_pylist() for k in release.keys)
    groups = list(itertools.product(*declared))
    return groups if known.keys() <= set(groups) else None


def _steps(measure: Measure, amounts: Floats) -> Floats:
    return shown_amounts(measure, amounts if measure.what is not What.SUM else amounts / float(measure.scale))
