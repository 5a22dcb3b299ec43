"""How long each stage took, for the answer's own timings (never a data-dependent figure to outsiders)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Durations of stages in seconds, in order."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage, whether it ends well or not."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages.append((name, time.perf_counter() - start))

    @property
    def timings(self) -> tuple[tuple[str, float], ...]:
        """What was measured so far."""
        return tuple(self.stages)
