"""What a child's module does first: take its pipes, and bind its life to the gateway's.

Invariants: only frames are ever written to the gateway (stdout is pointed elsewhere, so no library can
print into the wire); the process ends as soon as the gateway's end of its input closes, even in the
middle of a query.  What it may use was limited before (``boot.py``).
"""

from __future__ import annotations

import os
import resource
import select
import sys
import threading
from typing import Final

from sandbox.engine.frames import Channel

# json reads nested trees recursively; 300 nested subselects need about 3,000 levels.
_RECURSION: Final = 10_000


def connect() -> Channel:
    """The channel to the gateway over stdin and stdout, watched for the gateway's end."""
    sys.setrecursionlimit(_RECURSION)
    reader, writer = os.dup(0), os.dup(1)
    with open(os.devnull, "r+b", buffering=0) as nowhere:
        os.dup2(nowhere.fileno(), 0)
        os.dup2(nowhere.fileno(), 1)
    # Besides the signal that ``boot`` asks for: that one is lost where the gateway is gone already.
    threading.Thread(target=_end_with_gateway, args=(reader,), daemon=True).start()
    return Channel(reader, writer)


def _end_with_gateway(reader: int) -> None:
    poll = select.poll()
    poll.register(reader, 0)  # no events asked for: only a hang-up returns
    poll.poll()
    os._exit(0)


def allow_cpu(seconds: int) -> None:
    """Let this process burn ``seconds`` more of processor time; beyond that the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))
