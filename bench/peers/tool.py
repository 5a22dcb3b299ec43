"""A tool as a process of its own, asked one question at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bench.peers.adapters.protocol import Setting
from bench.peers.catalogue import Peer
from bench.peers.data import CACHE

ADAPTERS: Final = Path(__file__).parent / "adapters"
LONGEST_S: Final = 600.0


class Tool:
    """Started when first asked, and again after it died.  ``ready``: what it said of itself."""

    def __init__(self, peer: Peer, python: Path | str, setting: Setting) -> None:
        self.ready: dict[str, Any] = {}
        script = ["-m", "bench.peers.ours"] if peer.grant else [str(ADAPTERS / f"{peer.name}.py")]
        self._command = [str(python), *script, json.dumps(asdict(setting)), peer.grant]
        self._log = CACHE / f"{peer.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: str) -> dict[str, Any]:
        """The answer as the adapter gives it, or ``{"unsupported": why}``."""
        try:
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(f"{question}\n".encode())
            process.stdin.flush()
            return self._line(process)
        except (OSError, ValueError, TimeoutError) as error:
            self.close()
            return {"unsupported": f"no answer: {error}"}

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # Spark else asks the network for this machine's name.
            environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONWARNINGS": "ignore"}
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    bufsize=0,
                )
            self.ready = self._line(self._process)
        return self._process

    def _line(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        text = b""
        while not text.endswith(b"\n"):
            if not select.select([process.stdout], [], [], LONGEST_S)[0]:
                raise TimeoutError(f"waited {LONGEST_S:.0f} s")
            read = process.stdout.read(1 << 20)
            if not read:
                raise ValueError(f"the process ended ({process.wait()})")
            text += read
        found: dict[str, Any] = json.loads(text)
        return found

    def close(self) -> None:
        """Let it end on its own, else end it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
