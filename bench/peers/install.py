"""Virtual environments of the peers, one each, under build/peers/env."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.peers.catalogue import Peer
from bench.peers.data import CACHE

REQUIREMENTS: Final = Path(__file__).parent / "requirements"
LONGEST_S: Final = 1800


def python(peer: Peer) -> Path | str:
    """The interpreter of the peer's environment; made when missing.  A text says why there is none."""
    place, pinned = CACHE / "env" / peer.name, REQUIREMENTS / f"{peer.name}.txt"
    found, stamp = place / "bin" / "python", place / "installed.txt"
    if stamp.exists() and stamp.read_text() == pinned.read_text():
        return found
    print(f"installing {peer.title} …", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pinned)],
    ):
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"not installed: {type(error).__name__}"
        if made.returncode:
            return f"not installed: {_last_error(made.stderr)}"
    stamp.write_text(pinned.read_text())
    return found


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no reason given"])[-1][:200]
