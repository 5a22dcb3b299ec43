"""The data of the comparison: Parquet files for the peers, and a home of our own over the same files."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.targets import PERSONS, visits
from sandbox.home import Home, create_home, open_home
from sandbox.policy.load import load
from sandbox.snapshot import ingest

CACHE: Final = Path(__file__).parents[2] / "build" / "peers"
TABLES: Final = ("visit", "member")


def files() -> Path:
    """The folder of ``visit.parquet`` and ``member.parquet``; made when missing, the same every time."""
    place = CACHE / "data"
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(visits().drop_columns(["town"]), place / "visit.parquet")
        pq.write_table(_members(), place / "member.parquet")
        (place / "complete").touch()
    return place


def _members() -> Any:
    """A row for each person, with one of five bands, the first the most frequent."""
    weight = np.arange(1.0, 6.0) ** -0.5
    band = np.random.default_rng(5).choice(5, PERSONS, p=weight / weight.sum())
    return pa.table({"person_id": np.arange(PERSONS), "band": band})


def home(grant: str) -> Home:
    """A home with these files ingested, for questions under one grant alone; made when missing."""
    place = CACHE / "home" / grant
    if (place / "complete").exists():
        return open_home(place)
    shutil.rmtree(place, ignore_errors=True)
    here = create_home(place)
    shutil.copytree(Path(__file__).parent / "policies", here.policies / "peers")
    (dataset,) = load([here.policies]).datasets
    sources = {table: files() / f"{table}.parquet" for table in TABLES}
    ingest(dataset, sources, here.snapshots, now=dt.datetime.now(dt.UTC))
    (place / "complete").touch()
    return here
