"""The ledger against the simplest thing that could be right: dictionaries."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandbox.store.database import Database
from sandbox.store.ledger import Charge, Ledger, Reservation, Short, State, StateError

START = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
REQUESTS = st.sampled_from([f"r{number}" for number in range(6)])
CHARGES = st.lists(
    st.builds(
        Charge,
        account=st.sampled_from(["grant/person", "dataset/person", "grant/meter"]),
        measure=st.just("rho"),
        amount=st.integers(1, 9),
        delta=st.integers(0, 3),
        limit=st.integers(0, 30),
        delta_limit=st.integers(0, 12),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda charge: charge.account,
)
STEPS = {
    "touch": (State.RESERVED, State.TOUCHED),
    "commit": (State.TOUCHED, State.COMMITTED),
    "release": (State.RESERVED, State.RELEASED),
}


def cost(charges: tuple[Charge, ...]) -> dict[str, tuple[int, int]]:
    return {charge.account: (charge.amount, charge.delta) for charge in charges}


class LedgerMachine(RuleBasedStateMachine):
    """Every step is done in both; after every step both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(Path(self.folder.name) / "store.db")
        self.ledger = Ledger(self.database)
        self.spent: dict[str, int] = defaultdict(int)
        self.delta: dict[str, int] = defaultdict(int)
        self.kept: dict[str, Reservation] = {}
        self.clock = 0

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def fits(self, charge: Charge) -> bool:
        spent, delta = self.spent[charge.account], self.delta[charge.account]
        return spent + charge.amount <= charge.limit and delta + charge.delta <= charge.delta_limit

    def pay(self, charges: tuple[Charge, ...], sign: int) -> None:
        for charge in charges:
            self.spent[charge.account] += sign * charge.amount
            self.delta[charge.account] += sign * charge.delta

    @rule(request=REQUESTS, charges=CHARGES.map(tuple))
    def reserve(self, request: str, charges: tuple[Charge, ...]) -> None:
        self.clock += 1
        now = START + dt.timedelta(seconds=self.clock)
        kept = self.kept.get(request)
        if kept is not None and kept.state is not State.RELEASED:
            if cost(kept.charges) == cost(charges):
                assert self.ledger.reserve(request, charges, now) == kept
            else:
                with pytest.raises(ValueError, match="other charges"):
                    self.ledger.reserve(request, charges, now)
            return
        answer = self.ledger.reserve(request, charges, now)
        short = {charge for charge in charges if not self.fits(charge)}
        if short:
            assert isinstance(answer, Short)
            assert set(answer.charges) == short
        else:
            assert isinstance(answer, Reservation)
            assert set(answer.charges) == set(charges)
            assert (answer.state, answer.time) == (State.RESERVED, now)
            self.kept[request] = answer
            self.pay(charges, 1)

    @rule(request=REQUESTS)
    def retry(self, request: str) -> None:
        kept = self.kept.get(request)
        if kept is not None and kept.state is not State.RELEASED:
            assert self.ledger.reserve(request, kept.charges, START) == kept

    @rule(request=REQUESTS, verb=st.sampled_from(sorted(STEPS)))
    def step(self, request: str, verb: str) -> None:
        kept = self.kept.get(request)
        if kept is None:
            return
        source, target = STEPS[verb]
        if kept.state is not source:
            with pytest.raises(StateError):
                getattr(self.ledger, verb)(kept)
            return
        moved = getattr(self.ledger, verb)(kept)
        assert moved == Reservation(kept.request, kept.charges, target, kept.time)
        self.kept[request] = moved
        if target is State.RELEASED:
            self.pay(kept.charges, -1)

    @rule()
    def reopen(self) -> None:
        self.database.close()
        self.database = Database(Path(self.folder.name) / "store.db")
        self.ledger = Ledger(self.database)

    @invariant()
    def both_agree(self) -> None:
        for found in self.ledger.balances():
            expected = (self.spent[found.account], self.delta[found.account])
            assert (found.spent, found.delta_spent) == expected
        unfinished = {r for r, kept in self.kept.items() if kept.state in (State.RESERVED, State.TOUCHED)}
        assert {kept.request for kept in self.ledger.orphans()} == unfinished
        for request, kept in self.kept.items():
            assert self.ledger.reservation(request) == kept

    @invariant()
    def what_is_spent_is_what_stands(self) -> None:
        total: dict[str, int] = defaultdict(int)
        for kept in self.kept.values():
            if kept.state is not State.RELEASED:
                for charge in kept.charges:
                    total[charge.account] += charge.amount
        assert {a: s for a, s in self.spent.items() if s} == {a: t for a, t in total.items() if t}


LedgerMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLedgerLaws = LedgerMachine.TestCase
