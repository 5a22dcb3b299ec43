"""Lower bounds on privacy loss from samples: what an attacker who saw so many releases has proved.

Two databases that differ in one unit were answered many times each; every answer was made one number,
high where it speaks for the database *with* the unit.  Half of the answers choose an event (a threshold on
that number, either side of it, either database in the numerator); the other half alone measures the event,
so that the choice costs no confidence.  Its two probabilities get exact (Clopper and Pearson 1934) limits,
and whatever a guarantee forbids for such a pair of probabilities is a lower bound on the true loss:

- pure epsilon: ``log(p / q)`` (Jagielski, Ullman and Oprea 2020, "Auditing Differentially Private Machine
  Learning", section 4; events from a split sample as in Bichsel et al. 2021, "DP-Sniper");
- rho-zCDP: the Renyi divergence of the two coins over its order, greatest over orders: data processing (Bun
  and Steinke 2016, lemma 2.2, definition 1.1).  With a delta, p - delta and q / (1 - delta) stand for p and q
  (ibid., definition 8.1: both are conditioned on events of probability at least 1 - delta);
- Gaussian noise: ``mu^2 / 2`` with mu from the trade-off function (Nasr et al. 2023, "Tight Auditing of
  Differentially Private Machine Learning", section 4, after Dong, Roth and Su 2022): nearly tight, where the
  line above loses a third.  Discrete noise differs from it by less than 1 / 12 sigma^2 of itself;
- delta: the probability of an event that cannot happen without the unit.

A bound exceeds the true loss with a probability of at most ``alpha``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[Floats, Floats]
"""Scores of answers with the unit, and without."""

ORDERS: Final = 1 + np.geomspace(1e-3, 300, 60)
THRESHOLDS: Final = 200
_NORMAL: Final = NormalDist()


class Loss(StrEnum):
    """What is claimed and therefore bounded."""

    PURE = "epsilon"
    ZCDP = "rho"
    GAUSSIAN = "rho, Gaussian"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed loss; ``delta`` is the part of approximate zCDP."""

    loss: Loss
    amount: float
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Answers of one database: ``score`` in favour of the unit's presence, ``tag`` for what is discrete."""

    score: Floats
    tag: Ints

    def half(self, second: bool) -> Seen:
        """One of the two halves."""
        middle = len(self.score) // 2
        part = slice(middle, None) if second else slice(0, middle)
        return Seen(self.score[part], self.tag[part])


def lower_bound(with_unit: Seen, without: Seen, claim: Claim, alpha: float) -> float:
    """The loss proved by the samples, with confidence 1 - ``alpha``; 0 if none is."""
    odds = _odds(with_unit.half(second=False), without.half(second=False))
    train, test = (
        (_scored(with_unit.half(second), odds), _scored(without.half(second), odds))
        for second in (False, True)
    )
    event = max(_events(train), key=lambda e: _proved(e, train, claim, alpha, _wilson))
    return _proved(event, test, claim, alpha, clopper_pearson)


def _odds(one: Seen, other: Seen) -> dict[int, float]:
    """What each tag says of the unit: its log odds, drawn in by a half."""
    tags = np.union1d(one.tag, other.tag)
    counts = [[float(np.sum(s.tag == t)) + 0.5 for s in (one, other)] for t in tags]
    return {int(t): math.log(a / b) for t, (a, b) in zip(tags, counts, strict=True)}


def _scored(seen: Seen, odds: dict[int, float]) -> Floats:
    tags, places = np.unique(seen.tag, return_inverse=True)
    known: Floats = np.array([odds.get(int(t), 0.0) for t in tags])
    return np.asarray(seen.score + known[places], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Event:
    """Scores at or ``above`` a threshold, or below it; ``swapped``: likelier without the unit."""

    threshold: float
    above: bool
    swapped: bool

    def hits(self, scores: Floats) -> int:
        """How often it happened."""
        at_least = int(np.count_nonzero(scores >= self.threshold))
        return at_least if self.above else len(scores) - at_least


def _events(train: Pair) -> Iterator[Event]:
    ranks = np.concatenate(
        [np.geomspace(1e-4, 0.5, THRESHOLDS // 2), 1 - np.geomspace(1e-4, 0.5, THRESHOLDS // 2)]
    )
    for threshold in np.unique(np.quantile(np.concatenate(train), ranks, method="nearest")):
        yield Event(float(threshold), above=True, swapped=False)
        yield Event(float(threshold), above=False, swapped=True)


Limits = Callable[[int, int, float], tuple[float, float]]


def _proved(event: Event, scores: Pair, claim: Claim, alpha: float, limits: Limits) -> float:
    with_unit, without = scores
    likelier, other = (without, with_unit) if event.swapped else (with_unit, without)
    hits, others = event.hits(likelier), event.hits(other)
    if claim.loss is Loss.DELTA and (event.swapped or others):
        return 0.0  # not an event that only the unit can bring about
    p = limits(hits, len(likelier), alpha / 2)[0]
    q = limits(others, len(other), alpha / 2)[1]
    return FORBIDDEN[claim.loss](p, q, claim.delta)


def clopper_pearson(hits: int, trials: int, alpha: float) -> tuple[float, float]:
    """Limits of a probability, each exceeded by the truth with a chance of at most ``alpha``."""
    low = 0.0 if hits == 0 else _inverted(lambda p: _upper_tail(hits, trials, p) - alpha)
    high = 1.0 if hits == trials else _inverted(lambda p: _upper_tail(hits + 1, trials, p) - (1 - alpha))
    return low, high


def _wilson(hits: int, trials: int, alpha: float) -> tuple[float, float]:
    """Nearly the same, quickly (Wilson 1927): good enough to choose an event by."""
    z, p = -_NORMAL.inv_cdf(alpha), hits / trials
    middle, spread = p + z * z / (2 * trials), z * math.sqrt(p * (1 - p) / trials + (z / (2 * trials)) ** 2)
    return (middle - spread) / (1 + z * z / trials), (middle + spread) / (1 + z * z / trials)


def _inverted(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _upper_tail(least: int, trials: int, p: float) -> float:
    """P(Binomial(trials, p) >= least): the incomplete beta function at (least, trials - least + 1).

    By its continued fraction (Press et al. 2007, "Numerical Recipes", section 6.4).
    """
    a, b = float(least), float(trials - least + 1)
    if p <= 0 or p >= 1:
        return float(p >= 1)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(p) + b * math.log1p(-p)
    if p < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _fraction(a, b, p) / a
    return 1 - math.exp(log_front) * _fraction(b, a, 1 - p) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _pure(p: float, q: float, delta: float) -> float:
    return max(0.0, math.log((p - delta) / q)) if p > delta and q > 0 else 0.0


def _renyi(p: float, q: float, delta: float) -> float:
    p, q = p - delta, q / (1 - delta)
    if not 0 < q < p < 1:
        return 0.0
    terms = [ORDERS * math.log(a) + (1 - ORDERS) * math.log(b) for a, b in ((p, q), (1 - p, 1 - q))]
    return float(np.max(np.logaddexp(*terms) / (ORDERS - 1) / ORDERS))


def _gaussian(p: float, q: float, delta: float) -> float:
    assert delta == 0
    if not 0 < q < p < 1:
        return 0.0
    return (_NORMAL.inv_cdf(p) - _NORMAL.inv_cdf(q)) ** 2 / 2


def _delta(p: float, q: float, delta: float) -> float:
    return p


FORBIDDEN: Final[dict[Loss, Callable[[float, float, float], float]]] = {
    Loss.PURE: _pure,
    Loss.ZCDP: _renyi,
    Loss.GAUSSIAN: _gaussian,
    Loss.DELTA: _delta,
}
