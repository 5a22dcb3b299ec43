"""The one thread that starts children.

The kernel tells a child that its parent has died when the *thread* that started it ends, and those who ask
for a child are threads of pools.  This one ends with the process.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_starter = ThreadPoolExecutor(1, "starter")


def start(begin: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Call ``begin`` there.  Raises what it raises; ``OSError`` where the interpreter is about to end."""
    try:
        return _starter.submit(begin).result()
    except RuntimeError:
        raise OSError("no child is started any more") from None


def _renew() -> None:
    global _starter  # noqa: PLW0603 - a forked process has no thread of its parent's
    _starter = ThreadPoolExecutor(1, "starter")


os.register_at_fork(after_in_child=_renew)
