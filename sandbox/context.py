"""What one grant's queries run with: documents, catalogue, snapshots, engine, store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.catalogue import Catalogue
from sandbox.engine.interface import Engine
from sandbox.engine.twin import Twin
from sandbox.policy.documents import Budget, DpGuard, ExactGuard, Grant
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog
from sandbox.store.freezes import Freezes
from sandbox.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Store:
    """The durable parts behind every grant."""

    ledger: Ledger
    answers: Answers
    audit: AuditLog
    freezes: Freezes


@dataclass(frozen=True, slots=True)
class Context:
    """One grant in force over one set of snapshots.

    ``guard`` is the grant's guard under the platform floor; ``budgets`` caps each dataset over all
    grants; ``snapshot`` names the snapshots in force (``dataset@id``, joined by a space) and keys
    kept answers; ``today`` and ``now`` are the clock, passed in so that tests can set it.
    """

    grant: Grant
    guard: DpGuard | ExactGuard
    catalogue: Catalogue
    datasets: tuple[str, ...]
    budgets: tuple[tuple[str, Budget], ...]
    snapshot: str
    engine: Engine
    twin: Twin
    store: Store
    now: Callable[[], dt.datetime]
    code_version: str = ""
