"""``python -m tests.corpus.watched [CORPUS]``: what the monitor makes of the attack and legitimate corpora.

Every text is asked once of the real gateway, and its entries are kept.  They are then replayed into an empty
log, as sessions of one person each.  Attackers work through one class of the corpus, ``STEPS`` texts a session,
twenty seconds apart.  Analysts ask ``QUESTIONS`` legitimate texts in a random order, four minutes apart, on two
days; about one text in ``SLIP`` they first misspell (and the gateway really refused that).  Then the monitor
judges the log.  Detection: attackers about whom an alert was raised, by class.  False alerts: those about
analysts, for each 1,000 of their questions.  The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from sandbox.gateway import Gateway, open_gateway
from sandbox.model import LogEntry, Person, Request
from sandbox.monitor.run import Monitor
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.search import MOST_ENTRIES, LogFilter, LogSearch
from tests.corpus.cases import DATA, Case, read
from tests.corpus.house import DP, OPERATOR, build

STEPS: Final = 8
QUESTIONS: Final = 12
ANALYSTS: Final = 60
SLIP: Final = 7
MORNING: Final = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
"""Nine o'clock, China Standard Time."""

_KINDS: Final = frozenset({"intent", "outcome", "refusal"})
Asked = tuple[LogEntry, ...]


class Turn(NamedTuple):
    """One question of a session."""

    time: dt.datetime
    person: str
    sql: str


@dataclass(frozen=True, slots=True)
class Watched:
    """Attackers found of all, by class; alerts about analysts by rule; how much the analysts asked."""

    found: dict[str, tuple[int, int]]
    rules: dict[str, dict[str, int]]
    false: dict[str, int]
    questions: int

    @property
    def detected(self) -> float:
        """The part of all attackers about whom an alert was raised."""
        return sum(f for f, _ in self.found.values()) / sum(n for _, n in self.found.values())

    @property
    def false_per_thousand(self) -> float:
        """Alerts about analysts for each 1,000 of their questions."""
        return 1000 * sum(self.false.values()) / self.questions


def watched(corpus: Path, folder: Path) -> Watched:
    """Ask, replay, judge, count."""
    people = _attackers(_cases(corpus, "attacks"))
    honest = [sql for case in _cases(corpus, "legitimate") for sql in _texts(case)]
    texts = {sql for _, session in people.values() for sql in session} | set(honest)
    gateway = open_gateway(build(folder / "home", corpus / "schema.sql"))
    try:
        known = {sql: _asked(gateway, sql) for sql in sorted(texts | {_misspelt(sql) for sql in honest})}
    finally:
        gateway.close()
    database = Database(folder / "replay.db")
    try:
        planned = [*_attacks(people), *_analyses(honest)]
        replay(AuditLog(database), planned, known)
        Monitor(database).run(MORNING + dt.timedelta(days=30))
        questions = sum(turn.person not in people for turn in planned)
        return _counted(database, people, questions)
    finally:
        database.close()


def _attacks(people: dict[str, tuple[str, list[str]]]) -> Iterator[Turn]:
    """Every attacker's session, all on one morning."""
    for name, (_, session) in people.items():
        for number, sql in enumerate(session):
            yield Turn(MORNING + number * dt.timedelta(seconds=20), name, sql)


def _analyses(honest: list[str]) -> Iterator[Turn]:
    """Every analyst's two days."""
    dice = random.Random(4)
    for number, day in itertools.product(range(ANALYSTS), range(2)):
        time = MORNING + dt.timedelta(days=day)
        for sql in dice.sample(honest, QUESTIONS):
            for text in [_misspelt(sql), sql] if dice.randrange(SLIP) == 0 else [sql]:
                yield Turn(time, f"analyst {number}", text)
                time += dt.timedelta(minutes=4)


def _cases(corpus: Path, name: str) -> list[Case]:
    return [c for c in read(corpus / f"{name}_public.jsonl") if any(s.sql for s in c.steps)]


def _texts(case: Case) -> list[str]:
    """What the case asks; of a text asked a thousand times thirty tell as much."""
    return [s.sql for s in case.steps if s.sql for _ in range(min(max(s.repeat, s.concurrent), 30))]


def _asked(gateway: Gateway, sql: str) -> Asked:
    """Ask for very little money; the entries that this left."""
    start = gateway.store.audit.size()
    person = Person("replayed", "operator", OPERATOR)
    request = f"replay-{start}"
    now = dt.datetime.now(dt.UTC)
    gateway.query(Request(request, person, DP, sql, Fraction(1, 100), now))
    page = gateway.store.search.entries(LogFilter(before=start - 1))
    return tuple(e for e in reversed(page.entries) if e.kind in _KINDS)


def _misspelt(sql: str) -> str:
    return sql.replace("people", "peple").replace("claims", "clams").replace("enterprises", "enterprise")


def _attackers(cases: Iterable[Case]) -> dict[str, tuple[str, list[str]]]:
    """Class and texts of each attacker."""
    by_class: dict[str, list[list[str]]] = {}
    for case in cases:
        by_class.setdefault(case.kind, []).append(_texts(case))
    found: dict[str, tuple[str, list[str]]] = {}
    for kind, texts in by_class.items():
        for number, session in enumerate(_sessions(texts)):
            found[f"attacker {kind} {number}"] = (kind, session)
    return found


def _sessions(texts: Iterable[list[str]]) -> Iterator[list[str]]:
    """Whole cases, dealt out such that a session has about ``STEPS`` texts."""
    cases = list(texts)
    count = max(1, sum(map(len, cases)) // STEPS)
    for number in range(count):
        yield [sql for case in cases[number::count] for sql in case]


def replay(log: AuditLog, planned: Iterable[Turn], known: dict[str, Asked]) -> None:
    """Write what each question left, under its asker's name, a grant of their own, and its time."""
    for number, turn in enumerate(sorted(planned)):
        for entry in known[turn.sql]:
            log.append(
                Event(entry.kind), time=turn.time, request=f"r{number}", person=turn.person,
                organisation=OPERATOR, grant=f"grant of {turn.person}", datasets=entry.datasets,
                decision=entry.decision, codes=entry.codes, nano=entry.nano, text=entry.text,
                payload=json.loads(entry.payload),
            )  # fmt: skip


def _counted(database: Database, people: dict[str, tuple[str, list[str]]], questions: int) -> Watched:
    page = LogSearch(database).entries(LogFilter(kind=Event.ALERT, limit=MOST_ENTRIES))
    assert page.next is None
    about: dict[str, list[str]] = {}
    for alert in page.entries:
        about.setdefault(alert.grant.removeprefix("grant of "), []).append(json.loads(alert.payload)["rule"])
    found: dict[str, tuple[int, int]] = {}
    rules: dict[str, Counter[str]] = {}
    for name, (kind, _) in people.items():
        seen, of = found.get(kind, (0, 0))
        found[kind] = (seen + (name in about), of + 1)
        rules.setdefault(kind, Counter()).update(set(about.get(name, ())))
    false = Counter(rule for name, given in about.items() if name not in people for rule in given)
    return Watched(found, {kind: dict(c) for kind, c in rules.items()}, dict(false), questions)


def main(corpus: Path) -> None:
    """Print a line a class, then the figures."""
    with TemporaryDirectory() as folder:
        report = watched(corpus, Path(folder))
    for kind, (seen, of) in sorted(report.found.items()):
        print(f"{kind:24} {seen:3} of {of:3} attackers   {report.rules[kind]}")
    print(f"false alerts about analysts: {report.false or 'none'}")
    figures = {
        "attackers": sum(of for _, of in report.found.values()),
        "detected": round(report.detected, 4),
        "questions": report.questions,
        "false_per_1000": round(report.false_per_thousand, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
