"""The first thing that runs in a child: put every ordered layer in force, then run the child's module.

Invariants: nothing but the standard library and this file has run before the last layer holds, in one
thread; an order that cannot be carried out ends the process; no layer can be taken off afterwards.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from importlib import import_module
from typing import Any, Final

from sandbox.engine import landlock, seccomp
from sandbox.engine.frames import Channel

_LARGEST_ORDERS: Final = 16 << 20
_DEATH_SIGNAL, _DROP_BOUNDING = 1, 24
_SIGKILL: Final = 9
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAPABILITIES: Final = 64


def main(module: str) -> None:
    """Read the orders from stdin, obey, and run ``module.main()``."""
    orders = Channel(0, 1).receive(_LARGEST_ORDERS).header
    obey(orders)
    import_module(module).main()


def obey(orders: dict[str, Any]) -> None:
    """Confine this process; see ``Box.orders``."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        _give_up_root(libc, orders["user"])
    os.umask(0o077)
    os.chdir("/")
    for name, value in orders["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(number)
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(number, (least, least))
    libc.prctl(_DEATH_SIGNAL, _SIGKILL, 0, 0, 0)  # after the change of user, which clears it
    if orders["landlock"]:
        landlock.restrict(orders["reads"], orders["writes"])
    if orders["filter"]:
        seccomp.load(orders["filter"])


def _give_up_root(libc: ctypes.CDLL, user: list[int] | None) -> None:
    """Become ``user`` if one is named, and hold no capability either way."""
    for capability in range(_CAPABILITIES):
        libc.prctl(_DROP_BOUNDING, capability, 0, 0, 0)  # fails for those that the kernel does not know
    if user is not None:
        uid, gid = user
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    sys.exit("this module is run by the gateway")
