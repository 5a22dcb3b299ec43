"""Budgets counted as spent where nobody can know any more what was: a store from a backup forgot charges.

Invariants:
- afterwards nothing is left of any account, up to the higher of its limit in force and the documents' total
  (an approval may be among what was lost), so what was truly spent is never more than what is counted;
- it is a committed reservation like any other, which the ledger's own rules hold for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from sandbox.store.database import Database, insert_new, micros
from sandbox.store.ledger import Account, Charge, State, note
from sandbox.store.schema import ledger_accounts, reservations


def write_off(
    database: Database, request: str, totals: Iterable[Account], now: dt.datetime
) -> tuple[Charge, ...]:
    """Spend all that is left of every account; what was charged.

    ``totals``: what the documents allow, of accounts that may never have been charged here too.
    """
    allowed = {total.account: total for total in totals}
    with database.write() as connection:
        for total in allowed.values():
            _open(connection, total)
        rows = connection.execute(select(ledger_accounts).order_by(ledger_accounts.c.account)).all()
        charges = tuple(charge for row in rows if (charge := _rest(row, allowed)) is not None)
        if charges:
            values = {"request": request, "state": State.COMMITTED.value, "time": micros(now)}
            connection.execute(insert(reservations).values(**values))
            note(connection, request, charges)
        for charge in charges:
            _spend(connection, charge)
        return charges


def _open(connection: Connection, total: Account) -> None:
    limits = {"approved_limit": total.limit, "approved_delta_limit": total.delta_limit}
    facts = {"account": total.account, "measure": total.measure, "spent": 0, "delta_spent": 0}
    insert_new(connection, ledger_accounts, **facts, **limits)


def _rest(row: Row[Any], allowed: Mapping[str, Account]) -> Charge | None:
    """What is left of an account; ``None`` where nothing is."""
    total = allowed.get(row.account)
    same = total is not None and total.measure == row.measure
    limit = max(row.approved_limit, total.limit if same and total else 0)
    delta_limit = max(row.approved_delta_limit, total.delta_limit if same and total else 0)
    amount, delta = limit - row.spent, max(0, delta_limit - row.delta_spent)
    if amount <= 0:
        return None  # no charge is without an amount: nothing can be spent of it any more
    return Charge(row.account, row.measure, amount, delta, limit, delta_limit)


def _spend(connection: Connection, charge: Charge) -> None:
    table = ledger_accounts
    values = {"spent": table.c.spent + charge.amount, "delta_spent": table.c.delta_spent + charge.delta}
    connection.execute(update(table).where(table.c.account == charge.account).values(values))
