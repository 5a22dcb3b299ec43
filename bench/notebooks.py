"""``python -m bench.notebooks [ANALYSTS]``: notebooks beside the gateway, for so many at once (default 10).

How long from a first visit to a server that answers and to a kernel that has run a cell, one alone and all
at once; what an analyst holds in memory with one kernel (what processes share is divided among them); and one
query, new each time, from a kernel through its socket beside the same over HTTP from outside, as medians of
pairs in one run.  The last line is one JSON object.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from sandbox_client import connect

from sandbox.doors.notebook_service import NotebookService
from sandbox.model import Person
from tests.notebooks.house import AIR, PEOPLE, House
from tests.notebooks.lab import Lab

PAIRS: Final = 30
EPSILON: Final = "0.001"
SQL: Final = "SELECT origin, COUNT(*) AS n FROM flights WHERE day <> {day} AND hour <> {hour} GROUP BY origin"
INSIDE: Final = """
import time, sandbox_client
sandbox = sandbox_client.connect(grant="G-FLIGHTS-DP")
def timed(sql):
    began = time.perf_counter()
    sandbox.query(sql, epsilon="0.001")
    print("SECONDS", time.perf_counter() - began)
"""


def arrived(house: House, service: NotebookService, name: str) -> tuple[Lab, str, float, float]:
    """A new analyst: seconds until the server answers, and until a kernel has run a cell."""
    lab = Lab(house, service, Person(name, "analyst", PEOPLE[AIR].organisation))
    began = time.perf_counter()
    lab.http.get("/api")
    ready = time.perf_counter() - began
    kernel = lab.kernel()
    lab.run(kernel, INSIDE)
    return lab, kernel, ready, time.perf_counter() - began


def paired(house: House, lab: Lab, kernel: str) -> dict[str, float]:
    """Medians of a query from the kernel and from outside, in milliseconds, and of their ratios."""
    inside, outside = [], []
    with connect(house.url, house.token(AIR), grant=AIR) as client:
        for number in range(PAIRS):
            told = lab.run(kernel, f"timed({SQL.format(day=1 + number, hour=1)!r})")["text"]
            inside.append(float(re.findall(r"SECONDS ([\d.e-]+)", told)[0]))
            began = time.perf_counter()
            client.query(SQL.format(day=1 + number, hour=2), epsilon=EPSILON)
            outside.append(time.perf_counter() - began)
    ratios = [a / b for a, b in zip(inside, outside, strict=True)]
    return {
        "kernel_ms": round(1000 * median(inside), 1),
        "http_ms": round(1000 * median(outside), 1),
        "ratio": round(median(ratios), 2),
    }


def main() -> int:
    """Everything; a line of JSON."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "home")
        notebooks = replace(house.home.settings.notebooks, most=count + 1)
        service = house.hosting(
            replace(house.home, settings=replace(house.home.settings, notebooks=notebooks))
        )
        lab, kernel, server, ready = arrived(house, service, "first")
        figures = service.rooms.standing(lab.person).figures
        assert figures is not None
        query = paired(house, lab, kernel)
        began = time.perf_counter()
        with ThreadPoolExecutor(count) as crowd:
            others = list(crowd.map(lambda n: arrived(house, service, f"analyst-{n}"), range(count)))
        together = time.perf_counter() - began
        held = [service.rooms.standing(other.person).figures for other, *_ in others]
        service.close()
        house.close()
    found = {
        "server_s": round(server, 1),
        "kernel_s": round(ready, 1),
        "memory_mb": figures.memory >> 20,
        "query": query,
        "analysts": count,
        "together_s": round(together, 1),
        "together_mb": sum(f.memory for f in held if f is not None) >> 20,
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
