"""Supervision reports: an operator's month, from the log alone; the bureau's of all, each operator's own."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.casework.month import ZONE
from sandbox.casework.supervision import Report
from sandbox.console.page import Page, get
from sandbox.console.visit import Visit
from sandbox.doors.report_pdf import as_pdf
from sandbox.doors.report_words import sections, title
from sandbox.policy.roles import Action, may


def report(visit: Visit) -> Response:
    """The form, and the report that it asks for; this month's until one is chosen."""
    operators = _operators(visit)
    operator = visit.asked("operator") or (operators[0] if operators else "")
    month = visit.asked("month") or f"{visit.now.astimezone(ZONE):%Y-%m}"
    found = _found(visit, operator, month) if operator else None
    lang = visit.locale.lang
    return visit.page(
        "supervision.html",
        operators=operators,
        operator=operator,
        month=month,
        title=None if found is None else title(found),
        sections=() if found is None else sections(found, lang),
    )


def paper(visit: Visit) -> Response:
    """The same as PDF."""
    found = _found(visit, visit.asked("operator"), visit.asked("month"))
    name = f'attachment; filename="supervision-{found.month}.pdf"'
    headers = {"content-disposition": name}
    return Response(as_pdf(found, visit.locale.lang), media_type="application/pdf", headers=headers)


def _found(visit: Visit, operator: str, month: str) -> Report:
    return visit.console.gateway.supervision(visit.person, operator, month)


def _operators(visit: Visit) -> list[str]:
    """Whose report this person may read."""
    if not may(visit.person, Action.ALL_ENTRIES):
        return [visit.person.organisation]
    return sorted({grant.to for grant in visit.console.gateway.documents().grants})


PAGES: Final[tuple[Page, ...]] = (
    get("/supervision", Action.SUPERVISION, report),
    get("/supervision.pdf", Action.SUPERVISION, paper),
)
