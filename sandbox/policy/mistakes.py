"""A mistake in a document, and the place where readers note them.

Readers never stop at the first mistake: they note it and go on.  A mistake quotes the document's own
text, shortened; it never quotes an engine or library message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sandbox.errors import Code, Reason, Refusal
from sandbox.model import Words

LONGEST_QUOTE = 60
LONGEST_LIST = 12


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: file (as given), line (from 1), dotted key, what was read, what is expected."""

    file: str
    line: int
    key: str
    found: str
    expected: Words

    @property
    def reason(self) -> Reason:
        """The same as a reason of a refusal."""
        place = f"{self.file}:{self.line}"
        where = f"{place}: {self.key}" if self.key else place
        return Reason(
            Code.DOCUMENT,
            f"{where}: {self.found}",
            self.expected.en,
            self.expected.zh,
            column=self.key,
            rule=place,
        )


def refusal(mistakes: Iterable[Mistake]) -> Refusal:
    """All mistakes as one refusal; there must be at least one."""
    return Refusal(*(m.reason for m in mistakes))


@dataclass(frozen=True, slots=True)
class At:
    """A place in a document: file, line, key, and the list that notes its mistakes."""

    file: str
    line: int = 1
    key: str = ""
    mistakes: list[Mistake] = field(default_factory=list)

    def on(self, line: int) -> At:
        """The same key on another line."""
        return replace(self, line=line)

    def child(self, key: str, line: int) -> At:
        """A key below this one."""
        return replace(self, key=f"{self.key}.{key}" if self.key else key, line=line)

    def item(self, index: int, line: int) -> At:
        """A list item below this key, numbered from 1."""
        return replace(self, key=f"{self.key}[{index}]", line=line)

    def wrong(self, found: str, en: str, zh: str) -> None:
        """Note a mistake here."""
        self.mistakes.append(Mistake(self.file, self.line, self.key, quote(found), Words(zh, en)))


def quote(text: str) -> str:
    """A document's own text, fit for one line of a message."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= LONGEST_QUOTE else plain[: LONGEST_QUOTE - 1] + "…"


def nearest(name: str, names: Iterable[str]) -> Words:
    """What to write instead of an unknown name: "did you mean …", else the list of what there is."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return Words(f"您是否想写 {close[0]}", f"did you mean {close[0]}")
    listed = ", ".join(known[:LONGEST_LIST]) + (" …" if len(known) > LONGEST_LIST else "")
    return Words(
        f"可用：{listed}" if known else "此处没有可用的名称",
        f"one of: {listed}" if known else "nothing can stand here",
    )
