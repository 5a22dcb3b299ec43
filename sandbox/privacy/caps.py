"""Choosing a contribution cap privately, from a noisy histogram of the units' norms.

Each unit falls into exactly one bin, by the norm of its whole contribution in fixed-point units, so
the histogram changes by 1 in one bin between neighbours: sensitivity 1 in L1 and in L2.  All that
happens here is post-processing of that histogram: privacy holds whatever this module does, and what
is at stake is only accuracy, and whether the stated interval covers.  (After Wilson et al. 2020,
"Differentially Private SQL with Bounded User Contribution", approximate bounds; arXiv 1909.01917.)

What a cap c costs.  A total clipped at c is wrong by noise, whose half-width grows with c, and by the
excess: the sum over units of max(0, norm - c), which only falls with c.  The excess is estimated twice,
as it likely is and as it may be at 95 %, in three parts from the bottom of the histogram to its top.

1. *Bins that are seen.*  A bin is seen if its count stands out of the noise, with those below it or by
   itself; the highest seen bin is the top.  Bins up to the top count with their noisy count: likely, times
   the distance of their middle from c; at most, that of their upper edge, and 1.645 standard deviations of
   that sum's noise more.
2. *A tail beyond the top that is felt.*  No bin of it stands out, but all together they do.  With the small
   share of the budget that a histogram gets, they may hold a large part of the total, and what can be said
   of them rests on an assumption: counts per bin fall geometrically beyond the top, as those of Pareto and
   Zipf data do (ratio 2^(-index/2)), while log-normal, Poisson and bounded data fall faster.  The ratio is
   fitted to the bins beyond the top, and to the top itself if one tail fits both.  The best fit is what is
   likely; the heaviest ratio not rejected at 95 % (likelihood ratio, chi-square 3.84) is what may be.
3. *A tail hidden in the noise.*  Where nothing is felt, nothing is likely; but a tail of finite variance
   (ratio 0.5, Pareto index 2) may be there, with as many units as the noisy bins leave room for.

A *declaration* (``declared``: the largest norm that the owner expects) is believed until the histogram
contradicts it: bins beyond it hold no hidden tail, but they count like all others once they are seen,
and the cap may then be one of theirs.  Units beyond the last edge have no known norm at all: if they
are seen, no finite excess can be stated.

Choosing by the expected excess and stating the pessimistic one is on purpose: choosing by the stated
one buys shorter intervals on paper with twice the actual error.

What is not covered.  A handful of units far above all others is invisible, which is what privacy means; so
is the total of data without a finite mean, which hangs on its largest units.  The interval then states
what the histogram supports, not the truth.  If no bin stands out at all, ``Cap.visible`` is false:
there are too few units for this budget, the cap is a small default, and no interval should be stated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile, zip_longest
from typing import Final

_DEVIATIONS: Final = 1.96  # a 95 % half-width in standard deviations (1.96 Gaussian, 2.1 Laplace)
_ONE_SIDED: Final = 1.645
_FELT: Final = 1.28  # deviations from which a tail is taken to be there: one in ten without it is, too
_REJECTED: Final = 3.84  # 95 % point of chi-square with one degree of freedom
_RATIOS: Final = tuple(i / 40 for i in range(27))  # none to 0.65, Pareto index 1.24: a finite mean
_HEAVY_RATIO: Final = 0.6  # Pareto index 1.5
_HIDDEN_RATIO: Final = 0.5  # Pareto index 2: a finite variance
_ENDED: Final = 0.05  # a tail ends where fewer units than this are expected beyond
_RARE: Final = 0.1  # likewise in one cell, where the counts are upper estimates already
_SEEN: Final = 2.0  # half-widths that a bin must reach at the end of a run, ...
_RUN: Final = 5.0  # ... whose bins together reach so many, ...
_NEIGHBOUR: Final = 0.5  # ... and each so many; ...
_SEEN_ALONE: Final = 4.0  # ... or alone, since one among many bins may be high by chance
_BEYOND: Final = 3.0  # half-widths that the units beyond all edges must reach

LEFT: Final = 0.5
"""The part of an excess that remains as error where values are corrected: cells differ, and estimates err."""

Tail = tuple[float, ...]
"""Expected units in the bins beyond the top, in order."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Units of one bin above the cap: what each loses at most, how many there likely are, how many may be."""

    each: float
    likely: float
    stated: float


@dataclass(frozen=True, slots=True)
class Cap:
    """A chosen cap, and what clipping there does to the sum of the units' norms.

    ``value``: the norm to clip at, in fixed-point units.  ``excess``: upper estimate of what clipping
    removes (infinite if units stand beyond all edges), of which ``unsure`` is for the histogram's noise.
    ``likely``: best estimate of it.  ``kept``: estimate of what is left.  ``lost``: by bin, from the cap up.
    ``visible``: false if no unit stood out of the noise: too few for an interval.
    """

    value: int
    excess: float = 0.0
    unsure: float = 0.0
    likely: float = 0.0
    kept: float = 0.0
    lost: tuple[Lost, ...] = ()
    visible: bool = True


def choose(
    bins: tuple[int, ...],
    noisy_counts: Sequence[int],
    histogram_half_width: float,
    half_width_of: Callable[[int], float],
    *,
    declared: int | None = None,
    share: float = 1.0,
    corrected: bool = False,
    whole: bool = True,
) -> Cap:
    """The cap among ``bins`` (see ``bins.edges``) with the least noise half-width plus expected excess.

    ``noisy_counts``: units per bin, with noise; one more may follow, of units beyond the last edge.
    ``histogram_half_width``: 95 % half-width of one bin's noise.  ``half_width_of(c)``: 95 % half-width of
    the answer's noise at cap c.  ``declared``: the largest norm expected (none: the last edge).
    ``share``: the part of the sum that stands in the cell whose error is to be least.  ``corrected``: values
    of cells will be raised by what clipping likely removed (``clipping``), which leaves a part of it.
    ``whole``: norms are whole numbers.  Ties go to the smaller cap.  ``ValueError`` if the shapes differ, the
    edges do not rise, or the half-width is not positive.
    """
    counts, beyond = _checked(bins, noisy_counts, histogram_half_width)
    deviation = histogram_half_width / _DEVIATIONS
    found = _top(counts, histogram_half_width)
    top = max(found, 0)
    end = _believed(bins, counts, declared, deviation)
    end = len(bins) if top >= end else end
    around = counts[:end]
    likely, stated = _tails(counts[top], around[top + 1 :], deviation)
    left = LEFT if corrected else 1.0
    model = _Model(bins, counts[: top + 1], likely, stated, deviation, left, 1 if whole else 0)
    candidates = range(min(top + 1 + max(len(model.expected), len(model.stated)), len(bins)))
    chosen = min(candidates, key=lambda i: half_width_of(bins[i]) + model.typical(i, share))
    if beyond > _BEYOND * histogram_half_width:
        return Cap(bins[-1], math.inf)
    return model.cap(chosen, visible=found >= 0)


def _believed(bins: tuple[int, ...], counts: Sequence[int], declared: int | None, deviation: float) -> int:
    """How many bins a tail may fill: to the declared norm, unless a tail is seen to go on."""
    end = len(bins) if declared is None else sum(1 for e in bins if e < declared) + 1
    if end >= len(bins):
        return len(bins)
    amplitude, norm = _amplitude(counts[end:], _HEAVY_RATIO)
    return len(bins) if amplitude * norm > _ONE_SIDED * deviation else end


@dataclass(frozen=True, slots=True)
class _Model:
    """Units by bin: ``seen`` with noise of ``deviation``, then tails as expected and as stated.

    ``left``: the part of the likely excess that counts as error.  ``step``: between norms (0: none).
    """

    bins: tuple[int, ...]
    seen: Sequence[int]
    expected: Tail
    stated: Tail
    deviation: float
    left: float = 1.0
    step: int = 1

    def cap(self, i: int, *, visible: bool) -> Cap:
        """All that is known of the cap at edge ``i``."""
        lost = self.lost(i)
        at_most = math.fsum(x.each * x.stated for x in lost) + self.unsure(i)
        counts = (*self.seen, *self.expected)
        likely = math.fsum(n * (self.middle(b) - self.bins[i]) for b, n in enumerate(counts) if b > i)
        kept = math.fsum(n * min(self.middle(b), self.bins[i]) for b, n in enumerate(counts))
        at_most = max(at_most, 0.0)
        return Cap(
            self.bins[i],
            at_most,
            self.unsure(i),
            min(max(likely, 0.0), at_most),
            max(kept, 0.0),
            lost,
            visible,
        )

    def lost(self, i: int) -> tuple[Lost, ...]:
        """The bins above edge ``i``."""
        likely, stated = (*self.seen, *self.expected), (*self.seen, *self.stated)
        pairs = list(zip_longest(likely, stated, fillvalue=0.0))
        return tuple(Lost(self.bins[b] - self.bins[i], *pairs[b]) for b in range(i + 1, len(pairs)))

    def middle(self, b: int) -> float:
        """The mean of a bin's norms, if their density is straight through its neighbours."""
        if b == 0:
            return 1.0
        centre, width = self._centre(b), self.bins[b] - self.bins[b - 1]
        if not 0 < b < len(self.seen) - 1 or self.seen[b] < _SEEN * self.deviation:
            return centre
        below, here, above = (self.seen[i] / self._width(i) for i in (b - 1, b, b + 1))
        slope = (above - below) / (self._centre(b + 1) - self._centre(b - 1))
        moved = slope * (width * width - self.step) / (12 * here)
        return centre + max(-width / 6, min(width / 6, moved))

    def _centre(self, b: int) -> float:
        return (self.bins[b - 1] + self.step + self.bins[b]) / 2 if b else 1.0

    def _width(self, b: int) -> int:
        return self.bins[b] - (self.bins[b - 1] if b else 0)

    def unsure(self, i: int) -> float:
        """What the histogram's noise may add to the excess at edge ``i``, at 95 %."""
        squares = math.fsum((self.bins[b] - self.bins[i]) ** 2 for b in range(i + 1, len(self.seen)))
        return _ONE_SIDED * self.deviation * math.sqrt(squares)

    def typical(self, i: int, share: float) -> float:
        """What clipping at edge ``i`` does to a cell with ``share`` of the units: mean and deviation."""
        lost = self.lost(i)
        if share == 1:
            return max(0.0, math.fsum(x.each * x.likely for x in lost))
        mean, variance = borne([(x.each, x.likely) for x in lost], share)
        return self.left * mean + math.sqrt(variance)


def borne(lost: Sequence[tuple[float, float]], share: float) -> tuple[float, float]:
    """Mean and variance of what a cell with ``share`` of the units loses, if units fall in cells by chance.

    ``lost``: what each unit of a bin loses, and how many there are.  Bins so high that the cell hardly
    holds one of their units (0.1 expected, from there up) do not count.
    """
    above = mean = variance = 0.0
    for each, count in reversed(lost):
        above += max(count, 0.0)
        if share * above >= _RARE:
            mean += share * count * each
            variance += share * max(count, 0.0) * each * each
    return max(mean, 0.0), variance


def _checked(
    bins: tuple[int, ...], noisy_counts: Sequence[int], half_width: float
) -> tuple[Sequence[int], int]:
    """The counts of the bins, and of what lies beyond."""
    rising = all(a < b for a, b in pairwise(bins))
    if not bins or len(noisy_counts) - len(bins) not in (0, 1) or not rising or bins[0] < 1:
        raise ValueError("a histogram has one count for each of its rising edges")
    if not 0 < half_width < math.inf:
        raise ValueError("a histogram's noise has a positive half-width")
    return noisy_counts[: len(bins)], sum(noisy_counts[len(bins) :])


def _top(noisy: Sequence[int], half_width: float) -> int:
    """The highest bin that stands out of the noise, or -1.

    What is taken for a top by chance makes the cap as high, and the noise: of Laplace, whose tail is the
    longer, a bin is over t half-widths with probability 20^-t / 2, and a sum of a few hardly more often.  One
    of 40 is taken for a top, alone or in a run, in one draw of 5,000; of the discrete Gaussian, in one of
    millions.
    """
    for b in reversed(range(len(noisy))):
        if noisy[b] > _SEEN_ALONE * half_width:
            return b
        if noisy[b] > _SEEN * half_width and (b == 0 or _run(noisy, b, half_width) > _RUN * half_width):
            return b
    return -1


def _run(noisy: Sequence[int], b: int, half_width: float) -> int:
    """What the bins from ``b`` down hold together, as far as each holds something."""
    return sum(takewhile(lambda count: count > _NEIGHBOUR * half_width, reversed(noisy[: b + 1])))


def _tails(top: int, beyond: Sequence[int], deviation: float) -> tuple[Tail, Tail]:
    """The tail beyond a top bin of ``top`` units, as expected and as stated."""
    if not beyond:
        return (), ()
    amplitude, norm = _amplitude(beyond, _HEAVY_RATIO)
    if amplitude * norm < _FELT * deviation:
        return (), _room(beyond, 0, _HIDDEN_RATIO, deviation)
    counts, start = _fitted(top, beyond, deviation)
    misfits = [(_misfit(counts, ratio) / deviation**2, ratio) for ratio in _RATIOS]
    least, likeliest = min(misfits)
    heaviest = max(ratio for misfit, ratio in misfits if misfit <= least + _REJECTED)
    first = _amplitude(counts, likeliest)[0] * likeliest**start
    worst = _amplitude(counts, heaviest)[0] * heaviest**start
    return _tail(first, likeliest, len(beyond)), _tail(worst, heaviest, len(beyond))


def _fitted(top: int, beyond: Sequence[int], deviation: float) -> tuple[Sequence[int], int]:
    """The counts to which a tail is fitted, and where it begins: the top too, if one tail fits all."""
    alone, joined = (min(_misfit(c, r) for r in _RATIOS) for c in (beyond, [top, *beyond]))
    return ([top, *beyond], 1) if joined <= alone + _REJECTED * deviation**2 else (beyond, 0)


def _room(counts: Sequence[int], start: int, ratio: float, deviation: float) -> Tail:
    """The tail of a ratio with as many units as the noisy counts leave room for."""
    amplitude, norm = _amplitude(counts, ratio)
    return _tail((amplitude + _ONE_SIDED * deviation / norm) * ratio**start, ratio, len(counts) - start)


def _amplitude(counts: Sequence[int], ratio: float) -> tuple[float, float]:
    """Least squares for a >= 0 in counts[k] = a ratio^k; and the norm of the powers."""
    squared = math.fsum(ratio ** (2 * k) for k in range(len(counts)))
    return max(0.0, math.fsum(n * ratio**k for k, n in enumerate(counts)) / squared), math.sqrt(squared)


def _misfit(counts: Sequence[int], ratio: float) -> float:
    first, _ = _amplitude(counts, ratio)
    return math.fsum((n - first * ratio**k) ** 2 for k, n in enumerate(counts))


def _tail(first: float, ratio: float, length: int) -> Tail:
    """first, first * ratio, ... over at most ``length`` bins; one bin at least, where there is one."""
    counts: list[float] = []
    while len(counts) < length and (not counts or first / (1 - ratio) >= _ENDED):
        counts.append(first)
        first *= ratio
    return tuple(counts)
