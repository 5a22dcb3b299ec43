"""How long each stage took, for the answer's own timings (never a data-dependent figure to outsiders)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Durations of stages in seconds, in order."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float]] = []
        self._begun = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage, whether it ends well or not."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages.append((name, time.perf_counter() - start))

    def until_tick(self, clock_ms: int) -> None:
        """Wait for the next multiple of ``clock_ms`` since the query came; 0: do not wait.

        How long a query ran depends on data, and so would the place and time of its entry in the log, which
        others' entries surround: what is recorded after data were touched is recorded on the release clock.
        """
        if clock_ms:
            tick = clock_ms / 1000
            time.sleep(tick - (time.monotonic() - self._begun) % tick)

    @property
    def timings(self) -> tuple[tuple[str, float], ...]:
        """What was measured so far."""
        return tuple(self.stages)
