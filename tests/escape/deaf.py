"""A malicious engine that does not care whether its gateway is still there."""

from __future__ import annotations

import time


def main() -> None:
    """Stay."""
    while True:
        time.sleep(1)
