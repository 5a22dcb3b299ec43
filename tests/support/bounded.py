"""Bounded sums said naively: what ``statements`` and ``tally`` must come to, one unit at a time over Python values.

Written from what a release means, not from its SQL: a unit's vector over groups stays as it is up to the cap,
and is shortened to the cap beyond it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sandbox.privacy.release import Bounding, Measure, Release, What
from sandbox.privacy.statements import LARGEST_UNIT, step_bits
from sandbox.privacy.tally import Tally, fine_bits
from sandbox.sql.relation import facts
from tests.oracle import Row, key, reader

Vector = dict[Any, int]
"""A unit's totals by group, in steps of the measure's scale."""

LOOSEST = 2.0**-13
"""Caps are cut to 16 bits or more where vectors are shortened, and these to steps of 2^-16 of them."""


@dataclass(frozen=True, slots=True)
class Units:
    """The private rows of a release by unit: their groups, and the vectors of each measure."""

    groups: dict[int, set[Any]]
    vectors: tuple[dict[int, Vector], ...]


def units(release: Release, rows: Sequence[Row]) -> Units:
    """Read the rows of the release's input."""
    privacy, known = release.input.privacy, facts(release.input)
    assert privacy is not None
    keys = [reader(k.expr, known) for k in release.keys]
    placed = [(row[privacy.unit], key(tuple(k(row) for k in keys)), row) for row in rows]
    groups: dict[int, set[Any]] = defaultdict(set)
    for unit, group, _ in placed:
        groups[unit].add(group)
    return Units(groups, tuple(_vectors(m, placed, known) for m in release.measures))


def _vectors(measure: Measure, placed: Sequence[tuple[int, Any, Row]], known: Any) -> dict[int, Vector]:
    test = None if measure.where is None else reader(measure.where, known)
    read = None if measure.value is None else reader(measure.value, known)
    vectors: dict[int, Vector] = defaultdict(lambda: defaultdict(int))
    for unit, group, row in placed:
        if test is None or test(row) is True:
            vectors[unit][group] += 1 if read is None else _steps(measure, read(row))
    for vector in vectors.values():
        for group, total in vector.items():
            most = 1 if measure.what is What.UNITS else LARGEST_UNIT
            vector[group] = max(-most, min(most, total))
    return vectors


def _steps(measure: Measure, value: Any) -> int:
    """A value as a whole number of steps; NaN counts as the largest, nothing as 0."""
    if value is None:
        return 0
    number = float(value)
    held = float(measure.high) if math.isnan(number) else number
    held = min(max(held, float(measure.low)), float(measure.high))
    scaled = held * float(measure.scale.denominator) / float(measure.scale.numerator)
    return int(math.copysign(math.floor(abs(scaled) + 0.5), scaled)) if abs(scaled) < 2**52 else int(scaled)


def wrong(
    release: Release, found: Tally, rows: Sequence[Row], caps: Sequence[int], *, laplace: bool
) -> str | None:
    """What the tally says otherwise than the rows do."""
    columns = [found.keys.column(i).to_pylist() for i in range(len(release.keys))]
    groups = [key(group) for group in zip(*columns, strict=True)] if columns else [()]
    if len(set(groups)) != len(groups):
        return "a group stands twice"
    if any(m.what is What.DISTINCT for m in release.measures):
        return _wrong_distinct(release, found, rows, groups, caps[0])
    own = units(release, rows)
    for j, cap in enumerate(caps):
        said = dict(zip(groups, found.totals(j, cap), strict=True))
        fault = _wrong_measure(release, own.vectors[j], said, j, cap, laplace=laplace)
        if fault:
            return fault
    return _wrong_units(release, found, own, groups)


def _wrong_measure(
    release: Release, vectors: dict[int, Vector], said: dict[Any, int], j: int, cap: int, *, laplace: bool
) -> str | None:
    steps = 1 << fine_bits(release, cap)
    wanted, slack = defaultdict[Any, float](float), defaultdict[Any, float](float)
    for vector in vectors.values():
        shortened, loose = _bounded(release, release.measures[j], vector, cap, laplace=laplace)
        for group, amount in shortened.items():
            wanted[group] += amount
            slack[group] += loose
    for group, total in said.items():
        if abs(Fraction(total, steps) - Fraction(wanted[group])) > slack[group]:
            return f"measure {j} at {cap}, group {group}: {total / steps} is not {wanted[group]} ± {slack[group]}"
    return None


def _bounded(
    release: Release, measure: Measure, vector: Vector, cap: int, *, laplace: bool
) -> tuple[dict[Any, float], float]:
    """A unit's vector at a cap, and how far off it may be: not at all unless it is near the cap or beyond."""
    if release.bounding is not Bounding.PAIRS:
        held = {g: max(-cap, min(cap, v)) for g, v in vector.items()}
        near = any(abs(abs(v) - cap) <= cap * 2.0**-38 for v in vector.values())
        return {g: float(v) for g, v in held.items()}, cap * 2.0**-38 if near and cap > 2**20 else 0.0
    held = {g: max(-2 * measure.upper, min(2 * measure.upper, v)) for g, v in vector.items()}
    step = 1 << step_bits(measure)  # lengths are whole steps, rounded up: far below any cap that pays
    steps = [-(-abs(v) // step) for v in held.values()]
    norm = step * (float(sum(steps)) if laplace else math.sqrt(sum(n * n for n in steps)))
    if norm <= cap * (1 - LOOSEST):
        return {g: float(v) for g, v in held.items()}, 0.0
    return {g: v * min(1.0, cap / norm) for g, v in held.items()}, cap * LOOSEST


def _wrong_distinct(
    release: Release, found: Tally, rows: Sequence[Row], groups: Sequence[Any], cap: int
) -> str | None:
    """Values of units that have up to ``cap`` of them are counted; of others, so many each."""
    (measure,), privacy, known = release.measures, release.input.privacy, facts(release.input)
    assert privacy is not None
    assert measure.value is not None
    keys, read = [reader(k.expr, known) for k in release.keys], reader(measure.value, known)
    test = None if measure.where is None else reader(measure.where, known)
    pairs: dict[int, set[tuple[Any, Any]]] = defaultdict(set)
    for row in rows:
        if test is None or test(row) is True:
            pairs[row[privacy.unit]].add((key(tuple(k(row) for k in keys)), key((read(row),))))
    sure = {p for own in pairs.values() if len(own) <= cap for p in own}
    every = {p for own in pairs.values() for p in own}
    steps = 1 << fine_bits(release, cap)
    for group, total in zip(groups, found.totals(0, cap), strict=True):
        least, most = (sum(1 for g, _ in some if g == group) for some in (sure, every))
        if not least * steps <= total <= most * steps:
            return f"group {group}: {total / steps} distinct values, not {least} to {most}"
    return None


def _wrong_units(release: Release, found: Tally, own: Units, groups: Sequence[Any]) -> str | None:
    """Under selection: each unit in up to so many groups, in all of its own if these are not more."""
    if release.selection is None:
        return None
    most = release.selection.groups
    said = dict(zip(groups, found.units.tolist(), strict=True))
    wanted = sum(min(len(own_groups), most) for own_groups in own.groups.values())
    if sum(said.values()) != wanted:
        return f"{sum(said.values())} units are counted, not {wanted}"
    for group in {g for own_groups in own.groups.values() for g in own_groups}:
        inside = [g for g in own.groups.values() if group in g]
        sure = sum(1 for g in inside if len(g) <= most)
        if not sure <= said.get(group, 0) <= len(inside):
            return f"group {group}: {said.get(group, 0)} units, not {sure} to {len(inside)}"
    return None
