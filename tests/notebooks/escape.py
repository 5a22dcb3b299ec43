"""``make notebook-escape``: everything that ``intruder`` tries from a real kernel beside a second analyst's."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.doors.notebook_service import NotebookService
from sandbox.notebooks import walls
from tests.notebooks import intruder
from tests.notebooks.house import AIR, PEOPLE, POWER, House
from tests.notebooks.lab import Lab

ABSTRACT = "ds-outside"


@contextmanager
def abstract() -> Iterator[None]:
    """Somebody listens at a name that is no path."""
    with socket.socket(socket.AF_UNIX) as line:
        line.bind("\0" + ABSTRACT)
        line.listen()
        yield


def addresses() -> list[str]:
    """This machine's own, as its network knows it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return []
        return [line.getsockname()[0]]


def known(house: House, service: NotebookService, other: Lab) -> dict[str, Any]:
    """What an attacker could know of the world outside."""
    home, theirs = house.home, service.rooms.home(other.person)
    server = service.rooms.visit(other.person, "en")
    settings = home.settings.notebooks
    return {
        "files": [
            str(p)
            for p in (home.path / "sandbox.toml", home.data / "store.db", theirs / "mine.txt", "/etc/shadow")
        ],
        "folders": [
            str(p) for p in (home.path, home.snapshots, home.sources, home.log, theirs, server.parent.parent)
        ],
        "names": ["sandbox.toml", "store.db", "snapshots", "mine.txt", theirs.name],
        "code": [*walls.client(), str(Path(sys.prefix) / "lib"), str(Path(sys.base_prefix) / "lib")],
        "processes": [os.getpid(), os.getppid(), 1],
        "ports": [int(house.url.rpartition(":")[2]), service.port],
        "addresses": [["8.8.8.8", 53], ["1.1.1.1", 443], *([[a, service.port] for a in addresses()])],
        "sockets": [str(server), str(server.parent.parent / "line" / "gateway.sock"), "/run/docker.sock"],
        "abstract": [ABSTRACT],
        "other": other.person.name,
        "grants": [POWER],
        "scratch_mb": settings.scratch_mb,
        "disk_mb": settings.disk_mb,
    }


def attempted(house: House, service: NotebookService) -> list[tuple[str, str | None]]:
    """Every probe, and what it got, if anything."""
    mine, other = Lab(house, service, PEOPLE[AIR]), Lab(house, service, PEOPLE[POWER])
    other.http.get("/lab")
    other.put("/api/contents/mine.txt", {"type": "file", "format": "text", "content": "mine"})
    kernel = mine.kernel()
    source = Path(intruder.__file__).read_text(encoding="utf-8")
    told = known(house, service, other)
    with abstract():
        found = mine.run(kernel, f"{source.replace('from __future__ import annotations', '')}\nrun({told!r})")
    service.rooms.stop(mine.person)
    service.rooms.stop(other.person)
    mine.close()
    other.close()
    line = next(line for line in found["text"].splitlines() if line.startswith("TOLD "))
    return [(name, got) for name, got in json.loads(line.removeprefix("TOLD "))]


def main() -> int:
    """A house, two analysts, every probe; one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "home")
        service = house.hosting()
        found = attempted(house, service)
        service.close()
        house.close()
    for name, got in found:
        print(f"{'ESCAPED' if got else 'refused'}  {name.replace('_', ' ')}{f': {got}' if got else ''}")
    escaped = sum(got is not None for _, got in found)
    print(json.dumps({"probes": len(found), "escaped": escaped}))
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
