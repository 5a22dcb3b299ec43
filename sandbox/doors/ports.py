"""What the doors need of the gateway behind them.

The doors hold no rules: whatever is allowed, priced, charged or logged is decided behind this interface.
Refusals of ``query`` and ``explain`` are values; the other verbs raise ``Refusal``.
"""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from sandbox.casework.desk import CaseDesk
from sandbox.casework.people import People
from sandbox.casework.products import Products
from sandbox.casework.supervision import Report
from sandbox.catalogue import Catalogue
from sandbox.home import Home
from sandbox.model import Answer, Balance, Explained, Person, Refused, Request
from sandbox.notebooks.rooms import Standing
from sandbox.policy.documents import Documents, Grant
from sandbox.store.freezes import Drill, Freeze, Scope
from sandbox.store.log.desk import Desk
from sandbox.store.logbook import Logbook
from sandbox.store.search import LogFilter, Page


class GrantView(Protocol):
    """One grant as its holder may see it.  ``snapshots``: pairs of dataset and snapshot id in force."""

    @property
    def grant(self) -> Grant:
        """The document."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """What it opens."""
        ...

    @property
    def snapshots(self) -> tuple[tuple[str, str], ...]:
        """Dataset and snapshot in force."""
        ...


class Gateway(Protocol):
    """The journey of a query, and what else a person may ask."""

    def confinement(self) -> tuple[str, ...]:
        """The layers in force around every worker; refuses where they are fewer than is set."""
        ...

    @property
    def desk(self) -> Desk:
        """The audit log's proofs, and what is entered about who came."""
        ...

    def query(self, request: Request) -> Answer | Refused:
        """Answer, charge and log, or refuse with every reason."""
        ...

    def explain(self, request: Request) -> Explained | Refused:
        """Say what ``query`` would cost and how good it would be; spend nothing."""
        ...

    def catalog(self, person: Person) -> tuple[GrantView, ...]:
        """The grants of this person's organisation; every grant for the bureau."""
        ...

    def budget(self, person: Person) -> tuple[Balance, ...]:
        """The accounts that this person may see."""
        ...

    def approve(self, person: Person, account: str) -> Balance:
        """Put the raised total of an account in force, logged.  The bureau's alone."""
        ...

    @property
    def logbook(self) -> Logbook:
        """Single entries of the log, and saved views."""
        ...

    def monitor(self, person: Person) -> tuple[int, ...]:
        """Judge what is new in the log; the alerts' entries.  The bureau's alone."""
        ...

    def follow(self) -> None:
        """Judge what is new in the log and take it into the indexes: the service's own round."""
        ...

    def log(self, person: Person, filter: LogFilter) -> Page:
        """Entries of the audit log: all for the bureau, their organisation's for others."""
        ...

    def documents(self) -> Documents:
        """The policy documents in force; refuses ``DOCUMENT`` if any is not valid."""
        ...

    def course(self, person: Person, account: str) -> tuple[tuple[dt.datetime, int], ...]:
        """What was charged to an account that this person may see, and when, oldest first."""
        ...

    def asked_of(self, person: Person, dataset: str, limit: int = 20) -> Page:
        """What was asked of a dataset last, and what left: for its owner and the bureau."""
        ...

    @property
    def casework(self) -> CaseDesk:
        """Cases: documents on their way into force, and incidents."""
        ...

    @property
    def people(self) -> People:
        """Who has an account, and how they come in."""
        ...

    @property
    def products(self) -> Products:
        """Products, their deliveries and statements."""
        ...

    def register(self) -> tuple[dict[str, str], ...]:
        """The public register of grants and products, from the log alone."""
        ...

    def freezes(self, person: Person) -> tuple[Freeze, ...]:
        """Every freeze ever made, oldest first.  The bureau's alone."""
        ...

    def freeze(self, person: Person, scope: Scope, target: str, reason: str) -> Freeze:
        """Stop queries at once.  The bureau's alone."""
        ...

    def drill(self, person: Person, scope: Scope, target: str, reason: str) -> Drill:
        """Say what a freeze would stop, on record, and stop nothing.  The bureau's alone."""
        ...

    def supervision(self, person: Person, operator: str, month: str) -> Report:
        """An operator's month, from the log alone."""
        ...

    def lift(self, person: Person, id: int) -> Freeze:
        """Approve the lifting of a freeze or, as a second person, complete it.  The bureau's alone."""
        ...

    def cancel(self, person: Person) -> int:
        """Stop every query of this person's that runs or waits; how many there were."""
        ...

    def ready(self) -> None:
        """Refuses where no query could be answered: confinement, store or log missing, or being shut down."""
        ...

    def load(self) -> tuple[int, int]:
        """How many queries run, and how many wait."""
        ...

    def watch(self) -> None:
        """Stop every query that a freeze in force forbids, whoever froze, by whichever process."""
        ...

    def drain(self) -> None:
        """Admit no more queries: those that wait are told to come back, those that run may end."""
        ...

    def close(self, grace_s: float = 0.0) -> None:
        """Let running queries end within ``grace_s`` seconds, end the workers, and close the store."""
        ...


def open_gateway(home: Home) -> Gateway:
    """The gateway over a home.  Imported when needed: engine and noise libraries take a second to load."""
    from sandbox.gateway import open_gateway as opened

    return opened(home)


class Lodging(Protocol):
    """The notebooks, as the console needs them."""

    def standing(self, person: Person) -> Standing:
        """What this person's server uses."""
        ...

    def ticket(self, session: str, host: str, lang: str) -> str:
        """An address that opens this session's notebooks, once; ``host``: by which the console is called."""
        ...

    def stop(self, person: Person) -> bool:
        """End this person's server; whether there was one."""
        ...
