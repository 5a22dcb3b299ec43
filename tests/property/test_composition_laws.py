"""What the ledger holds after any sequence of charges is what OpenDP says of the sequence it paid for."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.privacy.accounting import NANO, Measure
from sandbox.privacy.mechanisms import Mechanism, Noise, calibrate
from sandbox.store.database import Database
from sandbox.store.ledger import MOST, Charge, Ledger, Reservation

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
nanos = st.lists(st.integers(10**4, 2 * 10**9), min_size=1, max_size=8)
sensitivities = st.integers(1, 10**6)


def held(amounts: list[int], measure: Measure) -> Fraction:
    """What an account has spent after these charges, in rho or epsilon."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "store.db")
        ledger = Ledger(database)
        with database.write():
            for number, amount in enumerate(amounts):
                made = ledger.reserve(f"r{number}", (Charge("a", str(measure), amount, 0, MOST, 0),), NOW)
                assert isinstance(made, Reservation)
        account = ledger.balance("a")
        database.close()
    assert account is not None
    return Fraction(account.spent, NANO)


def composed(mechanisms: list[Mechanism], sensitivity: int) -> float:
    """OpenDP's map of all of them together, at this sensitivity."""
    domain = dp.vector_domain(dp.atom_domain(T=dp.i64))

    def measurement(mechanism: Mechanism) -> Any:  # opendp leaves its measurements without types
        scale = float(mechanism.scale)
        if mechanism.noise is Noise.GAUSSIAN:
            return dp.m.make_gaussian(domain, dp.l2_distance(T=dp.f64), scale=scale)
        return dp.m.make_laplace(domain, dp.l1_distance(T=dp.i64), scale=scale)

    whole: Any = dp.c.make_composition([measurement(m) for m in mechanisms])
    gaussian = mechanisms[0].noise is Noise.GAUSSIAN
    return float(whole.map(float(sensitivity) if gaussian else sensitivity))


@settings(max_examples=30)
@given(nanos, sensitivities)
@pytest.mark.parametrize(
    ("noise", "measure"), [(Noise.GAUSSIAN, Measure.ZCDP), (Noise.LAPLACE, Measure.PURE)]
)
def test_the_ledger_holds_what_opendp_composes(
    noise: Noise, measure: Measure, amounts: list[int], sensitivity: int
) -> None:
    """Never less than OpenDP's figure; more by no more than rounding a scale up to a float.

    Under a pure grant the sum of the epsilons is the epsilon of the whole, so pure epsilon composes purely.
    """
    mechanisms = [calibrate(noise, sensitivity, amount, measure) for amount in amounts]
    spent = held(amounts, measure)
    theirs = composed(mechanisms, sensitivity)
    assert spent == Fraction(sum(amounts), NANO)
    assert theirs <= spent * (1 + Fraction(len(amounts), 2**50))  # OpenDP's own sum is rounded up, in floats
    assert math.isclose(theirs, spent, rel_tol=1e-9)
