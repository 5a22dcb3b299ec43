"""A worker that was hired: a child with room in its crew's memory, and a life that is counted."""

from __future__ import annotations

import time
import weakref
from typing import Final

from sandbox.engine.box import Box
from sandbox.engine.crew import Crew
from sandbox.engine.frames import Frame
from sandbox.engine.process import Child, ChildGone

_MODULE: Final = "sandbox.engine.worker"


class Hired(Child):
    """A worker process.  Its room is given back when it is closed."""

    def __init__(self, box: Box, crew: Crew, room_mb: int) -> None:
        """Start it.  ``room_mb`` was claimed before; it is free again if this raises ``ChildGone``."""
        self._room = weakref.finalize(self, crew.free, room_mb)
        try:
            super().__init__(_MODULE, box)
        except ChildGone:
            self._room()
            raise
        self.runs = 0
        self.busy_s = 0.0

    def call(self, frame: Frame, timeout_s: float, limit: int) -> Frame:
        """See ``Child.call``."""
        began = time.monotonic()
        try:
            return super().call(frame, timeout_s, limit)
        finally:
            self.runs += 1
            self.busy_s += time.monotonic() - began

    def close(self) -> None:
        """See ``Child.close``."""
        super().close()
        self._room()
