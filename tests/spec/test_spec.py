"""The language by example: every query of the reference gives its answer, on the engine and the oracle."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sandbox.errors import Code, Lang, Refusal
from sandbox.sql.aggregates import AGGREGATES, WINDOWS
from sandbox.sql.expressions import Call, Expr, agg_exprs, win_exprs
from sandbox.sql.expressions import walk as parts
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.relation import (
    Aggregate,
    Filter,
    Join,
    Order,
    Project,
    Relation,
    SemiJoin,
    SetOp,
    Window,
    releases,
    walk,
)
from tests.spec.house import (
    Case,
    Row,
    Rule,
    cases,
    on_engine,
    on_oracle,
    ordered,
    read,
    rules,
    simple,
)
from tests.spec.reference import PAGE, page

CASES = cases()
LANGUAGES: tuple[Lang, ...] = ("zh", "en")
RULES = [*rules("protected"), *rules("refused")]


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12)
    return type(a) is type(b) and bool(a == b)


def same(found: list[Row], wanted: list[Row], *, in_order: bool) -> bool:
    if not in_order:
        found, wanted = (
            sorted(rows, key=lambda r: [(v is None, str(v)[:12]) for v in r]) for rows in (found, wanted)
        )
    return len(found) == len(wanted) and all(
        len(a) == len(b) and all(map(alike, a, b)) for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.sql[:60])
def test_the_engine_and_the_oracle_give_the_answer(case: Case) -> None:
    for relation in (read(case.sql), simple(case.sql)):
        in_order = ordered(relation)
        assert same(on_engine(relation), list(case.rows), in_order=in_order), on_engine(relation)
        assert same(on_oracle(relation), list(case.rows), in_order=in_order), on_oracle(relation)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.sql[:60])
def test_protected_tables_are_restricted_as_said(rule: Rule) -> None:
    found = tried(rule.sql)
    if isinstance(found, Refusal):
        assert found.code.name == rule.outcome
        words = [text for r in found.reasons for lang in LANGUAGES for text in (r.what(lang), r.now(lang))]
        assert all(text.strip() for text in words)
    elif found.privacy is not None:
        assert rule.outcome == "kept"
    else:
        assert releases(found) and rule.outcome == "released"


def tried(sql: str) -> Relation | Refusal:
    try:
        return simple(sql)
    except Refusal as refusal:
        return refusal


def expressions(relation: Relation) -> list[Expr]:
    match relation:
        case Filter():
            return [relation.predicate]
        case Project():
            return list(relation.exprs)
        case Join() | SemiJoin():
            return [relation.on]
        case Aggregate():
            return [*relation.keys, *(e for a in relation.aggs for e in agg_exprs(a))]
        case Window():
            return [e for w in relation.wins for e in win_exprs(w)]
        case Order():
            return [s.expr for s in relation.by]
        case _:
            return []


def test_everything_on_the_allow_list_has_an_example() -> None:
    nodes = [n for c in CASES for n in walk(read(c.sql))]
    calls = {p.name for n in nodes for e in expressions(n) for p in parts(e) if isinstance(p, Call)}
    assert calls >= {name for name, f in FUNCTIONS.items() if f.family != "internal"}
    assert {a.name for n in nodes if isinstance(n, Aggregate) for a in n.aggs} >= AGGREGATES
    assert {w.name for n in nodes if isinstance(n, Window) for w in n.wins} >= WINDOWS
    assert {n.kind for n in nodes if isinstance(n, Join)} == {"inner", "left", "full"}
    assert {n.anti for n in nodes if isinstance(n, SemiJoin)} == {True, False}
    assert {(n.op, n.all) for n in nodes if isinstance(n, SetOp)} == {
        (op, keep) for op in ("union", "except", "intersect") for keep in (True, False)
    }


def test_every_code_of_the_language_has_an_example() -> None:
    # Texts that are too long or too deep would not fit a page; two readers that disagree need an engine.
    apart = {"TEXT_TOO_LONG", "TEXT_NESTING", "OPINION"}
    language = {c.name for c in Code if c.value.number < 300} - apart
    assert {r.outcome for r in RULES} >= language


def test_the_committed_reference_is_what_the_cases_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.spec.reference"
