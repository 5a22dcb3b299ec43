"""Resource exhaustion under the eyes of others: ``python -m tests.load.hostile [REQUESTS]``.

Attackers send the public corpus's resource cases and generated texts of any size to a real ``sandbox serve``
over the corpus, under every grant, until so many have been sent.  All the while eight others ask small
questions whose answers are known.  Every attack must end, within its limits, in an answer or a refusal of ours;
the others are answered, or told to come back; and the gateway holds no more at the end than when it was warm.
The last line is one JSON object; the status is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from rich.progress import Progress

from sandbox.errors import Code
from sandbox.home import Home
from tests.corpus.cases import DATA
from tests.corpus.house import DP, EXACT, Outside, build
from tests.load.bombs import generated, public
from tests.load.gauge import Holding, grown, holding, processes
from tests.load.line import Line, Reply
from tests.load.soak import WARM, p99

ATTACKERS, OTHERS = 4, 8
GRANTS: Final = (DP, *EXACT)
PAUSE_S: Final = 0.1
"""Between two questions of one of the others."""
SLOWEST_S: Final = 60.0
"""A query's own limit, twice: the wait for its turn is counted too."""
QUESTION: Final = "SELECT county, COUNT(*) AS n FROM people GROUP BY county ORDER BY county"
LATER: Final = frozenset({Code.BUSY.id})
"""What an honest asker may be told while others attack."""
LIMIT: Final = Code.ENGINE_LIMIT.id


@dataclass(slots=True)
class Siege:
    """What was sent and what came of it."""

    left: int
    refused: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    slowest_s: float = 0.0
    waits_ms: list[float] = field(default_factory=list)
    put_off: int = 0
    wrong: list[str] = field(default_factory=list)
    warm: Holding | None = None
    end: Holding | None = None
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> bool:
        """Whether there is one more attack to be made; counts it."""
        with self._lock:
            self.left -= 1
            return self.left >= 0

    def attacked(self, sql: str, reply: Reply, seconds: float) -> None:
        """Note how one attack ended."""
        with self._lock:
            self.slowest_s = max(self.slowest_s, seconds)
            if reply.status == 200:
                self.answered += 1
            else:
                self.refused[reply.code] += 1
            failed = reply.status == 0 or (reply.status >= 500 and reply.code not in {LIMIT, *LATER})
            if failed or not (reply.code or reply.status == 200) or seconds > SLOWEST_S:
                self.wrong.append(f"{reply.status} {reply.code} after {seconds:.0f} s: {sql[:120]!r}")

    def asked(self, reply: Reply, truth: object, seconds: float) -> None:
        """Note how one of the others was served."""
        with self._lock:
            if reply.status == 200 and reply.json()["rows"] == truth:
                self.waits_ms.append(1000 * seconds)
            elif reply.code in LATER:
                self.put_off += 1
            else:
                self.wrong.append(f"one of the others: {reply.status} {reply.code}")

    def grown(self) -> list[str]:
        """What the gateway holds at the end, and should not."""
        assert self.warm is not None and self.end is not None
        return grown(self.warm, self.end, processes(len(GRANTS)))

    def line(self) -> dict[str, float]:
        """The figures."""
        assert self.warm is not None and self.end is not None
        refused = sum(self.refused.values())
        return {
            "requests": self.answered + refused,
            "refused": refused,
            "answered": self.answered,
            "slowest_s": round(self.slowest_s, 1),
            "others_answered": len(self.waits_ms),
            "others_put_off": self.put_off,
            "others_p99_ms": round(p99(self.waits_ms), 1),
            "errors": len(self.wrong),
            "memory_growth_mb": round(self.end.memory_mb - self.warm.memory_mb, 1),
        }


def siege(folder: Path, requests: int, bar: Progress | None = None) -> Siege:
    """So many attacks on a gateway over a new home in ``folder``."""
    served = Outside(house(folder)).start()
    try:
        assert served.process is not None
        return _besieged(served, served.process.pid, requests, bar)
    finally:
        served.close()


def house(folder: Path) -> Home:
    """The corpus's, in which honest askers do not run out of questions."""
    home = build(folder / "home", DATA / "schema.sql")
    for file in home.policies.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        few = "{day: 5000, total: 20000}"
        file.write_text(text.replace(few, "{day: 1000000, total: 1000000}"), encoding="utf-8")
    return home


def _besieged(served: Outside, pid: int, requests: int, bar: Progress | None) -> Siege:
    found, home = Siege(requests), served.home
    first = Line(served.port, served.token("first"))
    truth = first.query(QUESTION, EXACT[0]).json()["rows"]
    first.close()
    crowd = [
        threading.Thread(target=_ask, args=(Line(served.port, served.token(f"other-{n}")), truth, found))
        for n in range(OTHERS)
    ]
    attackers = [
        threading.Thread(target=_attack, args=(Line(served.port, served.token(f"attacker-{n}")), n, found))
        for n in range(ATTACKERS)
    ]
    for thread in (*crowd, *attackers):
        thread.start()
    task = None if bar is None else bar.add_task("siege", total=requests)
    while any(thread.is_alive() for thread in attackers):
        time.sleep(0.2)
        if found.warm is None and found.left <= (1 - WARM) * requests:
            found.warm = holding(pid, home)
        if bar is not None and task is not None:
            bar.update(task, completed=requests - max(found.left, 0))
    found.over.set()
    for thread in crowd:
        thread.join()
    found.end = holding(pid, home)
    found.warm = found.warm or found.end
    return found


def _ask(line: Line, truth: object, found: Siege) -> None:
    while not found.over.is_set():
        begun = time.perf_counter()
        reply = line.query(QUESTION, EXACT[0])
        found.asked(reply, truth, time.perf_counter() - begun)
        time.sleep(PAUSE_S)
    line.close()


def _attack(line: Line, seed: int, found: Siege) -> None:
    """First every resource case of the corpus under every grant, then what the dice say."""
    dice = Random(seed)
    waiting = [(sql, grant) for sql in public() for grant in GRANTS][seed::ATTACKERS]
    while found.next():
        sql, grant = waiting.pop() if waiting else (generated(dice), dice.choice(GRANTS))
        begun = time.perf_counter()
        reply = line.query(sql, grant, **({"epsilon": "0.001"} if grant == DP else {}))
        found.attacked(sql, reply, time.perf_counter() - begun)
    line.close()


def main() -> None:
    """Besiege, say what was found, and fail where anything is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", nargs="?", type=int, default=10_000)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siege-") as folder, Progress() as bar:
        found = siege(Path(folder), told.requests, bar)
    for words in found.wrong[:20]:
        print(f"  {words}")
    more = found.grown()
    for words in more:
        print(f"  held at the end: {words}")
    print(f"refusals: {dict(found.refused.most_common())}")
    print(f"warm: {found.warm}\nend:  {found.end}")
    print(json.dumps(found.line()))
    if found.wrong or more:
        sys.exit(1)


if __name__ == "__main__":
    main()
