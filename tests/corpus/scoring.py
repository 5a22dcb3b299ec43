"""Scores cases against the real gateway over HTTP, in two worlds: with the planted values, and without.

Attacks go out under every grant; legitimate questions in exact mode where a grid serves them, else under DP.
Denied cases are asked in both worlds, and every refusal must have the same face in each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

import httpx

from tests.corpus import leaks, load_schema
from tests.corpus.asker import Cell
from tests.corpus.cases import ALLOW, DATA, DENY, Canaries, Case, Step, canaries
from tests.corpus.house import DP, EXACT, build
from tests.corpus.judge import Asked, Finding, Verdict, judge, worst
from tests.corpus.play import GRANTS, Player
from tests.corpus.report import Report
from tests.corpus.truth import Truth, same

_SLOWER_S: Final = 3.0
"""A refusal that takes so much longer in one world than in the other tells the worlds apart."""

_CELLS: Final = (("people", EXACT[0], ("county",)), ("enterprises", EXACT[1], ("sector", "county")))


@dataclass(slots=True)
class Scene:
    """Both worlds, what is planted in the first, and the truth about it.  Use it as a context."""

    folder: TemporaryDirectory[str]
    planted: Canaries
    player: Player
    without: Player
    truth: Truth
    published: Truth

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.player.close()
        self.without.close()
        self.truth.close()
        self.published.close()
        self.folder.cleanup()


def scene(beside: Path) -> Scene:
    """The houses for a file of cases: its own schema and profile if they lie beside it."""
    schema, profile = (_found(beside, name) for name in ("schema.sql", "policy.json"))
    planted = canaries(profile)
    values: list[str | float] = [*planted.strings, *planted.numbers]
    folder = TemporaryDirectory(prefix="corpus-")
    here = Path(folder.name)
    player = Player(build(here / "with", schema), here, forms=True)
    (here / "twin").mkdir()
    without = Player(build(here / "without", schema, values), here / "twin")
    published = Truth(load_schema.database(schema))
    published.withhold((table, keys, _surviving(player, table, grant, keys)) for table, grant, keys in _CELLS)
    return Scene(folder, planted, player, without, Truth(load_schema.database(schema)), published)


def _found(beside: Path, name: str) -> Path:
    own = beside / name
    return own if own.exists() else DATA / name


def _surviving(player: Player, table: str, grant: str, keys: Sequence[str]) -> list[list[Cell]]:
    """The keys of the grid's cells that were published."""
    listed = ", ".join(keys)
    reply = player.ask(Step(f"SELECT {listed}, COUNT(*) FROM {table} GROUP BY {listed}"), grant)
    return [row[:-1] for row in reply.rows]


def score(cases: Sequence[Case], here: Scene) -> Report:
    """Play and judge every case, then look at what the operator can read of the logs."""
    report = Report()
    for case in cases:
        report.add(case, _scored(case, here))
    here.player.close()
    report.notes += _logs(here)
    return report


def _scored(case: Case, here: Scene) -> Finding:
    try:
        return _legitimate(case, here) if case.expected == ALLOW else _attack(case, here)
    except httpx.HTTPError as error:
        here.player.close()
        return Finding(Verdict.ERROR, f"the gateway did not answer: {type(error).__name__}")


def _legitimate(case: Case, here: Scene) -> Finding:
    """Exact answers where a grid serves the question, and then they must be exactly right; else DP."""
    finding = Finding(Verdict.REFUSED)
    for grant in (*EXACT, DP) if case.mode == "aggregate" else (DP,):
        asked, finding = played(case, here, grant)
        if finding.verdict is not Verdict.REFUSED:
            wrong = grant != DP and finding.verdict is Verdict.ANSWERED and _wrong(asked, here)
            return Finding(Verdict.ERROR, f"{grant}: {wrong}") if wrong else finding
    return finding


def played(case: Case, here: Scene, grant: str) -> tuple[Asked, Finding]:
    """One case under one grant.

    A draw of noise may fall on a planted number.  So what seems to leak under noise is played once more, in a
    house with an empty ledger, where it draws anew: a coincidence is gone then, a leak is still there.
    """
    asked = here.player.play(case, grant)
    finding = judge(case, asked, here.planted, here.truth)
    if grant == DP and finding.verdict is Verdict.LEAK:
        here.player.close()
        asked = here.player.play(case, grant)
        finding = judge(case, asked, here.planted, here.truth)
    return asked, finding


def _wrong(asked: Asked, here: Scene) -> str:
    """Where an exact answer is not DuckDB's own over what was published; sums are rounded to 1 a cell."""
    for reply in asked.replies:
        own = here.published.ask(reply.sql)
        if own is not None and not same(reply.rows, own, tolerance=Fraction(1, 200)):
            return f"{reply.rows[:3]!r} where DuckDB has {own[:3]!r}"
    return ""


def _attack(case: Case, here: Scene) -> Finding:
    found = []
    for grant in GRANTS:
        asked, finding = played(case, here, grant)
        found.append(finding)
        if case.expected == DENY:
            found += _told_apart(case, asked, here)
    return worst(found)


def _told_apart(case: Case, asked: Asked, here: Scene) -> list[Finding]:
    """A refusal that looks another way, or takes much longer, where the planted values never were."""
    twin = here.without.play(case, asked.grant)
    for one, other in zip(asked.replies, twin.replies, strict=True):
        if not one.answered and one.face != other.face:
            return [Finding(Verdict.LEAK, f"{asked.grant}: the refusal depends on the data: {other.reason}")]
        if not one.answered and abs(one.seconds - other.seconds) > _SLOWER_S:
            seconds = f"{one.seconds:.1f} s and {other.seconds:.1f} s"
            why = f"{asked.grant}: the refusal's time depends on the data: {seconds}"
            return [Finding(Verdict.LEAK, why)]
    return []


def _logs(here: Scene) -> list[str]:
    """Planted values in the server's log, or in log entries beyond the query's own text."""
    found = [f"LOG {line}" for line in here.player.logged for s in here.planted.strings if s in line]
    for entry in here.player.entries:
        own = str(entry["text"])
        told = str({k: v for k, v in entry.items() if k != "text"})
        shown = [s for s in here.planted.strings if s in told and s not in own]
        shown += [
            f"{n!r}"
            for n in here.planted.numbers
            if re.search(leaks.alone(repr(n)), told) and not re.search(leaks.alone(repr(n)), own)
        ]
        found += [f"LOG entry {entry['seq']} shows {s}" for s in shown]
    return found
