"""The query log: filters, pages, one entry whole, two queries side by side."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sandbox.console.locale import ZONE
from sandbox.console.page import Page, get
from sandbox.console.visit import Visit
from sandbox.doors import filters, wire
from sandbox.errors import Code, Refusal
from sandbox.model import LogEntry
from sandbox.policy.roles import Action
from sandbox.store.audit import Event

FILTERS: Final = (
    "person",
    "organisation",
    "grant",
    "dataset",
    "kind",
    "decision",
    "code",
    "text",
    "since",
    "until",
)
PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A line of two texts side by side: ``mark`` is "", "-" or "+"."""

    mark: str
    text: str


def log(visit: Visit) -> Response:
    """A page of the log, newest first."""
    given = {name: visit.asked(name) for name in FILTERS if visit.asked(name)}
    cursors = {name: visit.asked(name) for name in ("after", "before") if visit.asked(name)}
    wanted = filters.log_filter({**_days(given), **cursors, "limit": str(PAGE)})
    page = visit.console.gateway.log(visit.person, wanted)
    template = "parts/entries.html" if visit.partial else "log.html"
    return visit.page(template, page=page, given=given, kinds=[e.value for e in Event])


def entry(visit: Visit) -> Response:
    """One entry: what was asked, what was decided and why."""
    number = filters.number("seq", visit.request.path_params["seq"])
    found = visit.console.gateway.logbook.entry(visit.person, number)
    return visit.page("entry.html", entry=found, told=wire.told(found), proof=_proof(visit, found), wide=WIDE)


WIDE: Final = ("derivation", "evidence", "what", "do", "terms")
"""Facts of an entry that have a place of their own, or say nothing to people."""


def receipt(visit: Visit) -> Response:
    """The proof that an entry is in the log."""
    number = filters.number("seq", visit.request.path_params["seq"])
    text = wire.text(wire.receipt(visit.console.gateway.desk.receipt(visit.person, number)))
    name = f'attachment; filename="receipt-{number}.json"'
    return Response(text, media_type="application/json", headers={"content-disposition": name})


def compare(visit: Visit) -> Response:
    """Two queries side by side."""
    book = visit.console.gateway.logbook
    pair = [
        book.entry(visit.person, filters.number(name, visit.asked(name) or "?")) for name in ("old", "new")
    ]
    lines = tuple(difference(pair[0].text, pair[1].text))
    return visit.page("compare.html", old=pair[0], new=pair[1], lines=lines)


def difference(old: str, new: str) -> Iterator[Line]:
    """The lines of both texts in order: what is gone, what is new, what stays."""
    for told in difflib.ndiff(old.splitlines(), new.splitlines()):
        if not told.startswith("?"):
            yield Line(told[0].strip(), told[2:])


def _days(given: dict[str, str]) -> dict[str, str]:
    """Days are days of our zone, and the last one is meant whole."""
    found = dict(given)
    for name, later in (("since", 0), ("until", 1)):
        if name in found:
            try:
                day = dt.date.fromisoformat(found[name]) + dt.timedelta(days=later)
            except (ValueError, OverflowError):
                continue  # refused by the filter itself
            found[name] = dt.datetime(day.year, day.month, day.day, tzinfo=ZONE).isoformat()
    return found


def _proof(visit: Visit, found: LogEntry) -> Code | None:
    """Whether the log's own proof of this entry holds: ``None`` if so, else what is wrong with it."""
    try:
        visit.console.gateway.desk.receipt(visit.person, found.seq)
    except Refusal as refusal:
        return refusal.code
    return None


def recent(visit: Visit, kind: Event, limit: int) -> Iterable[LogEntry]:
    """The newest entries of one kind."""
    wanted = filters.log_filter({"kind": kind.value, "limit": str(limit)})
    return visit.console.gateway.log(visit.person, wanted).entries


PAGES: Final[tuple[Page, ...]] = (
    get("/log", Action.LOG, log),
    get("/log/compare", Action.LOG, compare),
    get("/log/{seq}", Action.LOG, entry),
    get("/log/{seq}/receipt.json", Action.LOG, receipt),
)
