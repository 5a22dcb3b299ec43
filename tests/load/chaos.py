"""Chaos: ``python -m tests.load.chaos [ROUNDS] [--seed N]``.

People ask a real ``sandbox serve`` without pause, under a supervisor that starts it again whenever it ends,
as systemd does with ``Restart=always``.  Each round something breaks at random: workers, the binder's twin or
the gateway are killed, the service is told to end, the spill directory goes away, is no directory, or is
full.  Nobody mends anything but the disk; how long it takes until new questions are answered is measured, and
the auditor of the crash campaign (``tests/faults/books.py``) looks at ledger, log and every answer.  The last
line is one JSON object; ``slowest_s`` is the longest time to an answer, anything after it is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.progress import Progress

from tests.faults.books import Books
from tests.faults.crash import BACKLOG, CLIENTS, request_of
from tests.faults.house import Clients, make_home, token
from tests.faults.nursery import Nursery, Serving, free_port
from tests.load.gauge import children
from tests.load.line import Line

ROUNDS: Final = 100
SECONDS: Final = 15.0
"""Within which the service must answer again."""
GIVE_UP_S: Final = 60.0
RESTART_S: Final = 0.1
"""What a supervisor waits before it starts the service again (``RestartSec`` of systemd)."""
BROKEN_S: Final = 0.5
"""How long the disk is broken, at most."""

EXPECTED: Final = frozenset({"DS-701", "DS-702", "DS-703", "DS-705"})
"""What one may be told whose query the fault met: it could not be run, or come back later."""


class Supervisor:
    """Keeps one service running: whenever it ends, another is started."""

    def __init__(self, nursery: Nursery, home: Path, port: int) -> None:
        self._nursery = nursery
        self._home = home
        self._port = port
        self._over = threading.Event()
        self.serving: Serving = nursery.start(home, port)
        self.starts = 1
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The service's process at this moment."""
        return self.serving.pid

    def close(self) -> None:
        """Start it no more, and kill it."""
        self._over.set()
        self._thread.join()
        self.serving.kill()
        self.serving.close()

    def _keep(self) -> None:
        while not self._over.is_set():
            if not self.serving.dead(0.05):
                continue
            self.serving.close()
            time.sleep(RESTART_S)
            self.serving = self._nursery.start(self._home, self._port)
            self.starts += 1


class Chaos:
    """One home, its people, its auditor, its supervisor, and what befalls it."""

    def __init__(self, folder: Path, nursery: Nursery, seed: int) -> None:
        self.home = make_home(folder / "home")
        self.dice = random.Random(seed)
        port = free_port()
        self._names = [f"client-{n}" for n in range(CLIENTS)]
        self.clients = Clients(port, [token(self.home, name) for name in self._names])
        self._probe = Line(port, token(self.home, "probe"))
        self.books = Books(self.home, self._names, folder / "auditor")
        self.supervisor = Supervisor(nursery, self.home.path, port)
        self.slow: dict[str, float] = {}
        self._seen = self._number = 0

    def run(self, faults: list[str]) -> Iterator[tuple[str, float]]:
        """Let each befall the service; yields it, and how long the next answer took, in seconds."""
        self._answered()
        self.clients.start()
        try:
            for fault in faults:
                time.sleep(self.dice.uniform(0, 0.3))
                FAULTS[fault](self)
                took = self._answered()
                self.slow[fault] = max(took, self.slow.get(fault, 0.0))
                self._audit()
                yield fault, took
        finally:
            self.clients.stop()
        self._audit()
        self.books.whole()
        for client, question in self.clients.cut_off:
            self.books.cut_off(f"{self._names[client]}/{request_of(question, self._names[client])}")

    def strange(self) -> list[str]:
        """What people were told that nothing explains, and faults that took too long to get over."""
        told = [words for words in self.clients.strange if words.split()[1] not in EXPECTED]
        late = [f"{fault}: {took:.1f} s to an answer" for fault, took in self.slow.items() if took > SECONDS]
        return told + late

    def close(self) -> None:
        """End everything."""
        self.supervisor.close()
        self.books.close()
        self._probe.close()

    def _answered(self) -> float:
        """Seconds until a question that nobody asked before is answered, in both modes."""
        begun = time.monotonic()
        while not (self._asked("G-DP", epsilon="0.001") and self._asked("G-EXACT")):
            if time.monotonic() - begun > GIVE_UP_S:
                raise TimeoutError("the service does not answer again")
            time.sleep(0.02)
        return time.monotonic() - begun

    def _asked(self, grant: str, **more: str) -> bool:
        self._number += 1
        kind = f"kind < {self._number}" if grant == "G-EXACT" else f"fee < {self._number + 1_000}"
        sql = f"SELECT city, COUNT(*) AS n FROM visit WHERE {kind} GROUP BY city"
        return self._probe.query(sql, grant, **more).status == 200

    def _audit(self) -> None:
        self.clients.enough = len(self.clients.received) + BACKLOG
        received = self.clients.received[self._seen :]
        self._seen += len(received)
        self.books.check(received)
        repeated, self.clients.repeated = self.clients.repeated, []
        for before, after in repeated:
            if after.status_code == 200 or after.json()["code"] not in EXPECTED:
                self.books.same(before, after)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def worker_killed(chaos: Chaos) -> None:
    """One process below the gateway: a worker, the twin, or the box around one."""
    below = children(chaos.supervisor.pid)
    if below:
        _signal(chaos.dice.choice(below), signal.SIGKILL)


def all_killed(chaos: Chaos) -> None:
    """Every process below the gateway."""
    for pid in children(chaos.supervisor.pid):
        _signal(pid, signal.SIGKILL)


def gateway_killed(chaos: Chaos) -> None:
    """The gateway alone; what is below it must end by itself, and the supervisor starts another."""
    pid = chaos.supervisor.pid
    below = children(pid)
    _signal(pid, signal.SIGKILL)
    end = time.monotonic() + SECONDS
    while any(_lives(child) for child in below):
        if time.monotonic() > end:
            raise RuntimeError("workers outlive their gateway")
        time.sleep(0.01)


def gateway_ended(chaos: Chaos) -> None:
    """The service is told to end, with queries under way."""
    _signal(chaos.supervisor.pid, signal.SIGTERM)
    serving = chaos.supervisor.serving
    end = time.monotonic() + GIVE_UP_S
    while serving is chaos.supervisor.serving and time.monotonic() < end:
        time.sleep(0.01)


def spill_removed(chaos: Chaos) -> None:
    """The spill directory is removed, under the workers that have their folders there."""
    shutil.rmtree(chaos.home.spill, ignore_errors=True)
    all_killed(chaos)


def spill_no_directory(chaos: Chaos) -> None:
    """A file stands where the spill directory was, for a while."""
    shutil.rmtree(chaos.home.spill, ignore_errors=True)
    with contextlib.suppress(OSError):  # a worker's folder may just have been made again
        chaos.home.spill.write_bytes(b"")
    all_killed(chaos)
    time.sleep(chaos.dice.uniform(0, BROKEN_S))
    chaos.home.spill.unlink(missing_ok=True) if chaos.home.spill.is_file() else None


def spill_full(chaos: Chaos) -> None:
    """The spill directory is a disk without a free byte, for a while."""
    chaos.home.spill.mkdir(mode=0o700, exist_ok=True)
    with small_disk(chaos.home.spill):
        with contextlib.suppress(OSError), (chaos.home.spill / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        all_killed(chaos)
        time.sleep(chaos.dice.uniform(0, BROKEN_S))


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A disk of a few pages at ``place``, for as long as the block runs; needs root."""
    options = "size=64k,nr_inodes=4,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True, capture_output=True)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


FAULTS: Final[dict[str, Callable[[Chaos], None]]] = {
    "worker killed": worker_killed,
    "all workers killed": all_killed,
    "gateway killed": gateway_killed,
    "gateway ended": gateway_ended,
    "spill removed": spill_removed,
    "spill is no directory": spill_no_directory,
    "spill full": spill_full,
}


def possible() -> list[str]:
    """The faults that this machine lets one make: a disk of one's own takes root, and leave to mount."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder)):
                return list(FAULTS)
        except (OSError, subprocess.CalledProcessError):
            return [name for name in FAULTS if name != "spill full"]


def main() -> None:
    """As many rounds as told; fails where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    told = parser.parse_args()
    print(f"seed {told.seed}")
    names, dice = possible(), random.Random(told.seed)
    nursery = Nursery()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        Progress() as bar,
        contextlib.closing(nursery),
    ):
        task = bar.add_task("chaos", total=told.rounds)
        chaos = Chaos(Path(folder), nursery, told.seed)
        with contextlib.closing(chaos):
            for _ in chaos.run(dice.choices(names, k=told.rounds)):
                bar.advance(task)
    _tell(chaos, told.rounds, [name for name in FAULTS if name not in names])


def _tell(chaos: Chaos, rounds: int, left_out: list[str]) -> None:
    clients, found, strange = chaos.clients, chaos.books.found, chaos.strange()
    print(f"{len(clients.received)} answers, {clients.retries} lost connections, ", end="")
    print(f"{len(clients.strange)} told to ask again, {chaos.supervisor.starts} starts")
    for name in left_out:
        print(f"  left out, for want of root: {name}")
    for name, took in sorted(chaos.slow.items()):
        print(f"  {name}: an answer after at most {took:.2f} s")
    for words in [*strange[:20], *(w for name in found.counts() for w in getattr(found, name)[:10])]:
        print(f"  wrong: {words}")
    slowest = round(max(chaos.slow.values(), default=0.0), 2)
    print(json.dumps({"rounds": rounds, "slowest_s": slowest, **found.counts()}))
    if strange or any(found.counts().values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
