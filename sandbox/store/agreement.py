"""The ledger held against the log: what ``sandbox audit verify`` says of the money.

Rules, each a function that yields what breaks it:
- an account's ``spent`` is the sum of its charges that were not released, of delta too;
- every reservation that was not released has its intent in the log, whose end may be missing after a crash,
  or is what a recovery wrote off;
- every answer that was paid for, by the log, has its committed reservation, of that cost to its grant;
- the limit in force is none that neither documents nor a logged approval gave.

Each rule about spending is one statement, so one moment; accounts are read before approvals.  So a gateway
at work is never found wrong.  A limit sinks with the documents': it may be below what was approved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, exists, select, text

from sandbox.store.schema import audit, audit_personal

_SUMS: Final = text(
    "SELECT a.account, a.spent, a.delta_spent, COALESCE(SUM(c.amount), 0) AS amounts, "
    "COALESCE(SUM(c.delta), 0) AS deltas FROM ledger_accounts a LEFT JOIN (SELECT c.* FROM "
    "reservation_charges c JOIN reservations r ON r.request = c.request WHERE r.state <> 'released') c "
    "ON c.account = a.account GROUP BY a.account, a.spent, a.delta_spent ORDER BY a.account"
)
_UNASKED: Final = text(
    "SELECT request FROM reservations WHERE state <> 'released' EXCEPT SELECT p.person || '/' || a.request "
    "FROM audit a JOIN audit_personal p ON p.seq = a.seq WHERE a.kind IN ('intent', 'recover') "
    "ORDER BY request"
)
_UNPAID: Final = text(
    "SELECT a.seq FROM audit a JOIN audit_personal p ON p.seq = a.seq "
    "WHERE a.kind = 'outcome' AND a.nano > 0 AND NOT EXISTS "
    "(SELECT 1 FROM reservations r WHERE r.request = p.person || '/' || a.request "
    "AND r.state = 'committed' AND a.nano = (SELECT MAX(c.amount) FROM reservation_charges c "
    "WHERE c.request = r.request AND substr(c.account, 1, length(a.grant_id) + 1) = a.grant_id || '/')) "
    "ORDER BY a.seq"
)
_LIMITS: Final = text(
    "SELECT a.account, a.approved_limit, a.approved_delta_limit, MIN(c.under_limit) AS least, "
    "MIN(c.under_delta_limit) AS delta_least FROM ledger_accounts a JOIN reservation_charges c "
    "ON c.account = a.account GROUP BY a.account, a.approved_limit, a.approved_delta_limit ORDER BY a.account"
)
"""``least``: to which, or lower, the limit in force has sunk without an approval."""

_APPROVALS: Final = (
    select(audit.c.seq, audit_personal.c.payload)
    .select_from(audit.outerjoin(audit_personal, audit_personal.c.seq == audit.c.seq))
    .where(audit.c.kind == "approval")
    .order_by(audit.c.seq)
)


def disagreements(connection: Connection) -> Iterator[str]:
    """What of the ledger is not what the log says, each in words that name an account or an entry."""
    yield from _sums(connection)
    yield from _unasked(connection)
    yield from _unpaid(connection)
    yield from _limits(connection)


def _sums(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_SUMS):
        if (row.spent, row.delta_spent) != (row.amounts, row.deltas):
            yield f"{row.account}: {row.spent} spent, {row.amounts} reserved"


def _unasked(connection: Connection) -> Iterator[str]:
    """Reservations without an intent; where who asked was lawfully deleted, the request alone must match."""
    for (name,) in connection.execute(_UNASKED).all():
        ids = [name[at + 1 :] for at, letter in enumerate(name) if letter == "/"]
        kept = exists().where(audit_personal.c.seq == audit.c.seq).correlate(audit)
        asked = select(audit.c.seq).where(audit.c.kind == "intent", audit.c.request.in_(ids), ~kept).limit(1)
        if connection.execute(asked).first() is None:
            yield f"a reservation without its intent: {ids[-1] if ids else ''}"


def _unpaid(connection: Connection) -> Iterator[str]:
    """Paid answers without their charge.  Of entries whose personal part was deleted nothing is known."""
    for row in connection.execute(_UNPAID):
        yield f"an answer without its charge: entry {row.seq}"


def _limits(connection: Connection) -> Iterator[str]:
    held = connection.execute(_LIMITS).all()
    given = _given(connection)
    for row in held:
        told = given.get(row.account)
        if told is None:
            wrong = row.approved_limit > row.least or row.approved_delta_limit > row.delta_least
        else:
            wrong = row.approved_limit > told[0] or row.approved_delta_limit > told[1]
        if wrong:
            yield f"{row.account}: a limit that nobody approved"


def _given(connection: Connection) -> dict[str, tuple[int, int]]:
    """The limits, delta's too, that the last approval of each account put in force."""
    found: dict[str, tuple[int, int]] = {}
    for row in connection.execute(_APPROVALS):
        found |= _approved(row.payload)
    return found


def _approved(payload: str | None) -> dict[str, tuple[int, int]]:
    """What one entry approved; nothing where its payload tells of no account."""
    told = json.loads(payload) if payload else {}
    if not {"account", "to", "delta_to"} <= told.keys():
        return {}
    return {told["account"]: (int(told["to"]), int(told["delta_to"]))}
