"""What the last start of a service found: for whoever looks at a home that may not be served."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.store.audit import Event, entry_of, rows
from sandbox.store.database import Database
from sandbox.store.ledger import Ledger
from sandbox.store.schema import audit

_LAST: Final = rows(audit).where(audit.c.kind == Event.START.value).order_by(audit.c.seq.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class Start:
    """When a service last began, and what it made again: "tiles", "checkpoint", or "" for nothing."""

    time: dt.datetime
    repaired: str


def last(store: str | Path) -> tuple[Start | None, int]:
    """The last start (``None``: never), and how many queries from before it were cut off.

    Refuses with ``Code.STORE`` a store that cannot be used.
    """
    database = Database(store)
    try:
        with database.read() as connection:
            row = connection.execute(_LAST).first()
        if row is None:
            return None, 0
        entry = entry_of(row)
        told = json.loads(entry.payload) if entry.payload else {}
        started = Start(entry.time, told.get("repaired", ""))
        return started, len(Ledger(database).orphans(started.time))
    finally:
        database.close()
