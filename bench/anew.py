"""A gateway over a home whose store and log are new: no budgets spent, no kept answers."""

from __future__ import annotations

import shutil

from sandbox.gateway import Gateway, open_gateway
from sandbox.home import Home


def anew(home: Home) -> Gateway:
    """Forget what earlier runs spent and logged; snapshots and policies stay.  The caller closes it."""
    for file in home.path.glob("store.db*"):
        file.unlink()
    shutil.rmtree(home.log, ignore_errors=True)
    return open_gateway(home)
