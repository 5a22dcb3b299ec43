"""Choosing a contribution cap privately, from a noisy histogram of the units' norms.

Each unit falls into exactly one bin, by the norm of its whole contribution in fixed-point units, so
the histogram changes by 1 in one bin between neighbours: sensitivity 1 in L1 and in L2.  All that
happens here is post-processing of that histogram: privacy holds whatever this module does, and what
is at stake is only accuracy, and whether the stated interval covers.  (After Wilson et al. 2020,
"Differentially Private SQL with Bounded User Contribution", approximate bounds; arXiv 1909.01917.)

What a cap c costs.  A total clipped at c is wrong by noise, whose half-width grows with c, and by the
excess: the sum over units of max(0, norm - c), which only falls with c.  The excess is estimated in
three parts, from the bottom of the histogram to its top.

1. *Bins that are seen.*  A bin is seen if its count stands out of the noise; the highest seen bin is the
   top.  Bins up to the top count with their noisy count (not below zero) times the distance of their
   *upper* edge from c, plus one standard deviation of that sum's noise.
2. *The tail beyond the top.*  Units there exist but no bin of them stands out; with the small share of
   the budget that a histogram gets, they may hold a large part of the total.  What can be said of
   them rests on an assumption: counts per bin fall geometrically beyond the top, as those of Pareto
   and Zipf data do (ratio 2^(-index/2)), while log-normal, Poisson and bounded data fall faster.  The
   ratio is fitted to the bins around and beyond the top.  The best fit serves to choose c; the
   heaviest ratio not rejected at 95 % (likelihood ratio, chi-square 3.84) serves to state the excess.
3. *A tail hidden in the noise.*  Bins around the top may fall steeply and a thin tail follow, as in a
   Zipf sample's first bins.  So the excess is never stated below that of a tail of ratio 0.6 (Pareto
   index 1.5) with as many units as the noisy bins beyond the top leave room for.

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
from itertools import pairwise, zip_longest
from typing import Final

_DEVIATIONS: Final = 1.96  # a 95 % half-width in standard deviations (1.96 Gaussian, 2.1 Laplace)
_REJECTED: Final = 3.84  # 95 % point of chi-square with one degree of freedom
_RATIOS: Final = tuple(i / 40 for i in range(4, 27))  # 0.1 to 0.65, Pareto index 1.24: a finite mean
_HIDDEN_RATIO: Final = 0.6
_HIDDEN_DEVIATIONS: Final = 1.645
_ENDED: Final = 0.05  # a tail ends where fewer units than this are expected beyond
_SEEN: Final = 2.0  # half-widths that a bin must reach beside a neighbour, ...
_SEEN_ALONE: Final = 3.0  # ... or alone, since one among many bins may be high by chance
_NEIGHBOUR: Final = 0.5

Tail = tuple[float, ...]
"""Expected units in the bins beyond the top, in order."""


@dataclass(frozen=True, slots=True)
class Cap:
    """A chosen cap.

    ``value``: the norm to clip at, in fixed-point units.  ``excess``: upper estimate of what clipping
    removes from the total; a 95 % interval is the estimate +- (noise half-width + excess).
    ``visible``: false if no unit stood out of the noise, so that no interval should be stated.
    """

    value: int
    excess: float
    visible: bool


def edges(upper: int) -> tuple[int, ...]:
    """Upper edges of the bins: 1, 2, 3, 4, 6, 8, 12 ..., by steps of about sqrt(2), and ``upper`` last.

    Bin 0 holds norms from 0 to 1; bin i those above edge i-1 and up to edge i.  ``ValueError`` if
    ``upper`` is below 1.
    """
    if upper < 1:
        raise ValueError("an upper norm is at least 1")
    powers = (math.isqrt((1 << k) - 1) + 1 for k in range(2 * upper.bit_length() + 1))
    return (*sorted({e for e in powers if e < upper}), upper)


def choose(
    bins: tuple[int, ...],
    noisy_counts: Sequence[int],
    histogram_half_width: float,
    half_width_of: Callable[[int], float],
) -> Cap:
    """The cap among ``bins`` (see ``edges``) with the least noise half-width plus expected excess.

    ``noisy_counts``: units per bin, with noise.  ``histogram_half_width``: 95 % half-width of one bin's
    noise.  ``half_width_of(c)``: 95 % half-width of the answer's noise at cap c.  Ties go to the smaller
    cap.  ``ValueError`` if the shapes differ, the edges do not rise, or the half-width is not positive.
    """
    _check(bins, noisy_counts, histogram_half_width)
    deviation = histogram_half_width / _DEVIATIONS
    found = _top(noisy_counts, histogram_half_width)
    top = max(found, 0)
    seen = tuple(max(0, n) for n in noisy_counts[: top + 1])
    hidden, room = _hidden(noisy_counts[top + 1 :], deviation)
    likely, heaviest = _fitted(noisy_counts, top, deviation) if found >= 0 else ((), ())
    expected, stated = _larger(likely, hidden), _larger(heaviest, room)

    def excess(i: int, tail: Tail) -> float:
        return _excess(bins, i, (*seen, *tail), len(seen), deviation)

    candidates = range(len(seen) + len(stated))
    chosen = min(candidates, key=lambda i: half_width_of(bins[i]) + excess(i, expected))
    return Cap(bins[chosen], excess(chosen, stated), found >= 0)


def _check(bins: tuple[int, ...], noisy_counts: Sequence[int], half_width: float) -> None:
    rising = all(a < b for a, b in pairwise(bins))
    if not bins or len(bins) != len(noisy_counts) or not rising or bins[0] < 1:
        raise ValueError("a histogram has one count for each of its rising edges")
    if not 0 < half_width < math.inf:
        raise ValueError("a histogram's noise has a positive half-width")


def _top(noisy: Sequence[int], half_width: float) -> int:
    """The highest bin that stands out of the noise, or -1."""
    for b in reversed(range(len(noisy))):
        beside = b == 0 or noisy[b - 1] > _NEIGHBOUR * half_width
        if noisy[b] > (_SEEN if beside else _SEEN_ALONE) * half_width:
            return b
    return -1


def _hidden(beyond: Sequence[int], deviation: float) -> tuple[Tail, Tail]:
    """The tail of the hidden ratio: as the bins beyond the top suggest it, and as they leave room for."""
    if not beyond:
        return (), ()
    amplitude, norm = _amplitude(beyond, _HIDDEN_RATIO)
    room = amplitude + _HIDDEN_DEVIATIONS * deviation / norm
    return _tail(amplitude, _HIDDEN_RATIO, len(beyond)), _tail(room, _HIDDEN_RATIO, len(beyond))


def _fitted(noisy: Sequence[int], top: int, deviation: float) -> tuple[Tail, Tail]:
    """The tails of the likeliest and of the heaviest plausible ratio, fitted from the top on.

    The bin below the top takes part if the counts already fall there.
    """
    start = top - 1 if top > 0 and noisy[top - 1] >= noisy[top] else top
    fits = [(_misfit(noisy[start:], ratio) / deviation**2, ratio) for ratio in _RATIOS]
    least, likeliest = min(fits)
    heaviest = max(ratio for misfit, ratio in fits if misfit <= least + _REJECTED)
    length = len(noisy) - top - 1

    def tail(ratio: float) -> Tail:
        return _tail(_amplitude(noisy[start:], ratio)[0] * ratio ** (top + 1 - start), ratio, length)

    return tail(likeliest), tail(heaviest)


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


def _larger(one: Tail, other: Tail) -> Tail:
    return tuple(max(a, b) for a, b in zip_longest(one, other, fillvalue=0.0))


def _excess(bins: tuple[int, ...], i: int, counts: Tail, noisy: int, deviation: float) -> float:
    """What clipping at ``bins[i]`` removes, if bins hold ``counts``; the first ``noisy`` carry noise."""
    removed = math.fsum(n * (bins[b] - bins[i]) for b, n in enumerate(counts) if b > i)
    spread = math.sqrt(math.fsum((bins[b] - bins[i]) ** 2 for b in range(i + 1, noisy)))
    return removed + deviation * spread
