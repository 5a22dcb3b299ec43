"""TPC-H data at a scale, and one home for each kind of unit over it.  Built once, into build/tpch."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Final

from sandbox.home import Home, create_home, open_home
from sandbox.policy.load import load
from sandbox.snapshot import ingest

HERE: Final = Path(__file__).parent
CACHE: Final = HERE.parents[1] / "build" / "tpch"
UNITS: Final = ("customer", "supplier")
GRANTS: Final = {"customer": "TPCH-CUSTOMER", "supplier": "TPCH-SUPPLIER"}


def texts() -> dict[str, str]:
    """The queries by name, as the specification publishes them with its validation parameters.

    Two of its approved variants are used: Q15 as a view in WITH (15a), and LIMIT for "the first n rows".
    """
    return {path.stem: path.read_text() for path in sorted((HERE / "queries").glob("*.sql"))}


def generated(scale: str, cache: Path = CACHE) -> Path:
    """The folder with one Parquet file a table; made by tpchgen-cli when missing."""
    folder = cache / f"sf{scale}" / "data"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        program = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
        subprocess.run(
            [program, "parquet", "--scale-factor", scale, "--output-dir", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (folder / "complete").touch()
    return folder


def home(scale: str, unit: str, cache: Path = CACHE) -> Home:
    """The home whose people are customers, or suppliers."""
    place = cache / f"sf{scale}" / unit
    if (place / "complete").exists():
        return open_home(place)
    data = generated(scale, cache)
    shutil.rmtree(place, ignore_errors=True)
    here = create_home(place)
    shutil.copytree(HERE / "policies" / unit, here.policies / "tpch")
    (dataset,) = load([here.policies]).datasets
    files = {table.name: data / f"{table.name}.parquet" for table in dataset.tables}
    ingest(dataset, files, here.snapshots, now=dt.datetime.now(dt.UTC))
    (place / "complete").touch()
    return here
