"""Privacy loss as exact integers: what an account holds, what a query costs.

Neighbouring databases differ by all rows of one privacy unit, added or removed.  A grant with
``delta > 0`` is accounted in zero-concentrated DP (rho); with ``delta == 0`` in pure epsilon.

Invariants:
- The ledger adds integers only: 1 nano = 1e-9 of rho (or of epsilon), 1 atto = 1e-18 of delta.
- A grant's delta is halved: one half converts rho into epsilon, the other half pays for partition
  selection.  rho-zCDP mechanisms and selections that add delta_i compose, adaptively, to
  sum(delta_i)-approximate sum(rho_i)-zCDP (Bun and Steinke 2016, section 8), hence to
  (epsilon, delta)-DP as long as neither sum passes its limit.
- Limits are rounded down.  A query's nano is the charge *and* the allowance its mechanisms are
  calibrated to, so it too is rounded down: its noise can only grow.  Conversions of a charge
  into another measure are rounded up.
- Nothing here depends on data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Final

from sandbox.errors import Code, Refusal, refuse
from sandbox.policy.documents import Budget

NANO: Final = 10**9
ATTO: Final = 10**18
SMALLEST_EPSILON: Final = Fraction(1, 1000)
LARGEST_EPSILON: Final = Fraction(20)
_PLAIN: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?")
_LONGEST_TEXT: Final = 20
_EXACT: Final = Context(prec=60)
_ERROR: Final = Decimal("1e-40")  # far above what 60 digits can lose, far below a nano
_ORDERS: Final = (-20.0, 30.0)  # the range of log(alpha - 1) that is searched


class Measure(StrEnum):
    """How privacy loss is counted: ``ZCDP`` in rho, ``PURE`` in epsilon."""

    ZCDP = "zcdp"
    PURE = "pure"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one query is charged: ``nano`` of rho or epsilon, ``delta_atto`` for partition selection."""

    nano: int
    delta_atto: int


@dataclass(frozen=True, slots=True)
class Account:
    """A limit on privacy loss.  ``delta`` is the total, both halves; zero for pure epsilon."""

    measure: Measure
    delta: Fraction
    limit_nano: int

    @property
    def limit_atto(self) -> int:
        """The most that partition selections may add to delta, in atto."""
        return math.floor(self.delta / 2 * ATTO)

    def epsilon(self, nano: int) -> float:
        """The epsilon that ``nano`` stands for, at this account's delta; rounded up."""
        if self.measure is Measure.PURE:
            return _float_above(Fraction(nano, NANO))
        return epsilon_for(Fraction(nano, NANO), self.delta / 2)


def account(budget: Budget) -> Account:
    """The account of a (epsilon, delta) budget.  ``ValueError`` unless epsilon > 0, 0 <= delta < 1."""
    return Account(measure_of(budget.delta), budget.delta, limit(budget.epsilon, budget.delta))


def measure_of(delta: Fraction) -> Measure:
    """Pure epsilon if ``delta`` is zero, else zCDP."""
    return Measure.PURE if delta == 0 else Measure.ZCDP


def limit(epsilon: Fraction, delta: Fraction) -> int:
    """Most nano whose total loss implies (epsilon, delta/2)-DP (or epsilon-DP if delta is zero)."""
    _check_epsilon(epsilon)
    if delta == 0:
        return math.floor(epsilon * NANO)
    _check_delta(delta)
    return math.floor(rho_for(epsilon, delta / 2) * NANO)


def query_cost(epsilon: Fraction, budget: Budget) -> Cost:
    """What a query asked at ``epsilon`` costs under a budget of (total epsilon, delta).

    Its rho is the one that alone implies (epsilon, delta/2)-DP; its share of the selection delta is
    in proportion, so both run out together.  Asking for the whole budget costs exactly the limit.
    Never free: at least 1 nano.
    """
    nano = max(1, limit(epsilon, budget.delta))
    if budget.delta == 0:
        return Cost(nano, 0)
    whole = max(1, limit(budget.epsilon, budget.delta))
    return Cost(nano, math.floor(budget.delta / 2 * ATTO * nano / whole))


def as_dataset_cost(cost: Cost, measure: Measure) -> Cost:
    """A grant's charge as its dataset's account counts it, which is always zCDP; rounded up.

    epsilon-DP implies (epsilon^2 / 2)-zCDP (Bun and Steinke 2016, proposition 1.4).
    """
    if measure is Measure.ZCDP:
        return cost
    return Cost(-(-(cost.nano**2) // (2 * NANO)), cost.delta_atto)


@lru_cache(maxsize=1024)
def rho_for(epsilon: Fraction, delta: Fraction) -> Fraction:
    """The largest rho for which rho-zCDP is known to imply (epsilon, delta)-DP; rounded down.

    Solves the bound of ``epsilon_for`` for rho.  Every order alpha gives a sound answer, so the
    search runs in floats and only its result is evaluated, to 60 digits and with a margin.
    """
    _check_epsilon(epsilon)
    _check_delta(delta)
    wanted, log_delta = float(epsilon), _log(delta)

    def loss(t: float) -> float:
        alpha = 1.0 + math.exp(t)
        return -(wanted - _overhead(alpha, log_delta)) / alpha

    alpha = Decimal(1.0 + math.exp(_minimise(loss)))
    room = _EXACT.subtract(_exact(epsilon), _exact_overhead(alpha, delta))
    rho = _EXACT.subtract(_EXACT.divide(room, alpha), _ERROR)
    return max(Fraction(0), Fraction(rho))


def epsilon_for(rho: Fraction, delta: Fraction) -> float:
    """An epsilon such that rho-zCDP implies (epsilon, delta)-DP; rounded up.

    Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for Differential Privacy", corollary 13:
    epsilon = alpha rho + log(1 / (alpha delta)) / (alpha - 1) + log(1 - 1/alpha), least over alpha > 1.
    """
    _check_delta(delta)
    if rho < 0:
        raise ValueError("rho is negative")
    if rho == 0:
        return 0.0
    spent, log_delta = float(rho), _log(delta)

    def loss(t: float) -> float:
        alpha = 1.0 + math.exp(t)
        return alpha * spent + _overhead(alpha, log_delta)

    alpha = Decimal(1.0 + math.exp(_minimise(loss)))
    exact = _EXACT.add(_EXACT.multiply(alpha, _exact(rho)), _exact_overhead(alpha, delta))
    return max(0.0, _float_above(Fraction(_EXACT.add(exact, _ERROR))))


def split(nano: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Divide ``nano`` in proportion to ``weights``; the parts are integers and add up to ``nano``.

    Largest remainder first, then the earlier part.  A part may be zero where ``nano`` is small.
    ``ValueError`` for negative amounts or no positive weight.
    """
    total = sum(weights)
    if nano < 0 or total <= 0 or min(weights) < 0:
        raise ValueError("cannot split a negative amount, nor over no positive weight")
    parts = [nano * w // total for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(nano * weights[i] % total), i))
    for i in by_remainder[: nano - sum(parts)]:
        parts[i] += 1
    return tuple(parts)


def parse_epsilon(value: object) -> Fraction:
    """Read an epsilon from a plain decimal string or a JSON number, exactly.

    Between 0.001 and 20, at most 6 decimals; no sign, exponent, space or separator.  Anything else
    is refused with ``Code.EPSILON``.  Floats are read through their shortest decimal form.
    """
    text = _plain_text(value)
    if not _PLAIN.fullmatch(text):
        raise _bad_epsilon(text)
    epsilon = Fraction(text)
    if not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise _bad_epsilon(text)
    return epsilon


def _plain_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_EPSILON:
        return int.__repr__(value)
    raise _bad_epsilon(type(value).__name__)


def _bad_epsilon(text: str) -> Refusal:
    shown = ascii(text[:_LONGEST_TEXT])
    low, high = float(SMALLEST_EPSILON), int(LARGEST_EPSILON)
    return refuse(
        Code.EPSILON,
        shown,
        f"give a plain decimal between {low} and {high} with at most 6 decimals, such as 0.5",
        f"请给出 {low} 到 {high} 之间、至多 6 位小数的十进制数，例如 0.5",
    )


def _check_epsilon(epsilon: Fraction) -> None:
    if epsilon <= 0:
        raise ValueError("epsilon is not positive")


def _check_delta(delta: Fraction) -> None:
    if not 0 < delta < 1:
        raise ValueError("delta is not between 0 and 1")


def _overhead(alpha: float, log_delta: float) -> float:
    return (-log_delta - math.log(alpha)) / (alpha - 1) + math.log1p(-1 / alpha)


def _exact_overhead(alpha: Decimal, delta: Fraction) -> Decimal:
    above = _EXACT.subtract(alpha, Decimal(1))
    log_all = _EXACT.ln(_EXACT.multiply(alpha, _exact(delta)))
    return _EXACT.add(_EXACT.divide(-log_all, above), _EXACT.ln(_EXACT.divide(above, alpha)))


def _exact(value: Fraction) -> Decimal:
    return _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _log(value: Fraction) -> float:
    return float(_EXACT.ln(_exact(value)))


def _minimise(loss: Callable[[float], float]) -> float:
    """Where ``loss`` is least over ``_ORDERS``: a grid, then thirds around its best point."""
    low, high = _ORDERS
    step = (high - low) / 100
    best = min((low + step * i for i in range(101)), key=loss)
    low, high = best - step, best + step
    for _ in range(60):
        third = (high - low) / 3
        if loss(low + third) <= loss(high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def _float_above(value: Fraction) -> float:
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)
