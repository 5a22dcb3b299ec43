"""Playing cases against a house: every step, under every grant that a hostile operator holds.

A case never counts as refused because money ran out: when a budget or quota ends, the house is opened
afresh with an empty ledger and the question is asked again.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.home import Home, open_home
from tests.corpus.asker import MONEY, Asker, Reply
from tests.corpus.cases import Case, Step
from tests.corpus.house import DP, EXACT, Inside, Outside, Served, afresh
from tests.corpus.judge import Asked

GRANTS = (DP, *EXACT)
EXACT_REPEATS = 10
"""Exact answers carry no noise: beyond a few times, asking again can show nothing new."""


class Player:
    """Asks one house; opens it afresh when its money is spent.  Close it when done."""

    def __init__(self, home: Home, folder: Path, *, forms: bool = False) -> None:
        self._home = home
        self._folder = folder
        self._forms = forms
        self._numbers = itertools.count()
        self._served: Served | None = None
        self._askers: dict[str, Asker] = {}
        self.logged: list[str] = []
        self.entries: list[dict[str, object]] = []

    def close(self) -> None:
        """Read the operator's log for what it shows, then stop the house."""
        if self._served is None:
            return
        self.entries += _log(self.asker("operator"))
        for asker in self._askers.values():
            asker.close()
        self._askers = {}
        self._served.close()
        self.logged += self._served.logged()
        self._served = None

    def asker(self, person: str) -> Asker:
        """Who asks as ``person``, at a house that is open."""
        if self._served is None:
            self._served = Inside(afresh(self._home, self._fresh()))
        if person not in self._askers:
            token = self._served.token(person)
            self._askers[person] = Asker(self._served.port, token, forms=self._forms)
        return self._askers[person]

    def _fresh(self) -> Path:
        return self._folder / f"house-{next(self._numbers)}"

    def ask(self, step: Step, grant: str) -> Reply:
        """One question, in a fresh house if this one's money is spent."""
        reply = self.asker(step.person).ask(step, grant)
        if reply.code in MONEY:
            self.close()
            reply = self.asker(step.person).ask(step, grant)
        return reply

    def play(self, case: Case, grant: str) -> Asked:
        """All the steps of a case under one grant."""
        if not case.sequence:
            return Asked(grant, (self.ask(case.steps[0], grant),))
        if any(step.control for step in case.steps):
            return self._controlled(case, grant)
        if case.mode == "dp":
            self.close()  # what a sequence costs can be seen in an empty ledger only
        return self._sequence(case, grant)

    def _sequence(self, case: Case, grant: str) -> Asked:
        replies: list[Reply] = []
        before = self.asker("operator").spent(grant)
        for step in case.steps:
            used = EXACT[0] if step.mode == "aggregate" and case.mode == "dp" else grant
            replies += self._crowd(step, used)
        return self._reckoned(grant, replies, before)

    def _reckoned(self, grant: str, replies: list[Reply], before: int) -> Asked:
        accounts = self.asker("operator").get("/v1/budget")["balances"]
        kept = all(int(a["spent"]) <= int(a["limit"]) for a in accounts)
        return Asked(grant, tuple(replies), self.asker("operator").spent(grant) - before, kept)

    def _crowd(self, step: Step, grant: str) -> list[Reply]:
        """One step, as often and by as many at once as it says."""
        asker = self.asker(step.person)
        times = max(step.repeat if grant == DP else min(step.repeat, EXACT_REPEATS), step.concurrent)
        if step.concurrent == 1:
            return [asker.ask(step, grant, forms=turn == 0) for turn in range(times)]
        with ThreadPoolExecutor(step.concurrent) as pool:
            return list(pool.map(lambda _: asker.ask(step, grant, forms=False), range(times)))

    def _controlled(self, case: Case, grant: str) -> Asked:
        """Steps with a kill or a wait between them, against a process that can be killed."""
        home = open_home(afresh(self._home, self._fresh()).path)
        served = Outside(home).start()
        replies: list[Reply] = []
        try:
            token = served.token("operator")
            for step in case.steps:
                if step.control:
                    served.close()
                    served.start()
                else:
                    asker = Asker(served.port, token)
                    replies += [asker.ask(step, grant) for _ in range(step.repeat)]
                    asker.close()
            asker = Asker(served.port, token)
            spent = asker.spent(grant)
            asker.close()
        finally:
            served.close()
        self.logged += served.logged()
        return Asked(grant, tuple(replies), spent)


def _log(asker: Asker) -> list[dict[str, object]]:
    """Everything that the operator can read of the log."""
    found: list[dict[str, object]] = []
    page = asker.get("/v1/log", limit="1000")
    while page["next"] is not None:
        found += page["entries"]
        page = asker.get("/v1/log", after=str(page["next"]), limit="1000")
    return [*found, *page["entries"]]
