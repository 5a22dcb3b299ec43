"""A release: one private relation aggregated into one public table.

All amounts of a measure are integers in units of its ``scale`` (fixed point), so that sums are exact
and sensitivity is an integer.  ``docs/soundness.md`` proves what is stated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from sandbox.catalogue import Scalar
from sandbox.privacy.faces import Face, Read
from sandbox.sql.canonical import canonical, canonical_expr, fingerprint
from sandbox.sql.expressions import Expr, Facts
from sandbox.sql.relation import Relation, Released, walk

COLUMN = 3
SELECTION = 2
"""What a column that is drawn, and what selecting keys weighs, within a release and among those of a query.
Keys that just reach the threshold are of little use without a value that can be read."""


class Bounding(StrEnum):
    """How a unit's contribution is bounded, cheapest sound form first.

    ROW: a unit has one row, its value is clamped.  UNIT: a unit falls in one group, its total is
    clamped.  PAIRS: a unit's vector over groups is scaled down to the cap (L1 for Laplace, L2 for
    Gaussian).
    """

    ROW = "row"
    UNIT = "unit"
    PAIRS = "pairs"


class What(StrEnum):
    """What a measure adds up."""

    ROWS = "rows"
    UNITS = "units"
    SUM = "sum"
    DISTINCT = "distinct"


@dataclass(frozen=True, slots=True)
class Key:
    """A group key over the release's input; ``domain`` includes NULL where the key may be NULL."""

    name: str
    expr: Expr
    facts: Facts
    domain: tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Measure:
    """One noised column: the sum over the group's rows of an integer per row.

    ``value`` (SUM only) is clamped to ``[low, high]`` and rounded to ``scale``; rows where ``where``
    is not true count nothing.  ``declared`` is the largest norm that declarations let expect, in scale
    units.  ``search`` says that the cap is found privately, up to ``upper``, which lies well above since data
    may exceed what was declared; else the cap is ``upper``, and that is ``declared``.
    """

    what: What
    value: Expr | None
    where: Expr | None
    low: Fraction
    high: Fraction
    scale: Fraction
    upper: int
    search: bool
    declared: int

    @property
    def sign(self) -> int:
        """1 if no row can count below zero, -1 if none above, else 0.

        0 for distinct values, to which what clipping removed is not added: others may bring the same."""
        if self.what is What.DISTINCT:
            return 0
        return 1 if self.low >= 0 else -1 if self.high <= 0 else 0

    @property
    def text(self) -> str:
        """Canonical text, part of the release's identity."""
        parts = [canonical_expr(e) if e is not None else "" for e in (self.value, self.where)]
        numbers = (self.low, self.high, self.scale, self.upper, self.search, self.declared)
        return f"{self.what}({';'.join((*parts, *map(str, numbers)))})"


@dataclass(frozen=True, slots=True)
class Selection:
    """Partition selection: a key appears only if its noisy unit count lies strictly above a threshold.

    ``groups``: most groups a unit's presence is counted in; ``units``: the policy's floor.
    """

    groups: int
    units: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A public relation whose rows, at most ``most``, are all combinations of the keys at ``places``."""

    relation: Relation
    places: tuple[int, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Release:
    """``keys`` and ``measures`` of ``input``; public once protected.  ``number`` names it in its plan."""

    number: int
    input: Relation
    keys: tuple[Key, ...]
    measures: tuple[Measure, ...]
    bounding: Bounding
    selection: Selection | None
    scope: str
    unit_kind: str
    depends: tuple[str, ...] = ()
    listing: Listing | None = None
    face: Face | None = None

    @property
    def shared(self) -> int | None:
        """The COUNT(DISTINCT unit) that the selection's noisy count already is, if any.

        Only where each unit is in one group: elsewhere the selection counts a unit in few groups.
        """
        if self.selection is None or self.bounding is Bounding.PAIRS:
            return None
        units = (j for j, m in enumerate(self.measures) if m.what is What.UNITS and m.where is None)
        return next(units, None)

    @property
    def weight(self) -> int:
        """Its share of a query's budget: so much for each column that is drawn, and for a selection."""
        drawn = len(self.measures) - (self.shared is not None)
        return max(COLUMN * drawn + SELECTION * (self.selection is not None), 1)

    @property
    def shown(self) -> str:
        """The hash of its public table, which may say more or less than what is kept (``faces``)."""
        return self.identity if self.face is None else fingerprint(f"{self.identity}|{self.face}")

    @property
    def asks_released(self) -> bool:
        """Whether earlier releases decide which rows are asked about (other than the part looked into)."""
        source = self.face.source if isinstance(self.face, Read) else None
        return any(isinstance(n, Released) and n.number != source for n in walk(self.input))

    @property
    def identity(self) -> str:
        """The hash under which its answer is kept: what is released, not what was paid.

        What one point is looked into for does not hang on which others are asked for beside it.
        """
        if isinstance(self.face, Read) and self.face.first:
            (point,), (measure,) = self.face.points, self.measures
            looked = f"{self.face.first}|{point.share}|{point.extreme}|{self.face.grid}"
            return fingerprint(f"{looked}|{measure.text}|{self.bounding}")
        keys = ",".join(canonical_expr(k.expr) + repr(k.domain) for k in self.keys)
        measures = ",".join(m.text for m in self.measures)
        chosen = f"{self.bounding};{self.selection};{';'.join(self.depends)}"
        if self.listing is not None:
            chosen = f"{chosen};{canonical(self.listing.relation)}{self.listing.places}"
        return fingerprint(f"{canonical(self.input)}|{keys}|{measures}|{chosen}")
