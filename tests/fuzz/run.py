"""``python -m tests.fuzz.run [MINUTES]``: hostile input of four sorts against the real application.

Requests from its OpenAPI document, SQL texts made by Hypothesis, queries grown by the grammar, and mutated bytes
of the corpora's queries, of every body under ``/v1`` and at the parser's gate.  Each sort is a Hypothesis property,
so a find comes out as small as it can be made.  The last line is one JSON object.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from sandbox.errors import Refusal
from sandbox.home import Home
from sandbox.sql.parse import gate, parse
from tests.corpus.cases import DATA, Canaries, canaries, read
from tests.corpus.house import DP, EXACT, build
from tests.fuzz.described import requests
from tests.fuzz.invariants import faults
from tests.fuzz.mutate import mutated
from tests.fuzz.target import JSON, Seen, Sent, Target
from tests.grammar import Grammar

GRANTS: Final = (DP, *EXACT)
SLOWEST_PARSE_S: Final = 20.0
BODIES: Final = tuple(
    (path, json.dumps(body).encode())
    for path, body in (
        ("/v1/budget/approvals", {"account": f"{DP}/person"}),
        ("/v1/cases/open", {"kind": "release", "text": "SELECT COUNT(*) FROM people", "note": "n"}),
        ("/v1/cases/1/steps", {"verb": "comment", "note": "n", "hash": "00"}),
        ("/v1/log/views/save", {"name": "v", "filters": {"person": "li"}, "shared": False}),
        ("/v1/log/views/drop", {"name": "v"}),
        ("/v1/cancel", {}),
    )
)
_COLUMNS: Final = {
    "pid": "id",
    "city": "county",
    "born": "age",
    "member": "salary",
    "person": "person_id",
    "fee": "amount",
    "code": "diagnosis",
    "at": "visit_date",
    "n": "amount",
    "k": "month",
    "big": "quarter",
    "w": "month",
    "q": "month",
    "t": "d",
    "day": "d",
    "moment": "d",
    "flag": "is_weekend",
}
_TABLES: Final = {"visits": "claims", "rates": "calendar"}


class Find(AssertionError):
    """A response, or a reading, that breaks an invariant."""


@dataclass(slots=True)
class Report:
    """What was sent, what came back, and what was found."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    finds: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def figures(self) -> dict[str, object]:
        """For the last line."""
        return {
            "requests": dict(sorted(self.sent.items())),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "slowest_s": round(self.slowest, 2),
            "finds": len(self.finds),
        }


@dataclass(slots=True)
class Fuzz:
    """One target under fire."""

    target: Target
    planted: Canaries
    report: Report
    told: list[str] = field(default_factory=list)

    def check(self, sort: str, sent: Sent) -> Seen:
        """Send it; raises ``Find`` where an invariant does not hold."""
        self.report.sent[sort] += 1
        self.told.append(sent.content.decode("utf-8", "replace"))
        try:
            seen = self.target.send(sent)
        except Exception as error:
            raise Find(f"{sort}: {type(error).__name__} got out of the application for {sent}") from error
        self.report.statuses[seen.status] += 1
        self.report.slowest = max(self.report.slowest, seen.seconds)
        shows_earlier = sent.path.startswith(("/v1/log", "/v1/cases"))
        wrong = faults(seen, self.planted, self.target.home.path, self.told if shows_earlier else ())
        if wrong:
            raise Find(f"{sort}: {wrong} for {sent}")
        return seen

    def ask(self, sort: str, sql: str, grant: str, address: str) -> None:
        """Send a text as a query, or to be priced."""
        body = json.dumps({"sql": sql, "grant": grant, "epsilon": "0.001"}).encode()
        self.check(sort, _post(address, body))

    def read(self, data: bytes) -> None:
        """What the parser's gate makes of a text: the text goes through, or is refused; in time."""
        self.report.sent["gate"] += 1
        text, begun = data.decode("utf-8", "surrogateescape"), time.perf_counter()
        try:
            gate(text)
            parse(text)
        except Refusal as refusal:
            if not refusal.reasons:
                raise Find(f"gate: a refusal without reasons of {text!r}") from refusal
        except Exception as error:
            raise Find(f"gate: {type(error).__name__} for {text!r}") from error
        if time.perf_counter() - begun > SLOWEST_PARSE_S:
            raise Find(f"gate: took {time.perf_counter() - begun:.0f} s for {text!r}")


def _post(path: str, body: bytes) -> Sent:
    return Sent("POST", path, body, headers={"content-type": JSON})


def seeds(corpus: Path = DATA) -> list[bytes]:
    """The texts of the corpora."""
    files = (corpus / f"{name}.jsonl" for name in ("attacks_public", "attacks_own", "legitimate_public"))
    texts = dict.fromkeys(s.sql for file in files for case in read(file) for s in case.steps if s.sql)
    return [text.encode() for text in texts]


def of_corpus(text: str) -> str:
    """A text of the grammar, which knows a small catalogue, over the corpus's tables."""
    text = re.sub(r"\b(visits|rates)\b", lambda found: _TABLES[found[1]], text)
    return re.sub(r"\b(t\d+)\.(\w+)", lambda found: f"{found[1]}.{_COLUMNS.get(found[2], found[2])}", text)


Property = Callable[[Fuzz], Callable[[], None]]
_ADDRESS: Final = st.sampled_from(["/v1/queries", "/v1/explain", "/v1/explain"])
_GRANT: Final = st.sampled_from(GRANTS)
_WORDS: Final = st.sampled_from(
    [
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "HAVING",
        "ORDER",
        "LIMIT",
        "COUNT(*)",
        "SUM(",
        ")",
        "(",
        ",",
        "*",
        "=",
        "'a'",
        '"',
        "--",
        "/*",
        "*/",
        ";",
        "people",
        "claims",
        "county",
        "age",
        "amount",
        "salary",
        "id",
        "person_id",
        "JOIN",
        "ON",
        "USING",
        "WITH",
        "AS",
        "OVER",
        "PARTITION",
        "CASE",
        "WHEN",
        "END",
        "NULL",
        "1",
        "1e999",
        "INTERVAL",
        "DATE",
        "::",
        "||",
        "unnest",
        "range",
        "read_csv",
        "getenv",
        "PIVOT",
        "QUALIFY",
        "LATERAL",
        "VALUES",
        "[1]",
        "{'a':1}",
        "x",
        "->",
        "?",
        "$1",
        "@",
        "#",
        "`",
        "\\",
    ]
)
_SQL: Final = st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=30).map(" ".join))


def by_document(fuzz: Fuzz) -> Callable[[], None]:
    """Requests as the OpenAPI document describes them, and just not."""

    @given(requests(fuzz.target.app.openapi()))
    def checked(sent: Sent) -> None:
        fuzz.check("openapi", sent)

    return checked


def by_text(fuzz: Fuzz) -> Callable[[], None]:
    """Any text, and words of SQL in any order."""

    @given(_SQL, _GRANT, _ADDRESS)
    def checked(sql: str, grant: str, address: str) -> None:
        fuzz.ask("sql", sql, grant, address)

    return checked


def by_grammar(fuzz: Fuzz) -> Callable[[], None]:
    """Queries that are nearly all well formed."""

    @given(st.data(), st.sampled_from((0, 1, 2)), _GRANT, _ADDRESS)
    def checked(data: st.DataObject, depth: int, grant: str, address: str) -> None:
        query = Grammar(lambda options: data.draw(st.sampled_from(options))).query(depth)
        fuzz.ask("grammar", of_corpus(query.text), grant, address)

    return checked


def by_bytes(fuzz: Fuzz) -> Callable[[], None]:
    """Mutated bytes, as a query's text, as a whole body of any address, and at the gate."""
    texts = seeds()
    whole = [("/v1/queries", json.dumps({"sql": t.decode(), "grant": DP}).encode()) for t in texts]

    @given(st.integers(0, 2**32), st.sampled_from(("gate", "gate", "text", "body", "body", "query")))
    def checked(number: int, place: str) -> None:
        random = Random(number)
        if place in ("gate", "text"):
            data = mutated(random.choice(texts), texts, random)
            if place == "gate":
                fuzz.read(data)
            else:
                fuzz.ask("bytes", data.decode("utf-8", "replace"), random.choice(GRANTS), "/v1/explain")
            return
        path, body = random.choice(BODIES if place == "body" else whole)
        fuzz.check("bytes", _post(path, mutated(body, [b for _, b in BODIES], random)))

    return checked


SORTS: Final[tuple[Property, ...]] = (by_document, by_text, by_grammar, by_bytes)


@contextmanager
def aimed(home: Home, folder: Path, report: Report) -> Iterator[Fuzz]:
    """A fresh house over the home's snapshots."""
    with Target(home, folder) as target:
        yield Fuzz(target, canaries(DATA / "policy.json"), report)


def fire(sort: Property, fuzz: Fuzz, examples: int, seed: int) -> None:
    """So many examples of one sort; a find is noted, as small as it could be made."""
    chosen = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        chosen(seeded(seed)(sort(fuzz)))()
    except BaseExceptionGroup as finds:
        fuzz.report.finds += [str(find)[:2000] for find in finds.exceptions]
    except Find as find:
        fuzz.report.finds.append(str(find)[:2000])


def campaign(minutes: float, *, examples: int = 60, most_finds: int = 20) -> Report:
    """Rounds of all sorts until the time is over, each against a house with a fresh ledger."""
    report, ends = Report(), time.monotonic() + 60 * minutes
    with TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        home = build(folder / "built", DATA / "schema.sql")
        turn, first = 0, Random().randrange(2**32)
        while time.monotonic() < ends and len(report.finds) < most_finds:
            with aimed(home, folder / f"house-{turn}", report) as fuzz:
                for sort in SORTS:
                    fire(sort, fuzz, examples, first + turn)
            turn += 1
            print(
                f"round {turn}, {sum(report.sent.values())} sent, {len(report.finds)} finds", file=sys.stderr
            )
    return report


def main(minutes: float) -> int:
    """Print every find, then the figures."""
    report = campaign(minutes)
    for find in report.finds:
        print(f"FIND {find}")
    print(json.dumps({"minutes": minutes, **report.figures()}))
    return 1 if report.finds else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
