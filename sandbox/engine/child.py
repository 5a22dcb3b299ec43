"""What a child process does first: take its pipes, bind its life to the gateway's, limit itself.

Invariants: only frames are ever written to the gateway (stdout is pointed elsewhere, so no library can
print into the wire); the process ends as soon as the gateway's end of its input closes, even in the
middle of a query; limits can only be lowered afterwards.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import sys
import threading
from typing import Final

from sandbox.engine.frames import Channel

# json reads nested trees recursively; 300 nested subselects need about 3,000 levels.
_RECURSION: Final = 10_000

_left_behind: Final[list[str]] = []


def connect() -> Channel:
    """The channel to the gateway over stdin and stdout, watched for the gateway's end."""
    sys.setrecursionlimit(_RECURSION)
    reader, writer = os.dup(0), os.dup(1)
    with open(os.devnull, "r+b", buffering=0) as nowhere:
        os.dup2(nowhere.fileno(), 0)
        os.dup2(nowhere.fileno(), 1)
    # A thread, not PR_SET_PDEATHSIG: that signal comes when the *thread* that started the child ends,
    # and gateways start children from pool threads.
    threading.Thread(target=_end_with_gateway, args=(reader,), daemon=True).start()
    return Channel(reader, writer)


def _end_with_gateway(reader: int) -> None:
    poll = select.poll()
    poll.register(reader, 0)  # no events asked for: only a hang-up returns
    poll.poll()
    for folder in _left_behind:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def remove_at_end(folder: str) -> None:
    """Have this folder removed if the gateway dies and cannot do it any more."""
    _left_behind.append(folder)


def restrict(address_space: int, file_size: int) -> None:
    """Bound address space and the size of any written file (bytes); no core dumps, private files."""
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def allow_cpu(seconds: int) -> None:
    """Let this process burn ``seconds`` more of processor time; beyond that the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))
