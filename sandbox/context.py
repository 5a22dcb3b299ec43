"""What one grant's queries run with: documents, catalogue, snapshots, engine, store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.catalogue import Catalogue
from sandbox.engine.interface import Engine
from sandbox.engine.twin import Twin
from sandbox.policy.documents import Budget, DpGuard, ExactGuard, Grant
from sandbox.recent import Recent
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog
from sandbox.store.database import Database
from sandbox.store.freezes import Freezes
from sandbox.store.ledger import Ledger
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.search import LogSearch

MOST_REMEMBERED: Final = 65_536
"""Characters of query texts whose readings and plans are kept for a grant; in memory some 150 times that."""


def _plans() -> Recent[tuple[object, ...], object]:
    return Recent(MOST_REMEMBERED)


@dataclass(frozen=True, slots=True)
class Store:
    """The durable parts behind every grant, and the database in which they write together."""

    database: Database
    ledger: Ledger
    answers: Answers
    audit: AuditLog
    search: LogSearch
    proofs: TransparencyLog
    freezes: Freezes


@dataclass(frozen=True, slots=True)
class Context:
    """One grant in force over one set of snapshots.

    ``guard`` is the grant's guard under the platform floor; ``budgets`` caps each dataset over all
    grants; ``snapshot`` names the snapshots in force (``dataset@id``, joined by a space) and keys
    kept answers; ``now`` is the clock, passed in so that tests can set it; ``clock_ms`` the release clock,
    on whose ticks answers are recorded and leave (0: at once).  ``plans`` remembers what was read
    and planned under this grant, and under no other (``stages.prepare``).
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
    clock_ms: int = 0
    code_version: str = ""
    plans: Recent[tuple[object, ...], object] = field(default_factory=_plans, compare=False, repr=False)
