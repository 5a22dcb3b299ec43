"""A home with one small dataset, a DP grant over it and two exact ones; and a gateway over that home."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.context import Context
from sandbox.gateway import Gateway, open_gateway
from sandbox.home import Home, create_home, open_home
from sandbox.model import Answer, Explained, Person, Refused, Request
from sandbox.policy.load import load
from sandbox.snapshot import ingest

DATASET = """
kind: dataset
id: shop
title: {zh: 小店, en: Shop}
owner: 测试
class: 测试/阶段
level: 3
share: conditional
why: {reason: 测试, basis: 测试}
snapshot: once
budget: {epsilon: 20, delta: 1.0e-5}
tables:
  visit:
    unit: {person: person_id}
    rows: 4
    per_unit: [city]
    grid: {cells: [city, kind], units: 5, dominance: 30, round: 1}
    columns:
      person_id: {type: integer, level: 3, use: [join, count]}
      city:      {type: integer, level: 1, use: [group, filter], domain: [0, 1, 2]}
      kind:      {type: integer, level: 1, use: [group, filter], domain: [0, 1]}
      fee:       {type: integer, level: 2, use: [measure, filter], range: [0, 100], clip: [0, 100], scale: 1}
"""
GRANT = """
kind: grant
id: {id}
to: shopkeepers
scenario: {{id: S-1, zh: 测试, en: Test}}
purpose: 测试
period: {{from: 2025-01-01, until: 2030-12-31}}
data:
  shop.visit: [{columns}]
guard: {guard}
release: auto
"""
DP = "{mode: dp, epsilon: {query: 1, total: 4}, delta: 1.0e-6, groups: 4, units: 5}"
EXACT = "{mode: exact, queries: {day: 500, total: 1000}}"
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
PERSON = Person("ann", "operator", "shopkeepers")
COUNTED = "SELECT city, COUNT(*) AS n FROM visit GROUP BY city ORDER BY city"

Ask = Callable[..., Answer | Refused]


def grant(id: str, guard: str, columns: str = "person_id, city, kind, fee") -> str:
    return GRANT.format(id=id, columns=columns, guard=guard)


def publish(home: Home, persons: int) -> None:
    """A snapshot in which each person has two visits, one of each kind, in city ``person % 3``."""
    rows = [(p, p % 3, kind, 10 * kind + 1) for p in range(persons) for kind in (0, 1)]
    names = ("person_id", "city", "kind", "fee")
    file = home.sources / "visit.parquet"
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), file)
    dataset = load([home.policies]).dataset("shop")
    assert dataset is not None
    ingest(dataset, {"visit": file}, home.snapshots, now=NOW + dt.timedelta(seconds=persons))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = create_home(tmp_path_factory.mktemp("house") / "home")
    (home.policies / "dataset.yaml").write_text(DATASET, encoding="utf-8")
    documents = {"dp": grant("G-DP", DP), "exact": grant("G-EXACT", EXACT)}
    documents["narrow"] = grant("G-NARROW", EXACT, "person_id, city, fee")
    for name, text in documents.items():
        (home.policies / f"{name}.yaml").write_text(text, encoding="utf-8")
    publish(home, 60)
    return home.path


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Home:
    """A copy of one's own: to publish into, to edit policies in, with an empty store."""
    shutil.copytree(built, tmp_path / "home", copy_function=shutil.copy2)
    opened = open_home(tmp_path / "home")
    return replace(opened, settings=replace(opened.settings, release_clock_ms=0))


@pytest.fixture
def gateway(home: Home) -> Iterator[Gateway]:
    opened = open_gateway(home)
    yield opened
    opened.close()


_numbers = itertools.count()


def request(
    grant: str, sql: str, *, epsilon: Fraction | None = None, time: dt.datetime = NOW, id: str = ""
) -> Request:
    return Request(id or f"r{next(_numbers)}", PERSON, grant, sql, epsilon, time)


def answered(found: Answer | Refused) -> Answer:
    assert isinstance(found, Answer), found
    return found


def explained(found: Explained | Refused) -> Explained:
    assert isinstance(found, Explained), found
    return found


def codes(found: Answer | Explained | Refused) -> list[str]:
    assert isinstance(found, Refused), found
    return [reason.code.name for reason in found.reasons]


def stages(found: Answer) -> list[str]:
    return [name for name, _ in found.timings]


def context_of(gateway: Gateway, grant: str) -> Context:
    """The context in which the gateway would run a query under this grant."""
    return gateway._context(PERSON, grant)
