"""Kinds of source by name, found among the installed packages' entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from sandbox_connectors import faults
from sandbox_connectors.interface import Connector, Kind, Place

GROUP: Final = "sandbox.connectors"
"""The entry point group; each entry's name is a kind, its object a ``Kind``."""


def names() -> tuple[str, ...]:
    """Every kind that is installed, sorted."""
    return tuple(sorted(entry_points(group=GROUP).names))


def kind(name: str) -> Kind:
    """The kind of this name.  Refuses with ``Code.SOURCE_UNKNOWN``, or ``Code.SOURCE_DRIVER``."""
    for entry in entry_points(group=GROUP, name=name):
        try:
            found = entry.load()
        except ImportError:
            raise faults.driver(name) from None
        if isinstance(found, Kind):
            return found
    raise faults.unknown(f"connector {name}")


def connect(name: str, written: Mapping[str, str], place: Place) -> Connector:
    """A connector of this kind with these settings; nothing is opened yet."""
    found = kind(name)
    return found.connect(found.options(written), place)
