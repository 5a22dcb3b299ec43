"""What may go wrong.

    Error
    ├── Refusal    the gateway says no: code, what, why, what now; a clean cell in a notebook
    └── Lost       the gateway was not reached, or did not speak as it should

Both are DB-API errors too (``Error`` is that module's base).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox_client import display
from sandbox_client.words import Lang, Words, words


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a stable code, what is the matter, what to do; which column and policy rule say so."""

    code: str
    what: Words
    now: Words
    column: str
    rule: str


class Error(Exception):
    """Anything that the client raises of its own, in words for people."""

    def __init__(self, lang: Lang, reasons: tuple[Reason, ...]) -> None:
        self.lang: Lang = lang
        self.reasons = reasons
        super().__init__("\n".join(self._render_traceback_()))

    def lines(self) -> list[tuple[str, str, str]]:
        """Code, what and what now, of each reason, in the language set."""
        return [(r.code, r.what.say(self.lang), r.now.say(self.lang)) for r in self.reasons]

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return [line for code, what, now in self.lines() for line in (f"{code} {what}".strip(), f"  → {now}")]

    def _repr_html_(self) -> str:
        return display.refused(self.lines(), self.lang)


class Refusal(Error):
    """The gateway says no.  ``request``: its id there, if any; ``wait``: seconds until asking again helps."""

    def __init__(
        self, lang: Lang, reasons: tuple[Reason, ...], status: int, request: str, wait: int | None
    ) -> None:
        super().__init__(lang, reasons)
        self.status = status
        self.request = request
        self.wait = wait

    @property
    def code(self) -> str:
        """The first reason's code, such as ``DS-202``."""
        return self.reasons[0].code


class Lost(Error):
    """The gateway was not reached, however often it was tried, or something else answered in its place."""


def refusal(told: Mapping[str, Any], status: int, lang: Lang, wait: int | None = None) -> Refusal:
    """A refusal from problem details as the gateway sends them (RFC 9457).  Raises ``KeyError``."""
    reasons = tuple(
        Reason(r["code"], words(r["what"]), words(r["now"]), r["column"], r["rule"]) for r in told["reasons"]
    )
    return Refusal(lang, reasons, status, told.get("request", ""), wait)


def lost(what: Words, now: Words, lang: Lang) -> Lost:
    """A failure on the way, in both languages."""
    return Lost(lang, (Reason("", what, now, "", ""),))
