"""Snapshots: from a source to an immutable, validated, published copy that queries may use.

Ingestion reads Arrow batches in bounded memory, checks them against the dataset document,
quarantines bad rows with counts and reasons, replaces unit identifiers by dense integers, drops
what no grant could use, computes the cube and publishes all of it by one atomic rename.  A killed
ingestion leaves the previous snapshot in force.

May import: ``sandbox.privacy`` and below; not ``sandbox.engine``, not ``sandbox.store``.

Start reading at ``ingest.py``, then ``publish.py``.
"""

from sandbox.snapshot.feed import Feed
from sandbox.snapshot.grid import GridPrice, price
from sandbox.snapshot.ingest import Ingested, Quarantine, ingest
from sandbox.snapshot.manifest import Manifest
from sandbox.snapshot.progress import Progress
from sandbox.snapshot.published import Snapshot, current, history
from sandbox.snapshot.sealing import MasterKey, read_key

__all__ = [
    "Feed",
    "GridPrice",
    "Ingested",
    "Manifest",
    "MasterKey",
    "Progress",
    "Quarantine",
    "Snapshot",
    "current",
    "history",
    "ingest",
    "price",
    "read_key",
]
