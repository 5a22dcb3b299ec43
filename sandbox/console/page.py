"""What a page is: an address, who may open it, and what answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from sandbox.policy.roles import Action

if TYPE_CHECKING:
    from sandbox.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Page:
    """``action``: what opening it takes; ``None`` for the pages before signing in."""

    method: str
    path: str
    action: Action | None
    answer: Callable[[Visit], Response]


def get(path: str, action: Action | None, answer: Callable[[Visit], Response]) -> Page:
    """A page that is read."""
    return Page("GET", path, action, answer)


def post(path: str, action: Action | None, answer: Callable[[Visit], Response]) -> Page:
    """A form that is submitted."""
    return Page("POST", path, action, answer)
