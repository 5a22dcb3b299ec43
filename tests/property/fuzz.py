"""Random queries, valid by construction, whose exact answers must be the naive engine's.

Three sorts, by turns: the whole grammar over public and protected tables (the rows themselves, also where they
are private and would never leave); questions to protected tables, for which every release's bounded sums,
units and what is computed above are compared before noise decides anything; and questions to a published
grid, whose answers must be those over the rows of its cells.

Run as a command: ``python tests/property/fuzz.py 100000`` prints a report and, last, one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from sandbox.errors import Refusal  # noqa: E402  (the command runs from anywhere)
from sandbox.privacy.accounting import Measure  # noqa: E402
from sandbox.privacy.caps import Cap  # noqa: E402
from sandbox.privacy.exact import over_cubes  # noqa: E402
from sandbox.privacy.faces import shown  # noqa: E402
from sandbox.privacy.plan import Plan, Priced  # noqa: E402
from sandbox.privacy.protect import Bounds, protect  # noqa: E402
from sandbox.privacy.release import Release  # noqa: E402
from sandbox.privacy.spend import spend  # noqa: E402
from sandbox.privacy.statements import tally_sql  # noqa: E402
from sandbox.privacy.tally import found_edges, tally  # noqa: E402
from sandbox.sql.compile import compile_relation  # noqa: E402
from sandbox.sql.parse import parse  # noqa: E402
from sandbox.sql.relation import Relation  # noqa: E402
from sandbox.sql.resolve.query import resolve  # noqa: E402
from sandbox.sql.simplify import simplify  # noqa: E402
from tests import small  # noqa: E402
from tests.grammar import Grammar  # noqa: E402
from tests.oracle import Oracle, Row  # noqa: E402
from tests.property.laws import guard_of, planned  # noqa: E402
from tests.support import grids, worlds  # noqa: E402
from tests.support.bounded import wrong  # noqa: E402
from tests.support.compare import comparable, difference  # noqa: E402
from tests.support.questions import Questions  # noqa: E402

QUERIES_A_DATABASE = 20


@dataclass(slots=True)
class Report:
    """What was asked and what came of it."""

    queries: int = 0
    answered: int = 0
    refused: int = 0
    mismatches: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        self.queries += other.queries
        self.answered += other.answered
        self.refused += other.refused
        self.mismatches += other.mismatches
        self.outcomes += other.outcomes


class Mismatch(Exception):
    """An answer that is not the oracle's."""


def same(
    connection: duckdb.DuckDBPyConnection, relation: Relation, oracle: Oracle, asked: Relation | None = None
) -> None:
    """The relation's answer is the naive one to it, or to what was ``asked`` before it was rewritten."""
    wanted = oracle.run(asked or relation)
    found = difference(asked or relation, connection.sql(compile_relation(relation)).fetchall(), wanted)
    if found is not None:
        raise Mismatch(found)


class Rows:
    """The grammar over the small catalogue: rows of every relation, private ones too."""

    name = "rows"

    def __init__(self, random: Random) -> None:
        self.random = random
        data = small.random_data(random)
        self.oracle = Oracle(data)
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1; SET TimeZone = 'UTC'; CREATE SCHEMA d")
        for table in small.TABLES:
            self.connection.register("arriving", small.stored(table, data[table.id]))
            self.connection.execute(f'CREATE TABLE d."{table.name}" AS SELECT * FROM arriving')
            self.connection.unregister("arriving")

    def text(self) -> str:
        return Grammar(self.random.choice).query(self.random.choice((1, 2, 2, 3))).text

    def ask(self, text: str) -> None:
        relation = resolve(parse(text), small.CATALOGUE)
        same(self.connection, relation, self.oracle)
        simple = simplify(relation)
        same(self.connection, simple, self.oracle, comparable(relation, simple))


class Releases:
    """Questions to protected tables: bounded sums before noise, and what stands above released tables."""

    name = "releases"

    def __init__(self, random: Random) -> None:
        self.random = random
        units = {u: {**worlds.people(random, u), **worlds.firms(random, u)} for u in range(worlds.UNITS)}
        self.connection = worlds.filled([(units, 0, worlds.Variant(0))])
        self.tables = {t.id: self._rows(f"d.{t.name}") for t in worlds.TABLES}

    def _rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            self.connection.sql(f"SELECT * FROM {name}").to_arrow_table().to_pylist()
        )
        return found

    def _table(self, sql: str) -> pa.Table:
        return self.connection.sql(sql).to_arrow_table()

    def _listed(self, release: Release, oracle: Oracle) -> pa.Table | None:
        """The groups that public tables list, as the oracle finds them too."""
        if release.listing is None:
            return None
        relation = release.listing.relation
        same(self.connection, relation, oracle)
        return self._table(compile_relation(relation))

    def text(self) -> str:
        return Questions(self.random).query()

    def plan(self, text: str) -> Plan:
        return planned(text, guard_of(self.random))

    def ask(self, text: str) -> None:
        made = self.plan(text)
        released: dict[int, list[Row]] = {}
        public: dict[str, pa.Table] = {}
        for priced in made.priced:
            number, noisy = priced.release.number, self._released(made, priced, Oracle(self.tables, released))
            public[f"r{number}"] = shown(priced.release.face, noisy, public)
            worlds.share(self.connection, number, public[f"r{number}"])
            released[number] = [tuple(row.values()) for row in public[f"r{number}"].to_pylist()]
        same(self.connection, made.post, Oracle(self.tables, released))

    def _released(self, made: Plan, priced: Priced, oracle: Oracle) -> pa.Table:
        release, laplace = priced.release, made.measure is Measure.PURE
        found = tally(
            release, self._table(tally_sql(release, laplace=laplace)), self._listed(release, oracle)
        )
        caps = tuple(self.random.choice(found_edges(m)) for m in release.measures)
        same(self.connection, release.input, oracle)
        # The engine's own rows, which are now known to be right: their reals may differ in a last bit.
        rows = self.connection.sql(compile_relation(release.input)).fetchall()
        fault = wrong(release, found, rows, caps, laplace=laplace)
        if fault is not None:
            raise Mismatch(fault)
        return protect(priced, spend(priced, made.measure), Bounds(tuple(map(Cap, caps))), found)


class Cells:
    """Questions to a published grid: the same as over the rows of its cells, in DuckDB and naively."""

    name = "grid"

    def __init__(self, random: Random) -> None:
        self.random = random
        self.connection = grids.database(random)
        tables = ("usage", "area", "tag")
        self.oracle = Oracle(
            {
                f"d.{t}": self.connection.sql(f"SELECT * FROM d.{t}").to_arrow_table().to_pylist()
                for t in tables
            }
        )

    def text(self) -> str:
        return grids.random_query(self.random)

    def ask(self, text: str) -> None:
        exact = over_cubes(simplify(resolve(parse(text), grids.PRIVATE)))
        rows = simplify(resolve(parse(text), grids.PUBLIC))
        same(self.connection, rows, self.oracle)
        answer = self.connection.sql(compile_relation(exact)).fetchall()
        # Sums over a cube are exact integers where sums over rows are reals, and the other way round.
        found = difference(exact, [_plain(r) for r in answer], [_plain(r) for r in self.oracle.run(rows)])
        if found is not None:
            raise Mismatch(f"from the cube: {found}")


def _plain(row: Row) -> Row:
    return tuple(float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in row)


SORTS: tuple[type[Rows | Releases | Cells], ...] = (Rows, Rows, Releases, Releases, Cells)


@contextmanager
def opened(sort: type[Rows | Releases | Cells], random: Random) -> Iterator[Rows | Releases | Cells]:
    scene = sort(random)
    try:
        yield scene
    finally:
        scene.connection.close()


def check(seed: int, queries: int, most_mismatches: int = 10) -> Report:
    """So many queries from one seed; stops early after some mismatches."""
    random, report = Random(seed), Report()
    while report.queries < queries and len(report.mismatches) < most_mismatches:
        with opened(random.choice(SORTS), random) as scene:
            for _ in range(min(QUERIES_A_DATABASE, queries - report.queries)):
                one(scene, report)
    return report


def one(scene: Rows | Releases | Cells, report: Report) -> None:
    """Ask one query and note what came of it."""
    text = scene.text()
    report.queries += 1
    try:
        scene.ask(text)
    except Refusal as refusal:
        report.refused += 1
        report.outcomes[f"{scene.name}: refused {refusal.reasons[0].code.name}"] += 1
    except (Mismatch, duckdb.Error) as fault:
        report.mismatches.append(f"{scene.name}: {type(fault).__name__}: {fault}\n    {text}")
    else:
        report.answered += 1
        report.outcomes[f"{scene.name}: answered"] += 1


def checked(seed: int, queries: int) -> Report:
    """``check`` in a process of its own; that this process died is a find, told by its seed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(check, seed, queries).result()
        except BrokenProcessPool:
            return Report(queries, mismatches=[f"the process died: check({seed}, {queries})"])


def main(queries: int) -> int:
    workers = min(os.cpu_count() or 1, 4)
    started, seed = time.monotonic(), Random().randrange(2**32)
    chunk = max(100, min(1000, queries // (4 * workers)))
    sizes = [min(chunk, queries - at) for at in range(0, queries, chunk)]
    seeds = range(seed, seed + len(sizes))
    total = Report()
    with ThreadPoolExecutor(workers) as pool:
        for report in pool.map(checked, seeds, sizes):
            total.add(report)
            print(f"{total.queries} of {queries}, {len(total.mismatches)} mismatches", file=sys.stderr)
    seconds = time.monotonic() - started
    print(f"random queries: {total.queries}, {seconds:.0f} s, seeds {seeds.start}..{seeds.stop - 1}")
    for outcome, count in sorted(total.outcomes.items(), key=lambda x: (x[0].split(":")[0], -x[1])):
        print(f"  {outcome:36} {count}")
    for mismatch in total.mismatches[:20]:
        print(f"MISMATCH {mismatch}")
    figures = {"queries": total.queries, "answered": total.answered, "refused": total.refused}
    print(json.dumps({**figures, "mismatches": len(total.mismatches)}))
    return 1 if total.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
