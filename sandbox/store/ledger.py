"""The budget ledger: reserve before data is touched, commit when noise is drawn, never refill.

Invariants:
- spent never passes the limit that came with the charge, however many clients race;
- all charges of a request are made, or none;
- spent lives under the account's name for ever: a limit comes with each charge, from the policy in force,
  and a lowered or raised limit changes nothing that was spent;
- the limit in force only ever sinks with the policy's; what the policy raises counts once it is approved;
- a reservation is executed at most once (``touch`` succeeds once) and is refunded only if it never was;
- a crash leaves its reservation spent, and ``orphans`` shows it.

    reserved -> touched -> committed
        └────-> released (refunded; the request may be reserved afresh)

Units: ``amount`` and ``limit`` are nano (1e-9 of zCDP rho, or of epsilon under a pure grant), ``delta`` and
``delta_limit`` atto (1e-18).  Amounts are integers up to 2^62; whoever converts rounds costs up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, text, update

from sandbox.store import spending
from sandbox.store.database import Database, insert_new, micros, moment
from sandbox.store.schema import counted_requests, ledger_accounts, reservation_charges, reservations, uses

MOST: Final = 2**62
"""The largest amount, delta or limit: two of them still add up within 64 bits."""

_HOUR: Final = 3_600_000_000
"""In microseconds."""

_EVER: Final = ""
"""The ``day`` under which a grant's total number of queries is counted."""


class State(StrEnum):
    """Where a reservation stands.  Only ``RELEASED`` is not spent."""

    RESERVED = "reserved"
    TOUCHED = "touched"
    COMMITTED = "committed"
    RELEASED = "released"


class StateError(ValueError):
    """A reservation was asked to make a step that its state does not allow."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one account is to pay, and the limits in force.  ``ValueError`` for amounts out of range."""

    account: str
    measure: str
    amount: int
    delta: int
    limit: int
    delta_limit: int

    def __post_init__(self) -> None:
        whole("amount", self.amount, least=1)
        for name in ("delta", "limit", "delta_limit"):
            whole(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a request has set aside; ``charges`` by account name, ``time`` of reservation (UTC)."""

    request: str
    charges: tuple[Charge, ...]
    state: State
    time: dt.datetime


@dataclass(frozen=True, slots=True)
class Short:
    """Nothing was charged; these charges do not fit.

    ``awaiting``: those of their accounts whose policy has room, in a raised limit that nobody approved yet.
    """

    charges: tuple[Charge, ...]
    awaiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """What an account has spent, and the limits in force: approved, and no higher than the policy's."""

    account: str
    measure: str
    spent: int
    limit: int
    delta_spent: int
    delta_limit: int

    def covers(self, limit: int, delta_limit: int) -> bool:
        """Whether these limits raise nothing."""
        return limit <= self.limit and delta_limit <= self.delta_limit


def whole(name: str, value: int, least: int = 0) -> int:
    """``value`` if it is an integer (no bool) from ``least`` to ``MOST``; else ``ValueError``."""
    if type(value) is not int or not least <= value <= MOST:
        raise ValueError(f"{name} must be a whole number from {least} to 2^62")
    return value


class Ledger:
    """Budgets of all accounts (``grant/unit-kind``, ``dataset/unit-kind``) and query counts of grants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, request: str, charges: tuple[Charge, ...], now: dt.datetime) -> Reservation | Short:
        """Charge every account at once, or none.

        Asking again with the same request id and charges returns the reservation made before and charges
        nothing; only one of its holders can ``touch`` it.  Raises ``ValueError`` for no charges, two for
        one account, another measure than the account's, or a request id used for other charges.
        """
        wanted = tuple(sorted(charges, key=lambda charge: charge.account))
        if not request or not wanted or len({charge.account for charge in wanted}) < len(wanted):
            raise ValueError("a reservation has a request id and one charge for each of its accounts")
        with self._database.write() as connection:
            for charge in wanted:  # sorted: gateways that lock rows take them in the same order
                spending.ensure(connection, charge)
            try:
                with self._database.write():
                    return _reserved(connection, request, wanted, now)
            except _NoRoom as no:
                waiting = (charge.account for charge in no.charges if spending.has_room(connection, charge))
                return Short(no.charges, tuple(waiting))

    def approve(self, account: str, limit: int, delta_limit: int) -> Account:
        """Put these limits in force: the decision on a raised total.  The caller logs it.

        Raises ``ValueError`` for an account that was never charged.
        """
        approved = {
            "approved_limit": whole("limit", limit),
            "approved_delta_limit": whole("delta", delta_limit),
        }
        here = update(ledger_accounts).where(ledger_accounts.c.account == account)
        with self._database.write() as connection:
            row = connection.execute(here.values(approved).returning(*ledger_accounts.c)).first()
        if row is None:
            raise ValueError("there is no such account")
        return _account(row)

    def touch(self, reservation: Reservation) -> Reservation:
        """Raw data is about to be read: the charge stands from here on.  ``StateError`` if not the first."""
        with self._database.write() as connection:
            return _move(connection, reservation, State.RESERVED, State.TOUCHED)

    def commit(self, reservation: Reservation) -> Reservation:
        """Noise was drawn.  Raises ``StateError`` unless touched and not yet committed."""
        with self._database.write() as connection:
            return _move(connection, reservation, State.TOUCHED, State.COMMITTED)

    def release(self, reservation: Reservation) -> Reservation:
        """Refund a reservation that never touched data; else ``StateError`` (a ``ValueError``)."""
        with self._database.write() as connection:
            released = _move(connection, reservation, State.RESERVED, State.RELEASED)
            for charge in _load(connection, reservation.request).charges:
                spending.refund(connection, charge)
            return released

    def reservation(self, request: str) -> Reservation | None:
        """The reservation of this request id, or ``None``."""
        with self._database.read() as connection:
            return next(iter(_assemble(connection, _joined().where(reservations.c.request == request))), None)

    def orphans(self, before: dt.datetime | None = None) -> tuple[Reservation, ...]:
        """Reservations neither committed nor released, oldest first: spent, and nobody works on them.

        With gateways running, pass ``before`` (the start of the oldest) to leave out queries in flight.
        """
        open_states = (State.RESERVED.value, State.TOUCHED.value)
        statement = _joined().where(reservations.c.state.in_(open_states))
        if before is not None:
            statement = statement.where(reservations.c.time < micros(before))
        with self._database.read() as connection:
            return _assemble(connection, statement)

    def balance(self, account: str) -> Account | None:
        """One account, or ``None`` if it was never charged."""
        return next((found for found in self._accounts(account)), None)

    def balances(self) -> tuple[Account, ...]:
        """Every account, by name."""
        return self._accounts(None)

    def course(self, account: str) -> tuple[tuple[dt.datetime, int], ...]:
        """What was charged to an account in each hour in which anything was, oldest first."""
        hour = reservations.c.time // _HOUR * _HOUR
        spent = reservation_charges.join(reservations)
        statement = (
            select(hour.label("hour"), func.sum(reservation_charges.c.amount).label("amount"))
            .select_from(spent)
            .where(reservation_charges.c.account == account, reservations.c.state != State.RELEASED.value)
            .group_by(hour)
            .order_by(hour)
        )
        with self._database.read() as connection:
            return tuple((moment(row.hour), int(row.amount)) for row in connection.execute(statement))

    def use(
        self, grant: str, day: dt.date, per_day: int | None, total: int | None, request: str = ""
    ) -> bool:
        """Count one query of a grant if both quotas (``None``: no limit) allow it; False if not.

        A ``request`` that was counted before is allowed, and counted no more.
        """
        limits = ((_EVER, total), (day.isoformat(), per_day))
        try:
            with self._database.write() as connection:
                if request and not insert_new(connection, counted_requests, request=request):
                    return True
                for key, limit in limits:
                    _count(connection, grant, key, limit)
        except _NoRoom:
            return False
        return True

    def used(self, grant: str, day: dt.date) -> tuple[int, int]:
        """Queries of a grant counted on ``day`` and ever."""
        statement = select(uses.c.day, uses.c.used).where(uses.c.grant_id == grant)
        with self._database.read() as connection:
            counts = {row.day: row.used for row in connection.execute(statement)}
        return counts.get(day.isoformat(), 0), counts.get(_EVER, 0)

    def _accounts(self, account: str | None) -> tuple[Account, ...]:
        statement = select(ledger_accounts).order_by(ledger_accounts.c.account)
        if account is not None:
            statement = statement.where(ledger_accounts.c.account == account)
        with self._database.read() as connection:
            return tuple(_account(row) for row in connection.execute(statement))


def _reserved(
    connection: Connection, request: str, wanted: tuple[Charge, ...], now: dt.datetime
) -> Reservation:
    """Charge all of ``wanted``, or raise ``_NoRoom`` with what does not fit."""
    if not _claim(connection, request, now):
        return _same(_load(connection, request), wanted)
    short = tuple(charge for charge in wanted if not spending.spend(connection, charge))
    if short:
        raise _NoRoom(short)
    note(connection, request, wanted)
    return Reservation(request, wanted, State.RESERVED, moment(micros(now)))


def _claim(connection: Connection, request: str, now: dt.datetime) -> bool:
    """Take the request id, new or released before; False if a reservation stands under it."""
    state, time = State.RESERVED.value, micros(now)
    if insert_new(connection, reservations, request=request, state=state, time=time):
        return True
    free = (reservations.c.request == request, reservations.c.state == State.RELEASED.value)
    renewal = update(reservations).where(*free).values(state=state, time=time)
    if connection.execute(renewal).rowcount == 0:
        return False
    connection.execute(delete(reservation_charges).where(reservation_charges.c.request == request))
    return True


def note(connection: Connection, request: str, charges: Iterable[Charge]) -> None:
    """Write what a reservation is for.  The accounts' own rows are ``spending``'s."""
    rows = [
        {
            "request": request,
            "account": charge.account,
            "amount": charge.amount,
            "delta": charge.delta,
            "under_limit": charge.limit,
            "under_delta_limit": charge.delta_limit,
        }
        for charge in charges
    ]
    connection.execute(insert(reservation_charges), rows)


_MOVE: Final = (
    update(reservations)
    .where(
        reservations.c.request == bindparam("name"),
        reservations.c.time == bindparam("made"),
        reservations.c.state == bindparam("source"),
    )
    .values(state=bindparam("target"))
)


def _move(connection: Connection, reservation: Reservation, source: State, target: State) -> Reservation:
    """Make one step.  The time is part of the rule: a handle from before a release moves nothing."""
    made = {"name": reservation.request, "made": micros(reservation.time)}
    step = {"source": source.value, "target": target.value}
    if connection.execute(_MOVE, {**made, **step}).rowcount == 0:
        raise StateError(f"only a {source.value} reservation can become {target.value}")
    return replace(reservation, state=target)


_COUNTED: Final = text(
    f'INSERT INTO "{uses.name}" AS u ("grant_id", "day", "used") VALUES (:grant, :day, 1) '
    "ON CONFLICT (grant_id, day) DO UPDATE SET used = u.used + 1 WHERE u.used < :most"
)
"""The first use or one more, if there is room.  Text, for the reason given at ``insert_new``."""


class _NoRoom(Exception):
    """A quota or these charges do not fit: what was written with them is undone."""

    def __init__(self, charges: tuple[Charge, ...] = ()) -> None:
        super().__init__()
        self.charges = charges


def _count(connection: Connection, grant: str, key: str, limit: int | None) -> None:
    most = MOST if limit is None else whole("quota", limit)
    counted = {"grant": grant, "day": key, "most": most}
    if most == 0 or connection.execute(_COUNTED, counted).rowcount == 0:
        raise _NoRoom


def _joined() -> Select[Any]:
    """Reservations with their charges, one row a charge, oldest reservation first."""
    charges = reservations.join(reservation_charges).join(ledger_accounts)
    columns = (reservations, reservation_charges, ledger_accounts.c.measure)
    order = (reservations.c.time, reservations.c.request, reservation_charges.c.account)
    return select(*columns).select_from(charges).order_by(*order)


def _assemble(connection: Connection, statement: Select[Any]) -> tuple[Reservation, ...]:
    rows = connection.execute(statement).all()
    return tuple(_reservation(list(group)) for _, group in groupby(rows, key=lambda row: row.request))


def _reservation(rows: list[Row[Any]]) -> Reservation:
    charges = tuple(
        Charge(row.account, row.measure, row.amount, row.delta, row.under_limit, row.under_delta_limit)
        for row in rows
    )
    return Reservation(rows[0].request, charges, State(rows[0].state), moment(rows[0].time))


def _load(connection: Connection, request: str) -> Reservation:
    return _assemble(connection, _joined().where(reservations.c.request == request))[0]


def _same(kept: Reservation, wanted: tuple[Charge, ...]) -> Reservation:
    """``kept`` if it was made for ``wanted``; the limits may have changed since."""
    if [_cost(charge) for charge in kept.charges] != [_cost(charge) for charge in wanted]:
        raise ValueError("this request id was used for other charges")
    return kept


def _cost(charge: Charge) -> tuple[str, str, int, int]:
    return charge.account, charge.measure, charge.amount, charge.delta


def _account(row: Row[Any]) -> Account:
    limits = (row.approved_limit, row.approved_delta_limit)
    return Account(row.account, row.measure, row.spent, limits[0], row.delta_spent, limits[1])
