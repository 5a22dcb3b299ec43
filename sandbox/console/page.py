"""What a page is: an address, who may open it, and what answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from sandbox.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Page:
    """``roles``: who may open it; empty for the pages before signing in."""

    method: str
    path: str
    roles: frozenset[str]
    answer: Callable[[Visit], Response]


def get(path: str, roles: frozenset[str], answer: Callable[[Visit], Response]) -> Page:
    """A page that is read."""
    return Page("GET", path, roles, answer)


def post(path: str, roles: frozenset[str], answer: Callable[[Visit], Response]) -> Page:
    """A form that is submitted."""
    return Page("POST", path, roles, answer)
