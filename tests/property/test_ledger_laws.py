"""The ledger against the simplest thing that could be right: dictionaries.  On both stores."""

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
from tests.support.postgres import Server

START = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
REQUESTS = st.sampled_from([f"r{number}" for number in range(6)])
ACCOUNTS = st.sampled_from(["grant/person", "dataset/person", "grant/meter"])
CHARGES = st.lists(
    st.builds(
        Charge,
        account=ACCOUNTS,
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
        self.place = self.new_place()
        self.database = Database(self.place)
        self.ledger = Ledger(self.database)
        self.limits: dict[str, tuple[int, int]] = {}
        self.spent: dict[str, int] = defaultdict(int)
        self.delta: dict[str, int] = defaultdict(int)
        self.kept: dict[str, Reservation] = {}
        self.clock = 0

    def new_place(self) -> str:
        self.folder = tempfile.TemporaryDirectory()
        return str(Path(self.folder.name) / "store.db")

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def fits(self, charge: Charge, limits: tuple[int, int]) -> bool:
        spent, delta = self.spent[charge.account], self.delta[charge.account]
        return spent + charge.amount <= limits[0] and delta + charge.delta <= limits[1]

    def sink(self, charges: tuple[Charge, ...]) -> None:
        """What the policy lowers counts at once; what it raises does not."""
        for charge in charges:
            told = (charge.limit, charge.delta_limit)
            held = self.limits.get(charge.account, told)
            self.limits[charge.account] = (min(held[0], told[0]), min(held[1], told[1]))

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
                self.sink(charges)
                assert self.ledger.reserve(request, charges, now) == kept
            else:
                with pytest.raises(ValueError, match="other charges"):
                    self.ledger.reserve(request, charges, now)
            return
        self.sink(charges)
        answer = self.ledger.reserve(request, charges, now)
        short = {charge for charge in charges if not self.fits(charge, self.limits[charge.account])}
        if short:
            assert isinstance(answer, Short)
            assert set(answer.charges) == short
            covered = {c.account for c in short if self.fits(c, (c.limit, c.delta_limit))}
            assert set(answer.awaiting) == covered
        else:
            assert isinstance(answer, Reservation)
            assert set(answer.charges) == set(charges)
            assert (answer.state, answer.time) == (State.RESERVED, now)
            self.kept[request] = answer
            self.pay(charges, 1)

    @rule(account=ACCOUNTS, limit=st.integers(0, 30), delta_limit=st.integers(0, 12))
    def approve(self, account: str, limit: int, delta_limit: int) -> None:
        if account in self.limits:
            self.ledger.approve(account, limit, delta_limit)
            self.limits[account] = (limit, delta_limit)
        else:
            with pytest.raises(ValueError, match="no such account"):
                self.ledger.approve(account, limit, delta_limit)

    @rule(request=REQUESTS)
    def retry(self, request: str) -> None:
        kept = self.kept.get(request)
        if kept is not None and kept.state is not State.RELEASED:
            self.sink(kept.charges)
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
        self.database = Database(self.place)
        self.ledger = Ledger(self.database)

    @invariant()
    def both_agree(self) -> None:
        for found in self.ledger.balances():
            expected = (self.spent[found.account], self.delta[found.account])
            assert (found.spent, found.delta_spent) == expected
            assert (found.limit, found.delta_limit) == self.limits[found.account]
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


class PostgresLedgerMachine(LedgerMachine):
    """The same over PostgreSQL."""

    server: Server

    def new_place(self) -> str:
        return self.server.store()

    def teardown(self) -> None:
        self.database.close()


@pytest.fixture(autouse=True, scope="module")
def started(server: Server) -> None:
    PostgresLedgerMachine.server = server


def budget_of(examples: int) -> settings:
    checks = [HealthCheck.too_slow]
    return settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=checks
    )


LedgerMachine.TestCase.settings = budget_of(40)
TestLedgerLaws = LedgerMachine.TestCase
PostgresLedgerMachine.TestCase.settings = budget_of(12)
TestLedgerLawsOverPostgreSQL = PostgresLedgerMachine.TestCase
