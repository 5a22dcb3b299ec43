"""Admission: who may run now, who waits, who is told to come back, and how a running query is stopped.

Invariants: one query of a person runs at a time; a grant has so many running and so many waiting, whatever
other grants do; slots go to waiting grants in turn, within a grant in the order of asking; what is counted
for one grant is never looked at for another; a turn that was stopped begins no further engine run, and no
answer of it leaves.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from sandbox.engine.interface import Engine, EngineFailure
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.home import Queue
from sandbox.model import Request

_GLANCE_S: Final = 0.2
"""How often one who waits for an engine looks whether they still want it."""


class Turn:
    """One query from asking to its end.  ``stop`` may be called by any thread, at any time."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._admitted = threading.Event()
        self._lock = threading.Lock()
        self._reason: Reason | None = None
        self._cancel: Callable[[], None] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Who asks, by which id: ids are chosen by clients and are theirs alone."""
        return self.request.person.name, self.request.id

    def stop(self, reason: Reason) -> None:
        """End the turn with ``reason``: a run in progress is cancelled, the next is not begun."""
        with self._lock:
            self._reason = self._reason or reason
            if self._cancel is not None:
                self._cancel()
        self._admitted.set()

    def check(self) -> None:
        """Raise the reason for which the turn was stopped, if it was."""
        with self._lock:
            if self._reason is not None:
                raise Refusal(self._reason)

    def admit(self) -> None:
        """Let the one who waits go on."""
        self._admitted.set()

    def wait(self, seconds: float) -> bool:
        """Wait until admitted or stopped; whether one of these came about."""
        return self._admitted.wait(seconds)

    @contextmanager
    def running(self, cancel: Callable[[], None]) -> Iterator[None]:
        """A stretch that ``cancel`` ends early.  Leaves with the stop's reason, if the turn was stopped."""
        self.check()
        with self._lock:
            self._cancel = cancel
        try:
            self.check()  # stopped between the two: nobody would have cancelled
            yield
        except EngineFailure:
            self.check()
            raise
        finally:
            with self._lock:
                self._cancel = None
        self.check()


class Stoppable:
    """An engine as one turn sees it.  It runs one text at a time, so what a turn ends is its own run."""

    def __init__(self, engine: Engine, line: threading.Lock, turn: Turn, cancel: Callable[[], None]) -> None:
        """``line``: shared by all turns on this engine; ``cancel`` ends the engine's run in progress."""
        self._engine = engine
        self._line = line
        self._turn = turn
        self._cancel = cancel

    def run(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """See ``Engine.run``; refuses with the reason for which the turn was stopped."""
        while not self._line.acquire(timeout=_GLANCE_S):
            self._turn.check()
        try:
            with self._turn.running(self._cancel):
                return self._engine.run(sql, tables)
        finally:
            self._line.release()


class Admission:
    """The line before the engines."""

    def __init__(self, limits: Queue) -> None:
        self._limits = limits
        self._lock = threading.Condition()
        self._waiting: OrderedDict[str, deque[Turn]] = OrderedDict()
        self._running: list[Turn] = []
        self._closing = False

    @contextmanager
    def turn(self, request: Request) -> Iterator[Turn]:
        """A slot for as long as the block runs.

        Refuses ``BUSY`` where the grant's line is full or the wait too long, ``CLOSING`` once ``close`` was
        called, and with the reason given to ``stop``.
        """
        turn = Turn(request)
        self._enter(turn)
        try:
            if not turn.wait(self._limits.patience_s):
                raise refuse(Code.BUSY, request.grant)
            turn.check()
            yield turn
        finally:
            self._leave(turn)

    def open(self) -> None:
        """Refuses ``CLOSING`` once nobody is admitted any more."""
        with self._lock:
            if self._closing:
                raise refuse(Code.CLOSING)

    def turns(self) -> tuple[Turn, ...]:
        """All that run or wait."""
        with self._lock:
            return (*self._running, *(t for line in self._waiting.values() for t in line))

    def load(self) -> tuple[int, int]:
        """How many run, and how many wait."""
        with self._lock:
            return len(self._running), sum(map(len, self._waiting.values()))

    def stop(self, wanted: Callable[[Request], bool], reason: Reason) -> int:
        """Stop every turn whose request is wanted stopped; how many there were."""
        found = [turn for turn in self.turns() if wanted(turn.request)]
        for turn in found:
            turn.stop(reason)
        return len(found)

    def drain(self) -> None:
        """Admit nobody from here on, and send away who waits."""
        with self._lock:
            self._closing = True
            waiting = [turn for line in self._waiting.values() for turn in line]
        for turn in waiting:
            turn.stop(Reason(Code.CLOSING))

    def close(self, grace_s: float) -> bool:
        """Drain, let what runs end, stop what has not after ``grace_s``; whether all ended by themselves."""
        self.drain()
        with self._lock:
            ended = self._lock.wait_for(lambda: not self._running, grace_s)
        if not ended:
            self.stop(lambda _: True, Reason(Code.CLOSING))
        return ended

    def _enter(self, turn: Turn) -> None:
        grant = turn.request.grant
        with self._lock:
            if self._closing:
                raise refuse(Code.CLOSING)
            line = self._waiting.setdefault(grant, deque())
            if len(line) >= self._limits.waiting + self._free(grant):
                raise refuse(Code.BUSY, grant)
            line.append(turn)
            self._admit()

    def _leave(self, turn: Turn) -> None:
        with self._lock:
            if turn in self._running:
                self._running.remove(turn)
            line = self._waiting.get(turn.request.grant, deque())
            if turn in line:
                line.remove(turn)
            if not line:
                self._waiting.pop(turn.request.grant, None)
            self._admit()
            self._lock.notify_all()

    def _free(self, grant: str) -> int:
        """How many more of a grant could run now, were it alone."""
        return max(0, self._limits.each - sum(1 for t in self._running if t.request.grant == grant))

    def _admit(self) -> None:
        """Give free slots to the grants in turn."""
        while len(self._running) < self._limits.running:
            turn = next(filter(None, map(self._next, self._waiting)), None)
            if turn is None:
                return
            grant = turn.request.grant
            self._waiting[grant].remove(turn)
            self._waiting.move_to_end(grant)
            self._running.append(turn)
            turn.admit()

    def _next(self, grant: str) -> Turn | None:
        """The first of a grant's line that may run beside what runs."""
        if not self._free(grant):
            return None
        busy = {turn.request.person.name for turn in self._running}
        return next((turn for turn in self._waiting[grant] if turn.request.person.name not in busy), None)
