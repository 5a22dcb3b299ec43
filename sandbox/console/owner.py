"""An owner's page: its datasets, who may use what for which scenario, what was asked and released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sandbox.console.page import Page, get
from sandbox.console.visit import Visit
from sandbox.policy.documents import Dataset, Documents, Grant
from sandbox.policy.roles import Action


@dataclass(frozen=True, slots=True)
class Opened:
    """What a grant opens of a dataset: pairs of a table and its columns; no columns: all of them."""

    grant: Grant
    tables: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """A dataset and the grants over it."""

    dataset: Dataset
    opened: tuple[Opened, ...]


def holdings(documents: Documents, organisation: str) -> list[Holding]:
    """The datasets of an organisation."""
    mine = [d for d in documents.datasets if d.owner == organisation]
    return [Holding(d, tuple(_opened(d, documents))) for d in mine]


def _opened(dataset: Dataset, documents: Documents) -> list[Opened]:
    found = []
    for grant in documents.grants:
        prefix = dataset.id + "."
        tables = tuple((t.removeprefix(prefix), c or ()) for t, c in grant.data if t.startswith(prefix))
        if tables:
            found.append(Opened(grant, tables))
    return found


def mine(visit: Visit) -> Response:
    """The owner's datasets, with what was asked of each last."""
    gateway = visit.console.gateway
    found = holdings(gateway.documents(), visit.person.organisation)
    asked = {h.dataset.id: gateway.asked_of(visit.person, h.dataset.id).entries for h in found}
    return visit.page("holdings.html", holdings=found, asked=asked, today=visit.now.date())


PAGES: Final[tuple[Page, ...]] = (get("/holdings", Action.HOLDINGS, mine),)
