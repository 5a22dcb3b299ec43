"""Retention: snapshots of before that the dataset document keeps no longer, and that nothing needs.

Never one in force, nor the one before it, which queries may still read; nor one that the caller says is
needed.  Removal is by one rename first, so a snapshot is whole or absent here, too, and what a dead removal
leaves is swept by the next ingestion.  Unit numbers stay: none is ever given twice.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from sandbox.policy.documents import Dataset
from sandbox.snapshot.publish import STAGING, flush, home_of, locked
from sandbox.snapshot.published import Snapshot, history
from sandbox.snapshot.work import storing


def expired(root: Path, dataset: Dataset, needed: Collection[str], now: dt.datetime) -> tuple[Snapshot, ...]:
    """Snapshots to be removed, oldest first; ``needed`` names them ``dataset@snapshot``, ``now`` is aware."""
    if dataset.keep is None:
        return ()
    youngest = now - dt.timedelta(days=dataset.keep.days)
    return tuple(
        snapshot
        for snapshot in history(root, dataset.id)[: -max(2, dataset.keep.snapshots)]
        if f"{dataset.id}@{snapshot.id}" not in needed
        and dt.datetime.fromisoformat(snapshot.manifest.created) < youngest
    )


def retire(
    root: Path,
    dataset: Dataset,
    needed: Callable[[], Collection[str]],
    now: dt.datetime,
    announce: Callable[[tuple[Snapshot, ...]], None],
) -> tuple[Snapshot, ...]:
    """Remove what is expired, with its quarantine, and return it.

    ``announce`` is told before anything is removed; if it raises, nothing is.  Refuses with ``Code.SOURCE``
    while an ingestion runs, or where the disk fails.
    """
    home = home_of(root, dataset.id)
    with storing(), locked(home):
        found = expired(root, dataset, needed(), now)
        if found:
            announce(found)
        for snapshot in found:
            gone = home.path / f"{STAGING}retired-{snapshot.id}"
            snapshot.directory.rename(gone)
            flush(home.path)
            shutil.rmtree(gone)
            shutil.rmtree(home.quarantine / snapshot.id, ignore_errors=True)
    return found
