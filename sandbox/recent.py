"""A bounded memory of recent results.  For pure results only: what is forgotten is worked out again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values used last, as many as weigh ``room`` together.  Any number of threads may use it."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._taken = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value kept under a key, now the one used last; ``None`` if there is none."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> tuple[V, ...]:
        """Keep a value and return those forgotten for it: the value itself if it is heavier than the room."""
        with self._lock:
            forgotten = [self._forget(key)] if key in self._kept else []
            if weight > self._room:
                return (*forgotten, value)
            self._kept[key] = value, weight
            self._taken += weight
            while self._taken > self._room:
                forgotten.append(self._forget(next(iter(self._kept))))
            return tuple(forgotten)

    def _forget(self, key: K) -> V:
        value, weight = self._kept.pop(key)
        self._taken -= weight
        return value
