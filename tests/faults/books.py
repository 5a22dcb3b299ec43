"""What must hold after every crash and fault: of the ledger, the log, and every answer in somebody's hands."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import select, text

from sandbox.doors import wire
from sandbox.errors import Refusal
from sandbox.home import Home
from sandbox.store.audit import AuditLog
from sandbox.store.database import Database
from sandbox.store.ledger import Ledger, State
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.schema import audit, reservations
from tests.faults.house import Received
from tests.support.logs import Verifier

Told = str | Mapping[str, object]
_HELD: Final = text(
    "SELECT a.account, a.spent, a.delta_spent, a.approved_limit, a.approved_delta_limit, "
    "COALESCE(SUM(c.amount), 0) AS amounts, COALESCE(SUM(c.delta), 0) AS deltas FROM ledger_accounts a "
    "LEFT JOIN (SELECT c.* FROM reservation_charges c JOIN reservations r ON r.request = c.request "
    "WHERE r.state <> 'released') c ON c.account = a.account GROUP BY a.account"
)
"""One statement, so one moment, whoever writes meanwhile."""


@dataclass(slots=True)
class Faults:
    """What was found wrong, in words: spending that is lost or shown wrong, limits passed, answers that the
    log does not have, proofs that do not verify."""

    lost: list[str] = field(default_factory=list)
    overspent: list[str] = field(default_factory=list)
    unlogged: list[str] = field(default_factory=list)
    unverifiable: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(getattr(self, name)) for name in ("lost", "overspent", "unlogged", "unverifiable")}


class Books:
    """An auditor with a connection to the store, a copy of the standalone verifier, and a memory."""

    def __init__(self, home: Home, names: Iterable[str], folder: Path) -> None:
        self.found = Faults()
        self._home = home
        self._names = list(names)
        self.database = Database(home.store)
        self._audit = AuditLog(self.database)
        log = TransparencyLog(self.database, self._audit, home.log)
        self._log = log
        self._verifier = Verifier(folder, log.keys.signer().public.text)
        self._held = 0
        self._reserved: set[str] = set()
        self._paid: Counter[str] = Counter()
        self._accept("the first head", log.checkpoint())
        self._held = log.signed_here(log.checkpoint()).size

    def close(self) -> None:
        """End the connection."""
        self.database.close()

    def check(self, received: Iterable[Received]) -> None:
        """What clients got since the last time, the growth of the log, and the ledger."""
        answers = list(received)
        for answer in answers:
            self._logged(answer)
        self._proved(answers)
        for answer in answers:
            self._paid[answer.question.grant] += answer.cost
        self._ledger()

    def whole(self) -> None:
        """Every entry, commitment, tile and head, held against the head that the verifier has."""
        try:
            self._log.verify()
        except Refusal as refusal:
            self.found.unverifiable.append("; ".join(r.what("en") for r in refusal.reasons))

    def shown(self, balances: list[dict[str, object]]) -> None:
        """With nobody at work: what the bureau is shown as unfinished is what crashes cut off."""
        ledger = Ledger(self.database)
        cut: Counter[str] = Counter()
        for orphan in ledger.orphans():
            cut.update({charge.account: charge.amount for charge in orphan.charges})
        for balance in balances:
            if balance["unfinished"] != cut[str(balance["account"])]:
                self.found.lost.append(f"unfinished, not shown: {balance['account']}")

    def cut_off(self, request: str) -> None:
        """A request that was told it is unfinished stands in the ledger as spent."""
        standing = Ledger(self.database).reservation(request)
        if standing is None or standing.state is not State.TOUCHED:
            self.found.lost.append(f"cut off, without a charge: {request}")

    def same(self, before: Received, after: httpx.Response) -> None:
        """A retry has the same answer, free."""
        body = after.json()
        if after.status_code != 200 or any(body[k] != before.body[k] for k in ("rows", "margins", "request")):
            self.found.lost.append(f"another answer to one key: {before.question.key}")
        elif body["price"] is not None and not body["price"]["free"]:
            self.found.lost.append(f"charged twice: {before.question.key}")

    def requests(self, kind: str) -> set[str]:
        """The requests that have an entry of this kind."""
        with self.database.read() as connection:
            found = connection.execute(select(audit.c.request).where(audit.c.kind == kind))
            return {row.request for row in found}

    def starts(self) -> list[dict[str, object]]:
        """What start-ups said, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(audit.c.seq).where(audit.c.kind == "start").order_by(audit.c.seq)
            ).all()
        entries = [self._audit.entry(row.seq) for row in rows]
        return [json.loads(e.payload) for e in entries if e is not None]

    def _logged(self, answer: Received) -> None:
        request = str(answer.body["request"])
        with self.database.read() as connection:
            kinds = connection.execute(select(audit.c.kind).where(audit.c.request == request)).all()
        missing = {"intent", "outcome"} - {row.kind for row in kinds}
        self.found.unlogged += [f"{request}: no {kind}" for kind in sorted(missing)]
        name = f"{self._names[answer.client]}/{request}"
        if answer.cost:
            standing = Ledger(self.database).reservation(name)
            if standing is None or standing.state is not State.COMMITTED:
                self.found.lost.append(f"an answer without its charge: {name}")

    def _proved(self, answers: list[Received]) -> None:
        """The log only grew; each receipt verifies, and its entry stands in the log of the head now held."""
        grown = self._log.consistency(self._held)
        self._accept("the log's growth", grown)
        self._held = self._log.signed_here(str(grown["checkpoint"])).size
        texts: list[Mapping[str, object]] = []
        for answer in answers:
            proof = answer.body["proof"]
            try:
                now = wire.receipt(self._log.receipt(proof["index"]))
            except Refusal as refusal:
                self.found.unverifiable.append(f"entry {proof['index']}: {refusal.reasons[0].what('en')}")
                continue
            if now["entry"] != proof["entry"]:
                self.found.unverifiable.append(f"entry {proof['index']} is another than was proved")
            texts += [proof, now]
        if texts and not self._accepts(*texts):
            self.found.unverifiable += [
                f"receipt {told['index']}" for told in texts if not self._accepts(told)
            ]

    def _ledger(self) -> None:
        with self.database.read() as connection:
            accounts = connection.execute(_HELD).all()
            there = {row.request for row in connection.execute(select(reservations.c.request))}
        self.found.lost += [f"a reservation is gone: {name}" for name in sorted(self._reserved - there)]
        self._reserved = there
        for row in accounts:
            if (row.spent, row.delta_spent) != (row.amounts, row.deltas):
                self.found.lost.append(f"{row.account}: {row.spent} spent, {row.amounts} reserved")
            if row.spent > row.approved_limit or row.delta_spent > row.approved_delta_limit:
                self.found.overspent.append(f"{row.account}: {row.spent} of {row.approved_limit}")
            paid = self._paid[str(row.account).partition("/")[0]]
            if row.spent < paid:
                self.found.lost.append(f"{row.account}: {row.spent} spent, answers for {paid} received")

    def _accept(self, what: str, told: Told) -> None:
        if not self._accepts(told):
            self.found.unverifiable.append(what)

    def _accepts(self, *told: Told) -> bool:
        with contextlib.redirect_stdout(io.StringIO()):
            return self._verifier.accepts(*told)
