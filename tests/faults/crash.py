"""The crash campaign: ``python tests/faults/crash.py [ROUNDS] [--store sqlite|postgresql]``.

Several people ask a real ``sandbox serve`` without pause, and ask again by the same idempotency key whenever
the line breaks.  The server and its workers are killed (SIGKILL) at every named step of its work, then at
random instants, ROUNDS times in all, started again each time over what lies on the disk, and looked at by an
auditor (``books.py``) while people go on asking.  The last line is one JSON object; anything but kills is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[2]))

import httpx
from rich.progress import Progress

from sandbox.doors.asking import read_body
from sandbox.home import Home
from sandbox.model import Person
from tests.faults.books import Books
from tests.faults.house import TO, Clients, Question, make_home, token
from tests.faults.nursery import STEPS, Nursery, Serving, free_port
from tests.support.postgres import running

ROUNDS: Final = 200
CLIENTS: Final = 4
WHOLE: Final = 25
"""Rounds between two verifications of the whole log."""
BACKLOG: Final = 200
"""Answers that may wait for the auditor, who else never catches up on a slow machine."""
PATIENCE_S: Final = 20.0
AT_START: Final = frozenset({"store opened", "log opened", "start entered"})


class Campaign:
    """One home, its clients, its auditor and its server, which dies again and again."""

    def __init__(self, folder: Path, store: str, nursery: Nursery, seed: int) -> None:
        self.home: Home = make_home(folder / "home", store)
        self.kills = 0
        self.unreached: list[str] = []
        self.starts = 0
        self._dice = random.Random(seed)
        self._nursery = nursery
        self._port = free_port()
        self.names = [f"client-{n}" for n in range(CLIENTS)]
        self.clients = Clients(self._port, [token(self.home, name) for name in self.names])
        self._bureau = token(self.home, "bureau", "bureau")
        self.books = Books(self.home, self.names, folder / "auditor")
        self._seen = 0
        self._serving: Serving | None = None

    def run(self, steps: list[str]) -> Iterator[int]:
        """Crash at each step, "" being a random instant; yields the kills so far."""
        self._start(steps[0])
        self.clients.start()
        try:
            for number, (step, following) in enumerate(zip(steps, [*steps[1:], ""], strict=True), 1):
                self._die(step)
                self._start(following)
                self._audit()
                if number % WHOLE == 0:
                    self.books.whole()
                yield self.kills
        finally:
            self.clients.stop()
        self._end()

    def close(self) -> None:
        """End everything."""
        if self._serving is not None:
            self._serving.kill()
            self._serving.close()
        self.books.close()

    def _start(self, step: str) -> None:
        """A server that is to die at this step; only one that is told to may die before it answers."""
        after = 1 if step in AT_START else self._dice.randint(1, 3)
        self._serving = self._nursery.start(self.home.path, self._port, step, after)
        self.clients.enough = len(self.clients.received) + BACKLOG
        if self._serving.ready():
            self.starts += 1
        elif not step:
            raise RuntimeError("the service does not start again")

    def _die(self, step: str) -> None:
        """By one's own hand at a step, or by ours at a random instant."""
        assert self._serving is not None
        if step and not self._serving.dead(PATIENCE_S):
            self.unreached.append(step)
        elif not step:
            self._live()
        self._serving.kill()
        self._serving.close()
        self.kills += 1

    def _live(self) -> None:
        """For a random while: half of the times from the start on, half of them from the first answer on."""
        before, deadline = len(self.clients.received), time.monotonic() + PATIENCE_S
        if self._dice.random() < 0.5:
            while len(self.clients.received) == before and time.monotonic() < deadline:
                time.sleep(0.005)
        time.sleep(self._dice.uniform(0, 0.6))

    def _audit(self) -> None:
        self.clients.enough = len(self.clients.received) + BACKLOG
        received = self.clients.received[self._seen :]
        self._seen += len(received)
        self.books.check(received)
        repeated, self.clients.repeated = self.clients.repeated, []
        for before, after in repeated:
            self.books.same(before, after)

    def _end(self) -> None:
        """With everybody gone: the rest, the whole log, what is shown, and what start-ups said."""
        self._audit()
        self.books.whole()
        headers = {"authorization": f"Bearer {self._bureau}"}
        assert self.clients.received and self.clients.retries, "nothing was asked"
        found = httpx.get(f"http://127.0.0.1:{self._port}/v1/budget", headers=headers, timeout=60)
        self.books.shown(found.json()["balances"])
        for client, question in self.clients.cut_off:
            self.books.cut_off(f"{self.names[client]}/{request_of(question, self.names[client])}")
        if len(self.books.starts()) < self.starts:
            self.books.found.unlogged.append("a start without its entry")


def request_of(question: Question, name: str) -> str:
    """The id of a request, which follows from who asks what under which key."""
    asked = read_body(json.dumps(question.body).encode())
    return asked.request(Person(name, "operator", TO), dt.datetime.now(dt.UTC)).id


def steps(rounds: int) -> list[str]:
    """Every named step, then random instants."""
    return ([*STEPS] + [""] * rounds)[:rounds]


@contextlib.contextmanager
def stores(wanted: list[str]) -> Iterator[dict[str, str]]:
    """A place for a store of each kind."""
    with contextlib.ExitStack() as stack:
        places = {}
        for kind in wanted:
            place = "store.db" if kind == "sqlite" else stack.enter_context(running()).database()
            places[kind] = place
        yield places


def main() -> None:
    """Both stores, half of the rounds each; fails where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=ROUNDS)
    parser.add_argument("--store", choices=("sqlite", "postgresql"))
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    told = parser.parse_args()
    wanted = [told.store] if told.store else ["sqlite", "postgresql"]
    rounds = -(-told.rounds // len(wanted))
    totals = {"kills": 0, "lost": 0, "overspent": 0, "unlogged": 0, "unverifiable": 0}
    print(f"seed {told.seed}")
    nursery, bad = Nursery(), False
    with stores(wanted) as places, contextlib.closing(nursery), Progress() as bar:
        for kind, place in places.items():
            task = bar.add_task(kind, total=rounds)
            with tempfile.TemporaryDirectory(prefix="crash-") as folder:
                campaign = Campaign(Path(folder), place, nursery, told.seed)
                with contextlib.closing(campaign):
                    for _ in campaign.run(steps(rounds)):
                        bar.advance(task)
                bad |= _tell(kind, campaign)
                for name, count in {"kills": campaign.kills, **campaign.books.found.counts()}.items():
                    totals[name] += count
    print(json.dumps(totals))
    if bad or any(count for name, count in totals.items() if name != "kills"):
        sys.exit(1)


def _tell(kind: str, campaign: Campaign) -> bool:
    """Say what happened; whether anything is wrong that is not counted."""
    clients, found = campaign.clients, campaign.books.found
    print(f"{kind}: {len(clients.received)} answers, {clients.retries} lost connections, ", end="")
    print(f"{len(clients.cut_off)} requests cut off for good, {campaign.kills} kills")
    for name in found.counts():
        for words in getattr(found, name)[:10]:
            print(f"  {name}: {words}")
    for words in [*clients.strange[:10], *(f"not reached: {step}" for step in campaign.unreached)]:
        print(f"  {words}")
    return bool(clients.strange or campaign.unreached)


if __name__ == "__main__":
    main()
