"""What an adapter and the harness say to each other: one JSON object a line, over stdin and stdout.

An adapter runs in its peer's own environment, so this file needs the standard library alone.  The harness
writes the name of a question and reads its answer: rows with seconds and peak memory, or why there are none.
What the peer's library itself prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Unsupported(Exception):
    """The peer has no such question; the text says why."""


@dataclass(frozen=True)
class Setting:
    """The same for every peer.  ``rows``: most rows of a unit that a peer may keep, where it must be told.

    ``groups`` and ``rows_per_group`` are the two numbers for peers that bound these apart; ``amount`` the
    largest amount, declared to all.  ``data``: folder of ``visit.parquet`` and ``member.parquet``.
    """

    data: str
    rows: int
    groups: int
    rows_per_group: int
    amount: float = 500.0
    epsilon: float = 1.0
    delta: float = 1e-6

    def file(self, table: str) -> str:
        return str(Path(self.data) / f"{table}.parquet")


class Tool(Protocol):
    """A peer with the data at hand.

    ``bounds``: what it was told, in words.  ``notes``: by question, what else a reader must know.
    """

    version: str
    bounds: str
    notes: dict[str, str]

    def ask(self, question: str) -> list[tuple[Any, float]]:
        """Rows of key and value; key 0 where the question has no groups.  ``Unsupported`` with the reason."""
        ...


def serve(opened: Any) -> None:
    """Open the tool on the setting in the first argument, then answer until stdin ends."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    begun = time.perf_counter()
    tool: Tool = opened(Setting(**json.loads(sys.argv[1])))
    ready = {"version": tool.version, "bounds": tool.bounds, "seconds": time.perf_counter() - begun}
    lines.write(json.dumps(ready) + "\n")
    for line in sys.stdin:
        lines.write(json.dumps(_answer(tool, line.strip())) + "\n")


def _answer(tool: Tool, question: str) -> dict[str, Any]:
    _forget_peaks()
    begun = time.perf_counter()
    try:
        rows = tool.ask(question)
    except Unsupported as error:
        return {"unsupported": str(error)}
    except BaseException as error:  # a panic of a Rust library is not an Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return {"unsupported": f"{type(error).__name__}: {_first_line(error)}"}
    seconds = time.perf_counter() - begun
    return {
        "rows": [[_plain(k), float(v)] for k, v in rows],
        "seconds": seconds,
        "peak_mb": _peak_mb(),
        "note": tool.notes.get(question, ""),
    }


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _plain(key: Any) -> Any:
    return key.item() if hasattr(key, "item") else key


def _processes() -> list[Path]:
    """/proc of this process and of every one that it started, and of theirs; none where there is no /proc."""
    found, waiting = [], [os.getpid()]
    while waiting:
        place = Path(f"/proc/{waiting.pop()}")
        found.append(place)
        for children in place.glob("task/*/children"):
            waiting += [int(pid) for pid in children.read_text().split()]
    return [place for place in found if place.exists()]


def _forget_peaks() -> None:
    for place in _processes():
        (place / "clear_refs").write_text("5")


def _peak_mb() -> float:
    """Sum of the processes' largest resident sizes since ``_forget_peaks``, in megabytes.

    Pages of files that several of them map, such as libraries, count once.  Peaks of different moments add up
    all the same, so several processes are stated too high rather than too low.
    """
    places = _processes()
    return sum(_high(place / "status") for place in places) - _mapped_again([_mapped(p) for p in places])


def _mapped(place: Path) -> dict[str, float]:
    """Resident megabytes of each file that a process maps."""
    found: dict[str, float] = {}
    file = ""
    for line in (place / "smaps").read_text(errors="replace").splitlines():
        name, *rest = line.split(maxsplit=5)
        if name == "Rss:":
            found[file] = found.get(file, 0.0) + int(rest[0]) / 1024
        elif not name.endswith(":"):
            file = rest[-1] if len(rest) == 5 else ""
    return {file: size for file, size in found.items() if file.startswith("/")}


def _mapped_again(processes: list[dict[str, float]]) -> float:
    """What is counted twice when sizes of processes are added: all but the largest share of each file."""
    files = {file for mapped in processes for file in mapped}
    sizes = [[mapped.get(file, 0.0) for mapped in processes] for file in files]
    return sum(sum(one) - max(one) for one in sizes)


def _high(status: Path) -> float:
    line = next((x for x in status.read_text().splitlines() if x.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 1024
