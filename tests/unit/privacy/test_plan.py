from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sandbox.catalogue import Catalogue
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import DpGuard
from sandbox.privacy.plan import plan
from sandbox.privacy.release import Bounding, Selection, What
from sandbox.sql.build import scan
from sandbox.sql.parse import parse
from sandbox.sql.relation import Released, walk
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.support.plans import PURE, ZCDP, planned
from tests.support.worlds import CLAIMS, PEOPLE


def refused(text: str, guard: DpGuard = ZCDP) -> Code:
    with pytest.raises(Refusal) as caught:
        planned(text, guard)
    return caught.value.reasons[0].code


@pytest.mark.parametrize(("text", "form"), [
    ("SELECT COUNT(*) FROM person", Bounding.ROW),
    ("SELECT city, COUNT(*) FROM person GROUP BY city", Bounding.ROW),
    ("SELECT COUNT(*) FROM claim", Bounding.UNIT),
    ("SELECT region, SUM(fee) FROM claim GROUP BY region", Bounding.UNIT),
    ("SELECT n > 3, SUM(fee) FROM claim GROUP BY 1", Bounding.PAIRS),
    ("SELECT COUNT(*) FROM person AS p JOIN claim AS c ON p.pid = c.pid", Bounding.UNIT),
    ("SELECT p.city, COUNT(*) FROM person AS p JOIN claim AS c ON p.pid = c.pid GROUP BY p.city", Bounding.UNIT),
    ("SELECT COUNT(*) FROM person AS p JOIN hospital AS h ON h.hosp = p.city", Bounding.ROW),
    ("SELECT COUNT(*) FROM person AS p JOIN zone AS z ON z.city = p.city", Bounding.UNIT),
    ("SELECT COUNT(*) FROM person AS p JOIN today AS t ON TRUE", Bounding.ROW),
    ("SELECT COUNT(*) FROM person AS p JOIN hospital AS h ON h.beds = p.score", Bounding.UNIT),
    ("SELECT COUNT(*) FROM person AS p JOIN hospital AS h ON h.rate = p.score", Bounding.UNIT),
    ("SELECT COUNT(*) FROM person AS p JOIN hospital AS h ON h.price = p.score", Bounding.UNIT),
    ("SELECT COUNT(*) FROM (SELECT pid, COUNT(*) AS n FROM claim GROUP BY pid) AS t", Bounding.ROW),
    ("SELECT COUNT(*) FROM (SELECT pid, region, COUNT(*) AS n FROM claim GROUP BY pid, region) AS t", Bounding.ROW),
    ("SELECT COUNT(*) FROM (SELECT pid, icd FROM claim GROUP BY pid, icd) AS t", Bounding.UNIT),
    ("SELECT COUNT(*) FROM (SELECT pid FROM person UNION ALL SELECT pid FROM person) AS t", Bounding.UNIT),
])  # fmt: skip
def test_the_cheapest_sound_form_of_bounding(text: str, form: Bounding) -> None:
    assert planned(text).priced[0].release.bounding is form


def test_a_padded_unit_column_is_no_function_of_the_unit() -> None:
    padded = (
        "SELECT a.pid AS p, c.pid AS q FROM person AS a LEFT JOIN claim AS c ON a.pid = c.pid AND c.fee > 3"
    )
    text = f"SELECT COUNT(*) FROM (SELECT p, q FROM ({padded} UNION ALL SELECT pid AS p, pid AS q FROM person) AS t GROUP BY p, q) AS s"
    assert planned(text).priced[0].release.bounding is Bounding.UNIT


def test_selection_only_where_keys_have_no_domain() -> None:
    assert planned("SELECT city, COUNT(*) FROM person GROUP BY city").priced[0].release.selection is None
    assert planned("SELECT icd, COUNT(*) FROM claim GROUP BY icd").priced[0].release.selection == Selection(
        3, 20
    )
    one = planned(
        "SELECT hi, COUNT(*) FROM (SELECT pid, MAX(icd) AS hi FROM claim GROUP BY pid) AS t GROUP BY hi"
    )
    assert one.priced[0].release.selection == Selection(1, 20)
    assert refused("SELECT icd, COUNT(*) FROM claim GROUP BY icd", PURE) is Code.KEYS
    many = (
        "SELECT age, day, city, COUNT(*) FROM person AS p JOIN claim AS c ON p.pid = c.pid GROUP BY 1, 2, 3"
    )
    assert refused(many, PURE) is Code.TOO_MANY_GROUPS


def test_a_domain_lists_each_value_once() -> None:
    """Each listed value is drawn once for the one charge."""
    twice = replace(
        PEOPLE,
        columns=tuple(replace(c, domain=("a", "b", "a")) if c.name == "city" else c for c in PEOPLE.columns),
    )
    relation = simplify(
        resolve(parse("SELECT city, COUNT(*) FROM person GROUP BY city"), Catalogue((twice,)))
    )
    assert plan(relation, ZCDP, Fraction(1)).priced[0].release.keys[0].domain == ("a", "b", None)


def test_no_plan_lets_a_row_out() -> None:
    assert refused("SELECT age FROM person") is Code.RAW_OUTPUT
    assert refused("SELECT pid, COUNT(*) FROM claim GROUP BY pid") is Code.RAW_OUTPUT
    with pytest.raises(Refusal):
        plan(scan(PEOPLE), ZCDP, Fraction(1))


def test_releases_are_planned_from_inner_to_outer_and_depend() -> None:
    made = planned("SELECT COUNT(*) FROM claim WHERE fee > (SELECT AVG(fee) FROM claim)")
    inner, outer = (p.release for p in made.priced)
    assert outer.depends == (inner.identity,)
    assert [n.number for n in walk(outer.input) if isinstance(n, Released)] == [0]


def test_equal_releases_are_paid_once() -> None:
    same = "(SELECT city, COUNT(*) AS n FROM person GROUP BY city)"
    made = planned(f"SELECT a.n / b.n FROM {same} AS a JOIN {same} AS b ON a.city = b.city")
    assert len(made.priced) == 1


def test_a_cost_is_split_within_a_kind_of_unit_and_charged_in_full_to_each() -> None:
    made = planned(
        "SELECT a.n, b.n FROM (SELECT COUNT(*) AS n, SUM(age) AS s FROM person) AS a CROSS JOIN (SELECT COUNT(*) AS n FROM firm) AS b"
    )
    (first, cost), (second, other) = made.accounts
    assert {first, second} == {"d/person", "d/enterprise"}
    assert cost == other
    for scope in (first, second):
        spent = sum(p.nano for p in made.priced if p.release.scope == scope)
        assert cost.nano - len(made.priced) <= spent <= cost.nano


def test_too_many_releases_are_refused() -> None:
    parts = " UNION ALL ".join(f"SELECT COUNT(*) FROM person WHERE age > {i}" for i in range(33))
    assert refused(parts) is Code.TEXT_NESTING


def test_identity_names_everything_that_changes_meaning() -> None:
    texts = [
        "SELECT COUNT(*) FROM claim",
        "SELECT SUM(fee) FROM claim",
        "SELECT SUM(n) FROM claim",
        "SELECT SUM(fee) FROM claim WHERE n > 3",
        "SELECT SUM(fee) FILTER (WHERE n > 3) FROM claim",
        "SELECT region, SUM(fee) FROM claim GROUP BY region",
        "SELECT icd, SUM(fee) FROM claim GROUP BY icd",
        "SELECT SUM(least(fee, 3)) FROM claim",
        "SELECT SUM(least(fee, 3.5)) FROM claim",
        "SELECT SUM(c.fee) FROM claim AS c JOIN zone AS z ON z.city = c.icd",
        "SELECT SUM(c.fee) FROM claim AS c LEFT JOIN zone AS z ON z.city = c.icd",
        "SELECT SUM(c.fee) FROM claim AS c WHERE EXISTS (SELECT 1 FROM zone AS z WHERE z.city = c.icd)",
        "SELECT SUM(c.fee) FROM claim AS c WHERE NOT EXISTS (SELECT 1 FROM zone AS z WHERE z.city = c.icd)",
        "SELECT SUM(fee) FROM claim WHERE fee > (SELECT AVG(fee) FROM claim)",
        "SELECT SUM(fee) FROM claim WHERE fee > (SELECT AVG(fee) FROM claim WHERE n > 3)",
        "SELECT SUM(s) FROM (SELECT pid, SUM(fee) AS s FROM claim GROUP BY pid) AS t",
    ]
    found = {planned(t).priced[-1].release.identity for t in texts}
    assert len(found) == len(texts)
    other = DpGuard(Fraction(1), Fraction(8), Fraction(1, 10**6), 4, 20)
    assert planned(texts[6]).priced[0].release.identity != planned(texts[6], other).priced[0].release.identity
    assert len({planned(t).identity for t in (*texts, "SELECT COUNT(*) + 1 FROM claim")}) == len(texts) + 1


def test_aggregates_without_their_output_still_have_one_row() -> None:
    made = planned("SELECT 1 AS x FROM (SELECT COUNT(*) AS n FROM person) AS t")
    assert [m.what for m in made.priced[0].release.measures] == [What.ROWS]


def test_another_declaration_is_another_question() -> None:
    """Sums of one unit are clamped by its declared rows, so a filter on them means something else."""
    text = "SELECT COUNT(*) FROM (SELECT pid, SUM(fee) AS s FROM claim GROUP BY pid) AS t WHERE s > 900"
    found = {
        plan(simplify(resolve(parse(text), Catalogue((table,)))), ZCDP, Fraction(1))
        .priced[0]
        .release.identity
        for table in (CLAIMS, replace(CLAIMS, rows=9), replace(CLAIMS, rows=None))
    }
    assert len(found) == 3
