"""What people read of the log: pages, single entries, saved views.

Invariants: the bureau reads everything, others their organisation's entries; who reads what is an entry
itself, written before anything is handed out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import LogEntry, Person
from sandbox.policy.roles import Action, check, may
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.search import LogFilter, LogSearch, Page
from sandbox.store.views import SHARED, View, Views

CATCH_UP: Final = 2000
"""Entries that a reader takes into the indexes, where no monitor did so before."""


class Logbook:
    """See the module.  ``now`` is the clock."""

    def __init__(self, database: Database, audit: AuditLog, now: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._audit = audit
        self._search = LogSearch(database)
        self._views = Views(database)
        self._now = now

    def page(self, person: Person, filters: LogFilter) -> Page:
        """A page of the log.  Raises ``ValueError`` as ``LogSearch.entries``."""
        if not may(person, Action.ALL_ENTRIES):
            filters = replace(filters, organisation=person.organisation)
        page = self._search.entries(filters)
        asked = {name: str(value) for name, value in asdict(filters).items() if value is not None}
        with self._database.write():
            self._search.follow(CATCH_UP)
            self.note(person, {"filters": asked, "entries": len(page.entries)})
        return page

    def of_dataset(self, person: Person, dataset: str, limit: int) -> Page:
        """What was asked of a dataset last, refusals too.  The caller has seen that this person may know."""
        found: list[LogEntry] = []
        for kind in (Event.OUTCOME, Event.REFUSAL):
            found += self._search.entries(LogFilter(dataset=dataset, kind=kind, limit=limit)).entries
        newest = sorted(found, key=lambda entry: -entry.seq)[:limit]
        self.note(person, {"filters": {"dataset": dataset}, "entries": len(newest)})
        return Page(tuple(newest), None)

    def entry(self, person: Person, seq: int) -> LogEntry:
        """One entry whole.  Refuses ``NOT_FOUND`` what there is not, and what this person may not read."""
        entry = self._audit.entry(seq)
        mine = entry is not None and entry.organisation == person.organisation
        if entry is None or not (mine or may(person, Action.ALL_ENTRIES)):
            raise refuse(Code.NOT_FOUND, f"entry {seq}")
        self.note(person, {"entry": seq})
        return entry

    def views(self, person: Person) -> tuple[View, ...]:
        """The person's views, then the shared ones."""
        return self._views.seen_by(person.name)

    def view(self, person: Person, name: str) -> View:
        """The person's view of this name, else the shared one.  Refuses ``NOT_FOUND``."""
        return self._views.find(person.name, name)

    def save(self, person: Person, name: str, filters: Mapping[str, str], *, shared: bool) -> View:
        """Keep a view; sharing it is the bureau's (``ROLE``).  Refuses as ``Views.save``."""
        view = View(self._owner(person, shared=shared), name, dict(filters))
        self._views.save(view, self._now())
        return view

    def drop(self, person: Person, name: str, *, shared: bool) -> None:
        """Forget a view, a shared one by the bureau alone (``ROLE``).  Refuses ``NOT_FOUND``."""
        self._views.drop(self._owner(person, shared=shared), name)

    def _owner(self, person: Person, *, shared: bool) -> str:
        if shared:
            check(person, Action.SHARE_VIEWS)
        return SHARED if shared else person.name

    def note(self, person: Person, payload: Mapping[str, object]) -> None:
        """Who reads what is on record."""
        self._audit.append(
            Event.READ,
            time=self._now(),
            person=person.name,
            organisation=person.organisation,
            decision="done",
            payload=payload,
        )
