"""``python -m bench.log_postgresql [ENTRIES]``: ``bench.log`` on PostgreSQL, at three million entries.

A server of its own, as the tests start it (32 MB of shared buffers), filled by COPY, indexes after the rows,
with ``pg_trgm``; removed at the end.  The last line is one JSON object, as ``bench.log`` writes it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import psycopg
from sqlalchemy import make_url

from bench.log import BATCH, FILTERS, generated, measured
from sandbox.store.database import Database
from sandbox.store.search import LogSearch
from tests.support.postgres import running

ENTRIES: Final = 3_000_000
_LATER: Final = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'audit%' AND indexname NOT LIKE '%_pkey'"
)
_TABLES: Final[dict[str, Callable[[dict[str, Any]], Iterator[tuple[object, ...]]]]] = {
    "audit (seq, time, kind, request, organisation, grant_id, decision, nano,"
    " datasets, codes, commitment, leaf)": (lambda row: iter((_entry(row),))),
    "audit_personal (seq, salt, person, text, payload)": (
        lambda row: iter(
            ((row["seq"], os.urandom(32), row["person"], row["text"], json.dumps(row["payload"])),)
        )
    ),
    "audit_datasets (dataset, seq)": lambda row: ((word, row["seq"]) for word in row["datasets"]),
    "audit_codes (code, seq)": lambda row: ((word, row["seq"]) for word in row["codes"]),
}
"""Tables with their columns, and what an entry puts into each."""


def main(entries: int) -> None:
    """Build, then measure."""
    with running() as server:
        place = server.database()
        Database(place).close()
        name = make_url(place).database or ""
        server.run("CREATE EXTENSION pg_trgm", name)
        build(place, entries)
        database = Database(place)
        search = LogSearch(database)
        search.follow(BATCH)  # makes the trigram index
        report = {about: measured(search, found, entries) for about, found in FILTERS.items()}
        with psycopg.connect(place) as raw:
            row = raw.execute("SELECT pg_database_size(current_database())").fetchone()
        database.close()
    print(json.dumps({"entries": entries, "bytes": row[0] if row else 0, "filters": report}))


def build(place: str, entries: int) -> None:
    """Fill the log's tables."""
    begun, rows = time.monotonic(), generated(entries)
    with psycopg.connect(place, autocommit=True) as raw:
        raw.execute("SET session_replication_role = replica")  # neither fences nor foreign keys
        raw.execute("SET maintenance_work_mem = '512MB'")
        later = raw.execute(_LATER).fetchall()
        for index, _ in later:
            raw.execute(f"DROP INDEX {index}")
        for first in range(0, entries, BATCH):
            some = list(islice(rows, min(BATCH, entries - first)))
            for table, told in _TABLES.items():
                with raw.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    for row in some:
                        for values in told(row):
                            copy.write_row(values)
        print(f"{entries:,} rows after {time.monotonic() - begun:.0f} s", flush=True)
        for _, definition in later:
            raw.execute(definition)
        raw.execute("UPDATE log_head SET size = %s", (entries,))
        raw.execute("VACUUM ANALYZE")
    print(f"indexes after {time.monotonic() - begun:.0f} s", flush=True)


def _entry(row: dict[str, Any]) -> tuple[object, ...]:
    names = ("seq", "time", "kind", "request", "organisation", "grant", "decision", "nano")
    lists = (json.dumps(row[name], separators=(",", ":")) for name in ("datasets", "codes"))
    return (*(row[name] for name in names), *lists, os.urandom(32).hex(), os.urandom(32))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
