"""The workers of one gateway together: how much memory they may have, and who starts before being needed.

Invariants: what running workers may use adds up to no more than the whole, unless there is but one; room is
made by ending idle workers, those of engines not asked for longest first; nobody waits for room for ever.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

_GLANCE_S: Final = 0.05


class Member(Protocol):
    """An engine, as the crew sees it."""

    def dismiss_idle(self) -> bool:
        """End one worker that runs nothing; whether there was one."""
        ...


class Crew:
    """Room for workers."""

    def __init__(self, total_mb: int | None = None) -> None:
        """``total_mb``: for all workers together; ``None``: no bound."""
        self._total_mb = total_mb
        self._lock = threading.Lock()
        self._used_mb = 0
        self._members: weakref.WeakKeyDictionary[Member, float] = weakref.WeakKeyDictionary()
        self._ahead = ThreadPoolExecutor(1, "spare")

    def join(self, member: Member) -> None:
        """``member`` was asked for now."""
        with self._lock:
            self._members[member] = time.monotonic()

    def claim(self, wanted_mb: int, patience_s: float) -> bool:
        """Take room for a worker, making some where there is none; ``False`` if that took too long.

        ``patience_s`` 0: take what is free, or nothing.
        """
        end = time.monotonic() + patience_s
        while not self._take(wanted_mb):
            if patience_s == 0:
                return False
            if self._make_room():
                continue
            if time.monotonic() > end:
                return False
            time.sleep(_GLANCE_S)
        return True

    def free(self, room_mb: int) -> None:
        """Give a worker's room back."""
        with self._lock:
            self._used_mb -= room_mb

    def ahead(self, work: Callable[[], None]) -> None:
        """Have something done soon, by another thread, one at a time."""
        try:
            self._ahead.submit(work)
        except RuntimeError:
            return  # the interpreter, or the gateway, is about to end

    def close(self) -> None:
        """Start nothing ahead any more, and wait for what is being started."""
        self._ahead.shutdown(cancel_futures=True)

    @property
    def used_mb(self) -> int:
        """What the workers there are may use."""
        with self._lock:
            return self._used_mb

    def _take(self, wanted_mb: int) -> bool:
        with self._lock:
            if self._total_mb is not None and 0 < self._used_mb > self._total_mb - wanted_mb:
                return False
            self._used_mb += wanted_mb
            return True

    def _make_room(self) -> bool:
        with self._lock:
            oldest_first = sorted(self._members.items(), key=lambda pair: pair[1])
        return any(member.dismiss_idle() for member, _ in oldest_first)
