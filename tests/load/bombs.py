"""Texts that are made to eat a parser, a planner or an engine: the public corpus's own, and forms of any size."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from tests.corpus.cases import DATA, read


def public() -> list[str]:
    """The resource cases of the public corpus."""
    cases = read(DATA / "attacks_public.jsonl")
    return [step.sql for case in cases if case.kind == "resource_abuse" for step in case.steps if step.sql]


def _doubled(n: int) -> str:
    steps = "".join(f", a{i} AS (SELECT x.* FROM a{i - 1} x, a{i - 1} y)" for i in range(1, n))
    return f"WITH a0 AS (SELECT * FROM people){steps} SELECT COUNT(*) FROM a{n - 1}"


FORMS: Final[tuple[tuple[int, Callable[[int], str]], ...]] = (
    (9000, lambda n: "SELECT " + "(" * n + "1" + ")" * n),
    (4000, lambda n: "SELECT SUM(" + "+".join(["salary"] * n) + ") FROM people"),
    (4000, lambda n: "SELECT COUNT(*) FROM people WHERE " + "NOT " * n + "true"),
    (4000, lambda n: "SELECT COUNT(*) FROM people WHERE salary IN (" + ", ".join(map(str, range(n))) + ")"),
    (4000, lambda n: "SELECT COUNT(*) FROM people WHERE " + " OR ".join(f"salary = {i}" for i in range(n))),
    (200, lambda n: "SELECT COUNT(*) FROM " + ", ".join(f"people AS p{i}" for i in range(n))),
    (200, lambda n: "SELECT COUNT(*) FROM people " + "".join(f"JOIN claims c{i} USING (id) " for i in range(n))),
    (60, _doubled),
    (400, lambda n: " UNION ALL ".join(["SELECT COUNT(*) AS n FROM people"] * n)),
    (600, lambda n: "SELECT " + ", ".join(f"SUM(salary + {i}) AS s{i}" for i in range(n)) + " FROM people"),
    (300, lambda n: "SELECT " + ", ".join(f"MEDIAN(salary + {i}) AS s{i}" for i in range(n)) + " FROM people"),
    (60, lambda n: "SELECT COUNT(*) FROM people GROUP BY CUBE (" + ", ".join(["county"] * n) + ")"),
    (900, lambda n: "SELECT SUM(CASE " + "".join(f"WHEN age = {i} THEN {i} " for i in range(n)) + "END) FROM people"),
    (19_000, lambda n: f"SELECT COUNT(*) FROM people WHERE salary = {'9' * n}"),
    (19_000, lambda n: f'SELECT COUNT(*) AS "{"x" * n}" FROM people'),
    (19_000, lambda n: f"SELECT COUNT(*) FROM people WHERE county LIKE '{'%_' * (n // 2)}'"),
    (10**12, lambda n: f"SELECT COUNT(*) FROM range({n})"),
    (10**10, lambda n: f"SELECT COUNT(*) FROM people WHERE length(repeat(county, {n})) > 0"),
    (10**10, lambda n: f"SELECT lpad('x', {n}, 'y') AS x"),
    (10**6, lambda n: f"SELECT power(salary, {n}) AS x, COUNT(*) FROM people GROUP BY x"),
    (10**6, lambda n: f"SELECT COUNT(*) FROM people WHERE regexp_matches(repeat(county, {n}), '(a+)+$')"),
    (60, lambda n: f"SELECT {'SUM(' * n}salary{')' * n} OVER () FROM people"),
)  # fmt: skip
"""The greatest size of each, and the text of a size."""


def generated(dice: Random) -> str:
    """One of the forms, of a random size: most are small enough to get past the first gate."""
    most, form = dice.choice(FORMS)
    return form(max(1, int(most ** dice.random())))
