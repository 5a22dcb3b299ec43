"""The report of a scoring: a table a class, every miss with its reason, one JSON object as the last line."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.corpus.cases import ALLOW, DENY, Case
from tests.corpus.judge import Finding, Verdict


@dataclass(slots=True)
class Report:
    """Cases with their findings, and what was found outside any case (logs, twin worlds)."""

    scored: list[tuple[Case, Finding]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, case: Case, finding: Finding) -> None:
        """Note how a case ended."""
        self.scored.append((case, finding))

    def ids(self, verdict: Verdict) -> list[str]:
        """The cases that ended so."""
        return [case.id for case, finding in self.scored if finding.verdict is verdict]

    @property
    def over_blocked(self) -> list[str]:
        """Refused where an answer was possible: the legitimate ones, and safe refusals of attacks."""
        return [
            case.id
            for case, finding in self.scored
            if case.expected != DENY and finding.verdict is Verdict.REFUSED
        ]

    @property
    def missed(self) -> list[str]:
        """Legitimate cases without an answer."""
        return [c.id for c, f in self.scored if c.expected == ALLOW and f.verdict is not Verdict.ANSWERED]

    def figures(self) -> dict[str, object]:
        """The last line."""
        return {
            "cases": len(self.scored),
            "leaks": len(self.ids(Verdict.LEAK)),
            "soft": len(self.ids(Verdict.SOFT)),
            "refused": len(self.ids(Verdict.REFUSED)),
            "answered": len(self.ids(Verdict.ANSWERED)),
            "over_blocked": len(self.over_blocked),
            "errors": len(self.ids(Verdict.ERROR)),
            "leaked": self.ids(Verdict.LEAK),
        }

    def lines(self) -> Iterator[str]:
        """The report for people, ending with the figures."""
        yield from self._table()
        yield from self._misses()
        yield from (f"note: {note}" for note in self.notes)
        yield json.dumps(self.figures(), ensure_ascii=False)

    def _table(self) -> Iterator[str]:
        counted: dict[str, Counter[Verdict]] = defaultdict(Counter)
        for case, finding in self.scored:
            counted[case.kind][finding.verdict] += 1
        yield f"{'class':<24}" + "".join(f"{v.value:>10}" for v in Verdict)
        for kind in sorted(counted):
            yield f"{kind:<24}" + "".join(f"{counted[kind][v] or '':>10}" for v in Verdict)
        yield ""

    def _misses(self) -> Iterator[str]:
        for title, shown in (
            ("LEAK", lambda c, f: f.verdict is Verdict.LEAK),
            ("ERROR", lambda c, f: f.verdict is Verdict.ERROR),
            ("soft", lambda c, f: f.verdict is Verdict.SOFT),
            ("not answered", lambda c, f: f.verdict is Verdict.REFUSED and c.expected == ALLOW),
            ("refused, safe", lambda c, f: f.verdict is Verdict.REFUSED and c.expected not in (ALLOW, DENY)),
        ):
            found = [(case, finding) for case, finding in self.scored if shown(case, finding)]
            yield from _listed(title, found)


def _listed(title: str, found: Iterable[tuple[Case, Finding]]) -> Iterator[str]:
    for case, finding in found:
        yield f"{title}: {case.id} [{case.kind}] {finding.why}"
        yield f"    {_short(case.sql)}"


def _short(text: str) -> str:
    line = ascii(text)[1:-1]
    return line if len(line) <= 200 else f"{line[:200]}…"
