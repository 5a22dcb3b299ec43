"""What the command line prints: to people in their languages, or one JSON object to programs.

Answers go to stdout, everything beside them to stderr.  Text that came from data or documents is never
read as markup and never reaches the terminal with control characters in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.doors import wire
from sandbox.doors.values import printable
from sandbox.errors import Lang, Reason
from sandbox.model import Words

PIPE_WIDTH: Final = 160
"""Columns when nobody says how wide the terminal is."""


class Language(StrEnum):
    """What ``--lang`` takes."""

    ZH = "zh"
    EN = "en"


def languages(chosen: Language | None) -> tuple[Lang, ...]:
    """The languages to speak: as chosen, else by ``LC_ALL``/``LANG``, else both, Chinese first."""
    if chosen is not None:
        return ("zh",) if chosen is Language.ZH else ("en",)
    named = (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").lower()
    if named.startswith("zh"):
        return ("zh",)
    return ("en",) if named.startswith("en") else ("zh", "en")


class Terminal:
    """One command's output."""

    def __init__(self, spoken: tuple[Lang, ...], *, as_json: bool = False) -> None:
        self.spoken = spoken
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def say(self, words: Words) -> str:
        """One sentence in the languages spoken, one line."""
        return " / ".join(words.text(lang) for lang in self.spoken)

    def line(self, text: str, style: str = "") -> None:
        """One line of an answer."""
        self.out.print(Text(printable(text), style=style), soft_wrap=True)

    def lines(self, sentences: Iterable[Words], style: str = "dim") -> None:
        """Sentences, each language on a line of its own."""
        for words in sentences:
            for lang in self.spoken:
                self.line(words.text(lang), style)

    def aside(self, words: Words) -> None:
        """A line beside the answer, on stderr; silent where a program reads."""
        if not self.as_json:
            self.err.print(Text(printable(self.say(words)), style="dim"), soft_wrap=True)

    def json(self, body: wire.Json) -> None:
        """The one JSON object of ``--json``."""
        self.raw(wire.text(body) + "\n")

    def raw(self, text: str) -> None:
        """Text for programs, as it is."""
        sys.stdout.write(text)

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset()
    ) -> None:
        """A table; the columns of ``right`` are numbers."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, head in enumerate(heads):
            table.add_column(
                Text(printable(head)),
                justify="right" if i in right else "left",
                overflow="fold",
                no_wrap=i in right,
            )
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self.out.print(table)

    def refused(self, reasons: tuple[Reason, ...], request: str = "", incident: str = "") -> int:
        """Print a refusal, every reason in both languages; the exit code it calls for."""
        if self.as_json:
            self.json(wire.problem(reasons, request, incident))
        else:
            for reason in reasons:
                self._reason(reason)
            for name, value in (("request", request), ("incident", incident)):
                if value:
                    self.err.print(Text(f"{name} {printable(value)}", style="dim"))
        return reasons[0].code.exit

    def _reason(self, reason: Reason) -> None:
        head = Text(f"✗ {reason.code.id} ", style="bold red")
        self.err.print(head + Text(printable(reason.what("zh")), style=""), soft_wrap=True)
        lines = [(reason.what("en"), "")]
        place = " · ".join(filter(None, (reason.column, reason.rule)))
        if place:
            lines.append((place, "规则 rule: "))
        lines += [(now, "→ ") for now in (reason.now("zh"), reason.now("en")) if now]
        for text, lead in lines:
            self.err.print(Text(" " * 9 + lead + printable(text)), soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console
