"""Progress of long work: stages and row counts of the trusted side, for a bar at a terminal."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called at each step.  ``stage``: ``read``, ``check``, ``units``, ``write``, ``cube``, ``hash``.

    ``table`` names the table at work, or is ""; ``done`` of ``total`` count tables or files.  For the
    owner's terminal only: an analyst never sees it.
    """

    def __call__(self, stage: str, table: str, done: int, total: int) -> None:
        """Take note; must not raise."""


def silent(stage: str, table: str, done: int, total: int) -> None:
    """A ``Progress`` that shows nothing."""
