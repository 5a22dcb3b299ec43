"""A child process of the gateway, seen from the gateway: start, call, kill.

Invariants: a child has a box (``box.py``), its own session, next to no environment, no descriptor but its
two pipes, and a discarded stderr; it is killed, reaped and its scratch folder removed by ``close``, by
garbage collection and at interpreter exit, and it ends by itself when its gateway dies.  A call that does not
end in an answer kills the child, so that no late answer can be taken for the next one's.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
import weakref
from pathlib import Path
from typing import Final

from sandbox.engine import box as boxes
from sandbox.engine import scratch, starter
from sandbox.engine.box import Box
from sandbox.engine.frames import Channel, Frame, TooLarge

# ``-I -S`` drop the working directory, PYTHONPATH, user site and what installed packages run at start.  The
# package's own parent is appended, last, so that a checkout works like an installation and shadows nothing.
_BOOT: Final = (
    "import sys; sys.path += sys.argv[3:]; sys.path.append(sys.argv[1]); "
    "from sandbox.engine import boot; boot.main(sys.argv[2])"
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
_ORDERS_S: Final = 10.0
_END_S: Final = 2.0


class ChildGone(Exception):
    """No answer, and no child any more.  ``limit``: it took too much time or disk, or answered too much."""

    def __init__(self, *, limit: bool = False) -> None:
        super().__init__("a child process is gone")
        self.limit: Final = limit


class Child:
    """One running child.  ``call`` by one thread at a time; ``kill`` and ``close`` by any."""

    def __init__(self, module: str, box: Box) -> None:
        """Start ``module.main()`` in a fresh interpreter; ``ChildGone`` if the system cannot."""
        self._killed = self._greedy = False
        self._signalling = threading.Lock()
        folder: scratch.Scratch | None = None
        try:
            user = box.user()
            folder = None if box.spill is None else scratch.Scratch(box.spill, user)
            self.scratch: Final = "" if folder is None else folder.path
            self._popen = _started(module, box, self.scratch)
        except OSError:
            if folder is not None:
                folder.remove()
            raise ChildGone from None
        self._finish = weakref.finalize(self, _destroy, self._popen, self._signalling, folder)
        self._channel = Channel(*_descriptors(self._popen))
        if folder is not None:
            scratch.watch(self, box.spill_size)
        self.tell(Frame(box.orders(self.scratch, user)))

    @property
    def pid(self) -> int:
        """The id of the process that was started: the child, or bubblewrap around it."""
        return self._popen.pid

    @property
    def worker(self) -> int:
        """The child's own process id, as seen from here."""
        return [self.pid, *_descent(self.pid)][-1]

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
            limited = self._greedy or isinstance(error, (TimeoutError, TooLarge, MemoryError))
            raise ChildGone(limit=limited) from None

    def kill(self, *, greedy: bool = False) -> None:
        """Kill everything in the box; a call in progress then ends with ``ChildGone``.

        ``greedy``: because it took more than it may.
        """
        with self._signalling:
            self._killed, self._greedy = True, self._greedy or greedy
            _kill(self._popen)

    def close(self) -> None:
        """Kill, reap, close the pipes, remove the scratch folder.  Idempotent."""
        self._killed = True
        self._finish()

    def tell(self, orders: Frame) -> None:
        """Send one frame that nothing answers; ``ChildGone`` if it is not taken."""
        try:
            self._channel.send(orders, time.monotonic() + _ORDERS_S)
        except (OSError, TimeoutError):
            self.close()
            raise ChildGone from None


def _started(module: str, box: Box, scratch: str) -> subprocess.Popen[bytes]:
    """The child, or bubblewrap that becomes its box."""
    command = [boxes.interpreter(), "-I", "-S", "-B", "-c", _BOOT, boxes.ROOT, module]
    command += [*boxes.libraries(), *box.code]
    wrapping, tool = box.wrapping(scratch), boxes.tool()
    if not wrapping:
        return _popen(command)
    if tool is None:
        raise FileNotFoundError("bwrap")
    arguments = os.memfd_create("arguments")
    try:
        os.write(arguments, b"".join(os.fsencode(part) + b"\0" for part in wrapping))
        os.lseek(arguments, 0, os.SEEK_SET)
        return _popen([tool, "--args", str(arguments), *command], arguments)
    finally:
        os.close(arguments)


def _popen(command: list[str], *passed: int) -> subprocess.Popen[bytes]:
    return starter.start(
        lambda: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            close_fds=True,
            pass_fds=passed,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    )


def _descriptors(popen: subprocess.Popen[bytes]) -> tuple[int, int]:
    """The gateway's ends of the pipes, made non-blocking so that deadlines hold."""
    if popen.stdin is None or popen.stdout is None:
        raise RuntimeError("a child is started with both pipes")
    for pipe in (popen.stdout, popen.stdin):
        os.set_blocking(pipe.fileno(), False)
    return popen.stdout.fileno(), popen.stdin.fileno()


def _descent(pid: int) -> list[int]:
    """The only child of a process, its only child, and so on."""
    found: list[int] = []
    try:
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            pid = int(children[0])
            found.append(pid)
    except OSError:
        pass
    return found


def _kill(popen: subprocess.Popen[bytes]) -> None:
    """Kill the box's first process, and with it the box, unless the leader was reaped: its number may be
    another process's by now.

    The leader, bubblewrap, then ends by itself and has reaped it; were it killed too, whoever is the host's
    first process would have to, and in a container that may be the gateway.
    """
    if popen.poll() is not None:
        return
    inside = _descent(popen.pid)
    try:
        if inside:
            os.kill(inside[0], signal.SIGKILL)
        else:
            os.killpg(popen.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _destroy(
    popen: subprocess.Popen[bytes], signalling: threading.Lock, folder: scratch.Scratch | None
) -> None:
    with signalling:
        _kill(popen)
        try:
            popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
        if popen.stdout is not None:
            _emptied(popen.stdout.fileno())
        for pipe in (popen.stdin, popen.stdout):
            if pipe is not None:
                pipe.close()
    if folder is not None:
        folder.remove()


def _emptied(reader: int) -> None:
    """Wait until nothing in the box is left that could write: its end of the pipe is closed."""
    poll = select.poll()
    poll.register(reader, 0)
    poll.poll(_END_S * 1000)
