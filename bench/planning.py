"""``python -m bench.planning [RUNS]``: what it costs to read and plan a long text, afresh and from memory.

The texts are TPC-H's queries under a DP grant with customers as units.  Nothing is run and no data is read.
``cold``: the grant has never seen the text (DuckDB's own reading, in a process beside, included).
``epsilon``: the text is known, at another epsilon.  ``known``: both are.  For each, in milliseconds:
the shortest of the runs, and the median processor time of the gateway, which a busy machine disturbs less
(the process beside adds some 2 to 5 to ``cold``).  The last line is one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from sandbox.context import MOST_REMEMBERED, Context, Store
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.twin import Twin
from sandbox.errors import Refusal
from sandbox.gateway import utc_now
from sandbox.model import Person, Request
from sandbox.policy.effective import effective
from sandbox.policy.floor import budget_in_force, guard_in_force
from sandbox.policy.load import load
from sandbox.recent import Recent
from sandbox.stages import Clock, prepare
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog
from sandbox.store.database import Database
from sandbox.store.freezes import Freezes
from sandbox.store.ledger import Ledger
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.search import LogSearch

HERE: Final = Path(__file__).parent / "tpch"
KINDS: Final = ("cold", "epsilon", "known")


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds by kind: the shortest run, and the median processor time of this process."""

    query: str
    characters: int
    least: dict[str, float]
    cpu: dict[str, float]


def main() -> None:
    """Measure every query that is not refused, print, and sum up."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    found, refused = [], []
    with TemporaryDirectory() as folder, Twin(timeout_s=20) as twin:
        context = _context(Path(folder), twin)
        print(f"{'query':8} {'characters':>10}" + "".join(f"{kind:>12} {'CPU':>8}" for kind in KINDS))
        for file in sorted((HERE / "queries").glob("*.sql")):
            text = file.read_text("utf-8").strip().rstrip(";")
            try:
                found.append(_measured(file.stem, text, context, runs))
            except Refusal:
                refused.append(file.stem)
                continue
            _print(found[-1])
        context.store.database.close()
    print(f"refused, and not measured: {', '.join(refused) or 'none'}")
    longest = max(found, key=lambda times: times.characters)
    middle = {kind: round(median(times.cpu[kind] for times in found), 3) for kind in KINDS}
    print(json.dumps({"longest": asdict(longest), "median_cpu": middle, "refused": refused}))


def _context(folder: Path, twin: Twin) -> Context:
    """The grant's context over no snapshot: planning needs none."""
    database = Database(folder / "store.db")
    audit = AuditLog(database)
    documents = load([HERE / "policies" / "customer"])
    (grant,), datasets = documents.grants, documents.datasets
    return Context(
        grant=grant,
        guard=guard_in_force(grant, datasets),
        catalogue=effective(grant, datasets, {}),
        datasets=tuple(d.id for d in datasets),
        budgets=tuple((d.id, budget_in_force(d)) for d in datasets),
        snapshot="none",
        engine=DuckDBEngine({}),
        twin=twin,
        store=Store(
            database,
            Ledger(database),
            Answers(database),
            audit,
            LogSearch(database),
            TransparencyLog(database, audit, folder),
            Freezes(database),
        ),
        now=utc_now,
    )


def _measured(name: str, text: str, context: Context, runs: int) -> Times:
    person = Person("bench", "operator", context.grant.to)
    asked = Request("bench", person, context.grant.id, text, Fraction(1, 2), utc_now())
    wall: dict[str, list[float]] = {kind: [] for kind in KINDS}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for i in range(runs + 1):
        fresh = replace(context, plans=Recent(MOST_REMEMBERED))
        other = replace(asked, epsilon=Fraction(1, 3 + i))
        for kind, request in zip(KINDS, (asked, other, asked), strict=True):
            begun, used = time.perf_counter(), time.process_time()
            prepare(request, fresh, Clock())
            cpu[kind].append(1000 * (time.process_time() - used))
            wall[kind].append(1000 * (time.perf_counter() - begun))
    least = {kind: round(min(found[1:]), 3) for kind, found in wall.items()}
    return Times(name, len(text), least, {kind: round(median(found[1:]), 3) for kind, found in cpu.items()})


def _print(times: Times) -> None:
    shown = "".join(f"{times.least[kind]:>12.2f} {times.cpu[kind]:>8.2f}" for kind in KINDS)
    print(f"{times.query:8} {times.characters:>10}{shown}", flush=True)


if __name__ == "__main__":
    main()
