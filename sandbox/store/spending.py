"""The accounts' rows: opened, charged, refunded.  Used by ``ledger`` alone, within its transactions.

Invariant: ``spent`` grows by one conditional update, against the limit in force, and by nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, bindparam, case, select, update

from sandbox.store.database import insert_new
from sandbox.store.schema import ledger_accounts

if TYPE_CHECKING:
    from sandbox.store.ledger import Charge

_LIMIT, _DELTA_LIMIT = ledger_accounts.c.approved_limit, ledger_accounts.c.approved_delta_limit
_SINK: Final = (
    update(ledger_accounts)
    .where(ledger_accounts.c.account == bindparam("name"), ledger_accounts.c.measure == bindparam("counted"))
    .values(
        approved_limit=case((bindparam("most") < _LIMIT, bindparam("most")), else_=_LIMIT),
        approved_delta_limit=case(
            (bindparam("delta_most") < _DELTA_LIMIT, bindparam("delta_most")), else_=_DELTA_LIMIT
        ),
    )
)
_SPEND: Final = (
    update(ledger_accounts)
    .where(
        ledger_accounts.c.account == bindparam("name"),
        ledger_accounts.c.spent <= _LIMIT - bindparam("paid"),
        ledger_accounts.c.delta_spent <= _DELTA_LIMIT - bindparam("delta_paid"),
    )
    .values(
        spent=ledger_accounts.c.spent + bindparam("paid"),
        delta_spent=ledger_accounts.c.delta_spent + bindparam("delta_paid"),
    )
)
"""Built once: building one costs as much as running it.  Room is what a limit leaves: no sum can overflow."""


def ensure(connection: Connection, charge: Charge) -> None:
    """Make the account's row on first use, else apply what sank of the policy's limits."""
    fresh = {"account": charge.account, "measure": charge.measure, "spent": 0, "delta_spent": 0}
    told = {"approved_limit": charge.limit, "approved_delta_limit": charge.delta_limit}
    if insert_new(connection, ledger_accounts, **fresh, **told):
        return
    sunk = {"most": charge.limit, "delta_most": charge.delta_limit}
    here = {"name": charge.account, "counted": charge.measure}
    if connection.execute(_SINK, {**here, **sunk}).rowcount == 0:
        raise ValueError("an account keeps the measure it was opened with")


def spend(connection: Connection, charge: Charge) -> bool:
    """The one conditional update."""
    paid = {"name": charge.account, "paid": charge.amount, "delta_paid": charge.delta}
    return connection.execute(_SPEND, paid).rowcount == 1


def has_room(connection: Connection, charge: Charge) -> bool:
    """Whether the policy's own limits, approved or not, would cover the charge."""
    here = select(ledger_accounts).where(ledger_accounts.c.account == charge.account)
    row = connection.execute(here).one()
    return bool(
        row.spent + charge.amount <= charge.limit and row.delta_spent + charge.delta <= charge.delta_limit
    )


def refund(connection: Connection, charge: Charge) -> None:
    """Take a charge back."""
    table = ledger_accounts
    values = {"spent": table.c.spent - charge.amount, "delta_spent": table.c.delta_spent - charge.delta}
    connection.execute(update(table).where(table.c.account == charge.account).values(values))
