"""One question, however it is spelt, has one identity: it is paid once, and its answer is kept for all spellings.

A random question over joins is written in several ways that mean the same: tables in another order, joined
by ON or by commas, conditions in ON, in WHERE or in a subquery, BETWEEN or two comparisons, DISTINCT or
GROUP BY.  Plans must be equal to the last letter, and the oracle's rows the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings

from sandbox.policy.documents import DpGuard
from sandbox.privacy.plan import plan
from sandbox.sql.canonical import canonical
from sandbox.sql.parse import parse
from sandbox.sql.relation import Aggregate, Filter, Relation, walk
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.oracle import Oracle
from tests.small import CATALOGUE, DATA, Data

GUARD = DpGuard(Fraction(1), Fraction(8), Fraction(1, 10**6), 4, 5)
SPELLINGS = 5

SOURCES = {
    "p": "people",
    "v": "visits",
    "g": "(SELECT person AS u, COUNT(*) AS c FROM visits GROUP BY person)",
    "r": "rates",
    "s": "(SELECT DISTINCT k, flag FROM rates)",
}
UNITS = {"p": "p.pid", "v": "v.person", "g": "g.u"}
TIES = {
    "r": (("r.k", "v.n"), ("r.k", "p.age"), ("r.t", "v.code"), ("r.k", "g.c"), ("r.t", "p.city")),
    "s": (("s.k", "p.age"), ("s.k", "r.k"), ("s.flag", "p.member"), ("s.k", "g.c")),
}
TESTS = {
    "p": (
        ("p.age BETWEEN 10 AND 60", "p.age >= 10 AND 60 >= p.age", "p.age <= 60 AND p.age >= 10"),
        ("p.city = '太原'", "p.city IN ('太原')", "'太原' = p.city"),
    ),
    "v": (("v.n > 0", "0 < v.n", "NOT v.n <= 0"), ("v.fee IS NOT NULL", "NOT (v.fee IS NULL)")),
    "g": (("g.c <> 2", "NOT g.c = 2", "2 <> g.c"),),
    "r": (("r.q < 50", "50 > r.q"), ("r.flag", "r.flag AND r.flag")),
    "s": (("s.k IN (1, 3)", "(s.k = 3 OR s.k = 1)", "s.k IN (3, 1, 3)"),),
}
CROSS = (("p.age", "r.q"), ("v.n", "p.age"), ("v.n", "r.k"), ("g.c", "p.age"), ("s.k", "r.k"))
KEYS = {"p": ("p.city", "p.member"), "v": ("v.code",), "g": ("g.c",), "r": ("r.t",), "s": ("s.flag",)}
AGGREGATES = {
    "p": ("COUNT(DISTINCT p.pid)", "AVG(p.age)"),
    "v": ("SUM(v.fee)",),
    "g": ("COUNT(g.c)",),
    "r": ("SUM(r.q)",),
    "s": ("COUNT(s.k)",),
}


def names(text: str) -> set[str]:
    """The sources that a condition is about."""
    return {alias for alias in SOURCES if f"{alias}." in text}


@dataclass(frozen=True)
class Question:
    """What is asked, before it is spelt: every test and tie is a choice of equivalent texts."""

    sources: tuple[str, ...]
    conditions: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]
    aggregates: tuple[str, ...]


def question(random: Random) -> Question:
    protected = random.sample(sorted(UNITS), random.randint(1, 3))
    public = [a for a in ("r", "s") if random.random() < 0.5]
    sources = [*protected, *public]
    conditions = [_equal(UNITS[a], UNITS[b]) for a, b in pairwise(protected)]
    for alias in public:
        fit = [pair for pair in TIES[alias] if names(" ".join(pair)) <= set(sources)]
        conditions += [_equal(*pair) for pair in random.sample(fit, min(len(fit), random.randint(0, 2)))]
    tests = [t for a in sources for t in TESTS[a] if random.random() < 0.4]
    fit = [(f"{a} < {b}", f"{b} > {a}") for a, b in CROSS if names(f"{a} {b}") <= set(sources)]
    tests += random.sample(fit, min(len(fit), random.randint(0, 1)))
    keys = [k for a in sources for k in KEYS[a] if random.random() < 0.3]
    aggregates = ["COUNT(*)"] + [x for a in sources for x in AGGREGATES[a] if random.random() < 0.3]
    bare = bool(keys) and random.random() < 0.2
    return Question(tuple(sources), (*conditions, *tests), tuple(keys), () if bare else tuple(aggregates))


def _equal(a: str, b: str) -> tuple[str, str]:
    return (f"{a} = {b}", f"{b} = {a}")


def spelt(asked: Question, random: Random) -> str:
    """One of its texts."""
    left = [random.choice(texts) for texts in asked.conditions]
    random.shuffle(left)
    order, text = _order(asked, random), ""
    comma = random.random() < 0.3
    seen: set[str] = set()
    for alias in order:
        own = [c for c in left if names(c) == {alias} and random.random() < 0.3]
        left = [c for c in left if c not in own]
        source = SOURCES[alias]
        if own:
            source = f"(SELECT * FROM {source} AS {alias} WHERE {' AND '.join(own)})"
        seen.add(alias)
        # What ties units must stand in ON: the tie is asked for where the join is written.
        now = [c for c in left if names(c) <= seen and (len(names(c)) > 1 or random.random() < 0.5)]
        if not text or comma:
            text += f"{', ' if text else ''}{source} AS {alias}"
            continue
        late = [c for c in now if not names(c) <= set(UNITS) and random.random() < 0.5]
        now = [c for c in now if c not in late]
        left = [c for c in left if c not in now]
        text += f" JOIN {source} AS {alias} ON {' AND '.join(now) or '1 = 1'}"
    where = f" WHERE {' AND '.join(left)}" if left else ""
    keys = ", ".join(asked.keys)
    if not asked.aggregates and random.random() < 0.5:
        return f"SELECT DISTINCT {keys} FROM {text}{where}"
    group = f" GROUP BY {keys}" if keys else ""
    return f"SELECT {', '.join([*asked.keys, *asked.aggregates])} FROM {text}{where}{group}"


def _order(asked: Question, random: Random) -> list[str]:
    """Any order in which each protected source is tied to one before it, as ON requires."""
    chain = [a for a in asked.sources if a in UNITS]
    start = random.randrange(len(chain))
    low = high = start
    order = [chain[start]]
    while len(order) < len(chain):
        up = low == 0 or (high < len(chain) - 1 and random.random() < 0.5)
        low, high = (low, high + 1) if up else (low - 1, high)
        order.append(chain[high] if up else chain[low])
    for alias in asked.sources:
        if alias not in UNITS:
            order.insert(random.randint(0, len(order)), alias)
    return order


def read(text: str) -> Relation:
    return resolve(parse(text), CATALOGUE)


def identity(text: str) -> str:
    return plan(simplify(read(text)), GUARD, Fraction(1)).identity


def rows(relation: Relation, data: Data) -> Counter[str]:
    return Counter(map(repr, Oracle(data).run(relation)))


@pytest.mark.parametrize("seed", range(150))
def test_every_spelling_has_one_identity(seed: int) -> None:
    random = Random(seed)
    asked = question(random)
    texts = {spelt(asked, random) for _ in range(SPELLINGS)}
    plans = {identity(text): text for text in texts}
    assert len(plans) == 1, "\n".join(plans.values())
    forms = {canonical(simplify(read(text))): text for text in texts}
    assert len(forms) == 1, "\n".join(forms.values())


@pytest.mark.parametrize("seed", range(50))
def test_another_question_has_another_identity(seed: int) -> None:
    random = Random(seed)
    asked = question(random)
    tests = [c for c in asked.conditions if len(names(c[0])) == 1 or "<" in c[0]]
    for dropped in tests:
        fewer = replace(asked, conditions=tuple(c for c in asked.conditions if c != dropped))
        assert identity(spelt(asked, random)) != identity(spelt(fewer, random))


@settings(max_examples=60, deadline=None)
@given(DATA)
def test_every_spelling_has_the_same_rows(data: Data) -> None:
    random = Random(repr(data))
    asked = question(random)
    texts = [spelt(asked, random) for _ in range(2)]
    answers = [rows(r, data) for text in texts for r in (read(text), simplify(read(text)))]
    assert all(answer == answers[0] for answer in answers), "\n".join(texts)


def test_a_table_joined_to_itself_is_told_apart_by_what_is_asked_of_each() -> None:
    one = "SELECT COUNT(*) FROM visits AS a JOIN visits AS b ON a.person = b.person AND a.n > 0"
    two = "SELECT COUNT(*) FROM visits AS b JOIN visits AS a ON a.person = b.person AND a.n > 0"
    assert identity(one) == identity(two)


def test_a_column_equal_to_itself_still_leaves_out_what_is_null() -> None:
    whole = "SELECT COUNT(*) FROM people AS p JOIN visits AS v ON p.pid = v.person"
    assert identity(whole) != identity(f"{whole} AND v.n = v.n")
    assert identity(f"{whole} WHERE v.n = v.n") == identity(f"{whole} AND v.n = v.n")


def test_conditions_on_no_table_and_joins_on_nothing() -> None:
    data: Data = {t.id: [] for t in CATALOGUE.tables}
    one = (
        "SELECT p.pid, r.k FROM people AS p CROSS JOIN rates AS r JOIN rates AS q ON p.age < q.k WHERE 1 = 2"
    )
    two = "SELECT p.pid, r.k FROM rates AS q, people AS p, rates AS r WHERE q.k > p.age AND 1 = 2"
    grouped = [f"SELECT COUNT(*) FROM ({text}) AS t" for text in (one, two)]
    assert identity(grouped[0]) == identity(grouped[1])
    assert not rows(simplify(read(one)), data)


def test_rows_of_units_once_each_is_grouping_by_the_unit() -> None:
    one = "SELECT COUNT(*), AVG(a) FROM (SELECT DISTINCT pid, age AS a FROM people) AS t"
    two = "SELECT COUNT(*), AVG(a) FROM (SELECT pid, age AS a FROM people GROUP BY pid, age) AS t"
    assert identity(one) == identity(two)


def test_public_groups_without_aggregates_are_distinct_rows() -> None:
    assert identity("SELECT k, flag FROM rates GROUP BY k, flag") == identity(
        "SELECT DISTINCT k, flag FROM rates"
    )


def test_a_unit_that_is_shown_stays_where_it_is() -> None:
    whole = read("SELECT COUNT(*) FROM (SELECT person FROM visits GROUP BY person HAVING COUNT(*) > 1) AS t")
    kept = next(r for r in walk(whole) if isinstance(r, Filter) and isinstance(r.input, Aggregate))
    assert simplify(kept).privacy == kept.privacy
