"""The sweep over a disk's faults: ``python tests/faults/sweep.py [MOST]``.

A real ``sandbox serve`` under a disk that fails when told to.  A question is asked again and again, each time
anew, while the first, second, third ... call to the files of the home fails: full, broken, read-only; once, or
from then on.  Each time: an answer that is logged and proved, or a refusal with a stable code and nothing of
the machine in it; and once the disk is well, the service goes on, and the key's answer is the same.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[2]))

import httpx
from rich.progress import track

from tests.faults.books import Books
from tests.faults.disk import ERRORS, Disk
from tests.faults.house import Question, Received, make_home, token
from tests.faults.nursery import Nursery, free_port

MACHINE: Final = re.compile(r"/home|\.db|sqlite|errno|traceback|\.py\b|fdatasync|malformed", re.IGNORECASE)
"""What no refusal may say."""
REFUSED: Final = frozenset({"DS-504", "DS-902", "DS-903"})


class Sweep:
    """One home under one disk, one client, one auditor."""

    def __init__(self, folder: Path) -> None:
        self.home = make_home(folder / "home")
        self.disk = Disk(folder / "disk", self.home.path)
        self.wrong: list[str] = []
        self.answers: Counter[str] = Counter()
        port = free_port()
        headers = {"authorization": f"Bearer {token(self.home, 'ann')}"}
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=90)
        self.books = Books(self.home, ["ann"], folder / "auditor")
        self._nursery = Nursery(self.disk.environment)
        self._serving = self._nursery.start(self.home.path, port)
        assert self._serving.ready()
        self._number = 0

    def close(self) -> None:
        """End everything."""
        self._serving.kill()
        self._serving.close()
        self._nursery.close()
        self._http.close()
        self.books.close()
        self.disk.close()

    def calls(self) -> int:
        """How many calls a question makes, its first and costliest kind."""
        self.ask("G-DP")
        before = self.disk.calls
        self.ask("G-DP")
        return self.disk.calls - before

    def ask(self, grant: str) -> tuple[Question, httpx.Response]:
        """A question that nobody asked before."""
        self._number += 1
        question = Question(grant, self._number, f"key {self._number}")
        return question, self._post(question)

    def fault(self, at: int, error: str, *, sticky: bool, grant: str = "G-DP") -> bool:
        """One question under one fault, and what comes after it; False if the fault came too late to matter."""
        self.disk.fail(at, ERRORS[error], sticky=sticky)
        question, found = self.ask(grant)
        late = self.disk.heal()
        name = f"{error} at call {at}{' and after' if sticky else ''}, {grant}"
        received = self._judge(name, question, found)
        again = self._post(question)
        later = self._judge(f"{name}, asked again", question, again)
        if received and later:
            self.books.same(received[0], again)
        _, fresh = self.ask(grant)
        if fresh.status_code != 200:
            self.wrong.append(f"{name}: does not go on: {fresh.text[:200]}")
        self.books.check([*received, *later])
        self.answers[found.json().get("code", "answered")] += 1
        return not late

    def _judge(self, name: str, question: Question, found: httpx.Response) -> list[Received]:
        if found.status_code == 200:
            return [Received(0, question, found.json())]
        body = found.json()
        codes = {reason["code"] for reason in body["reasons"]}
        told = {key: value for key, value in body.items() if key not in ("proof", "type")}
        if not codes <= REFUSED or "rows" in body:
            self.wrong.append(f"{name}: {found.status_code} {sorted(codes)}")
        if MACHINE.search(json.dumps(told)):
            self.wrong.append(f"{name}: says too much: {told}")
        return []

    def _post(self, question: Question) -> httpx.Response:
        return self._http.post("/v1/queries", json=question.body)


def faults(most: int) -> Iterator[tuple[int, str, bool, str]]:
    """Every call, every error, once and from then on, under a DP and an exact grant."""
    for at in range(1, most + 1):
        for error in ERRORS:
            for sticky in (False, True):
                for grant in ("G-DP", "G-EXACT"):
                    yield at, error, sticky, grant


def main() -> None:
    """The whole sweep; fails where anything was found."""
    with (
        tempfile.TemporaryDirectory(prefix="sweep-") as folder,
        contextlib.closing(Sweep(Path(folder))) as sweep,
    ):
        most = int(sys.argv[1]) if len(sys.argv) > 1 else sweep.calls()
        print(f"{most} calls a question")
        for at, error, sticky, grant in track(list(faults(most))):
            sweep.fault(at, error, sticky=sticky, grant=grant)
        sweep.books.whole()
        print(dict(sweep.answers))
        for words in sweep.wrong[:40]:
            print(f"  {words}")
        found = sweep.books.found
        for kind in found.counts():
            for words in getattr(found, kind)[:10]:
                print(f"  {kind}: {words}")
        print(json.dumps({"faults": sweep.answers.total(), "wrong": len(sweep.wrong), **found.counts()}))
        if sweep.wrong or any(found.counts().values()):
            sys.exit(1)


if __name__ == "__main__":
    main()
