"""A child process of the gateway, seen from the gateway: start, call, kill.

Invariants: a child has its own session, next to no environment, no descriptor but its two pipes, and a
discarded stderr; it is killed, reaped and its scratch folder removed by ``close``, by garbage collection
and at interpreter exit, and it ends by itself when its gateway dies (``child.py``).  A call that does not
end in an answer kills the child, so that no late answer can be taken for the next one's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Final

import sandbox
from sandbox.engine.frames import Channel, Frame, TooLarge

_ROOT: Final = str(Path(sandbox.__file__).resolve().parent.parent)

# ``-I`` drops the working directory, PYTHONPATH and user site.  The package's own parent is appended,
# last, so that a checkout works like an installation and can shadow nothing.
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)

# MALLOC_ARENA_MAX and the thread counts keep reserved address space small under RLIMIT_AS.
_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "HOME": "/nonexistent",
    "PATH": "/usr/bin:/bin",
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class ChildGone(Exception):
    """No answer, and no child any more.  ``limit``: it took too long, or the answer was too large."""

    def __init__(self, *, limit: bool = False) -> None:
        super().__init__("a child process is gone")
        self.limit: Final = limit


class Child:
    """One running child.  ``call`` by one thread at a time; ``kill`` and ``close`` by any."""

    def __init__(self, module: str, spill: Path | None = None) -> None:
        """Start ``module.main()`` in a fresh interpreter; ``ChildGone`` if the system cannot.

        ``spill``: the folder to make the child's private scratch folder in.
        """
        try:
            self.scratch: Final = "" if spill is None else tempfile.mkdtemp(prefix="spill-", dir=spill)
            self._popen = _started(module)
        except OSError:
            raise ChildGone from None
        self._killed = False
        self._signalling = threading.Lock()
        self._finish = weakref.finalize(self, _destroy, self._popen, self._signalling, self.scratch)
        self._channel = Channel(*_descriptors(self._popen))

    @property
    def pid(self) -> int:
        """The child's process id, which is also its process group and session."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the child is there to be called."""
        with self._signalling:
            return not self._killed and self._popen.poll() is None

    def call(self, frame: Frame, timeout_s: float, limit: int) -> Frame:
        """Send one frame and wait for its answer of at most ``limit`` bytes; ``ChildGone`` if none comes."""
        deadline = time.monotonic() + timeout_s
        try:
            self._channel.send(frame, deadline)
            return self._channel.receive(limit, deadline)
        except BaseException as error:  # an interrupt, too, would leave an answer behind
            self.kill()
            if not isinstance(error, Exception):
                raise
            raise ChildGone(limit=isinstance(error, (TimeoutError, TooLarge, MemoryError))) from None

    def kill(self) -> None:
        """Kill the whole process group; a call in progress then ends with ``ChildGone``."""
        with self._signalling:
            self._killed = True
            _kill(self._popen)

    def close(self) -> None:
        """Kill, reap, close the pipes, remove the scratch folder.  Idempotent."""
        self._killed = True
        self._finish()


def _started(module: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", _BOOT, _ROOT, module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        close_fds=True,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
    )


def _descriptors(popen: subprocess.Popen[bytes]) -> tuple[int, int]:
    """The gateway's ends of the pipes, made non-blocking so that deadlines hold."""
    if popen.stdin is None or popen.stdout is None:
        raise RuntimeError("a child is started with both pipes")
    for pipe in (popen.stdout, popen.stdin):
        os.set_blocking(pipe.fileno(), False)
    return popen.stdout.fileno(), popen.stdin.fileno()


def _kill(popen: subprocess.Popen[bytes]) -> None:
    """Signal the group, unless the leader was reaped: its number may be another process's by now."""
    if popen.poll() is None:
        os.killpg(popen.pid, signal.SIGKILL)


def _destroy(popen: subprocess.Popen[bytes], signalling: threading.Lock, scratch: str) -> None:
    with signalling:
        _kill(popen)
        popen.wait()
        for pipe in (popen.stdin, popen.stdout):
            if pipe is not None:
                pipe.close()
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
