"""The thread that hands out signed heads and applies retention, beside the queries and never before one."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Final

from sandbox.errors import Refusal
from sandbox.store.log.desk import Desk
from sandbox.store.log.witness import Witness

DAY: Final = dt.timedelta(days=1)


class Caretaker:
    """Works every ``every_s`` seconds until ``stop``.  Whatever is refused is tried again next time."""

    def __init__(self, desk: Desk, witness: Witness, every_s: float, now: Callable[[], dt.datetime]) -> None:
        self._desk = desk
        self._witness = witness
        self._every_s = every_s
        self._now = now
        self._purged: dt.datetime | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, once what is being sent is sent or given up."""
        self._over.set()
        self._thread.join()

    def round(self) -> None:
        """One round."""
        now = self._now()
        for work in (lambda: self._witness.push(now), lambda: self._purge(now)):
            try:
                work()
            except (Refusal, OSError):
                continue  # the store says so to every query; here there is nobody to tell

    def _purge(self, now: dt.datetime) -> None:
        if self._purged is None or now - self._purged >= DAY:
            self._desk.purge()
            self._purged = now

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.round()
