"""Landlock: from here on, this thread and what it starts may reach the named files and nothing else.

The numbers are the kernel's (include/uapi/linux/landlock.h, the same on every architecture; the rules are in
https://docs.kernel.org/userspace-api/landlock.html).  Rights that a kernel does not know are left out.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG: Final = 1
_BENEATH: Final = 1  # LANDLOCK_RULE_PATH_BENEATH
_SET_NO_NEW_PRIVS: Final = 38

_WRITE, _READ, _LIST = 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_FILE, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_FILE_RIGHTS: Final = _WRITE | _READ | _TRUNCATE

_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""ABI version -> how many rights over files it knows."""

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's ABI version; 0 where there is no Landlock."""
    found: int = _libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(0, found)


def restrict(reads: Iterable[str], writes: Iterable[str]) -> None:
    """Leave ``reads`` readable and ``writes`` readable and writable, files or whole folders; no TCP, and
    where the kernel can: no signal and no abstract socket beyond this process.

    A path that is not there is passed over.  Raises ``OSError`` where the kernel refuses.
    """
    abi = version()
    handled = (1 << _RIGHTS.get(abi, 16)) - 1
    net, scoped = (0b11 if abi >= 4 else 0), (0b11 if abi >= 6 else 0)
    attributes = struct.pack("=QQQ", handled, net, scoped)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = _checked(_libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        for path in reads:
            _allow(ruleset, path, (_READ | _LIST) & handled)
        for path in writes:
            _allow(ruleset, path, (_READ | _LIST | _WRITE | _TRUNCATE | _MAKE_FILE | _REMOVE_FILE) & handled)
        _checked(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        _checked(_libc.syscall(_ADD, ruleset, _BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    return result
