"""``python -m bench.log [ENTRIES]``: how long pages of the query log take at ten million entries.

Builds ``build/bench/log-ENTRIES.db`` once (bulk SQL over the store's own schema, indexes after the rows) and
keeps it.  Then, per filter and combination, of pages of 100 entries: the first one (``first``), and from
places anywhere in the log to older (``deep``) and newer (``back``) entries: p50 and p99 in milliseconds over
``RUNS`` pages, the share of pages cut short by the time limit, and how many pages and milliseconds it takes
from the newest entry to a full page or the log's end.
The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from sandbox.store.audit import Event
from sandbox.store.database import Database, micros
from sandbox.store.search import LogFilter, LogSearch, Page

BUILD: Final = Path(__file__).parents[1] / "build" / "bench"
START: Final = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
RUNS: Final = 40
BATCH: Final = 50_000
SHAPES: Final = (
    "SELECT age_band, COUNT(*) AS n FROM person WHERE city = '{city}' AND age > {n} GROUP BY age_band",
    """SELECT c.code, SUM(c.fee) AS 费用合计 FROM claim c JOIN person p ON p.person_id = c.person_id
    WHERE p.city = '{city}' AND c.fee < {n} GROUP BY c.code ORDER BY 2 DESC LIMIT 20""",
    """SELECT s.en AS sector, SUM(u.kwh) AS 用电量 FROM usage u JOIN sector s ON s.industry2 = u.industry2
    WHERE u.month >= DATE '2025-{m:02d}-01' AND u.meter_id < {n} GROUP BY s.en""",
    """WITH t AS (SELECT carrier, AVG(delay) AS d FROM flights WHERE distance > {n} GROUP BY carrier)
    SELECT * FROM t ORDER BY d DESC -- {city}""",
)
CITIES: Final = ("太原", "大同", "运城", "晋中", "临汾", "长治", "阳泉", "朔州", "忻州", "吕梁", "晋城")
CODES: Final = ("DS-102", "DS-202", "DS-203", "DS-304", "DS-307", "DS-401", "DS-404", "DS-501", "DS-601")
LINES: Final = [f"release {i}: sensitivity=1 scale={i}/7 cap=norm L2 unit=person" for i in range(6)]


def main(entries: int) -> None:
    """Build if needed, then measure."""
    file = BUILD / f"log-{entries}.db"
    if not file.exists():
        build(file, entries)
    database = Database(file)
    search = LogSearch(database)
    report = {name: measured(search, found, entries) for name, found in FILTERS.items()}
    database.close()
    print(json.dumps({"entries": entries, "bytes": file.stat().st_size, "filters": report}))


def build(file: Path, entries: int) -> None:
    """A store whose log holds ``entries`` entries, indexed as a running gateway would have it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    Database(draft).close()
    begun = time.monotonic()
    with sqlite3.connect(draft, isolation_level=None) as raw:
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("PRAGMA cache_size = -400000")
        raw.execute("PRAGMA foreign_keys = OFF")
        later = raw.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE tbl_name LIKE 'audit%' AND sql IS NOT NULL"
            " AND type IN ('index', 'trigger')"
        ).fetchall()
        for name, kind, _ in later:
            raw.execute(f"DROP {kind} {name}")
        rows = generated(entries)
        for first in range(0, entries, BATCH):
            raw.execute("BEGIN")
            insert(raw, [next(rows) for _ in range(min(BATCH, entries - first))])
            raw.execute("COMMIT")
        raw.execute("UPDATE log_head SET size = ?", (entries,))
        print(f"{entries:,} rows after {time.monotonic() - begun:.0f} s", flush=True)
        for _, _, statement in later:
            raw.execute(statement)
    raw.close()
    print(f"indexes after {time.monotonic() - begun:.0f} s", flush=True)
    database = Database(draft)
    while LogSearch(database).follow(4 * BATCH):
        pass
    database.close()
    print(f"texts after {time.monotonic() - begun:.0f} s", flush=True)
    draft.rename(file)


def generated(entries: int) -> Iterator[dict[str, Any]]:
    """Entries as a province's gateway would see them over a year and a half."""
    dice = random.Random(20260101)
    step = dt.timedelta(days=540) / entries
    people = [f"analyst-{i:04}" for i in range(3000)]
    seq = 0
    while True:
        who = int(3000 * dice.random() ** 3)
        grant = (who * 7 + dice.randrange(3)) % 400
        shape = dice.choice(SHAPES)
        query = shape.format(city=dice.choice(CITIES), n=dice.randrange(100_000), m=dice.randrange(1, 13))
        request = f"r{seq:x}-{dice.randrange(1 << 32):08x}"
        common = {
            "person": people[who], "organisation": f"运营机构{who % 60:02}", "grant": f"G-2025-{grant:03}",
            "datasets": [f"dataset-{grant % 40:02}"], "request": request, "text": query,
        }  # fmt: skip
        nano = dice.choice((125_000, 500_000, 1_250_000, 5_000_000)) + dice.randrange(40) * 1000
        for kind, decision, codes, cost, told in _story(dice, nano):
            yield {
                **common, "seq": seq, "time": micros(START + seq * step), "kind": kind, "decision": decision,
                "codes": codes, "nano": cost, "payload": told,
            }  # fmt: skip
            seq += 1


def _story(dice: random.Random, nano: int) -> list[tuple[str, str, list[str], int, dict[str, Any]]]:
    chance = dice.random()
    if chance < 0.04:
        return [("login", "", [], 0, {})]
    if chance < 0.12:
        return [("explain", "explained", [], 0, {"shape": f"{dice.randrange(1 << 64):016x}"})]
    if chance < 0.24:
        return [("refusal", "refused", [dice.choice(CODES)], 0, {"subjects": ["person.name"]})]
    intent = {"mode": "dp", "snapshot": "med@20250101", "plan": f"{dice.randrange(1 << 64):064x}"}
    outcome = {"mode": "dp", "rows": 12, "columns": ["a", "n"], "free": False, "derivation": LINES}
    return [("intent", "", [], nano, intent), ("outcome", "answered", [], nano, outcome)]


def insert(raw: sqlite3.Connection, rows: list[dict[str, Any]]) -> None:
    """A batch into the log's tables."""
    blob = random.randbytes
    for row in rows:
        row["lists"] = [json.dumps(row[n], separators=(",", ":")) for n in ("datasets", "codes")]
    names = ("seq", "time", "kind", "request", "organisation", "grant", "decision", "nano")
    raw.executemany(
        "INSERT INTO audit (seq, time, kind, request, organisation, grant_id, decision, nano, datasets,"
        f" codes, commitment, leaf) VALUES ({', '.join('?' * 12)})",
        ((*(r[n] for n in names), *r["lists"], blob(32).hex(), blob(32)) for r in rows),
    )
    raw.executemany(
        "INSERT INTO audit_personal (seq, salt, person, text, payload) VALUES (?, ?, ?, ?, ?)",
        ((r["seq"], blob(32), r["person"], r["text"], json.dumps(r["payload"])) for r in rows),
    )
    for table, word in (("audit_datasets", "dataset"), ("audit_codes", "code")):
        raw.executemany(
            f"INSERT INTO {table} ({word}, seq) VALUES (?, ?)",
            [(found, r["seq"]) for r in rows for found in r[f"{word}s"]],
        )


WEEK: Final = LogFilter(since=START + dt.timedelta(days=100), until=START + dt.timedelta(days=107))
NIGHT: Final = replace(WEEK, until=START + dt.timedelta(days=100, hours=8))
FILTERS: Final[dict[str, LogFilter]] = {
    "none": LogFilter(),
    "person": LogFilter(person="analyst-0100"),
    "rare person": LogFilter(person="analyst-2999"),
    "nobody": LogFilter(person="nobody"),
    "operator": LogFilter(organisation="运营机构07"),
    "grant": LogFilter(grant="G-2025-107"),
    "dataset": LogFilter(dataset="dataset-07"),
    "decision": LogFilter(decision="refused"),
    "code": LogFilter(code="DS-304"),
    "kind": LogFilter(kind=Event.LOGIN),
    "cost at least": LogFilter(least=5_000_000),
    "cost between, rare": LogFilter(least=5_039_000, most=5_039_000),
    "cost none": LogFilter(least=10_000_000),
    "a week a year ago": WEEK,
    "text, common": LogFilter(text="SELECT age_band"),
    "text, Chinese of two": LogFilter(text="太原"),
    "text, Chinese of three": LogFilter(text="用电量"),
    "text, rare": LogFilter(text="age > 77123"),
    "text, absent": LogFilter(text="no such text"),
    "text, common parts, absent": LogFilter(text="GROUP BY c.code GROUP BY"),
    "text of one, absent": LogFilter(text="晉"),
    "text of two, rare": LogFilter(text="忻市"),
    "ASCII of two, absent": LogFilter(text="zz"),
    "person and code": LogFilter(person="analyst-0100", code="DS-304"),
    "operator and grant, never together": LogFilter(organisation="运营机构07", grant="G-2025-001"),
    "kind and decision, never together": LogFilter(kind=Event.LOGIN, decision="refused"),
    "dataset and code": LogFilter(dataset="dataset-07", code="DS-501"),
    "grant, week, cost": replace(WEEK, grant="G-2025-107", least=1_000_000),
    "person and text": LogFilter(person="analyst-0100", text="太原"),
    "code and text": LogFilter(code="DS-304", text="age > 771"),
    "night, text": replace(NIGHT, text="临汾"),
    "everything": replace(
        WEEK, person="analyst-0100", organisation="运营机构40", dataset="dataset-20", kind=Event.OUTCOME,
        least=1000, text="COUNT",
    ),
}  # fmt: skip


def measured(search: LogSearch, wanted: LogFilter, entries: int) -> dict[str, float]:
    """First pages, deep pages, and the whole way to a full one."""
    dice = random.Random(7)
    first = [timed(search, wanted) for _ in range(RUNS)]
    deep = [timed(search, replace(wanted, after=dice.randrange(1, entries))) for _ in range(RUNS)]
    back = [timed(search, replace(wanted, before=dice.randrange(1, entries))) for _ in range(RUNS)]
    begun, found, pages, page = time.perf_counter(), 0, 0, search.entries(wanted)
    while found + len(page.entries) < wanted.limit and page.next is not None:
        found, pages = found + len(page.entries), pages + 1
        page = search.entries(replace(wanted, after=page.next))
    report = {
        f"{name}_{about}": value
        for name, times in (("first", first), ("deep", deep), ("back", back))
        for about, value in _figures(times).items()
    }
    report |= {"pages_to_full": pages + 1, "ms_to_full": round(1000 * (time.perf_counter() - begun), 1)}
    print(f"{wanted}: {report}", flush=True)
    return report


def timed(search: LogSearch, wanted: LogFilter) -> tuple[float, bool]:
    """Milliseconds of one page, and whether it was cut short."""
    begun = time.perf_counter()
    page: Page = search.entries(wanted)
    spent = 1000 * (time.perf_counter() - begun)
    more = page.next if wanted.before is None else page.previous
    return spent, len(page.entries) < wanted.limit and more is not None


def _figures(times: list[tuple[float, bool]]) -> dict[str, float]:
    cuts = quantiles([spent for spent, _ in times], n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 2),
        "p99": round(cuts[98], 2),
        "cut": round(sum(cut for _, cut in times) / len(times), 2),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
