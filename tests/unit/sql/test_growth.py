"""What is admitted can be simplified, compiled and hashed in bounded stack, and in text that grows evenly."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from sandbox.sql.canonical import canonical
from sandbox.sql.compile import compile_relation
from tests.spec.house import simple

STACK = 900


@pytest.fixture
def shallow() -> Iterator[None]:
    """A stack smaller than Python's own, so that a server's frames fit beside."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(STACK)
    yield
    sys.setrecursionlimit(before)


def chain(step: str, times: int, last: str) -> str:
    steps = ["c0 AS (SELECT people AS x FROM towns)"]
    steps += [f"c{i} AS ({step.format(f'c{i - 1}')})" for i in range(1, times + 1)]
    return f"WITH {', '.join(steps)} {last.format(f'c{times}')}"


JOINS = " ".join(f"JOIN towns t{i} ON t{i}.town = t{i - 1}.town" for i in range(1, 70))
DEEP = [
    " UNION ALL ".join(["SELECT people AS x FROM towns"] * 70),
    " UNION ALL ".join(["SELECT id AS x FROM persons"] * 70),
    f"SELECT count(*) AS n FROM towns t0 {JOINS}",
    chain("SELECT x FROM {} ORDER BY x LIMIT 9", 70, "SELECT x FROM {}"),
    chain("SELECT DISTINCT x FROM {}", 70, f"SELECT x{' + 1' * 75} AS x FROM {{}}"),
    chain("SELECT x, row_number() OVER (ORDER BY x) AS n FROM {}", 70, "SELECT n FROM {}"),
    chain("SELECT a.x FROM {} AS a JOIN towns t ON t.people = a.x", 70, "SELECT x FROM {}"),
    chain("SELECT x FROM {} WHERE x IN (SELECT n FROM visits)", 70, "SELECT x FROM {}"),
]


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("sql", DEEP, ids=lambda sql: sql[:12] + sql[-40:])
def test_deep_queries_fit(sql: str) -> None:
    relation = simple(sql)
    assert len(compile_relation(relation)) < 60_000
    assert canonical(relation) and hash(relation)
