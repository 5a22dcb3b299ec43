"""``make escape``: every probe of ``intruder.py``, from inside the boxes that workers really have.

Progress goes to stdout, a line a probe; the last line is ``{"probes", "escaped"}``.  ``make escape`` tries the
worker's box and the twin's with all layers that the machine gives, and each floor by itself: ``box`` without
Landlock, ``kernel`` without namespaces.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.engine.box import Box
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.found import available
from sandbox.engine.frames import Frame
from sandbox.engine.layers import Layer
from sandbox.engine.process import Child, ChildGone
from sandbox.engine.twin import Twin
from tests.escape.intruder import PROBES as ALL
from tests.escape.intruder import Target

QUOTA_MB = 24
MEMORY_MB = 2048
PATIENCE_S = 15.0
WAITING = [sys.executable, "-c", "print(flush=True); input()"]
CONTROL = "nothing"
PROBES = tuple(name for name in ALL if name != CONTROL)
HERE = str(Path(__file__).resolve().parent)


@contextmanager
def surroundings() -> Iterator[tuple[Target, Path]]:
    """A home with secrets, a process, ports and sockets, as a gateway's host has them; its snapshot file."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="escape-")))
        files = {}
        for kind in ("home", "policy", "store", "neighbour", "units", "own", "doomed"):
            place = folder / kind
            place.mkdir()
            files[kind] = str(place / "secret")
            Path(files[kind]).write_bytes(b"secret" * 1000)
        process = stack.enter_context(
            subprocess.Popen(WAITING, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"TOKEN": "hunter2"})
        )
        stack.callback(process.kill)
        assert process.stdout is not None and process.stdout.readline()
        pathname, abstract = str(folder / "socket"), f"escape-{secrets.token_hex(8)}"
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for name in (pathname, "\0" + abstract):
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(name)
            listening.listen()
        target = Target(
            files=files,
            folder=str(folder),
            scratch="",
            pid=process.pid,
            tcp=tcp.getsockname()[1],
            udp=_answering(stack),
            pathname=pathname,
            abstract=abstract,
            shared=_segment(stack),
            quota_mb=QUOTA_MB,
            memory_mb=MEMORY_MB,
        )
        yield target, Path(files["own"])


def _answering(stack: ExitStack) -> int:
    """The port of a UDP service that answers."""
    service = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    service.bind(("127.0.0.1", 0))

    def answer() -> None:
        try:
            while True:
                service.sendto(b"pong", service.recvfrom(64)[1])
        except OSError:
            return

    threading.Thread(target=answer, daemon=True).start()
    return int(service.getsockname()[1])


def _segment(stack: ExitStack) -> int:
    """The key of a shared memory segment that everybody on this host may attach to."""
    libc, key = ctypes.CDLL(None), secrets.randbelow(1 << 30) + 1
    segment = libc.shmget(key, 4096, 0o1666)
    stack.callback(libc.shmctl, segment, 0, None)
    return key


def worker_box(own: Path, spill: Path, layers: frozenset[Layer]) -> Box:
    """The box of a real engine's worker, with the intruder's code to read."""
    engine = DuckDBEngine(
        {"d.t": (own,)}, memory_mb=MEMORY_MB // 3, spill=spill, spill_mb=QUOTA_MB, layers=layers
    )
    return replace(engine.box(), code=(HERE,))


def twin_box(layers: frozenset[Layer]) -> Box:
    """Likewise the twin's."""
    return replace(Twin(layers=layers).box(), code=(HERE,))


class Intruder:
    """A worker whose engine is malicious, in a box."""

    def __init__(self, box: Box, target: Target) -> None:
        self._child = Child("intruder", box)
        self._target = asdict(replace(target, scratch=self._child.scratch or "/nowhere"))
        if not self.tries(CONTROL):
            raise RuntimeError("a worker does not run here: that nothing gets out shows nothing")

    def tries(self, name: str) -> bool:
        """Whether a probe got out.  ``ChildGone`` if it took its worker along."""
        answer = self._child.call(Frame({"probe": name, "target": self._target}), PATIENCE_S, 1024)
        return bool(answer.header["escaped"])

    def close(self) -> None:
        """End it."""
        self._child.close()


def escapes(target: Target, box: Box, probes: tuple[str, ...] = PROBES) -> Iterator[tuple[str, bool]]:
    """Each probe, and whether it got out.  One that took its worker along did not."""
    intruder = Intruder(box, target)
    try:
        for name in probes:
            try:
                yield name, intruder.tries(name)
            except ChildGone:
                intruder.close()
                intruder = Intruder(box, target)
                yield name, False
    finally:
        intruder.close()


def floors() -> dict[str, frozenset[Layer]]:
    """What is tried: all layers together, and for each floor the fewest that meet it, as far as there are any."""
    wanted = {
        "all": available(),
        "box": available() - {Layer.LANDLOCK},
        "kernel": available() - {Layer.NAMESPACES, Layer.USER},
    }
    least = {"all": set(), "box": {Layer.NAMESPACES, Layer.FILTER}, "kernel": {Layer.FILTER, Layer.LANDLOCK}}
    return {name: layers for name, layers in wanted.items() if least[name] <= layers}


def main() -> None:
    """Try everything, and say so."""
    probes, escaped = 0, 0
    with surroundings() as (target, own), TemporaryDirectory(prefix="spill-") as spill:
        for floor, layers in floors().items():
            boxes = {"worker": worker_box(own, Path(spill), layers), "twin": twin_box(layers)}
            print(f"{floor}: {', '.join(sorted(layers))}", flush=True)
            for who, box in boxes.items():
                for name, out in escapes(target, box):
                    probes, escaped = probes + 1, escaped + out
                    print(f"  {who:6} {name:32} {'ESCAPED' if out else 'refused'}", flush=True)
    print(json.dumps({"probes": probes, "escaped": escaped}))
    os._exit(0 if escaped == 0 else 1)


if __name__ == "__main__":
    main()
