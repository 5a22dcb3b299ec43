"""What a running gateway holds: memory, descriptors, processes, and folders that workers spill into."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.home import Home


@dataclass(frozen=True, slots=True)
class Holding:
    """``memory_mb``: resident, of the gateway alone; ``worker_mb``: of its largest child; ``processes``: all
    below it; ``threads`` and ``descriptors``: the gateway's; ``spills``: folders in the spill directory."""

    memory_mb: float
    worker_mb: float
    processes: int
    threads: int
    descriptors: int
    spills: int


MEMORY_MB: Final = 64.0
"""How much a gateway may grow over what it held when warm: allocators keep some of what they were given."""
SPARE: Final = 8
"""How many more descriptors, and threads: of connections and helpers that come and go."""


def processes(grants: int) -> int:
    """The most of a gateway: the twin, a worker and its successor for each grant, two of bubblewrap around each."""
    return 3 * (1 + 2 * grants)


def grown(warm: Holding, end: Holding, most: int) -> list[str]:
    """What a gateway holds at the end and should not; ``most`` processes are its own."""
    limits = {
        "memory_mb": warm.memory_mb + MEMORY_MB,
        "descriptors": warm.descriptors + SPARE,
        "threads": warm.threads + SPARE,
        "spills": end.processes,  # each folder is a living worker's
        "processes": most,
    }
    found = asdict(end)
    return [
        f"{name}: {found[name]:.0f}, at most {limit:.0f}"
        for name, limit in limits.items()
        if found[name] > limit
    ]


def holding(pid: int, home: Home) -> Holding:
    """What the gateway ``pid`` over ``home`` holds at this moment."""
    below = children(pid)
    return Holding(
        memory_mb=_resident_mb(pid),
        worker_mb=max(map(_resident_mb, below), default=0.0),
        processes=len(below),
        threads=int(_status(pid, "Threads")),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        spills=len(list(home.spill.iterdir())) if home.spill.is_dir() else 0,
    )


def children(pid: int) -> list[int]:
    """The processes below one, whatever sessions they lead."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in file.read_text(encoding="ascii").split()]
    return found + [below for child in found for below in children(child)]


def _resident_mb(pid: int) -> float:
    return _status(pid, "VmRSS") / 1024


def _status(pid: int, name: str) -> float:
    """A number of a process's status; 0 where the process is gone, or is only waited for."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1])
    return 0.0
