"""``python -m tests.corpus.noninterference [STRIDE]``: the corpora in two worlds that must look the same.

Two houses are served over HTTP, one with the planted rows and one in which they never were.  Every text of the
attack and legitimate corpora is asked of both in turn, under every grant.  A refusal must have the same status, code, headers, body and
size in both, apart from what differs between any two requests, whose *length* must be the same; and it must come
on the same tick of the release clock.  An answer must have the same public parts.  The last line is JSON.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sandbox.home import Home
from tests.corpus.asker import Reply
from tests.corpus.cases import DATA, Step, canaries, read
from tests.corpus.house import build
from tests.corpus.play import GRANTS, Player

CLOCK_MS: Final = 100
TRIES: Final = 6
"""A busy machine delays single requests: two worlds differ in time only if no tick of so many tries is shared."""

_OWN: Final = ("request", "incident", "proof")
_OWN_HEADERS: Final = frozenset({"date", "content-length", "retry-after"})
_PUBLIC: Final = ("grant", "mode", "columns", "price", "guarantee", "notes", "derivation")
_DERIVED: Final = re.compile(r"\bof=\d+ kept cells\s+paid=\d+")
_PICKS_ROWS: Final = re.compile(
    r"\b(HAVING|QUALIFY|DISTINCT|UNION|EXCEPT|INTERSECT|LIMIT|OFFSET)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Difference:
    """By what the two worlds can be told apart."""

    grant: str
    sql: str
    part: str
    one: str
    other: str


@dataclass(slots=True)
class Report:
    """What was asked of both worlds.  ``unaligned``: the logs had not the same length, so proofs were left out."""

    asked: int = 0
    refused: int = 0
    answered: int = 0
    slower: int = 0
    unaligned: int = 0
    differences: list[Difference] = field(default_factory=list)

    def figures(self) -> dict[str, int]:
        """For the last line."""
        return {
            "asked": self.asked,
            "refused": self.refused,
            "answered": self.answered,
            "asked_again_for_time": self.slower,
            "unaligned": self.unaligned,
            "differences": len(self.differences),
        }


def texts(corpus: Path, stride: int = 1) -> list[Step]:
    """Every ``stride``-th step of the corpora that asks something, each text once."""
    files = (corpus / f"{name}_public.jsonl" for name in ("attacks", "legitimate"))
    steps = [s for file in files for case in read(file) for s in case.steps if s.sql]
    return list({(s.sql, s.epsilon): s for s in steps}.values())[::stride]


def worlds(folder: Path, schema: Path, profile: Path) -> tuple[Player, Player]:
    """A house with the planted rows and one without, both with a release clock."""
    planted = canaries(profile)
    values: list[str | float] = [*planted.strings, *planted.numbers]
    found = []
    for name, without in (("with", []), ("twin", values)):
        home = build(folder / f"{name}-built", schema, without)
        _clocked(home)
        (folder / name).mkdir()
        found.append(Player(home, folder / name))
    return found[0], found[1]


def _clocked(home: Home) -> None:
    file = home.path / "sandbox.toml"
    told = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"release_clock_ms = \d+", f"release_clock_ms = {CLOCK_MS}", told), "utf-8")


def compare(one: Player, other: Player, steps: Sequence[Step], grants: Sequence[str] = GRANTS) -> Report:
    """Ask everything in both worlds."""
    report = Report()
    for step, grant in itertools.product(steps, grants):
        pair = one.ask(step, grant), other.ask(step, grant)
        report.asked += 1
        report.answered += pair[0].answered
        report.refused += not pair[0].answered
        report.unaligned += not aligned(*pair)
        report.differences += [
            Difference(grant, step.sql, part, a[:400], b[:400]) for part, a, b in apart(*pair)
        ]
        if not pair[0].answered and not _same_tick(report, pair, (one, other), step, grant):
            report.differences.append(Difference(grant, step.sql, "time", f"{pair[0].seconds:.3f} s",
                                                 f"{pair[1].seconds:.3f} s"))  # fmt: skip
    return report


def _same_tick(
    report: Report, pair: tuple[Reply, Reply], players: tuple[Player, Player], step: Step, grant: str
) -> bool:
    """Whether both refusals come on the same tick, in some tries where the first was delayed."""
    ticks = [{tick(reply)} for reply in pair]
    for _ in range(TRIES):
        if ticks[0] & ticks[1]:
            return True
        report.slower += 1
        for seen, player in zip(ticks, players, strict=True):
            seen.add(tick(player.ask(step, grant)))
    return bool(ticks[0] & ticks[1])


def tick(reply: Reply) -> int:
    """The tick of the release clock at which a reply had come."""
    return int(reply.seconds * 1000 // CLOCK_MS)


def apart(one: Reply, other: Reply) -> Iterator[tuple[str, str, str]]:
    """The parts in which two replies to the same question differ, with both readings."""
    views = [_view(reply, proof=aligned(one, other)) for reply in (one, other)]
    for part in views[0].keys() | views[1].keys():
        readings = [json.dumps(view.get(part), ensure_ascii=False, sort_keys=True) for view in views]
        if readings[0] != readings[1]:
            yield part, readings[0], readings[1]


def aligned(one: Reply, other: Reply) -> bool:
    """Whether both logs were of the same length, as far as the replies tell.

    The monitor writes on a timer of its own; how long a proof is follows from the log's length alone.
    """
    told = [reply.told.get("proof") or {} for reply in (one, other)]
    sizes = [str(proof.get("checkpoint", "\n")).split("\n")[1] for proof in told]
    return told[0].get("index") == told[1].get("index") and sizes[0] == sizes[1]


def _view(reply: Reply, *, proof: bool) -> dict[str, object]:
    """What may not depend on the data, by part; of what is a request's own, its length."""
    told = reply.told
    headers = [[name, value] for name, value in reply.headers.items() if name not in _OWN_HEADERS]
    view: dict[str, object] = {"status": reply.status, "header names": list(reply.headers)}
    if reply.answered:
        public = _public(told)
        rows = {"row count": len(reply.rows)} if _fixed_rows(told, reply.sql) else {}
        return {**view, **public, **rows}
    own = {name: _lengths(told[name]) for name in _OWN if name in told and (proof or name != "proof")}
    rest = {name: value for name, value in told.items() if name not in _OWN}
    size = {"size": len(reply.body.encode()), "length": reply.headers.get("content-length")} if proof else {}
    return {**view, **size, "headers": headers, "code": reply.code, "own": own, "body": rest or reply.body}


def _public(told: Mapping[str, Any]) -> dict[str, object]:
    """What may not depend on the data in an answer.

    An answer that follows from a kept one says of how many cells, and how wide these are: what noise chose was
    released with the kept one, and says nothing new.
    """
    public = {name: told.get(name) for name in _PUBLIC}
    lines = [str(line) for line in told.get("derivation", ())]
    if not any(_DERIVED.search(line) for line in lines):
        return public
    columns = [{k: v for k, v in column.items() if k != "predicted"} for column in told["columns"]]
    return {**public, "columns": columns, "derivation": [_DERIVED.sub("", line) for line in lines]}


def _lengths(value: object) -> object:
    """The form of a value with the length of every text in it."""
    match value:
        case Mapping():
            return {name: _lengths(inner) for name, inner in value.items()}
        case list():
            return [_lengths(inner) for inner in value]
        case _:
            return len(str(value))


def _fixed_rows(told: Mapping[str, Any], sql: str) -> bool:
    """Whether declared domains alone decide which rows there are: nothing selects keys or rows."""
    selected = any("selection:" in line for line in told.get("derivation", ()))
    once = len(re.findall(r"\bSELECT\b", sql, re.IGNORECASE)) == 1
    return told.get("mode") == "dp" and not selected and once and not _PICKS_ROWS.search(sql)


def run(corpus: Path = DATA, stride: int = 1) -> Report:
    """Build both worlds, ask, compare."""
    with TemporaryDirectory(prefix="worlds-") as folder:
        players = worlds(Path(folder), corpus / "schema.sql", corpus / "policy.json")
        try:
            return compare(*players, texts(corpus, stride))
        finally:
            for player in players:
                player.close()


def main(stride: int) -> int:
    """Print every difference, then the figures."""
    report = run(stride=stride)
    for found in report.differences:
        print(f"{found.grant}: {found.part}: {found.one} | {found.other}\n    {found.sql[:400]}")
    print(json.dumps(report.figures()))
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
