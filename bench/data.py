"""What is measured over: the flights, and ten million generated claims.  Built once, into build/bench."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Final

import duckdb

from sandbox.demo import flights
from sandbox.home import SETTINGS_FILE, Home, create_home, open_home
from sandbox.policy.load import load
from sandbox.snapshot import ingest

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = ROOT / "build" / "bench"
CLAIMS, PERSONS = 10_000_000, 2_000_000

GENERATED: Final = f"""
    WITH drawn AS (
        SELECT CAST({PERSONS} * pow(hash(i, 1) / 18446744073709551616.0, 1.6) AS BIGINT) AS person_id,
               hash(i, 2) / 18446744073709551616.0 AS a, hash(i, 3) / 18446744073709551616.0 AS b,
               hash(i, 4) / 18446744073709551616.0 AS c
        FROM range({CLAIMS}) AS t(i)
    )
    SELECT person_id, hash(person_id, 5) % 11 AS city, hash(person_id, 6) % 4 AS age_band,
           CAST(floor(21 * a * a) AS BIGINT) AS chapter, CAST(floor(2000 * b * b) AS BIGINT) AS hospital_id,
           round(least(120 * pow(1 - c, -0.6), 200000), 2) AS fee
    FROM drawn"""
"""Every value a function of its row's number: the same file every time.  Fees have a Pareto tail."""


def home() -> Home:
    """The home with both datasets in force; made when missing."""
    place = CACHE / "home"
    if (place / "complete").exists():
        return open_home(place)
    shutil.rmtree(place, ignore_errors=True)
    here = create_home(place)
    shutil.copytree(ROOT / "policies" / "flights", here.policies / "flights")
    shutil.copytree(Path(__file__).parent / "policies", here.policies / "claims")
    documents = load([here.policies])
    sources = {"flights": flights.write(here.sources / "flights"), "claims": _claims(here.sources)}
    for dataset in documents.datasets:
        print(f"ingesting {dataset.id} …", flush=True)
        files = {key.split(".", 1)[1]: path for key, path in sources[dataset.id].items()}
        ingest(dataset, files, here.snapshots, now=dt.datetime.now(dt.UTC))
    shutil.rmtree(here.sources)
    (place / "complete").touch()
    assert (place / SETTINGS_FILE).exists()
    return here


def _claims(folder: Path) -> dict[str, Path]:
    file = folder / "claim.parquet"
    print(f"generating {CLAIMS:,} claims …", flush=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({GENERATED}) TO '{file}' (FORMAT parquet)")
    return {"claims.claim": file}
