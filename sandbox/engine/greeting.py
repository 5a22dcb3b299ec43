"""The smallest child: it answers one frame, and so shows that a box can be built here."""

from __future__ import annotations

from sandbox.engine import child


def main() -> None:
    """Answer one frame."""
    channel = child.connect()
    channel.send(channel.receive(1024))
