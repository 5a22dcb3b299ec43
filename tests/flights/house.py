"""The twenty questions asked of the real gateway, and the truth that each answer is held against."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
from ruamel.yaml import YAML

from bench.anew import anew
from sandbox.demo import flights
from sandbox.doors.asking import new_id
from sandbox.gateway import Gateway
from sandbox.home import Home, create_home, open_home
from sandbox.model import Answer, Person, Refused, Request
from sandbox.policy.load import load
from sandbox.snapshot import ingest

GRANT: Final = "G-FLIGHTS-DP"
HERE: Final = Path(__file__).parent
POLICIES: Final = HERE.parents[1] / "policies" / "flights"

Key = tuple[object, ...]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One entry of questions.yaml, which says what the fields mean."""

    id: str
    keys: tuple[str, ...]
    sql: str
    truth: str
    within: dict[str, float]
    empty: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Cell:
    """One noisy number: where it stands, its interval's half-width (None: not stated), and the truth."""

    question: str
    column: str
    key: Key
    value: float
    margin: float | None
    truth: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.margin is not None and abs(self.value - self.truth) <= self.margin * (1 + 1e-9)


def questions() -> tuple[Question, ...]:
    """All of them."""
    found = YAML(typ="safe").load(HERE / "questions.yaml")
    return tuple(
        Question(
            q["id"],
            tuple(q["keys"]),
            q["sql"],
            q.get("truth", q["sql"]),
            q.get("within", {}),
            frozenset(tuple(key) for key in q.get("empty", [])),
        )
        for q in found
    )


def build(root: Path) -> Home:
    """A home with the flights ingested under the policies of the repository."""
    home = create_home(root)
    shutil.copytree(POLICIES, home.policies / "flights")
    dataset = load([home.policies]).dataset("flights")
    assert dataset is not None
    files = {name.split(".", 1)[1]: path for name, path in flights.write(home.sources / "flights").items()}
    ingest(dataset, files, home.snapshots, now=dt.datetime.now(dt.UTC))
    return home


@contextmanager
def fresh(home: Home) -> Iterator[Gateway]:
    """A gateway over the same snapshot with an empty store, so that no earlier answer is repeated."""
    opened = open_home(home.path)
    # The clock hides durations; nobody measures them here.
    gateway = anew(replace(opened, settings=replace(opened.settings, release_clock_ms=0)))
    try:
        yield gateway
    finally:
        gateway.close()


def ask(gateway: Gateway, sql: str) -> Answer | Refused:
    """Ask as the operator of the grant."""
    grant = gateway.documents().grant(GRANT)
    assert grant is not None
    person = Person("operator", "operator", grant.to)
    return gateway.query(Request(new_id(), person, GRANT, sql, None, dt.datetime.now(dt.UTC)))


def truths(home: Home) -> dict[str, dict[Key, Row]]:
    """For each question, its rows by key: plain DuckDB over the rows that have a unit."""
    folder = home.sources / "flights"
    with duckdb.connect() as connection:
        for path in folder.iterdir():
            kept = " WHERE tailnum IS NOT NULL" if path.stem == "flights" else ""
            connection.execute(f"CREATE TABLE {path.stem} AS FROM '{path}'{kept}")
        return {q.id: _by_key(q, connection.sql(q.truth).to_arrow_table().to_pylist()) for q in questions()}


def _by_key(question: Question, rows: list[Row]) -> dict[Key, Row]:
    return {tuple(row[k] for k in question.keys): row for row in rows}


def rows_of(question: Question, answer: Answer) -> dict[Key, int]:
    """The place of each key's row in the answer."""
    names = [c.name for c in answer.columns]
    keys = [answer.table.column(names.index(k)).to_pylist() for k in question.keys]
    return {key: at for at, key in enumerate(zip(*keys, strict=True))}


def cells(question: Question, answer: Answer, truth: dict[Key, Row]) -> Iterator[Cell]:
    """Every noisy number of which the truth is a number.

    A declared group that no row falls in is in the answer but not in the truth: its counts are 0 there.
    """
    placed = rows_of(question, answer)
    for at, column in enumerate(answer.columns):
        values, margins = answer.table.column(at).to_pylist(), answer.margins.column(at).to_pylist()
        for key, row in placed.items():
            known = truth[key][column.name] if key in truth else _of_nothing(column.kind.value)
            value, wanted = values[row], column.noisy and column.name not in question.keys
            if wanted and known is not None and value is not None:
                yield Cell(question.id, column.name, key, float(value), margins[row], float(known))


def _of_nothing(kind: str) -> int | None:
    return 0 if kind == "integer" else None
