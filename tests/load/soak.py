"""A soak: ``python -m tests.load.soak [MINUTES]``.

A real ``sandbox serve`` is asked by people at their work and by people who mean harm, as fast as it answers.
Before, and all the while, one more person asks a small question now and then: what they wait is the p99.
Once the load has ended, the gateway must hold no more than it held after its first part: memory, descriptors,
threads, processes, spill folders.  The last line is one JSON object; the status is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.progress import Progress

from sandbox.home import SETTINGS_FILE, Home
from tests.faults.house import make_home, token
from tests.faults.nursery import Nursery, Serving, free_port
from tests.load.gauge import Holding, grown, holding, processes
from tests.load.line import Line
from tests.load.people import HARM, WORK, World, exact, kept, live

WORKERS, HARMERS = 6, 4
IDLE_S: Final = 5.0
PAUSE_S: Final = 0.05
"""Between two questions of the one who measures."""
WARM: Final = 0.25
"""The part of the time after which nothing may grow any more."""
SETTLE_S: Final = 30.0


@dataclass(slots=True)
class Soak:
    """What was found."""

    requests: int = 0
    errors: int = 0
    idle_ms: list[float] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)
    warm: Holding | None = None
    end: Holding | None = None
    wrong: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def line(self) -> dict[str, float]:
        """The figures."""
        assert self.warm is not None and self.end is not None
        return {
            "requests": self.requests,
            "errors": self.errors,
            "p99_idle_ms": round(p99(self.idle_ms), 1),
            "p99_load_ms": round(p99(self.load_ms), 1),
            "memory_growth_mb": round(self.end.memory_mb - self.warm.memory_mb, 1),
        }

    def grown(self) -> list[str]:
        """What the gateway holds at the end, and should not."""
        assert self.warm is not None and self.end is not None
        return grown(self.warm, self.end, processes(GRANTS))


GRANTS: Final = 2


def p99(times: list[float]) -> float:
    """The time that one in a hundred exceeds."""
    return sorted(times)[min(len(times) - 1, int(0.99 * len(times)))]


def soak(folder: Path, seconds: float, bar: Progress | None = None, idle_s: float = IDLE_S) -> Soak:
    """Load a gateway over a new home in ``folder`` for so long."""
    home, port = house(folder), free_port()
    nursery = Nursery()
    with contextlib.closing(nursery):
        serving = nursery.start(home.path, port)
        try:
            assert serving.ready()
            return _loaded(home, serving, World(port), seconds, bar, idle_s)
        finally:
            serving.kill()
            serving.close()


def house(folder: Path) -> Home:
    """The small house, with workers that are replaced now and then."""
    home = make_home(folder / "home")
    settings = home.path / SETTINGS_FILE
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("memory_mb = 512", "memory_mb = 512\nqueries = 300"), encoding="utf-8")
    return home


def _loaded(
    home: Home, serving: Serving, world: World, seconds: float, bar: Progress | None, idle_s: float
) -> Soak:
    found = Soak()
    probe = Line(world.port, token(home, "probe"))
    for act in (exact, kept):
        act(probe, world)
    _watch(probe, world, found.idle_ms, idle_s)
    crowd = _crowd(home, world)
    for person in crowd:
        person.start()
    task = None if bar is None else bar.add_task("soak", total=seconds)
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        _watch(probe, world, found.load_ms, min(5.0, seconds / 8, seconds - passed))
        if found.warm is None and passed >= WARM * seconds:
            found.warm = holding(serving.pid, home)
        if bar is not None and task is not None:
            bar.update(task, completed=passed)
    world.over.set()
    for person in crowd:
        person.join()
    probe.close()
    found.end = _settled(serving, home, found)
    found.wrong, found.refused = world.wrong, world.refused
    found.requests, found.errors = world.requests, len(world.wrong)
    return found


def _crowd(home: Home, world: World) -> list[threading.Thread]:
    people = [(f"worker-{n}", WORK) for n in range(WORKERS)] + [(f"harmer-{n}", HARM) for n in range(HARMERS)]
    return [
        threading.Thread(
            target=live, args=(Line(world.port, token(home, name)), world, acts, seed), daemon=True
        )
        for seed, (name, acts) in enumerate(people)
    ]


def _watch(probe: Line, world: World, times: list[float], seconds: float) -> None:
    """Ask something small now and then; how long each took, in milliseconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        reply, said = exact(probe, world)
        times.append(1000 * (time.perf_counter() - begun))
        world.note(reply, said and f"probe: {said}")
        time.sleep(PAUSE_S)


def _settled(serving: Serving, home: Home, found: Soak) -> Holding:
    """What is held once connections have been closed and the last workers are gone."""
    end = time.monotonic() + SETTLE_S
    while True:
        found.end = holding(serving.pid, home)
        if not found.grown() or time.monotonic() > end:
            return found.end
        time.sleep(0.5)


def main() -> None:
    """Soak, say what was found, and fail where anything is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("minutes", nargs="?", type=float, default=10.0)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, Progress() as bar:
        found = soak(Path(folder), 60 * told.minutes, bar)
    for words in found.wrong[:20]:
        print(f"  {words}")
    grown = found.grown()
    for words in grown:
        print(f"  held at the end: {words}")
    print(f"refusals: {dict(sorted(found.refused.items()))}")
    print(f"warm: {found.warm}\nend:  {found.end}")
    print(json.dumps(found.line()))
    if found.errors or grown:
        sys.exit(1)


if __name__ == "__main__":
    main()
