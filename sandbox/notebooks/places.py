"""Where things are, seen from inside an analyst's box: the same for every analyst."""

from __future__ import annotations

from typing import Final

HOME: Final = "/home/analyst"
"""The analyst's own files; all that stays."""
ROOM: Final = "/run/room"
"""The folder of the socket by which the gateway reaches the Jupyter server."""
SERVER: Final = f"{ROOM}/server.sock"
LINE: Final = "/run/gateway"
"""The folder of the analyst's own socket of the gateway: whoever is behind it needs no token."""
GATEWAY: Final = f"{LINE}/gateway.sock"
SCRATCH: Final = "/tmp"
"""In memory, and gone with the box."""
KERNEL: Final = "sandbox"
"""The name of the one kernel there is."""
LARGEST_BODY: Final = 64 << 20
"""Bytes of one request or message: the largest file that can be brought in or saved."""
