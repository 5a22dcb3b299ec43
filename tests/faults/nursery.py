"""``sandbox serve``, and other commands, in processes that are easily made and killed.

A nursery has imported the product and forks a command each time it is told to: ``python nursery.py``, one JSON
object a line on its input (``words`` for the command line, ``log``, ``step``, ``after``), its process
id a line on its output.  A command may be told to kill itself at a named step of its work: its functions are
wrapped from outside, in this process alone; the product knows nothing of it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 60.0
_DIE_WITH_PARENT: Final = 1
"""``PR_SET_PDEATHSIG`` of Linux."""

STEPS: Final = {
    "store opened": ("sandbox.store.database:Database.__init__", "after"),
    "log opened": ("sandbox.store.log.transparency:TransparencyLog.__init__", "after"),
    "start entered": ("sandbox.store.log.desk:Desk.started", "after"),
    "planned": ("sandbox.pipeline:begin", "before"),
    "intent written": ("sandbox.stages.record:intent", "after"),
    "reserved": ("sandbox.store.ledger:Ledger.reserve", "after"),
    "touched": ("sandbox.store.ledger:Ledger.touch", "after"),
    "begun": ("sandbox.pipeline:begin", "after"),
    "executed": ("sandbox.stages.run:tally", "before"),
    "noise drawn": ("sandbox.stages.run:protect", "after"),
    "answer made": ("sandbox.stages.run:_answer", "after"),
    "answer kept": ("sandbox.stages.run:keep", "after"),
    "reservation ended": ("sandbox.store.ledger:Ledger.commit", "after"),
    "outcome written": ("sandbox.stages.record:answered", "after"),
    "recorded": ("sandbox.pipeline:run", "after"),
    "proved": ("sandbox.stages.record:proved", "after"),
    "about to be sent": ("sandbox.doors.http:Door.query", "after"),
    "edge written": ("sandbox.store.log.tree:Tree.write_edge", "after"),
    "head to be published": ("sandbox.store.log.transparency:put", "before"),
    "head published": ("sandbox.store.log.transparency:put", "after"),
}
"""What is wrapped, and on which side of it the kill falls.  In a query's order, the publisher's at the end."""

INGESTING: Final = {
    "locked": ("sandbox.snapshot.ingest:sweep", "before"),
    "swept": ("sandbox.snapshot.ingest:sweep", "after"),
    "rows read": ("sandbox.snapshot.checks:read", "after"),
    "units followed": ("sandbox.snapshot.units:resolve", "after"),
    "units numbered": ("sandbox.snapshot.units:number_units", "after"),
    "quarantine kept": ("sandbox.snapshot.checks:keep_quarantine", "after"),
    "table written": ("sandbox.snapshot.write:write", "after"),
    "cube built": ("sandbox.snapshot.grid:build", "after"),
    "hashed": ("sandbox.snapshot.ingest:digest", "after"),
    "to be announced": ("sandbox.doors.cli_base:Office.note", "before"),
    "announced": ("sandbox.doors.cli_base:Office.note", "after"),
    "settled": ("sandbox.snapshot.publish:_settle", "after"),
    "file renamed": ("os:replace", "after"),
    "folder renamed": ("os:rename", "after"),
    "folder flushed": ("sandbox.snapshot.publish:flush", "after"),
    "to be in force": ("sandbox.snapshot.publish:write_file", "before"),
    "in force": ("sandbox.snapshot.publish:write_file", "after"),
    "published": ("sandbox.snapshot.ingest:publish", "after"),
}
"""The same of `sandbox ingest`, in its order."""


class Nursery:
    """Starts servers over homes.  ``environment`` is theirs too."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        found = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        program = [sys.executable, str(Path(__file__))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            program, env=found, text=True, start_new_session=True, stdin=pipe, stdout=pipe
        )

    def start(self, home: Path, port: int, step: str = "", after: int = 1) -> Serving:
        """A server over ``home``, which kills itself at the ``after``-th passing of ``step``."""
        words = ["serve", "--home", str(home), "--port", str(port)]
        return Serving(self._fork(words, home / "serve.log", step, after), port)

    def run(self, words: list[str], log: Path, step: str = "", after: int = 1) -> Running:
        """``sandbox WORDS``; what it says goes to ``log``."""
        return Running(self._fork(words, log, step, after))

    def _fork(self, words: list[str], log: Path, step: str, after: int) -> int:
        told = {"words": words, "log": str(log), "step": step, "after": after}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """No more servers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Running:
    """One command's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle: int | None = None  # of one that died at once, before anybody could look
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(pid)

    def dead(self, within_s: float) -> bool:
        """Whether it ends within so many seconds."""
        return self._handle is None or bool(select.select([self._handle], [], [], within_s)[0])

    def kill(self) -> None:
        """SIGKILL to the server and its workers: nothing gets to say good-bye."""
        for pid in [self.pid, *_children(self.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.dead(START_S)

    def close(self) -> None:
        """Forget it."""
        if self._handle is not None:
            os.close(self._handle)


class Serving(Running):
    """One server's process."""

    def __init__(self, pid: int, port: int) -> None:
        super().__init__(pid)
        self._port = port

    def ready(self) -> bool:
        """Wait until it answers; False if it dies before."""
        deadline = time.monotonic() + START_S
        while not self.dead(0.01):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return True
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not start")
        return False


def _children(pid: int) -> list[int]:
    """The processes below one; workers lead sessions of their own."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in file.read_text().split()]
    return found + [below for child in found for below in _children(child)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def arm(step: str, after: int) -> None:
    """Wrap a step's function: the process kills itself at its ``after``-th passing."""
    place, side = {**STEPS, **INGESTING}[step]
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    whole: Callable[..., Any] = getattr(owner, name)
    left = [after]

    def passing() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if side == "before":
            passing()
        found = whole(*arguments, **named)
        if side == "after":
            passing()
        return found

    setattr(owner, name, wrapped)


def _obey(told: dict[str, Any]) -> None:
    """A command, in the process that was forked for it."""
    from sandbox.doors.cli import main

    os.setsid()
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)  # an interrupted campaign leaves nobody behind
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    if told["step"]:
        arm(told["step"], told["after"])
    sys.argv = ["sandbox", *told["words"]]
    main()


def main() -> None:
    """Fork a command a line."""
    for name in (
        "sandbox.doors.cli",
        "sandbox.doors.server",
        "sandbox.gateway",
        "sandbox_connectors.csv_files",
    ):
        importlib.import_module(name)  # once, for all that are forked
    os.environ.pop("LD_PRELOAD", None)  # what is loaded stays; workers do without
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for the dead
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _obey(json.loads(line))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
