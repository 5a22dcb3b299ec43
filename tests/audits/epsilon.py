"""``python tests/audits/epsilon.py N``: audit every mechanism and the pipeline with N answers a database.

(A tenth of that where caps are found afresh for every answer.)

Prints a table and, last, one line of JSON.  The bounds of all audits hold together with probability
1 - ``ALPHA``: each gets its part (Bonferroni).  Ends with 1 if any bound exceeds its claim.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.audits.cases import Case, cases  # noqa: E402  (the command runs from anywhere)
from tests.audits.estimate import Claim, lower_bound  # noqa: E402

ALPHA: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit has proved."""

    name: str
    claim: Claim
    answers: int
    bound: float
    seconds: float

    @property
    def ratio(self) -> float:
        """The proved loss over the claimed one: above 1, the claim is false."""
        return self.bound / self.claim.amount


def find(case: Case, answers: int, alpha: float) -> Finding:
    """Run one audit with so many answers a database."""
    begun = time.monotonic()
    audit = case.start()
    with_unit, without = audit.sample(answers)
    bound = lower_bound(with_unit, without, audit.claim, alpha)
    return Finding(case.name, audit.claim, answers, bound, time.monotonic() - begun)


def _numbered(place: int, answers: int, alpha: float) -> Finding:
    case = cases()[place]
    return find(case, answers // case.fewer, alpha)


def main(answers: int) -> int:
    every = cases()
    slowest_first = sorted(range(len(every)), key=lambda i: -every[i].fewer)
    workers = min(os.cpu_count() or 1, 4)
    print(f"{'audit':58} {'answers':>9} {'claim':>18} {'delta':>8} {'proved':>9} {'ratio':>6} {'seconds':>8}")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {i: pool.submit(_numbered, i, answers, ALPHA / len(every)) for i in slowest_first}
        found = [_printed(waiting[i].result()) for i in range(len(every))]
    worst = max(f.ratio for f in found)
    print(json.dumps({"mechanisms": len(found), "worst_lower_bound_over_claim": round(worst, 4)}))
    return int(worst > 1)


def _printed(found: Finding) -> Finding:
    claim = f"{found.claim.loss.split(',')[0]} {found.claim.amount:.6g}"
    numbers = f"{found.claim.delta:>8.1g} {found.bound:>9.4g} {found.ratio:>6.3f} {found.seconds:>8.0f}"
    print(f"{found.name:58} {2 * found.answers:>9,} {claim:>18} {numbers}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
