"""A disk that fails when told to, under a server: `shim.c`, compiled, loaded, commanded through shared memory."""

from __future__ import annotations

import ctypes
import errno
import mmap
import subprocess
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).parent / "shim.c"
ERRORS: Final = {"disk full": errno.ENOSPC, "disk error": errno.EIO, "read-only": errno.EROFS}


class _Control(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int32) for name in ("left", "error", "sticky", "done"))


class Disk:
    """Calls to files below ``under``, counted; the n-th from now fails, or all from the n-th on."""

    def __init__(self, folder: Path, under: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library, control = folder / "shim.so", folder / "control"
        words = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(words, check=True, capture_output=True)
        control.write_bytes(bytes(ctypes.sizeof(_Control)))
        self._file = control.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), 0)
        self._control = _Control.from_buffer(self._memory)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULT_CONTROL": str(control),
            "FAULT_UNDER": str(under),
        }

    def fail(self, at: int, error: int, *, sticky: bool) -> None:
        """The ``at``-th call from now fails with this errno; if ``sticky``, every one after it too."""
        self._control.error, self._control.sticky = error, int(sticky)
        self._control.left = at

    def heal(self) -> bool:
        """No call fails any more; whether none had failed yet."""
        waiting = self._control.left > 1 or (self._control.left == 1 and not self._control.sticky)
        self._control.left = 0
        return waiting

    def close(self) -> None:
        """Give the shared memory back."""
        del self._control
        self._memory.close()
        self._file.close()

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return int(self._control.done)
